//! Names that come from one claim.

use expr::Program;
use wire::claims::Claims;
use wire::json::{Object, Value};

use super::expression;
use crate::refusal::Refusal;

/// Where a name, a UID or groups come from.
#[derive(Debug)]
pub enum Named {
    /// One claim, with something before it.
    Claim {
        /// The claim.
        claim: String,
        /// Stands before every name.
        prefix: String,
    },
    /// An expression over the claims.
    Expression(Box<Program>),
}

impl Named {
    /// From one claim.
    pub fn claim(claim: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self::Claim { claim: claim.into(), prefix: prefix.into() }
    }

    pub(super) fn expression(&self) -> Option<&Program> {
        if let Self::Expression(program) = self { Some(program) } else { None }
    }

    /// The user name. The API server takes an empty claim for a name if a prefix stands before it; nobody here is called by
    /// a prefix alone.
    pub(super) fn name(&self, claims: &Claims, read: Option<&Object>) -> Result<String, Refusal> {
        let (claim, prefix) = match self {
            Self::Expression(program) => {
                let name = expression::string(program, read, "username")?;
                return if name.is_empty() { Err(Refusal::NoName) } else { Ok(name) };
            }
            Self::Claim { claim, prefix } => (claim, prefix),
        };
        let name = match claims.get(claim).map(text) {
            None | Some(Some("")) => return Err(Refusal::NoName),
            Some(Some(name)) => name,
            Some(None) => {
                return Err(Refusal::Claims(format!("parse username claims {claim:?}: it is no string")));
            }
        };
        if claim == "email" {
            match claims.get("email_verified") {
                None | Some(Value::Bool(true)) => {}
                Some(Value::Bool(false) | Value::Null) => {
                    return Err(Refusal::Claims("email not verified".into()));
                }
                Some(_) => {
                    return Err(Refusal::Claims("parse 'email_verified' claim: it is no boolean".into()));
                }
            }
        }
        Ok(format!("{prefix}{name}"))
    }

