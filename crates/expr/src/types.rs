//! What is known of a value before any claim exists, and the variables an expression may read.

use std::fmt;
use std::sync::Arc;

use crate::fault::Complaint;

/// A static type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Known only when run, such as a claim.
    Dyn,
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// 64 bits, signed
    Int,
    /// IEEE 754, 64 bits
    Double,
    /// Unicode text
    String,
    /// A list of one type.
    List(Arc<Self>),
    /// A map from one type to one type.
    Map(Arc<Self>, Arc<Self>),
    /// An object whose fields are known, such as Kubernetes' `user`.
    Object(Arc<Record>),
}

/// A named object type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    name: String,
    fields: Vec<(String, Type)>,
}

/// The variables that an expression may read.
#[derive(Debug, Clone, Default)]
pub struct Env {
    variables: Vec<(String, Type)>,
}

impl Env {
    /// No variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares one more variable. A second of the same name replaces the first.
    #[must_use]
    pub fn with(mut self, name: &str, declared: Type) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_owned(), declared));
        self
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Type> {
        self.variables.iter().find(|(declared, _)| declared == name).map(|(_, declared)| declared)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|(name, _)| name.as_str())
    }
}

impl Type {
    /// `map(string, dyn)`: what the claims of a token are.
    pub fn claims() -> Self {
        Self::map(Self::String, Self::Dyn)
    }

    /// `list(item)`
    pub fn list(item: Self) -> Self {
        Self::List(Arc::new(item))
    }

    /// `map(key, value)`
    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new(key), Arc::new(value))
    }

    /// An object with exactly these fields.
    pub fn object<'a>(name: &str, fields: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let fields = fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect();
        Self::Object(Arc::new(Record { name: name.to_owned(), fields }))
    }

    /// Whether a value of `other` may stand where this type is wanted. `dyn` fits either way: the run decides.
    pub(crate) fn takes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (Self::List(a), Self::List(b)) => a.takes(b),
            (Self::Map(a, c), Self::Map(b, d)) => a.takes(b) && c.takes(d),
            // Objects are compared with null as messages are in CEL.
            (Self::Object(_), Self::Null) | (Self::Null, Self::Object(_)) => true,
            _ => self == other,
        }
    }

    /// The type that holds both, if there is one besides "anything".
    pub(crate) fn join(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (a, b) if a == b => Some(a.clone()),
            (Self::List(a), Self::List(b)) => a.join(b).map(Self::list),
            (Self::Map(a, c), Self::Map(b, d)) => Some(Self::map(a.join(b)?, c.join(d)?)),
            (a, b) => a.takes(b).then_some(Self::Dyn),
        }
    }

    /// The type of `operand.field`.
    pub(crate) fn field(&self, name: &str, at: usize) -> Result<Self, Complaint> {
        match self {
            Self::Dyn => Ok(Self::Dyn),
            Self::Map(key, value) if key.takes(&Self::String) => Ok(value.as_ref().clone()),
            Self::Object(record) => {
                let found = record.fields.iter().find(|(field, _)| field == name);
                found.map(|(_, field)| field.clone()).ok_or_else(|| {
                    Complaint::new(at, format!("{} has no field `{name}`", record.name))
                        .near(name, record.fields.iter().map(|(field, _)| field.as_str()))
                })
            }
            other => Err(Complaint::new(at, format!("`.{name}` of {other}, which has no fields"))),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::List(item) => write!(f, "list({item})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Object(record) => f.write_str(&record.name),
        }
    }
}

/// A type as a function's signature writes it; `A` and `B` stand for any one type within the signature.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Dyn,
    Bool,
    Int,
    Double,
    String,
    A,
    B,
    List(&'static Self),
    Map(&'static Self, &'static Self),
}

/// What `A` and `B` have turned out to be.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    a: Option<Type>,
    b: Option<Type>,
}

impl Shape {
    /// Whether an argument fits, given what the arguments before it have bound.
    pub(crate) fn fits(&self, arg: &Type, bound: &mut Bound) -> bool {
        match (self, arg) {
            (Self::A, _) => bind(&mut bound.a, arg),
            (Self::B, _) => bind(&mut bound.b, arg),
            (Self::List(item), Type::Dyn) => item.fits(&Type::Dyn, bound),
            (Self::List(item), Type::List(arg)) => item.fits(arg, bound),
            (Self::Map(key, value), Type::Dyn) => {
                key.fits(&Type::Dyn, bound) && value.fits(&Type::Dyn, bound)
            }
            (Self::Map(key, value), Type::Map(k, v)) => key.fits(k, bound) && value.fits(v, bound),
            (Self::List(_) | Self::Map(..), _) => false,
            _ => self.filled(bound).takes(arg),
        }
    }

    /// The type it is in this call.
    pub(crate) fn filled(&self, bound: &Bound) -> Type {
        match self {
            Self::Dyn => Type::Dyn,
            Self::Bool => Type::Bool,
            Self::Int => Type::Int,
            Self::Double => Type::Double,
            Self::String => Type::String,
            Self::A => bound.a.clone().unwrap_or(Type::Dyn),
            Self::B => bound.b.clone().unwrap_or(Type::Dyn),
            Self::List(item) => Type::list(item.filled(bound)),
            Self::Map(key, value) => Type::map(key.filled(bound), value.filled(bound)),
        }
    }
}

fn bind(place: &mut Option<Type>, arg: &Type) -> bool {
    let joined = place.as_ref().map_or_else(|| Some(arg.clone()), |known| known.join(arg));
    let fits = joined.is_some();
    *place = joined;
    fits
}
