//! The compact form of a JWS and the data of JWKs, taken apart and not judged (RFC 7515, RFC 7517).

use memchr::memchr_iter;
use serde::{Deserialize, Serialize};

use crate::b64;
use crate::json::Object;

/// A compact JWS, split and decoded. Nothing about it is verified.
#[derive(Debug, Clone)]
pub struct Compact<'a> {
    /// What the signature covers: the first two segments with their dot.
    pub signing_input: &'a str,
    /// The protected header.
    pub header: Header,
    /// The payload, decoded from base64url.
    pub payload: Vec<u8>,
    /// The signature, decoded from base64url.
    pub signature: Vec<u8>,
}

/// The protected header of a JWS. Members that carry keys (`jwk`, `jku`, `x5u`, `x5c`) are not even kept: keys come
/// from a trust entry alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// `alg`, as written.
    pub algorithm: String,
    /// `kid`
    pub key_id: Option<String>,
    /// `typ`, lower-cased and without an `application/` prefix (RFC 8725 section 3.11).
    pub kind: Option<String>,
    /// Names of further members, sorted: a JWT-SVID may have none (SPIFFE JWT-SVID section 2).
    pub others: Vec<String>,
}

/// Why a text is not a compact JWS that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCompact {
    /// Longer than [`MAX_TOKEN`].
    #[error("the token is longer than {MAX_TOKEN} bytes")]
    TooLong,
    /// Not three segments of base64url.
    #[error("the token is not three base64url segments separated by dots")]
    Shape,
    /// Five segments: encrypted.
    #[error("the token is encrypted (JWE); a signed token is expected")]
    Encrypted,
    /// The header is not a JSON object with the members that are expected.
    #[error("the token's header is malformed")]
    Header,
    /// A header parameter that changes how the token is to be read.
    #[error("the token's header demands an extension that is not understood")]
    Critical,
}

impl<'a> Compact<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`BadCompact`]: see its variants. Every byte must be of the base64url alphabet or a dot.
    pub fn parse(token: &'a str) -> Result<Self, BadCompact> {
        if token.len() > MAX_TOKEN {
            return Err(BadCompact::TooLong);
        }
        let mut dots = memchr_iter(b'.', token.as_bytes());
        let (first, second) = match (dots.next(), dots.next(), dots.next()) {
            (Some(first), Some(second), None) => (first, second),
            (Some(_), Some(_), Some(_)) if dots.count() == 1 => return Err(BadCompact::Encrypted),
            _ => return Err(BadCompact::Shape),
        };
        let segment =
            |from: usize, to: usize| token.get(from..to).and_then(b64::decode).ok_or(BadCompact::Shape);
        let header = Header::parse(&segment(0, first)?)?;
        Ok(Self {
            signing_input: token.get(..second).ok_or(BadCompact::Shape)?,
            header,
            payload: segment(first + 1, second)?,
            signature: segment(second + 1, token.len())?,
        })
    }
}

impl Header {
    fn parse(raw: &[u8]) -> Result<Self, BadCompact> {
        let object = Object::parse(raw).map_err(|_| BadCompact::Header)?;
        let mut header = Self::default();
        for (name, value) in object.iter() {
            match (name, value.as_str()) {
                ("alg", Some(text)) => header.algorithm = text.to_owned(),
                ("kid", Some(text)) if text.len() <= MAX_KEY_ID => header.key_id = Some(text.to_owned()),
                ("typ", Some(text)) => header.kind = Some(media_type(text)),
                ("alg" | "kid" | "typ", _) => return Err(BadCompact::Header),
                // RFC 7515 section 4.1.11, RFC 7797: what must be understood and is not, is refused.
                ("crit" | "b64" | "zip" | "enc" | "cty", _) => return Err(BadCompact::Critical),
                (other, _) => header.others.push(other.to_owned()),
            }
        }
        if header.algorithm.is_empty() { Err(BadCompact::Header) } else { Ok(header) }
    }
}

/// A JSON Web Key as data. Private members are only ever read to refuse the key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Jwk {
    /// `kty`
    pub kty: String,
    /// `use`
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// `key_ops`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_ops: Option<Vec<String>>,
    /// `kid`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// `alg`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// `crv`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// `x`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// `y`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// `n`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// `e`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// Whether `d`, `k` or another private member (RFC 7518 section 6) was present: such a key is not public and is refused.
    #[serde(skip)]
    pub holds_secret: bool,
}

