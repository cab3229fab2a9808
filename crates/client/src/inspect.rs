//! A token, explained to a person: what it says, when it is good, and what is odd about it. The signature is the one
//! part that is never shown: without it, the output is no credential.

use std::fmt::Write as _;
use std::time::Duration;

use ambient::Time;
use token::{Audience, ClientSide, Expect, Rejected, Trust, UnverifiedJwt, Verifier};
use wire::claims::Claims;
use wire::json::{Object, Value};

use crate::discovery::NoKeys;
use crate::error::Error;
use crate::flow::Exchanger;

/// What an unverified token says.
#[derive(Debug, Clone)]
pub struct Inspection {
    header: Object,
    claims: Object,
    warnings: Vec<String>,
    now: Time,
}

/// The text cannot be explained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not three segments.
    #[error("this is no JWT: it must have three segments separated by dots, and it has {0}")]
    Segments(usize),
    /// A segment that is not base64url of a JSON object.
    #[error("this is no JWT: its {0} is not base64url of a JSON object")]
    Segment(&'static str),
}

/// Why a token does not verify.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// Discovery cannot be had.
    #[error(transparent)]
    Fetch(#[from] Error),
    /// The keys cannot be had.
    #[error(transparent)]
    Keys(#[from] NoKeys),
    /// The token is not good.
    #[error("the token does not verify: {0}")]
    Rejected(#[from] Rejected),
}

impl Inspection {
    /// Takes a token apart, more leniently than verification does: an odd token is what people want explained.
    ///
    /// # Errors
    /// [`Unreadable`]; see there.
    pub fn of(token: &str, now: Time) -> Result<Self, Unreadable> {
        let segments = token.split('.').collect::<Vec<_>>();
        let [header, claims, _] = segments.as_slice() else {
            return Err(Unreadable::Segments(segments.len()));
        };
        let object = |segment: &str, name| {
            let raw = wire::b64::decode(segment).ok_or(Unreadable::Segment(name))?;
            Object::parse(&raw).map_err(|_| Unreadable::Segment(name))
        };
        let (header, claims) = (object(header, "header")?, object(claims, "payload")?);
        let mut warnings = Vec::new();
        warn_of_header(&header, &mut warnings);
        warn_of_claims(&claims, now, &mut warnings);
        Ok(Self { header, claims, warnings, now })
    }

    /// A claim that is a text.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.claims.str(name)
    }

    /// A claim that is a list of texts.
    pub fn list(&self, name: &str) -> Vec<String> {
        let items = self.claims.get(name).and_then(Value::as_list).into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (title, object) in [("header", &self.header), ("claims", &self.claims)] {
            let width = object.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
            let _ = writeln!(out, "{title}");
            for (name, value) in object.iter() {
                let name = harmless(name);
                let _ = writeln!(out, "  {name:width$}  {}", self.explained(&name, value));
            }
        }
        if !self.warnings.is_empty() {
            let _ = writeln!(out, "warnings");
            for warning in &self.warnings {
                let _ = writeln!(out, "  {}", harmless(warning));
            }
        }
        out
    }

    /// For programs: `{"header":…,"claims":…,"warnings":[…]}`.
    pub fn json(&self) -> String {
        let document = serde_json::json!({
            "header": self.header,
            "claims": self.claims,
            "warnings": self.warnings,
        });
        plain_json(&document)
    }

    fn explained(&self, name: &str, value: &Value) -> String {
        let text = harmless(&serde_json::to_string(value).unwrap_or_default());
        match (TIMES.contains(&name), value.as_int()) {
            (true, Some(seconds)) => {
                let time = Time::from_unix(seconds);
                format!("{text}  ({}, {})", time.rfc3339(), relative(time, self.now))
            }
            _ => text,
        }
    }
}

/// Verifies a token against what its issuer publishes, whoever it is meant for. Says by which algorithm it is signed.
///
/// # Errors
/// [`Unverified`]; see there.
pub async fn verify(exchanger: &Exchanger, issuer: &str, token: &str) -> Result<&'static str, Unverified> {
    let unverified = UnverifiedJwt::parse(token)?;
    let found = exchanger.discover(issuer).await?;
    let keys = exchanger.keys(&found).await?;
    let expect = Expect::<ClientSide>::new(issuer, Audience::Unrestricted);
    let verified = Verifier::new(Trust::new("inspect"), keys, expect)
        .verify_at_hand(unverified, exchanger.clock.now())?;
    Ok(verified.alg().name())
}

fn warn_of_header(header: &Object, warnings: &mut Vec<String>) {
    match header.str("alg") {
        Some("none") => warnings.push("alg is none: nothing vouches for this token".into()),
        Some(alg) if alg.starts_with("HS") => {
            warnings.push(format!("alg is {alg}: whoever can check this token can also make one"));
        }
        Some(_) => {}
        None => warnings.push("the header has no alg".into()),
    }
    for name in ["crit", "b64", "zip", "jwk", "jku", "x5u", "x5c"] {
        if header.get(name).is_some() {
            warnings.push(format!("the header has {name}, which Obol ignores or refuses"));
        }
    }
}