    /// The groups, empty ones too: the guard leaves out what is empty with its prefix, rules over the user see it.
    pub(super) fn groups(&self, claims: &Claims, read: Option<&Object>) -> Result<Vec<String>, Refusal> {
        let (claim, prefix) = match self {
            Self::Expression(program) => return expression::strings(program, read, "group"),
            Self::Claim { claim, prefix } => (claim, prefix),
        };
        let malformed = || {
            Refusal::Claims(format!("parse groups claim {claim:?}: it is no string and no array of strings"))
        };
        let named = match claims.get(claim) {
            None => {
                refuse_distributed(claim, claims)?;
                Vec::new()
            }
            Some(Value::Null) => Vec::new(),
            Some(Value::Str(one)) => vec![one.as_str()],
            Some(Value::List(many)) => {
                many.iter().map(|group| group.as_str().ok_or_else(malformed)).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(malformed()),
        };
        Ok(named.into_iter().map(|group| format!("{prefix}{group}")).collect())
    }

    /// The UID; may be empty, which is none.
    pub(super) fn uid(&self, claims: &Claims, read: Option<&Object>) -> Result<String, Refusal> {
        match self {
            Self::Expression(program) => expression::string(program, read, "uid"),
            Self::Claim { claim, .. } => {
                let found = claims.get(claim).and_then(text).map(str::to_owned);
                found.ok_or_else(|| Refusal::Claims(format!("parse uid claim {claim:?}: it is no string")))
            }
        }
    }
}

/// Claims that must be there with exactly one value.
pub(super) fn check_required(required: &[(String, String)], claims: &Claims) -> Result<(), Refusal> {
    for (claim, wanted) in required {
        let Some(found) = claims.get(claim) else {
            return Err(Refusal::Claims(format!("required claim {claim} not present in ID token")));
        };
        match text(found) {
            Some(found) if found == wanted => {}
            Some(_) => return Err(Refusal::Claims(format!("required claim {claim} value does not match"))),
            None => return Err(Refusal::Claims(format!("required claim {claim} is no string"))),
        }
    }
    Ok(())
}

/// Claims that go-oidc reads of every token, though nobody asked for them, and refuses if their type is another one. Go
/// finds the members without regard to case.
pub(super) fn check_as_go_oidc(claims: &Claims) -> Result<(), Refusal> {
    let strings = |value: &Value| match value {
        Value::Null => true,
        Value::Object(names) => names.iter().all(|(_, source)| text(source).is_some()),
        _ => false,
    };
    let sources = |value: &Value| match value {
        Value::Null => true,
        Value::Object(sources) => sources.iter().all(|(_, source)| match source {
            Value::Null => true,
            Value::Object(members) => members.iter().all(|(name, value)| {
                !["endpoint", "access_token"].contains(&name.to_lowercase().as_str()) || text(value).is_some()
            }),
            _ => false,
        }),
        _ => false,
    };
    let exists = |source: &str| {
        let all = claims.object().iter().filter(|(name, _)| name.to_lowercase() == "_claim_sources");
        all.filter_map(|(_, sources)| sources.as_object()).any(|sources| sources.get(source).is_some())
    };
    for (name, value) in claims.object().iter() {
        let fits = match name.to_lowercase().as_str() {
            "at_hash" => text(value).is_some(),
            "_claim_names" => strings(value) && sources_of(value).all(exists),
            "_claim_sources" => sources(value),
            _ => continue,
        };
        if !fits {
            return Err(Refusal::Claims(format!("the claim {name:?} is not what OpenID Connect says")));
        }
    }
    Ok(())
}

/// The sources that `_claim_names` names.
fn sources_of(names: &Value) -> impl Iterator<Item = &str> {
    let names = names.as_object().into_iter().flat_map(|names| names.iter());
    names.map(|(_, source)| text(source).unwrap_or_default())
}

/// The groups are somewhere else (OpenID Connect Core section 5.6.2). The API server would ask there, with whatever URL the
/// token names; here nobody does, and fewer groups than there are would be another identity.
fn refuse_distributed(claim: &str, claims: &Claims) -> Result<(), Refusal> {
    match claims.get("_claim_names") {
        None => Ok(()),
        Some(Value::Object(names))
            if names.get(claim).is_none() && claims.get("_claim_sources").is_some() =>
        {
            Ok(())
        }
        Some(_) => {
            Err(Refusal::Claims(format!("could not expand distributed claims: {claim:?} is elsewhere")))
        }
    }
}

/// A string as Go reads one: null leaves it empty.
fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Null => Some(""),
        Value::Str(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{KubeUser, Mapping};
    use super::*;

    fn mapping() -> Mapping {
        Mapping::of_claims(Named::claim("sub", "oidc:"), Some(Named::claim("groups", "oidc:")))
    }

    fn user(mapping: &Mapping, claims: &str) -> Result<KubeUser, &'static str> {
        mapping.user_of(&Claims::parse(claims.as_bytes()).unwrap()).map_err(|refusal| refusal.code())
    }

