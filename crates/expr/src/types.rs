//! What is known of a value before any claim exists, and the variables an expression may read.

use std::fmt;
use std::sync::Arc;

use crate::fault::Complaint;

/// A static type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Known only when run, such as a claim.
    Dyn,
    /// As `dyn`, but not to be looped over: how the API server declares the claims, since its `any` is a protobuf message.
    Any,
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// 64 bits, signed
    Int,
    /// 64 bits, unsigned
    Uint,
    /// IEEE 754, 64 bits
    Double,
    /// Unicode text
    String,
    /// Octets
    Bytes,
    /// A point in time.
    Timestamp,
    /// A span of time.
    Duration,
    /// A type as a value: `int`, `type(x)`.
    Type,
    /// A list of one type.
    List(Arc<Self>),
    /// A map from one type to one type.
    Map(Arc<Self>, Arc<Self>),
    /// An object whose fields are known, such as Kubernetes' `user`.
    Object(Arc<Record>),
    /// A value or none.
    Optional(Arc<Self>),
    /// A type of an extension library.
    Foreign(ForeignType),
}

/// The types of Kubernetes' extension libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignType {
    /// An IP address.
    Ip,
    /// A range of IP addresses.
    Cidr,
    /// A URL.
    Url,
    /// A Kubernetes resource quantity, such as `1.5Gi`.
    Quantity,
    /// A semantic version.
    Semver,
    /// A named format that strings are validated against.
    Format,
}

impl ForeignType {
    /// As faults name it.
    pub(crate) const fn short(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Cidr => "cidr",
            Self::Url => "url",
            Self::Quantity => "quantity",
            Self::Semver => "semver",
            Self::Format => "format",
        }
    }

    /// As CEL names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ip => "net.IP",
            Self::Cidr => "net.CIDR",
            Self::Url => "kubernetes.URL",
            Self::Quantity => "kubernetes.Quantity",
            Self::Semver => "kubernetes.Semver",
            Self::Format => "kubernetes.NamedFormat",
        }
    }
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
    kubernetes: bool,
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

    /// Refuses what the Kubernetes API server would not know, such as `cel.bind` and `math.greatest`.
    #[must_use]
    pub const fn only_kubernetes(mut self) -> Self {
        self.kubernetes = true;
        self
    }

    pub(crate) const fn is_only_kubernetes(&self) -> bool {
        self.kubernetes
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

    /// `map(string, any)`: what the claims are in the API server.
    pub fn kubernetes_claims() -> Self {
        Self::map(Self::String, Self::Any)
    }

    /// `list(item)`
    pub fn list(item: Self) -> Self {
        Self::List(Arc::new(item))
    }

    /// `map(key, value)`
    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new(key), Arc::new(value))
    }

    /// `optional_type(value)`
    pub fn optional(value: Self) -> Self {
        Self::Optional(Arc::new(value))
    }

    /// An object with exactly these fields.
    pub fn object<'a>(name: &str, fields: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let fields = fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect();
        Self::Object(Arc::new(Record { name: name.to_owned(), fields }))
    }

    /// Whether a value of `other` may stand where this type is wanted. `dyn` fits either way: the run decides.
    pub(crate) fn takes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn | Self::Any, _) | (_, Self::Dyn | Self::Any) => true,
            (Self::List(a), Self::List(b)) => a.takes(b),
            (Self::Optional(a), Self::Optional(b)) => a.takes(b),
            (Self::Map(a, c), Self::Map(b, d)) => a.takes(b) && c.takes(d),
            (other, Self::Null) | (Self::Null, other) => other.is_nullable(),
            _ => self == other,
        }
    }

    /// CEL lets null stand where a message or an abstract type may.
    const fn is_nullable(&self) -> bool {
        matches!(
            self,
            Self::Null
                | Self::Object(_)
                | Self::Optional(_)
                | Self::Foreign(_)
                | Self::Timestamp
                | Self::Duration
        )
    }

    /// The type that holds both, if there is one besides "anything".
    pub(crate) fn join(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (a, b) if a == b => Some(a.clone()),
            (Self::Any, _) | (_, Self::Any) => Some(Self::Any),
            (Self::List(a), Self::List(b)) => a.join(b).map(Self::list),
            (Self::Optional(a), Self::Optional(b)) => a.join(b).map(Self::optional),
            (Self::Null, other) | (other, Self::Null) if other.is_nullable() => Some(other.clone()),
            (Self::Map(a, c), Self::Map(b, d)) => Some(Self::map(a.join(b)?, c.join(d)?)),
            (a, b) => a.takes(b).then_some(Self::Dyn),
        }
    }

    /// The type of `operand.field`.
    pub(crate) fn field(&self, name: &str, at: usize) -> Result<Self, Complaint> {
        match self {
            Self::Dyn | Self::Any => Ok(Self::Dyn),
            // Whatever is asked of an optional is asked of its value.
            Self::Optional(value) => Ok(match value.field(name, at)? {
                already @ Self::Optional(_) => already,
                found => Self::optional(found),
            }),
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
            Self::Any => f.write_str("any"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::Type => f.write_str("type"),
            Self::Optional(value) => write!(f, "optional({value})"),
            Self::Foreign(foreign) => f.write_str(foreign.short()),
            Self::List(item) => write!(f, "list({item})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Object(record) => f.write_str(&record.name),
        }
    }
}
