//! The claims of a JWT (RFC 7519 section 4), read by type: a registered claim of the wrong type is a refusal,
//! never an absence.

use crate::json::{Object, Value};

/// The payload of a JWT.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Claims(Object);

/// Why a payload is not a claim set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadClaims {
    /// Not a JSON object with one meaning.
    #[error("the payload is not a claim set: {0}")]
    Json(String),
    /// A name that some parsers would take for a registered claim.
    #[error("the claim {0:?} could be taken for the registered claim {1:?}")]
    Twin(String, &'static str),
    /// A registered claim of another type than its specification says.
    #[error("the claim {0:?} must be {1}")]
    Type(&'static str, &'static str),
}

impl Claims {
    /// Reads a payload and checks the type of every registered claim that is present.
    ///
    /// # Errors
    /// [`BadClaims`]; see there.
    pub fn parse(raw: &[u8]) -> Result<Self, BadClaims> {
        Self::from_object(Object::parse(raw).map_err(|e| BadClaims::Json(e.to_string()))?)
    }

    /// The same checks on an object that was read elsewhere (a UserInfo document, an introspection answer).
    ///
    /// # Errors
    /// [`BadClaims`]; see there.
    pub fn from_object(object: Object) -> Result<Self, BadClaims> {
        for (name, value) in object.iter() {
            check_twin(name)?;
            check_type(name, value)?;
        }
        Ok(Self(object))
    }

    /// All claims, for policies.
    pub const fn object(&self) -> &Object {
        &self.0
    }

    /// Any claim.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that is a string.
    pub fn str(&self, name: &str) -> Option<&str> {
        self.0.str(name)
    }

    /// `iss`
    pub fn issuer(&self) -> Option<&str> {
        self.str("iss")
    }

    /// `sub`
    pub fn subject(&self) -> Option<&str> {
        self.str("sub")
    }

    /// `aud`, whether one string or several. Empty if absent.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        let (one, many) = match self.get("aud") {
            Some(Value::Str(one)) => (Some(one.as_str()), [].as_slice()),
            Some(Value::List(many)) => (None, many.as_slice()),
            _ => (None, [].as_slice()),
        };
        one.into_iter().chain(many.iter().filter_map(Value::as_str))
    }

    /// `exp` in seconds since the epoch.
    pub fn expires(&self) -> Option<i64> {
        self.seconds("exp")
    }

    /// `nbf` in seconds since the epoch.
    pub fn not_before(&self) -> Option<i64> {
        self.seconds("nbf")
    }

    /// `iat` in seconds since the epoch.
    pub fn issued(&self) -> Option<i64> {
        self.seconds("iat")
    }

    /// `jti`
    pub fn id(&self) -> Option<&str> {
        self.str("jti")
    }

    /// A NumericDate, fractions rounded down (RFC 7519 section 2).
    #[expect(clippy::cast_possible_truncation, reason = "parse refused what lies outside of ±10^12")]
    fn seconds(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Int(i) => Some(*i),
            Value::Float(f) => Some(f.floor() as i64),
            _ => None,
        }
    }
}

fn check_twin(name: &str) -> Result<(), BadClaims> {
    if name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
        return Ok(());
    }
    let folded = name.to_uppercase().to_lowercase();
    match REGISTERED.iter().find(|known| **known == folded) {
        Some(known) => Err(BadClaims::Twin(name.to_owned(), known)),
        None => Ok(()),
    }
}

fn check_type(name: &str, value: &Value) -> Result<(), BadClaims> {
    match name {
        "exp" | "nbf" | "iat" => match value {
            Value::Int(i) if i.unsigned_abs() <= MAX_SECONDS => Ok(()),
            Value::Float(f) if f.abs() <= MAX_SECONDS_F => Ok(()),
            _ => Err(BadClaims::Type(of(name), "a number of seconds")),
        },
        "iss" | "sub" | "jti" | "azp" | "nonce" => match value {
            Value::Str(text) if !text.is_empty() => Ok(()),
            _ => Err(BadClaims::Type(of(name), "a string that is not empty")),
        },
        "aud" => match value {
            Value::Str(one) if !one.is_empty() => Ok(()),
            Value::List(many)
                if !many.is_empty() && many.iter().all(|a| a.as_str().is_some_and(|a| !a.is_empty())) =>
            {
                Ok(())
            }
            _ => Err(BadClaims::Type("aud", "a string or an array of strings, none empty")),
        },
        _ => Ok(()),
    }
}

fn of(name: &str) -> &'static str {
    REGISTERED.iter().find(|known| **known == name).copied().unwrap_or("claim")
}

/// The claims that verification or a relying party decides by. A name that only differs from one of these by case
/// folding is refused.
const REGISTERED: [&str; 20] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "azp",
    "nonce",
    "act",
    "may_act",
    "cnf",
    "client_id",
    "scope",
    "email",
    "email_verified",
    "groups",
    "name",
    "preferred_username",
    "events",
];

/// About the year 33658; beyond it no arithmetic on times is meant seriously.
const MAX_SECONDS: u64 = 1_000_000_000_000;
const MAX_SECONDS_F: f64 = 1_000_000_000_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Claims, BadClaims> {
        Claims::parse(text.as_bytes())
    }

    #[test]
    fn attack_05_registered_claims_have_their_types() {
        for bad in [
            r#"{"exp":"1"}"#,
            r#"{"exp":null}"#,
            r#"{"exp":1e13}"#,
            r#"{"exp":[1]}"#,
            r#"{"exp":true}"#,
            r#"{"nbf":"1"}"#,
            r#"{"iat":{}}"#,
            r#"{"aud":""}"#,
            r#"{"aud":[]}"#,
            r#"{"aud":[""]}"#,
            r#"{"aud":[["a"]]}"#,
            r#"{"aud":1}"#,
            r#"{"aud":{}}"#,
            r#"{"aud":null}"#,
            r#"{"iss":["a"]}"#,
            r#"{"iss":""}"#,
            r#"{"sub":1}"#,
            r#"{"sub":""}"#,
            r#"{"jti":7}"#,
            "[]",
            "7",
            "null",
            r#""a""#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn attack_04_twins_of_registered_claims_are_refused() {
        for bad in [
            r#"{"Sub":"a"}"#,
            r#"{"\u017fub":"a"}"#,
            r#"{"AUD":"a"}"#,
            r#"{"i\u017fs":"a"}"#,
            r#"{"client_ID":"a"}"#,
        ] {
            assert!(matches!(parse(bad), Err(BadClaims::Twin(..))), "{bad}");
        }
        assert!(parse(r#"{"repositoryOwner":"a","https://aws.amazon.com/tags":{}}"#).is_ok());
    }

    #[test]
    fn audience_reads_both_forms() {
        let both = |text| parse(text).unwrap().audience().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(both(r#"{"aud":"a"}"#), ["a"]);
        assert_eq!(both(r#"{"aud":["a","b"]}"#), ["a", "b"]);
        assert!(both("{}").is_empty());
    }

    #[test]
    fn fractions_round_down() {
        assert_eq!(parse(r#"{"exp":1.9}"#).unwrap().expires(), Some(1));
        assert_eq!(parse(r#"{"exp":-0.5}"#).unwrap().expires(), Some(-1));
    }
}