    #[test]
    fn prefixes_stand_before_name_and_groups() {
        let all = user(&mapping(), r#"{"sub":"jane","groups":["a","b"]}"#).unwrap();
        assert_eq!((all.name.as_str(), all.groups), ("oidc:jane", vec!["oidc:a".into(), "oidc:b".into()]));
        assert_eq!(user(&mapping(), r#"{"sub":"jane","groups":"a"}"#).unwrap().groups, ["oidc:a"]);
        assert_eq!(
            user(&mapping(), r#"{"sub":"jane","groups":["",""]}"#).unwrap().groups,
            ["oidc:", "oidc:"]
        );
        assert!(user(&mapping(), r#"{"sub":"jane"}"#).unwrap().groups.is_empty());
        assert!(user(&mapping(), r#"{"sub":"jane","groups":null}"#).unwrap().groups.is_empty());
    }

    #[test]
    fn groups_are_a_string_or_strings_and_nothing_else() {
        for groups in ["1", "{}", "[1]", r#"["a",null]"#, r#"[["a"]]"#, "true"] {
            let claims = format!(r#"{{"sub":"jane","groups":{groups}}}"#);
            assert_eq!(user(&mapping(), &claims), Err("claims"), "{groups}");
        }
    }

    #[test]
    fn a_missing_or_empty_name_is_nobody_even_with_a_prefix() {
        let by_name = Mapping::of_claims(Named::claim("name", "oidc:"), None);
        assert_eq!(user(&by_name, r#"{"sub":"a"}"#), Err("no_name"));
        assert_eq!(user(&by_name, r#"{"name":""}"#), Err("no_name"));
        assert_eq!(user(&by_name, r#"{"name":null}"#), Err("no_name"));
        assert_eq!(user(&by_name, r#"{"name":["a"]}"#), Err("claims"));
    }

    #[test]
    fn an_email_that_is_said_to_be_unverified_names_nobody() {
        let by_email = Mapping::of_claims(Named::claim("email", ""), None);
        for (verified, good) in
            [("", true), (r#","email_verified":true"#, true), (r#","email_verified":false"#, false)]
        {
            let claims = format!(r#"{{"email":"jane@example.org"{verified}}}"#);
            assert_eq!(user(&by_email, &claims).is_ok(), good, "{verified}");
        }
        for odd in [r#""true""#, "1", "null", "[]"] {
            let claims = format!(r#"{{"email":"jane@example.org","email_verified":{odd}}}"#);
            assert_eq!(user(&by_email, &claims), Err("claims"), "{odd}");
        }
        assert!(user(&mapping(), r#"{"sub":"jane","email_verified":false}"#).is_ok());
    }

    #[test]
    fn required_claims_are_required() {
        let required = vec![("hd".into(), "example.org".into()), ("env".into(), "prod".into())];
        let strict = Mapping { required, ..mapping() };
        assert!(user(&strict, r#"{"sub":"a","hd":"example.org","env":"prod"}"#).is_ok());
        for bad in [
            r#"{"sub":"a"}"#,
            r#"{"sub":"a","hd":"example.org"}"#,
            r#"{"sub":"a","hd":"example.org","env":"dev"}"#,
            r#"{"sub":"a","hd":["example.org"],"env":"prod"}"#,
            r#"{"sub":"a","hd":"example.org ","env":"prod"}"#,
        ] {
            assert_eq!(user(&strict, bad), Err("claims"), "{bad}");
        }
    }

    #[test]
    fn a_uid_is_a_string_of_the_claim() {
        let with_uid = Mapping { uid: Some(Named::claim("oid", "")), ..mapping() };
        assert_eq!(user(&with_uid, r#"{"sub":"a","oid":"7"}"#).unwrap().uid, "7");
        assert_eq!(user(&with_uid, r#"{"sub":"a","oid":null}"#).unwrap().uid, "");
        for bad in [r#"{"sub":"a"}"#, r#"{"sub":"a","oid":7}"#] {
            assert_eq!(user(&with_uid, bad), Err("claims"), "{bad}");
        }
    }

    #[test]
    fn attack_12_groups_that_are_elsewhere_are_not_fetched_and_not_taken_for_none() {
        let elsewhere =
            r#""_claim_names":{"groups":"x"},"_claim_sources":{"x":{"endpoint":"https://a.test"}}"#;
        assert_eq!(user(&mapping(), &format!(r#"{{"sub":"a",{elsewhere}}}"#)), Err("claims"));
        assert!(user(&mapping(), &format!(r#"{{"sub":"a","groups":["g"],{elsewhere}}}"#)).is_ok());
        let other = elsewhere.replace("groups", "roles");
        assert!(user(&mapping(), &format!(r#"{{"sub":"a",{other}}}"#)).is_ok());
        assert_eq!(user(&mapping(), r#"{"sub":"a","_claim_names":{"roles":"x"}}"#), Err("claims"));
    }

    #[test]
    fn what_go_oidc_refuses_of_every_token_is_refused() {
        for odd in [
            r#""at_hash":1"#,
            r#""AT_Hash":[]"#,
            r#""_claim_names":[]"#,
            r#""_claim_names":{"a":1}"#,
            r#""_claim_sources":{"a":"b"}"#,
            r#""_Claim_Sources":{"a":{"Endpoint":1}}"#,
        ] {
            assert_eq!(
                user(&mapping(), &format!(r#"{{"sub":"a","groups":"g",{odd}}}"#)),
                Err("claims"),
                "{odd}"
            );
        }
        assert!(user(&mapping(), r#"{"sub":"a","at_hash":"x","_claim_names":null}"#).is_err());
        assert!(user(&mapping(), r#"{"sub":"a","groups":"g","at_hash":null,"_claim_names":{}}"#).is_ok());
    }
}
