//! A form body (`application/x-www-form-urlencoded`), read once and borrowed from where nothing is escaped.

use std::borrow::Cow;

/// The parameters of one request, in order. Empty values count as absent (RFC 6749 section 3.1).
#[derive(Debug, Default)]
pub struct Form<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// Why a body is not a form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadForm {
    /// A parameter stands more than once (RFC 6749 section 3.2).
    #[error("the parameter {0:?} is given more than once")]
    Repeated(String),
    /// A broken percent escape or bytes that are no UTF-8.
    #[error("a parameter is not correctly encoded")]
    Encoding,
    /// More parameters than any grant has.
    #[error("more than {MAX_PARAMETERS} parameters")]
    TooMany,
}

impl<'a> Form<'a> {
    /// Reads a body or query; `repeatable` names what may stand more than once.
    ///
    /// # Errors
    /// [`BadForm`]; see there.
    pub fn parse(raw: &'a str, repeatable: &[&str]) -> Result<Self, BadForm> {
        let mut pairs: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if pairs.len() == MAX_PARAMETERS {
                return Err(BadForm::TooMany);
            }
            if !repeatable.contains(&name.as_ref()) && pairs.iter().any(|(known, _)| *known == name) {
                return Err(BadForm::Repeated(name.into_owned()));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter that is present and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, value)| *known == name && !value.is_empty())
            .map(|(_, value)| value.as_ref())
    }

    /// All values of a parameter that are not empty.
    pub fn all<'s, 'n>(&'s self, name: &'n str) -> impl Iterator<Item = &'s str> + use<'s, 'n, 'a> {
        self.0
            .iter()
            .filter(move |(known, value)| *known == name && !value.is_empty())
            .map(|(_, value)| value.as_ref())
    }

    /// Whether the parameter stands there at all, even empty.
    pub fn mentions(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }
}

/// Percent-decoding of one form component: `+` is a space; a broken escape is an error, not text.
///
/// # Errors
/// [`BadForm::Encoding`].
pub fn decode(raw: &str) -> Result<Cow<'_, str>, BadForm> {
    if memchr::memchr2(b'%', b'+', raw.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(raw));
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit =
                    |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).ok_or(BadForm::Encoding);
                let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
                u8::try_from(value).map_err(|_| BadForm::Encoding)?
            }
            other => other,
        });
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| BadForm::Encoding)
}

/// The token form has fourteen names; repeated `audience` and `resource` add some.
pub const MAX_PARAMETERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_20_repeated_parameters_are_refused_unless_listed() {
        assert_eq!(Form::parse("a=1&a=1", &[]).unwrap_err(), BadForm::Repeated("a".into()));
        assert_eq!(Form::parse("a=&%61=1", &[]).unwrap_err(), BadForm::Repeated("a".into()));
        let form = Form::parse("audience=x&audience=y&b=", &["audience"]).unwrap();
        assert_eq!(form.all("audience").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(form.get("b"), None);
        assert!(form.mentions("b"));
    }

    #[test]
    fn encoding_is_strict() {
        assert_eq!(decode("a+b%20c%C3%A9").unwrap(), "a b cé");
        for bad in ["%", "%4", "%zz", "%ff", "%C3%28"] {
            assert_eq!(decode(bad), Err(BadForm::Encoding), "{bad}");
        }
        assert!(Form::parse(&"a=1&".repeat(65), &["a"]).is_err());
    }
}
