//! The subject token: the proof that a machine already has, and who it speaks of.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ambient::{Secret, Time};
use wire::json::{Object, Value};

/// A subject token and the fingerprint of whom it speaks of.
#[derive(Clone)]
pub struct Subject {
    token: Secret<String>,
    /// What tokens got for it are filed under: everything it claims except when it was issued.
    pub(crate) identity: String,
    /// When it ends, if it says so.
    pub(crate) expires: Option<Time>,
}

/// The subject token cannot be had; the fault of whoever was to provide it.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// The file.
    #[error("the subject token cannot be read from {path}: {reason}", path = .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the disk said.
        reason: String,
    },
    /// Nothing there, or something that no token contains.
    #[error("{place} holds no token: {reason}")]
    NoToken {
        /// A file, a variable, standard input.
        place: String,
        /// What is there instead.
        reason: &'static str,
    },
}

impl Subject {
    /// Takes the text that was found in `place` (for errors); white space around it is not part of it.
    ///
    /// # Errors
    /// [`SubjectError::NoToken`].
    pub fn new(raw: &Secret<String>, place: &str) -> Result<Self, SubjectError> {
        let token = raw.expose().trim();
        let refuse = |reason| Err(SubjectError::NoToken { place: place.to_owned(), reason });
        if token.is_empty() {
            return refuse("it is empty");
        }
        if token.len() > MAX_SUBJECT {
            return refuse("it is longer than any token");
        }
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return refuse("it has white space or other characters inside that no token has");
        }
        let claims = unverified_claims(token);
        let identity = claims.as_ref().map_or_else(|| format!("opaque {token}"), identity_of);
        let expires = claims.as_ref().and_then(|claims| claims.get("exp")).and_then(Value::as_int);
        Ok(Self { token: Secret::from(token), identity, expires: expires.map(Time::from_unix) })
    }

    /// The token.
    pub(crate) const fn token(&self) -> &Secret<String> {
        &self.token
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject")
    }
}

/// Reads a subject token from a file.
///
/// # Errors
/// [`SubjectError`]; see there.
pub fn read_subject_file(path: &Path) -> Result<Subject, SubjectError> {
    let unreadable =
        |e: std::io::Error| SubjectError::Unreadable { path: path.to_owned(), reason: e.to_string() };
    let mut text = zeroize::Zeroizing::new(String::new());
    let cap = u64::try_from(MAX_SUBJECT).unwrap_or(u64::MAX);
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(cap + 2).read_to_string(&mut text).map_err(unreadable)?;
    let text = Secret::from(text.as_str());
    Subject::new(&text, &path.display().to_string())
}

/// The claims of a token that nobody verified: they only tell one cached token from another. Whoever could lie here
/// runs as the same user and could read the cache itself.
fn unverified_claims(token: &str) -> Option<Object> {
    let (_, rest) = token.split_once('.')?;
    let (payload, _) = rest.split_once('.')?;
    Object::parse(&wire::b64::decode(payload)?).ok()
}

/// A policy may decide by any claim, so every claim counts, except those that change whenever the same workload gets
/// a new token.
fn identity_of(claims: &Object) -> String {
    let lasting = claims.iter().filter(|(name, _)| !VOLATILE.contains(name)).map(|(name, value)| {
        let value = match value.as_object() {
            Some(inner) if name == "kubernetes.io" => Value::Object(without_warning(inner)),
            _ => value.clone(),
        };
        (name.to_owned(), value)
    });
    let lasting = Object::from_members(lasting.collect()).unwrap_or_default();
    format!("claims {}", serde_json::to_string(&lasting).unwrap_or_default())
}

fn without_warning(kubernetes: &Object) -> Object {
    let kept = kubernetes.iter().filter(|(name, _)| *name != "warnafter");
    Object::from_members(kept.map(|(name, value)| (name.to_owned(), value.clone())).collect())
        .unwrap_or_default()
}

const VOLATILE: [&str; 4] = ["exp", "iat", "nbf", "jti"];

/// Kubernetes and CI tokens stay below 8 KiB.
const MAX_SUBJECT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(claims: &str) -> Subject {
        let token = format!("e30.{}.c2ln", wire::b64::encode(claims));
        Subject::new(&Secret::from(token), "a test").unwrap()
    }

    #[test]
    fn a_renewed_token_is_the_same_subject_and_any_other_claim_makes_another() {
        let first = subject(
            r#"{"sub":"a","ref":"main","iat":1,"exp":9,"jti":"x","kubernetes.io":{"namespace":"n","warnafter":5}}"#,
        );
        let renewed = subject(
            r#"{"kubernetes.io":{"warnafter":9,"namespace":"n"},"sub":"a","iat":5,"exp":99,"jti":"y","nbf":1,"ref":"main"}"#,
        );
        assert_eq!(first.identity, renewed.identity);
        assert_eq!(first.expires, Some(Time::from_unix(9)));
        for other in [
            r#"{"sub":"b","ref":"main","kubernetes.io":{"namespace":"n"}}"#,
            r#"{"sub":"a","ref":"evil","kubernetes.io":{"namespace":"n"}}"#,
            r#"{"sub":"a","ref":"main","kubernetes.io":{"namespace":"m"}}"#,
            r#"{"iss":"i","sub":"a","ref":"main","kubernetes.io":{"namespace":"n"}}"#,
        ] {
            assert_ne!(subject(other).identity, first.identity, "{other}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_repeated() {
        let long = "x".repeat(MAX_SUBJECT + 1);
        for (raw, want) in
            [("", "empty"), (" \n", "empty"), ("a b", "white space"), ("a\u{e9}", "white"), (&long, "longer")]
        {
            let told = Subject::new(&Secret::from(raw), "the variable X").unwrap_err().to_string();
            assert!(told.starts_with("the variable X holds no token") && told.contains(want), "{told}");
        }
        let secret = Subject::new(&Secret::from("opaque-token\n"), "x").unwrap();
        assert_eq!(secret.token().expose(), "opaque-token");
    }
}
