//! Reading the bearer token of a request as the API server reads it, and what a token is kept as.

use ambient::Secret;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONNECTION, HeaderValue, SEC_WEBSOCKET_PROTOCOL, UPGRADE};

use crate::refusal::Refusal;

/// A caller's own token.
#[derive(Debug, Clone)]
pub(crate) struct Bearer(Secret<String>);

impl Bearer {
    /// The token of a request. One header, the scheme in any case, one space: what stands after a second space is
    /// not looked at, and two spaces are an empty token (kube-apiserver's `SplitN`). A second header, which it would
    /// overlook, is refused. Who brings nothing of the kind has no token; who brings what is not read is not nobody.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let (first, second) = (all.next(), all.next());
        if second.is_some() {
            return Err(Refusal::TwoTokens);
        }
        let Some(first) = first else { return subprotocol(headers) };
        let line = first.to_str().map_err(|_| Refusal::Unread)?;
        let mut words = line.trim().splitn(3, ' ');
        match (words.next(), words.next()) {
            (Some(scheme), Some(token)) if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() => {
                Ok(Self(Secret::from(token)))
            }
            _ => Err(Refusal::Unread),
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

/// The token that a browser hides among the subprotocols of a WebSocket, since it can send no other header there
/// (kubernetes/kubernetes#47740): one, beside at least one real subprotocol. The guard takes it out again.
fn subprotocol(headers: &HeaderMap) -> Result<Bearer, Refusal> {
    let words = |name| {
        let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).map(str::trim)
    };
    // In any form and any place: a token that somebody meant to bring is read or refused, and never overlooked.
    let mut lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let brings = |line: &HeaderValue| {
        let line = String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase();
        line.contains(SUBPROTOCOL.trim_end_matches('.'))
    };
    if !lines.any(brings) {
        return Err(Refusal::NoToken);
    }
    let switches = words(CONNECTION).any(|word| word.eq_ignore_ascii_case("upgrade"))
        && words(UPGRADE).any(|word| word.eq_ignore_ascii_case("websocket"));
    if !switches {
        return Err(Refusal::Unread);
    }
    let mut tokens = words(SEC_WEBSOCKET_PROTOCOL).filter_map(|word| word.strip_prefix(SUBPROTOCOL));
    let others = words(SEC_WEBSOCKET_PROTOCOL).any(|word| !word.is_empty() && !word.starts_with(SUBPROTOCOL));
    match (tokens.next(), tokens.next(), others) {
        (None, ..) => Err(Refusal::Unread),
        (Some(_), Some(_), _) => Err(Refusal::TwoTokens),
        (Some(_), None, false) => Err(Refusal::Request("missing additional subprotocol")),
        (Some(encoded), None, true) => {
            let token = wire::b64::decode(encoded).and_then(|bytes| String::from_utf8(bytes).ok());
            let token = token.filter(|token| !token.is_empty()).ok_or(Refusal::Unread)?;
            Ok(Bearer(Secret::from(token)))
        }
    }
}

const SUBPROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

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
            assert_eq!(read(&[line]), Err("unread_token"), "{line:?}");
        }
        assert_eq!(read(&[]), Err("no_token"));
    }

    #[test]
    fn attack_28_a_second_authorization_header_is_never_chosen_from() {
        assert_eq!(read(&["Bearer abc", "Bearer abc"]), Err("two_tokens"));
        assert_eq!(read(&["Basic x", "Bearer abc"]), Err("two_tokens"));
    }

    #[test]
    fn a_websocket_may_bring_its_token_among_its_subprotocols() {
        let read = |upgrade: &str, protocols: &[&str]| {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECTION, "keep-alive, Upgrade".parse().unwrap());
            headers.insert(UPGRADE, upgrade.parse().unwrap());
            for protocol in protocols {
                headers.append(SEC_WEBSOCKET_PROTOCOL, protocol.parse().unwrap());
            }
            Bearer::read(&headers).map(|bearer| bearer.token().to_owned()).map_err(|refusal| refusal.code())
        };
        let token = "base64url.bearer.authorization.k8s.io.YWJj";
        assert_eq!(read("WebSocket", &[&format!("v4.channel.k8s.io, {token}")]).as_deref(), Ok("abc"));
        assert_eq!(read("websocket", &[token, "v4.channel.k8s.io"]).as_deref(), Ok("abc"));
        assert_eq!(read("websocket", &[token]), Err("request"));
        assert_eq!(read("websocket", &[token, token, "v4.channel.k8s.io"]), Err("two_tokens"));
        assert_eq!(read("SPDY/3.1", &[token, "v4.channel.k8s.io"]), Err("unread_token"));
        assert_eq!(read("websocket", &[&format!("{token}="), "a"]), Err("unread_token"));
        assert_eq!(
            read("websocket", &["base64url.bearer.authorization.k8s.io._w", "a"]),
            Err("unread_token")
        );
        assert_eq!(read("websocket", &["a"]), Err("no_token"));
        for odd in ["base64url.bearer.authorization.k8s.io", "Base64URL.bearer.authorization.k8s.io.YWJj"] {
            assert_eq!(read("websocket", &[odd, "a"]), Err("unread_token"), "{odd}");
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        assert!(!format!("{:?}", Bearer(Secret::from("hunter2"))).contains("hunter2"));
    }
}
