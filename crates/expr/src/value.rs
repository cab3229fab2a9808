//! Values of a running expression. Claims are read where they lie: strings, lists and maps borrow from them.

use std::borrow::Cow;
use std::sync::Arc;

use wire::json;

use crate::ast::Literal;
use crate::foreign::Foreign;
use crate::time::Timestamp;

/// A value that borrows from the claims or the program where it can.
#[derive(Debug, Clone, Default)]
pub enum Value<'a> {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer without sign.
    Uint(u64),
    /// A floating-point number.
    Double(f64),
    /// Text.
    Str(Cow<'a, str>),
    /// Octets.
    Bytes(Cow<'a, [u8]>),
    /// A point in time.
    Timestamp(Timestamp),
    /// A span of time, in nanoseconds.
    Duration(i64),
    /// A type, by CEL's name for it.
    Type(&'static str),
    /// A list.
    List(List<'a>),
    /// A map or object.
    Map(Map<'a>),
    /// A value or none.
    Optional(Option<Arc<Self>>),
    /// Of an extension library.
    Foreign(Arc<Foreign>),
}

/// A list, of the claims or built.
#[derive(Debug, Clone)]
pub enum List<'a> {
    /// An array of the claims.
    Json(&'a [json::Value]),
    /// Strings of the host.
    Strings(&'a [String]),
    /// Built by the expression.
    Built(Arc<Vec<Value<'a>>>),
    /// The strings that a function parted a text into; for Go a list of another type, which not everything takes.
    Parts(Arc<Vec<Value<'a>>>),
}

/// A map, of the claims or built.
#[derive(Debug, Clone)]
pub enum Map<'a> {
    /// An object of the claims.
    Json(&'a json::Object),
    /// Built by the expression or the host; few entries, so they are searched one by one.
    Built(Arc<Vec<(Value<'a>, Value<'a>)>>),
}

impl<'a> Value<'a> {
    /// An object made by the host, such as Kubernetes' `user`.
    pub fn object(fields: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let entries = fields.into_iter().map(|(name, value)| (Value::from(name), value)).collect();
        Self::Map(Map::Built(Arc::new(entries)))
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(text) = self { Some(text) } else { None }
    }

    /// The kind, in CEL's words.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Str(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "timestamp",
            Self::Duration(_) => "duration",
            Self::Type(_) => "type",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Optional(_) => "optional",
            Self::Foreign(_) => "value of a library",
        }
    }

    /// Its type, by CEL's name.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Optional(_) => "optional_type",
            Self::Foreign(foreign) => foreign.foreign_type().name(),
            other => other.kind(),
        }
    }

    /// An optional that holds a value.
    pub(crate) fn some(value: Self) -> Self {
        Self::Optional(Some(Arc::new(value)))
    }

    /// The optional without a value.
    pub(crate) const NONE: Self = Self::Optional(None);

    /// As JSON.
    ///
    /// # Errors
    /// [`NoJson`]: JSON cannot say it, or it is deep or very large: a built list may stand in another one many times.
    pub fn to_json(&self) -> Result<json::Value, NoJson> {
        let mut left = MAX_JSON;
        self.to_json_within(json::MAX_DEPTH, &mut left)
    }

    fn to_json_within(&self, depth: usize, left: &mut usize) -> Result<json::Value, NoJson> {
        let mut pay = |bytes: usize| {
            *left = left.checked_sub(bytes).ok_or(NoJson::TooLarge)?;
            Ok(())
        };
        pay(1 + self.as_str().map_or(0, str::len))?;
        let deeper = || depth.checked_sub(1).ok_or(NoJson::TooDeep);
        Ok(match self {
            Self::Null => json::Value::Null,
            Self::Bool(b) => json::Value::Bool(*b),
            Self::Int(i) => json::Value::Int(*i),
            Self::Uint(u) => json::Value::Int(i64::try_from(*u).map_err(|_| NoJson::Number)?),
            Self::Double(d) if d.is_finite() => json::Value::Float(*d),
            Self::Double(_) => return Err(NoJson::Number),
            Self::Str(text) => json::Value::Str(text.as_ref().to_owned()),
            Self::List(list) => {
                let depth = deeper()?;
                json::Value::List(
                    list.iter().map(|item| item.to_json_within(depth, left)).collect::<Result<_, _>>()?,
                )
            }
            Self::Map(map) => {
                let depth = deeper()?;
                let member = |(key, value): (Value<'_>, Value<'_>)| {
                    let key = key.as_str().ok_or_else(|| NoJson::Key(key.type_name()))?;
                    *left = left.checked_sub(key.len()).ok_or(NoJson::TooLarge)?;
                    Ok((key.to_owned(), value.to_json_within(depth, left)?))
                };
                let members = map.iter().map(member).collect::<Result<_, NoJson>>()?;
                json::Value::Object(json::Object::from_members(members).ok_or(NoJson::Twice)?)
            }
            other => return Err(NoJson::Type(other.type_name())),
        })
    }
}

/// Why a value has no form in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoJson {
    /// Of a type that JSON does not have.
    #[error("holds a value of type {0}, which JSON does not have")]
    Type(&'static str),
    /// A map's key that is no string.
    #[error("holds a map with a key of type {0}; JSON's are strings")]
    Key(&'static str),
    /// A map with two keys of one spelling.
    #[error("holds a map with the same key twice")]
    Twice,
    /// Infinite, not a number, or above what is an integer here.
    #[error("holds a number that JSON cannot say")]
    Number,
    /// Deeper than [`json::MAX_DEPTH`].
    #[error("is nested too deeply for JSON")]
    TooDeep,
    /// About a megabyte, or more.
    #[error("is too large for JSON")]
    TooLarge,
}

impl<'a> List<'a> {
    /// How many items.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Strings(items) => items.len(),
            Self::Built(items) | Self::Parts(items) => items.len(),
        }
    }

    /// Whether it is `[]`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One item.
    pub fn get(&self, at: usize) -> Option<Value<'a>> {
        match self {
            Self::Json(items) => items.get(at).map(Value::from),
            Self::Strings(items) => items.get(at).map(|text| Value::from(text.as_str())),
            Self::Built(items) | Self::Parts(items) => items.get(at).cloned(),
        }
    }

    /// All items.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

impl<'a> From<Vec<Value<'a>>> for List<'a> {
    fn from(items: Vec<Value<'a>>) -> Self {
        Self::Built(Arc::new(items))
    }
}

impl<'a> Map<'a> {
    /// How many entries.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(object) => object.len(),
            Self::Built(entries) => entries.len(),
        }
    }

    /// Whether it is `{}`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value under a string key.
    pub fn field(&self, name: &str) -> Option<Value<'a>> {
        match self {
            Self::Json(object) => object.get(name).map(Value::from),
            Self::Built(entries) => {
                entries.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value.clone())
            }
        }
    }

    /// All entries.
    pub fn iter(&self) -> Box<dyn Iterator<Item = (Value<'a>, Value<'a>)> + '_> {
        match self {
            Self::Json(object) => {
                let object: &'a json::Object = object;
                Box::new(object.iter().map(|(name, value)| (Value::from(name), Value::from(value))))
            }
            Self::Built(entries) => Box::new(entries.iter().cloned()),
        }
    }
}

