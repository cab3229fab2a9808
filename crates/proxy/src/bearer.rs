//! Reading the bearer token of a request as the API server reads it, and what a token is kept as.

use ambient::Secret;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};

use crate::refusal::Refusal;

/// A caller's own token.
#[derive(Debug, Clone)]
pub(crate) struct Bearer(Secret<String>);

impl Bearer {
    /// The token of a request. One header, the scheme in any case, one space: what stands after a second space is
    /// not looked at, and two spaces are an empty token (kube-apiserver's `SplitN`). A second header, which it would
    /// overlook, is refused.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let (first, second) = (all.next(), all.next());
        if second.is_some() {
            return Err(Refusal::TwoTokens);
        }
        let line = first.and_then(|value| value.to_str().ok()).ok_or(Refusal::NoToken)?;
        let mut words = line.trim().splitn(3, ' ');
        match (words.next(), words.next()) {
            (Some(scheme), Some(token)) if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() => {
                Ok(Self(Secret::from(token)))
            }
            _ => Err(Refusal::NoToken),
        }
    }

    pub(crate) fn token(&self) -> &str {
        self.0.expose()
    }

    /// `Bearer <token>`, marked so that it is neither logged nor indexed by HTTP/2's header compression.
    pub(crate) fn header(token: &str) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        Bearer::read(&headers).map(|bearer| bearer.token().to_owned()).map_err(|refusal| refusal.code())
    }

    #[test]
    fn reads_what_the_api_server_reads() {
        for line in ["Bearer abc", "bearer abc", "BEARER abc", " Bearer abc ", "Bearer abc def"] {
            assert_eq!(read(&[line]).as_deref(), Ok("abc"), "{line:?}");
        }
        for line in
            ["", "Bearer", "Bearer ", "Bearer  abc", "Basic abc", "abc", "Bearerabc", "Bearer\tabc", "é abc"]
        {
            assert_eq!(read(&[line]), Err("no_token"), "{line:?}");
        }
        assert_eq!(read(&[]), Err("no_token"));
    }

    #[test]
    fn attack_28_a_second_authorization_header_is_never_chosen_from() {
        assert_eq!(read(&["Bearer abc", "Bearer abc"]), Err("two_tokens"));
        assert_eq!(read(&["Basic x", "Bearer abc"]), Err("two_tokens"));
    }

    #[test]
    fn a_token_is_never_shown() {
        assert!(!format!("{:?}", Bearer(Secret::from("hunter2"))).contains("hunter2"));
    }
}
