//! From the claims of a verified token to a Kubernetes user: the rules of the API server's `--oidc-*` flags.

use token::{ProxyCaller, Verified};
use wire::claims::Claims;
use wire::json::Value;

use crate::refusal::Refusal;

/// Which claims make a user. The prefixes are literal; see [`Prefixes`] for the API server's reading of them.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The claim that holds the user name.
    pub username_claim: String,
    /// Stands before every user name.
    pub username_prefix: String,
    /// The claim that holds the groups: a string or an array of strings. `None`: no groups.
    pub groups_claim: Option<String>,
    /// Stands before every group.
    pub groups_prefix: String,
    /// Claims that must be there with exactly this string.
    pub required: Vec<(String, String)>,
}

/// How a username prefix flag is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prefixes {
    /// As it stands: empty means none (kube-oidc-proxy).
    #[default]
    Literal,
    /// Empty means `<issuer>#` unless the claim is `email`, and `-` means none (kube-apiserver).
    ApiServer,
}

/// A Kubernetes user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeUser {
    /// `Impersonate-User`. Never empty.
    pub name: String,
    /// `Impersonate-Group`, one each.
    pub groups: Vec<String>,
    /// `Impersonate-Extra-<key>`, one each value.
    pub extra: Vec<(String, Vec<String>)>,
}

impl Prefixes {
    /// The literal prefix that the flag's text means.
    pub fn read(self, text: &str, issuer: &str, username_claim: &str) -> String {
        match (self, text) {
            (Self::ApiServer, "-") => String::new(),
            (Self::ApiServer, "") if username_claim != "email" => format!("{issuer}#"),
            (_, literal) => literal.to_owned(),
        }
    }
}

impl Mapping {
    /// The user that the token names.
    pub(crate) fn user(&self, token: &Verified<ProxyCaller>) -> Result<KubeUser, Refusal> {
        self.user_of(token.claims())
    }

    fn user_of(&self, claims: &Claims) -> Result<KubeUser, Refusal> {
        let name = self.name(claims)?;
        let groups = self.groups(claims)?;
        self.check_required(claims)?;
        Ok(KubeUser { name, groups, extra: Vec::new() })
    }

    fn name(&self, claims: &Claims) -> Result<String, Refusal> {
        let name = match claims.get(&self.username_claim) {
            None => return Err(Refusal::NoName),
            Some(Value::Str(name)) if name.is_empty() => return Err(Refusal::NoName),
            Some(Value::Str(name)) => name,
            Some(_) => {
                return Err(Refusal::Claims(format!(
                    "parse username claims {:?}: it is no string",
                    self.username_claim
                )));
            }
        };
        if self.username_claim == "email" {
            match claims.get("email_verified") {
                None | Some(Value::Bool(true)) => {}
                Some(Value::Bool(false)) => return Err(Refusal::Claims("email not verified".into())),
                Some(_) => {
                    return Err(Refusal::Claims("parse 'email_verified' claim: it is no boolean".into()));
                }
            }
        }
        Ok(format!("{}{name}", self.username_prefix))
    }

    fn groups(&self, claims: &Claims) -> Result<Vec<String>, Refusal> {
        let Some(claim) = &self.groups_claim else { return Ok(Vec::new()) };
        let malformed = || {
            Refusal::Claims(format!("parse groups claim {claim:?}: it is no string and no array of strings"))
        };
        let named = match claims.get(claim) {
            None => Vec::new(),
            Some(Value::Str(one)) => vec![one.as_str()],
            Some(Value::List(many)) => {
                many.iter().map(|group| group.as_str().ok_or_else(malformed)).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(malformed()),
        };
        // A group without a name is none: `Impersonate-Group:` with nothing behind it would be judged as a group.
        let named = named.into_iter().filter(|group| !group.is_empty());
        Ok(named.map(|group| format!("{}{group}", self.groups_prefix)).collect())
    }

    fn check_required(&self, claims: &Claims) -> Result<(), Refusal> {
        for (claim, wanted) in &self.required {
            match claims.get(claim) {
                Some(Value::Str(found)) if found == wanted => {}
                Some(Value::Str(_)) => {
                    return Err(Refusal::Claims(format!("required claim {claim} value does not match")));
                }
                Some(_) => return Err(Refusal::Claims(format!("required claim {claim} is no string"))),
                None => {
                    return Err(Refusal::Claims(format!("required claim {claim} not present in ID token")));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping() -> Mapping {
        Mapping {
            username_claim: "sub".into(),
            username_prefix: "oidc:".into(),
            groups_claim: Some("groups".into()),
            groups_prefix: "oidc:".into(),
            required: Vec::new(),
        }
    }

    fn user(mapping: &Mapping, claims: &str) -> Result<KubeUser, &'static str> {
        mapping.user_of(&Claims::parse(claims.as_bytes()).unwrap()).map_err(|refusal| refusal.code())
    }

    #[test]
    fn prefixes_stand_before_name_and_groups() {
        let all = user(&mapping(), r#"{"sub":"jane","groups":["a","b"]}"#).unwrap();
        assert_eq!((all.name.as_str(), all.groups), ("oidc:jane", vec!["oidc:a".into(), "oidc:b".into()]));
        assert_eq!(user(&mapping(), r#"{"sub":"jane","groups":"a"}"#).unwrap().groups, ["oidc:a"]);
        assert!(user(&mapping(), r#"{"sub":"jane"}"#).unwrap().groups.is_empty());
    }

    #[test]
    fn a_group_without_a_name_is_none() {
        for prefix in ["", "oidc:"] {
            let mapping = Mapping { groups_prefix: prefix.into(), ..mapping() };
            assert_eq!(
                user(&mapping, r#"{"sub":"jane","groups":["","a"]}"#).unwrap().groups,
                [format!("{prefix}a")]
            );
            assert!(user(&mapping, r#"{"sub":"jane","groups":""}"#).unwrap().groups.is_empty());
        }
    }

    #[test]
    fn groups_are_a_string_or_strings_and_nothing_else() {
        for groups in ["1", "null", "{}", "[1]", r#"["a",null]"#, r#"[["a"]]"#, "true"] {
            let claims = format!(r#"{{"sub":"jane","groups":{groups}}}"#);
            assert_eq!(user(&mapping(), &claims), Err("claims"), "{groups}");
        }
    }

    #[test]
    fn a_missing_or_empty_name_is_nobody_even_with_a_prefix() {
        let by_name = Mapping { username_claim: "name".into(), ..mapping() };
        assert_eq!(user(&by_name, r#"{"sub":"a"}"#), Err("no_name"));
        assert_eq!(user(&by_name, r#"{"name":""}"#), Err("no_name"));
        assert_eq!(user(&by_name, r#"{"name":["a"]}"#), Err("claims"));
    }

    #[test]
    fn an_email_that_is_said_to_be_unverified_names_nobody() {
        let by_email = Mapping { username_claim: "email".into(), ..mapping() };
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
        let strict = Mapping {
            required: vec![("hd".into(), "example.org".into()), ("env".into(), "prod".into())],
            ..mapping()
        };
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
    fn prefix_flags_are_literal_unless_the_api_servers_rules_are_asked_for() {
        let issuer = "https://issuer.example";
        for (text, claim, literal, apiserver) in [
            ("", "sub", "", "https://issuer.example#"),
            ("", "email", "", ""),
            ("-", "sub", "-", ""),
            ("oidc:", "sub", "oidc:", "oidc:"),
        ] {
            assert_eq!(Prefixes::Literal.read(text, issuer, claim), literal);
            assert_eq!(Prefixes::ApiServer.read(text, issuer, claim), apiserver);
        }
    }
}
