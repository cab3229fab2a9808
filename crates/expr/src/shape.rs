//! Signatures of functions, and whether arguments fit them.

use crate::types::{ForeignType, Type};
use crate::value::Value;

/// A type as a function's signature writes it; `A` and `B` stand for any one type within the signature.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Dyn,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    Type,
    A,
    B,
    List(&'static Self),
    Map(&'static Self, &'static Self),
    Optional(&'static Self),
    Foreign(ForeignType),
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
            // It says nothing of what is in it, and leaves that to the other arguments.
            (Self::List(_) | Self::Map(..) | Self::Optional(_), Type::Dyn | Type::Any) => true,
            (Self::List(item), Type::List(arg)) => item.fits(arg, bound),
            (Self::Map(key, value), Type::Map(k, v)) => key.fits(k, bound) && value.fits(v, bound),
            (Self::Optional(value), Type::Optional(arg)) => value.fits(arg, bound),
            (Self::List(_) | Self::Map(..) | Self::Optional(_), _) => false,
            // Null may be compared with a timestamp; no function makes anything of it.
            (_, Type::Null) => matches!(self, Self::Dyn),
            _ => self.filled(bound).takes(arg),
        }
    }

    /// Whether a value may be of this shape; what it holds is not looked at.
    pub(crate) fn holds(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Dyn | Self::A | Self::B, _)
            | (Self::Bool, Value::Bool(_))
            | (Self::Int, Value::Int(_))
            | (Self::Uint, Value::Uint(_))
            | (Self::Double, Value::Double(_))
            | (Self::String, Value::Str(_))
            | (Self::Bytes, Value::Bytes(_))
            | (Self::Timestamp, Value::Timestamp(_))
            | (Self::Duration, Value::Duration(_))
            | (Self::Type, Value::Type(_))
            | (Self::List(_), Value::List(_))
            | (Self::Map(..), Value::Map(_))
            | (Self::Optional(_), Value::Optional(_)) => true,
            (Self::Foreign(wanted), Value::Foreign(found)) => *wanted == found.foreign_type(),
            _ => false,
        }
    }

    /// The type it is in this call.
    pub(crate) fn filled(&self, bound: &Bound) -> Type {
        match self {
            Self::Dyn => Type::Dyn,
            Self::Bool => Type::Bool,
            Self::Int => Type::Int,
            Self::Uint => Type::Uint,
            Self::Double => Type::Double,
            Self::String => Type::String,
            Self::Bytes => Type::Bytes,
            Self::Timestamp => Type::Timestamp,
            Self::Duration => Type::Duration,
            Self::Type => Type::Type,
            Self::Foreign(foreign) => Type::Foreign(*foreign),
            Self::Optional(value) => Type::optional(value.filled(bound)),
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