fn warn_of_claims(claims: &Object, now: Time, warnings: &mut Vec<String>) {
    let read = match Claims::from_object(claims.clone()) {
        Ok(read) => read,
        Err(error) => return warnings.push(format!("verification refuses these claims: {error}")),
    };
    match read.expires().map(Time::from_unix) {
        None => warnings.push("no exp: it never ends; Obol and Kubernetes refuse that".into()),
        Some(end) if end <= now => warnings.push(format!("expired {}", relative(end, now))),
        Some(end) => {
            let begin = read.issued().map_or(now, Time::from_unix);
            if end.since(begin) > LONG {
                warnings
                    .push(format!("valid for {}: a stolen one is useful for long", span(end.since(begin))));
            }
        }
    }
    for (name, time) in [("nbf", read.not_before()), ("iat", read.issued())] {
        if let Some(time) = time.map(Time::from_unix).filter(|time| *time > now) {
            warnings.push(format!(
                "{name} lies ahead ({}): not valid yet, or a clock is wrong",
                relative(time, now)
            ));
        }
    }
    match read.audience().count() {
        0 => warnings.push("no aud: it is meant for nobody in particular, so anybody may replay it".into()),
        1 => {}
        many => warnings.push(format!("{many} audiences: each of them can use it at the others")),
    }
    for (name, present) in [("iss", read.issuer().is_some()), ("sub", read.subject().is_some())] {
        if !present {
            warnings.push(format!("no {name}"));
        }
    }
}

fn relative(time: Time, now: Time) -> String {
    if time > now {
        format!("in {}", span(time.since(now)))
    } else {
        format!("{} ago", span(now.since(time)))
    }
}

/// The two largest units that are not zero.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [
        ("d", seconds / 86_400),
        ("h", seconds / 3600 % 24),
        ("min", seconds / 60 % 60),
        ("s", seconds % 60),
    ];
    let parts = units.iter().skip_while(|(_, n)| *n == 0).take(2).filter(|(_, n)| *n > 0);
    let text = parts.map(|(unit, n)| format!("{n} {unit}")).collect::<Vec<_>>().join(" ");
    if text.is_empty() { "0 s".into() } else { text }
}

/// A character that drives a terminal, turns its text around, or is not seen at all.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// JSON for programs, which a terminal may be shown as well: what is hidden stands there as JSON's own escapes. Below DEL
/// JSON escapes in strings by itself, and the rest is its own layout.
pub fn plain_json(document: &serde_json::Value) -> String {
    let mut out = String::new();
    for c in format!("{document:#}").chars() {
        // All of them are in the plane of four digits.
        if c >= '\u{7f}' && is_hidden(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// A token's author writes its claims; they must not drive the reader's terminal or turn its text around.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

const TIMES: [&str; 5] = ["exp", "iat", "nbf", "auth_time", "updated_at"];
const LONG: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect(header: &str, claims: &str) -> Inspection {
        let token = format!("{}.{}.c2lnbmF0dXJl", wire::b64::encode(header), wire::b64::encode(claims));
        Inspection::of(&token, Time::from_unix(1_767_225_600)).unwrap()
    }

    #[test]
    fn attack_26_json_drives_no_terminal_either() {
        let hostile = serde_json::json!({"sub": "a\u{9b}31m\u{202e}b\u{7f}", "name": "größe"});
        let shown = plain_json(&hostile);
        assert!(shown.contains("\\u009b31m\\u202eb\\u007f") && shown.contains("größe"), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), hostile);
    }

    #[test]
    fn times_are_readable_and_the_signature_is_not_shown() {
        let good = inspect(
            r#"{"alg":"ES256","kid":"k"}"#,
            r#"{"iss":"i","sub":"s","aud":"a","iat":1767225300,"exp":1767226200}"#,
        );
        assert_eq!(
            good.text(),
            "header\n  alg  \"ES256\"\n  kid  \"k\"\nclaims\n  aud  \"a\"\n  exp  1767226200  (2026-01-01T00:10:00Z, in 10 min)\n  \
             iat  1767225300  (2025-12-31T23:55:00Z, 5 min ago)\n  iss  \"i\"\n  sub  \"s\"\n"
        );
        assert!(!good.text().contains("c2lnbmF0dXJl") && !good.json().contains("c2lnbmF0dXJl"));
    }

    #[test]
    fn what_is_odd_is_said() {
        let es = r#"{"alg":"ES256"}"#;
        for (header, claims, want) in [
            (r#"{"alg":"none"}"#, "{}", "alg is none"),
            (r#"{"alg":"HS256"}"#, "{}", "alg is HS256"),
            (r#"{"alg":"ES256","jku":"https://x"}"#, "{}", "has jku"),
            (r#"{}"#, "{}", "no alg"),
            (es, r#"{"aud":"a"}"#, "no exp"),
            (es, r#"{"exp":1767225000}"#, "expired 10 min ago"),
            (es, r#"{"exp":1769904000}"#, "valid for 31 d"),
            (es, r#"{"nbf":1767229200}"#, "nbf lies ahead (in 1 h)"),
            (es, r#"{"exp":1767226200}"#, "no aud"),
            (es, r#"{"aud":["a","b"]}"#, "2 audiences"),
            (es, r#"{"exp":"soon"}"#, "refuses these claims"),
        ] {
            let text = inspect(header, claims).text();
            assert!(text.contains(want), "{claims}: {text}");
        }
    }

    #[test]
    fn a_token_cannot_drive_the_terminal() {
        let text = inspect(r#"{"alg":"ES256"}"#, "{\"a\\u001b[31m\":\"\\u009b2J\\u202e\"}").text();
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(text.contains("\\u{202e}") && text.contains("\\u{9b}"), "{text:?}");
    }

    #[test]
    fn no_token_is_said_to_be_none() {
        for (text, want) in
            [("", "it has 1"), ("a.b.c.d.e", "it has 5"), ("!.e30.x", "header"), ("e30.W10.x", "payload")]
        {
            let told = Inspection::of(text, Time::default()).unwrap_err().to_string();
            assert!(told.contains(want), "{told}");
        }
    }
}