impl Jwk {
    /// Reads one member of a key set. Members of the wrong type make the key unusable, not the set.
    pub fn from_object(object: &Object) -> Option<Self> {
        let text = |name: &str| match object.get(name) {
            None => Some(None),
            Some(value) => value.as_str().map(|s| Some(s.to_owned())),
        };
        let key_ops = match object.get("key_ops") {
            None => None,
            Some(list) => Some(
                list.as_list()?
                    .iter()
                    .map(|op| op.as_str().map(str::to_owned))
                    .collect::<Option<Vec<_>>>()?,
            ),
        };
        Some(Self {
            kty: text("kty")??,
            usage: text("use")?,
            key_ops,
            kid: text("kid")?,
            alg: text("alg")?,
            crv: text("crv")?,
            x: text("x")?,
            y: text("y")?,
            n: text("n")?,
            e: text("e")?,
            holds_secret: ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
                .iter()
                .any(|name| object.get(name).is_some()),
        })
    }
}

/// A JWK Set as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct JwkSet {
    /// The keys, in order.
    pub keys: Vec<Jwk>,
}

/// Lower-cases a media type and takes `application/` away.
fn media_type(raw: &str) -> String {
    let lower = raw.to_ascii_lowercase();
    lower.strip_prefix("application/").map_or(lower.clone(), str::to_owned)
}

/// A token longer than this is refused before anything is decoded. The largest real ones (groups of a big
/// directory) stay below 32 KiB, the bound of most proxies' headers.
pub const MAX_TOKEN: usize = 64 * 1024;

/// A `kid` longer than this is refused.
pub const MAX_KEY_ID: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        format!("{}.{}.{}", b64::encode(header), b64::encode("{}"), b64::encode("sig"))
    }

    #[test]
    fn attack_04_only_the_compact_form_is_read() {
        let good = token(r#"{"alg":"ES256"}"#);
        assert!(Compact::parse(&good).is_ok());
        for bad in [
            String::new(),
            ".".repeat(70_000),
            ".".repeat(5_000),
            format!("{good}."),
            format!(" {good}"),
            format!("{good}="),
            good.replace('.', ".."),
            r#"{"payload":"","signatures":[]}"#.to_owned(),
            format!("{good}\n"),
            format!("\u{feff}{good}"),
        ] {
            assert!(Compact::parse(&bad).is_err());
        }
        assert_eq!(Compact::parse("a.b.c.d.e").unwrap_err(), BadCompact::Encrypted);
        assert_eq!(Compact::parse(&"a".repeat(MAX_TOKEN + 1)).unwrap_err(), BadCompact::TooLong);
    }

    #[test]
    fn attack_03_header_extensions_are_refused_and_keys_in_it_ignored() {
        for (header, why) in [
            (r#"{"alg":"ES256","crit":["exp"]}"#, BadCompact::Critical),
            (r#"{"alg":"ES256","b64":false}"#, BadCompact::Critical),
            (r#"{"alg":"ES256","zip":"DEF"}"#, BadCompact::Critical),
            (r#"{"alg":"ES256","cty":"JWT"}"#, BadCompact::Critical),
            (r#"{"alg":7}"#, BadCompact::Header),
            (r#"{"alg":["ES256"]}"#, BadCompact::Header),
            (r#"{"typ":"JWT"}"#, BadCompact::Header),
            (r#"{"alg":"ES256","alg":"none"}"#, BadCompact::Header),
            (r#"{"alg":"ES256","kid":1}"#, BadCompact::Header),
        ] {
            assert_eq!(Compact::parse(&token(header)).unwrap_err(), why, "{header}");
        }
        let long = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(MAX_KEY_ID + 1));
        assert_eq!(Compact::parse(&token(&long)).unwrap_err(), BadCompact::Header);
        let own_key =
            token(r#"{"alg":"ES256","jwk":{"kty":"EC"},"jku":"https://evil","typ":"application/AT+JWT"}"#);
        let header = Compact::parse(&own_key).unwrap().header;
        assert_eq!(header.kind.as_deref(), Some("at+jwt"));
        assert_eq!(header.others, ["jku", "jwk"]);
    }
}