impl<'a> From<&'a json::Value> for Value<'a> {
    fn from(value: &'a json::Value) -> Self {
        match value {
            json::Value::Null => Self::Null,
            json::Value::Bool(b) => Self::Bool(*b),
            json::Value::Int(i) => Self::Int(*i),
            json::Value::Float(d) => Self::Double(*d),
            json::Value::Str(text) => Self::from(text.as_str()),
            json::Value::List(items) => Self::List(List::Json(items)),
            json::Value::Object(object) => Self::from(object),
        }
    }
}

impl<'a> From<&'a json::Object> for Value<'a> {
    fn from(object: &'a json::Object) -> Self {
        Self::Map(Map::Json(object))
    }
}

impl<'a> From<&'a Literal> for Value<'a> {
    fn from(literal: &'a Literal) -> Self {
        match literal {
            Literal::Null => Self::Null,
            Literal::Bool(b) => Self::Bool(*b),
            Literal::Int(i) => Self::Int(*i),
            Literal::Uint(u) => Self::Uint(*u),
            Literal::Double(d) => Self::Double(*d),
            Literal::Str(text) => Self::from(text.as_str()),
            Literal::Bytes(bytes) => Self::Bytes(Cow::Borrowed(bytes)),
            Literal::Type(name) => Self::Type(name),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Str(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Str(Cow::Owned(text))
    }
}

impl<'a> From<&'a [String]> for Value<'a> {
    fn from(items: &'a [String]) -> Self {
        Self::List(List::Strings(items))
    }
}

impl<'a> From<Vec<Self>> for Value<'a> {
    fn from(items: Vec<Self>) -> Self {
        Self::List(List::Built(Arc::new(items)))
    }
}

impl<'a> From<Vec<(Self, Self)>> for Value<'a> {
    fn from(entries: Vec<(Self, Self)>) -> Self {
        Self::Map(Map::Built(Arc::new(entries)))
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Cow::Owned(bytes))
    }
}

impl From<Foreign> for Value<'_> {
    fn from(foreign: Foreign) -> Self {
        Self::Foreign(Arc::new(foreign))
    }
}

impl From<bool> for Value<'_> {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<i64> for Value<'_> {
    fn from(i: i64) -> Self {
        Self::Int(i)
    }
}

/// Values and bytes of strings that JSON is made of.
const MAX_JSON: usize = 1 << 20;
