//! JSON with one meaning: duplicate members, invalid UTF-8 and deep nesting are refused, integers stay integers.
//!
//! Two parsers that disagree about a document are an attack (RFC 8725bis; federation 1.7): a claim given twice is
//! refused instead of choosing one. Policies read these values in place.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number written without fraction or exponent that fits.
    Int(i64),
    /// Any other finite number.
    Float(f64),
    /// A string.
    Str(String),
    /// An array.
    List(Vec<Self>),
    /// An object.
    Object(Object),
}

/// A JSON object, sorted by member name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object(Vec<(String, Value)>);

/// Why a text is not a document we read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadJson(String);

impl Value {
    /// Reads one document.
    ///
    /// # Errors
    /// Anything that is not exactly one JSON text of UTF-8 with unique member names, nested at most
    /// [`MAX_DEPTH`] deep.
    pub fn parse(raw: &[u8]) -> Result<Self, BadJson> {
        let text = std::str::from_utf8(raw).map_err(|_| BadJson("the text is not UTF-8".into()))?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = Seed(MAX_DEPTH).deserialize(&mut reader).map_err(|e| BadJson(e.to_string()))?;
        reader.end().map_err(|e| BadJson(e.to_string()))?;
        Ok(value)
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(s) = self { Some(s) } else { None }
    }

    /// The integer, if it is one.
    pub const fn as_int(&self) -> Option<i64> {
        if let Self::Int(i) = self { Some(*i) } else { None }
    }

    /// The boolean, if it is one.
    pub const fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(b) = self { Some(*b) } else { None }
    }

    /// The array, if it is one.
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(l) = self { Some(l) } else { None }
    }

    /// The object, if it is one.
    pub const fn as_object(&self) -> Option<&Object> {
        if let Self::Object(o) = self { Some(o) } else { None }
    }

    /// What kind of value this is, in JSON's words.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) | Self::Float(_) => "number",
            Self::Str(_) => "string",
            Self::List(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

impl Object {
    /// Reads one document that must be an object.
    ///
    /// # Errors
    /// As [`Value::parse`], and if it is something else.
    pub fn parse(raw: &[u8]) -> Result<Self, BadJson> {
        match Value::parse(raw)? {
            Value::Object(object) => Ok(object),
            other => Err(BadJson(format!("expected an object, found {}", other.kind()))),
        }
    }

    /// From members; `None` if a name stands twice.
    pub fn from_members(mut members: Vec<(String, Value)>) -> Option<Self> {
        members.sort_by(|a, b| a.0.cmp(&b.0));
        let unique = members.windows(2).all(|pair| !matches!(pair, [a, b] if a.0 == b.0));
        unique.then_some(Self(members))
    }

    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self.0.binary_search_by(|(key, _)| key.as_str().cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// The member, if it is a string.
    pub fn str(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// All members, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many members.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is `{}`.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

struct Seed(usize);

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Int(v))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "an integer above i64 has no exact reading; JSON's own is a double"
    )]
    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(i64::try_from(v).map_or(Value::Float(v as f64), Value::Int))
    }

    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Value, E> {
        if v.is_finite() { Ok(Value::Float(v)) } else { Err(E::custom("number out of range")) }
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::Str(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::Str(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = deeper(self.0)?;
        let mut list = Vec::new();
        while let Some(item) = seq.next_element_seed(Self(inner))? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = deeper(self.0)?;
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            members.push((name, map.next_value_seed(Self(inner))?));
        }
        Object::from_members(members)
            .map(Value::Object)
            .ok_or_else(|| de::Error::custom("a member is given twice"))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Seed(MAX_DEPTH).deserialize(deserializer)
    }
}

impl serde::Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => s.serialize_unit(),
            Self::Bool(b) => s.serialize_bool(*b),
            Self::Int(i) => s.serialize_i64(*i),
            Self::Float(f) => s.serialize_f64(*f),
            Self::Str(t) => s.serialize_str(t),
            Self::List(l) => s.collect_seq(l),
            Self::Object(o) => o.serialize(s),
        }
    }
}

impl serde::Serialize for Object {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.iter())
    }
}

fn deeper<E: de::Error>(left: usize) -> Result<usize, E> {
    left.checked_sub(1).ok_or_else(|| E::custom(format!("nested more than {MAX_DEPTH} deep")))
}

/// How deep arrays and objects may nest. Every claim set of federation 3 needs less than six.
pub const MAX_DEPTH: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_meaning_or_none() {
        for bad in [
            r#"{"sub":"a","sub":"b"}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            r#"{"a":1}x"#,
            "",
            "{",
            r#"{"a":1e400}"#,
            "\u{feff}{}",
            r#"{"a":"\ud800"}"#,
            "{'a':1}",
            "{\"a\":01}",
        ] {
            assert!(Value::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Value::parse(&[0x22, 0xff, 0x22]).is_err());
        assert!(Value::parse("[".repeat(25).as_bytes()).is_err());
        let deep = format!("{}{}", "[".repeat(24), "]".repeat(24));
        assert!(Value::parse(deep.as_bytes()).is_ok());
    }

    #[test]
    fn integers_stay_integers() {
        let v = Object::parse(br#"{"a":9007199254740993,"b":1.0,"c":-1,"d":18446744073709551615}"#).unwrap();
        assert_eq!(v.get("a").and_then(Value::as_int), Some(9_007_199_254_740_993));
        assert_eq!(v.get("b"), Some(&Value::Float(1.0)));
        assert_eq!(v.get("c"), Some(&Value::Int(-1)));
        assert!(matches!(v.get("d"), Some(Value::Float(_))));
    }

    #[test]
    fn numbers_survive_being_written_and_read_again() {
        let value = Value::parse(b"222222222222222222222220").unwrap();
        assert_eq!(value, Value::Float(222_222_222_222_222_222_222_220.0));
        assert_eq!(Value::parse(&serde_json::to_vec(&value).unwrap()).unwrap(), value);
    }
}
