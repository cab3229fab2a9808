//! Step 2, guard: what may not pass, whoever sends it.
//!
//! # Why this is the dangerous door
//!
//! The proxy's own credential may impersonate anybody. Whatever reaches the API server beside it is obeyed, so a
//! caller must not be able to put one byte there that counts as identity. The rules:
//!
//! 1. **Impersonation headers** are refused and not stripped: who sends one wants something that will not happen.
//!    They count in any spelling: header names are compared without regard to case and with every other punctuation
//!    taken for a hyphen, since servers behind the proxy may fold `Impersonate_User` into `Impersonate-User`.
//! 2. **Headers that other proxies speak with** (`X-Remote-*`, `X-Forwarded-*`, `Forwarded`) and credentials for us
//!    (`Authorization`, a token hidden in `Sec-WebSocket-Protocol`) are dropped in those spellings too.
//! 3. **Hop-by-hop headers**, and all that `Connection` names, end here (RFC 9110 section 7.6.1). They are dropped before
//!    our own are added, so `Connection: Impersonate-User` takes nothing away. Message framing is made anew by hyper from
//!    what it understood: of two readings of a length only ours arrives.
//! 4. **Names** from tokens that begin with `system:` are Kubernetes' own. They are refused unless the operator listed the
//!    group. So is a name that a header cannot carry as it is: Go trims a header's value, and ` system:masters` would arrive
//!    as `system:masters`.
//! 5. **Upgrades** are for SPDY and WebSocket alone. Through `h2c` a caller would get the connection itself, on which the
//!    next request is nobody's but the proxy's.
//! 6. **Targets** are paths. `CONNECT`, `TRACE`, absolute URIs and dot segments have no place before an API server.

use http::header::{
    CONNECTION, EXPECT, HOST, HeaderName, HeaderValue, SEC_WEBSOCKET_PROTOCOL, TE, TRAILER, UPGRADE,
};
use http::{HeaderMap, Method, Request, Uri, Version};

use crate::identity::KubeUser;
use crate::refusal::Refusal;
use crate::upgrade::Protocol;

/// Refuses what no caller may send. Looks at nothing but the request's head.
pub(crate) fn admit_request<B>(head: &Request<B>) -> Result<(), Refusal> {
    admit_target(head.method(), head.uri(), head.version())
}

/// Refuses whoever asks to be somebody else.
pub(crate) fn refuse_impersonation(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.keys().any(is_impersonation) { Err(Refusal::Impersonation) } else { Ok(()) }
}

/// Takes out of a request's headers all that is for us or for nobody. What is left may go to the API server.
/// Returns the upgrade that was asked for.
pub(crate) fn strip_request(headers: &mut HeaderMap, version: Version) -> Result<Option<Protocol>, Refusal> {
    let upgrade = wanted_upgrade(headers, version)?;
    strip_hop_by_hop(headers);
    // Host is the API server's, Expect was answered by us, and trailers could name whatever headers may not.
    for name in [HOST, EXPECT, TRAILER] {
        headers.remove(name);
    }
    for name in headers.keys().filter(|name| is_for_us(name)).cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
    strip_subprotocol_tokens(headers);
    Ok(upgrade)
}

/// Takes the headers of this hop out of an answer.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
}

/// `system:` names that tokens may carry all the same.
#[derive(Debug, Clone, Default)]
pub struct Reserved {
    /// User names.
    pub users: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
}

/// Refuses Kubernetes' own names and names that would arrive as other ones; `system:authenticated` is left out, since the
/// API server adds it by itself, and so is a group without a name, which no header can say.
pub(crate) fn admit_user(user: &KubeUser, allowed: &Reserved) -> Result<KubeUser, Refusal> {
    if user.name.is_empty() {
        return Err(Refusal::NoName);
    }
    if user.name.starts_with(RESERVED) && !allowed.users.contains(&user.name) {
        return Err(Refusal::Reserved(user.name.clone()));
    }
    let mut groups = Vec::with_capacity(user.groups.len());
    for group in user.groups.iter().filter(|group| *group != AUTHENTICATED && !group.is_empty()) {
        if group.starts_with(RESERVED) && !allowed.groups.contains(group) {
            return Err(Refusal::Reserved(group.clone()));
        }
        groups.push(group.clone());
    }
    let extras = user.extra.iter().flat_map(|(_, values)| values);
    if ![&user.name, &user.uid].into_iter().chain(&groups).chain(extras).all(|text| is_headable(text)) {
        return Err(Refusal::Unheadable);
    }
    Ok(KubeUser { groups, ..user.clone() })
}

/// Whether a header carries the text as it is: nothing that is trimmed, nothing that ends a line.
pub(crate) fn is_headable(text: &str) -> bool {
    text.trim() == text && !text.chars().any(char::is_control)
}

fn admit_target(method: &Method, uri: &Uri, version: Version) -> Result<(), Refusal> {
    if matches!(*method, Method::CONNECT | Method::TRACE) || method.as_str().eq_ignore_ascii_case("TRACK") {
        return Err(Refusal::Method);
    }
    // In HTTP/2 the authority is a pseudo-header of every request; in HTTP/1 it makes us somebody's forward proxy.
    if version < Version::HTTP_2 && (uri.scheme().is_some() || uri.authority().is_some()) {
        return Err(Refusal::Request("the request's target must be a path"));
    }
    if !uri.path().starts_with('/') {
        return Err(Refusal::Request("the request's target must be a path"));
    }
    let dotted = |segment: &str| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    };
    if uri.path().split(['/', '\\']).any(dotted) {
        return Err(Refusal::Request("the request's path may not contain dot segments"));
    }
    Ok(())
}

fn wanted_upgrade(headers: &HeaderMap, version: Version) -> Result<Option<Protocol>, Refusal> {
    let mut asked = headers.get_all(UPGRADE).iter();
    let Some(first) = asked.next() else { return Ok(None) };
    // A server ignores an `Upgrade` that `Connection` does not name (RFC 9110 section 7.8), and so must we.
    if version != Version::HTTP_11 || !connection_options(headers).any(|option| option == "upgrade") {
        return Ok(None);
    }
    match (first.to_str().ok().and_then(Protocol::read), asked.next()) {
        (Some(protocol), None) => Ok(Some(protocol)),
        _ => Err(Refusal::Request("a connection may be upgraded to SPDY/3.1 or websocket only")),
    }
}

fn connection_options(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|option| option.trim().to_ascii_lowercase())
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named =
        connection_options(headers).filter_map(|name| HeaderName::try_from(name).ok()).collect::<Vec<_>>();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn strip_subprotocol_tokens(headers: &mut HeaderMap) {
    let Some(offered) = joined(headers, &SEC_WEBSOCKET_PROTOCOL) else { return };
    let kept = offered
        .split(',')
        .map(str::trim)
        .filter(|protocol| !protocol.starts_with(SUBPROTOCOL_TOKEN))
        .collect::<Vec<_>>()
        .join(",");
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let (false, Ok(value)) = (kept.is_empty(), HeaderValue::try_from(kept)) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines =
        headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default()).collect::<Vec<_>>();
    (!lines.is_empty()).then(|| lines.join(","))
}

pub(crate) fn is_impersonation(name: &HeaderName) -> bool {
    let folded = folded(name);
    folded == "impersonate" || folded.starts_with("impersonate-")
}

fn is_for_us(name: &HeaderName) -> bool {
    let folded = folded(name);
    FOR_US.contains(&folded.as_str()) || FOR_US_PREFIXES.iter().any(|prefix| folded.starts_with(prefix))
}

/// A header's name as the most forgiving reader would take it.
fn folded(name: &HeaderName) -> String {
    name.as_str()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect()
}

/// RFC 9110 section 7.6.1, and what older proxies made of it.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authenticate"),
    HeaderName::from_static("http2-settings"),
    http::header::TRANSFER_ENCODING,
    TE,
    UPGRADE,
];

const FOR_US: [&str; 6] =
    ["authorization", "proxy-authorization", "forwarded", "x-real-ip", "x-remote-user", "x-client-cert"];

const FOR_US_PREFIXES: [&str; 2] = ["x-remote-", "x-forwarded-"];

/// How browsers bring a token to a WebSocket (kubernetes/kubernetes#47740). It may not travel on.
const SUBPROTOCOL_TOKEN: &str = "base64url.bearer.authorization.k8s.io";

/// Names that Kubernetes keeps for itself.
pub(crate) const RESERVED: &str = "system:";

const AUTHENTICATED: &str = "system:authenticated";

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn stripped(headers: &[(&str, &str)]) -> HeaderMap {
        let mut head = head("GET", "/api", headers);
        strip_request(head.headers_mut(), Version::HTTP_11).unwrap();
        head.into_parts().0.headers
    }

    #[test]
    fn attack_28_impersonation_is_refused_in_every_spelling() {
        for name in [
            "Impersonate-User",
            "impersonate-group",
            "IMPERSONATE-UID",
            "Impersonate-Extra-scopes",
            "Impersonate-Extra-a%2fb",
            "Impersonate_User",
            "impersonate_extra-x",
            "Impersonate.User",
            "Impersonate~Group",
            "Impersonate",
            "Impersonate-Anything",
        ] {
            let refused =
                refuse_impersonation(head("GET", "/api", &[(name, "admin")]).headers()).unwrap_err();
            assert_eq!(refused.code(), "impersonation", "{name}");
        }
        let fine = head("GET", "/api", &[("X-Impersonated", "a"), ("Impersonator", "b")]);
        assert!(refuse_impersonation(fine.headers()).is_ok());
    }

    #[test]
    fn attack_28_identity_and_hop_by_hop_headers_end_here() {
        let left = stripped(&[
            ("Authorization", "Bearer t"),
            ("X-Remote-User", "admin"),
            ("X_Remote_Group", "system:masters"),
            ("x-remote-extra-a", "b"),
            ("X-Forwarded-For", "10.0.0.1"),
            ("Forwarded", "for=10.0.0.1"),
            ("Proxy-Authorization", "Basic x"),
            ("Connection", "close, X-Custom"),
            ("Connection", "Impersonate-User"),
            ("X-Custom", "1"),
            ("Keep-Alive", "5"),
            ("TE", "trailers"),
            ("Trailer", "Impersonate-User"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
            ("Host", "elsewhere"),
            ("Accept", "application/json"),
            ("Audit-ID", "7"),
        ]);
        let mut names = left.keys().map(HeaderName::as_str).collect::<Vec<_>>();
        names.sort_unstable();
        assert_eq!(names, ["accept", "audit-id"]);
    }

    #[test]
    fn attack_28_a_token_among_the_subprotocols_does_not_travel_on() {
        let token = "base64url.bearer.authorization.k8s.io.aGk";
        let left = stripped(&[
            ("Sec-WebSocket-Protocol", &format!("v5.channel.k8s.io, {token}")),
            ("Sec-WebSocket-Protocol", "v4.channel.k8s.io"),
        ]);
        assert_eq!(left.get(SEC_WEBSOCKET_PROTOCOL).unwrap(), "v5.channel.k8s.io,v4.channel.k8s.io");
        assert!(!stripped(&[("Sec-WebSocket-Protocol", token)]).contains_key(SEC_WEBSOCKET_PROTOCOL));
    }

    #[test]
    fn targets_are_paths() {
        for (method, target, code) in [
            ("CONNECT", "api.example:443", "method"),
            ("TRACE", "/", "method"),
            ("track", "/", "method"),
            ("GET", "https://elsewhere/api", "request"),
            ("OPTIONS", "*", "request"),
            ("GET", "/api/../version", "request"),
            ("GET", "/api/%2E%2e/version", "request"),
            ("GET", "/api/.%2e", "request"),
            ("GET", "/./api", "request"),
        ] {
            assert_eq!(
                admit_request(&head(method, target, &[])).unwrap_err().code(),
                code,
                "{method} {target}"
            );
        }
        for target in ["/", "/api/v1/pods?watch=1", "/api/v1/namespaces/a.b/pods/..c", "/a//b"] {
            assert!(admit_request(&head("GET", target, &[])).is_ok(), "{target}");
        }
    }

    #[test]
    fn only_spdy_and_websocket_are_upgraded_to() {
        let upgrade = |headers: &[(&str, &str)], version| {
            wanted_upgrade(head("GET", "/", headers).headers(), version).map_err(|refusal| refusal.code())
        };
        let to = |protocol| [("Connection", "keep-alive, Upgrade"), ("Upgrade", protocol)];
        assert_eq!(upgrade(&to("SPDY/3.1"), Version::HTTP_11), Ok(Some(Protocol::Spdy)));
        assert_eq!(upgrade(&to("WebSocket"), Version::HTTP_11), Ok(Some(Protocol::WebSocket)));
        for other in ["h2c", "websocket, h2c", "TLS/1.0", "", "SPDY/2"] {
            assert_eq!(upgrade(&to(other), Version::HTTP_11), Err("request"), "{other}");
        }
        let twice = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Upgrade", "h2c")];
        assert_eq!(upgrade(&twice, Version::HTTP_11), Err("request"));
        assert_eq!(upgrade(&[("Upgrade", "websocket")], Version::HTTP_11), Ok(None));
        assert_eq!(upgrade(&to("websocket"), Version::HTTP_2), Ok(None));
    }

    fn user(name: &str, groups: &[&str]) -> KubeUser {
        KubeUser {
            name: name.into(),
            groups: groups.iter().map(|&group| group.into()).collect(),
            ..KubeUser::default()
        }
    }

    #[test]
    fn attack_28_kubernetes_own_names_are_not_taken_from_tokens() {
        let judge = |name, groups| {
            let allowed = Reserved { users: vec!["system:own".into()], groups: vec!["system:nodes".into()] };
            admit_user(&user(name, groups), &allowed)
                .map(|user| user.groups)
                .map_err(|refusal| refusal.code())
        };
        assert_eq!(judge("jane", &["a", "system:authenticated"]), Ok(vec!["a".into()]));
        assert_eq!(judge("jane", &["system:nodes"]), Ok(vec!["system:nodes".into()]));
        assert_eq!(judge("jane", &["a", "system:masters"]), Err("reserved_name"));
        assert_eq!(judge("jane", &["system:unauthenticated"]), Err("reserved_name"));
        assert_eq!(judge("jane", &["system:nodes:x"]), Err("reserved_name"));
        assert_eq!(judge("system:own", &["", "a"]), Ok(vec!["a".into()]));
        assert_eq!(judge("system:owner", &[]), Err("reserved_name"));
        assert_eq!(judge("system:admin", &[]), Err("reserved_name"));
        assert_eq!(judge("system:nodes", &[]), Err("reserved_name"));
        assert_eq!(judge("", &[]), Err("no_name"));
        assert_eq!(judge("oidc:system:serviceaccount:a:b", &["oidc:system:masters"]).unwrap().len(), 1);
    }

    #[test]
    fn attack_28_a_name_arrives_as_it_is_or_not_at_all() {
        for odd in [
            " system:masters",
            "\tsystem:masters",
            "a ",
            "a\nImpersonate-Group: b",
            "a\r\n",
            "\u{a0}a",
            "a\0",
        ] {
            let admit = |user| admit_user(&user, &Reserved::default());
            assert!(admit(user("jane", &[odd])).is_err(), "{odd:?}");
            assert!(admit(user(odd, &[])).is_err(), "{odd:?}");
            assert!(admit(KubeUser { uid: odd.into(), ..user("jane", &[]) }).is_err(), "{odd:?}");
            let extra = vec![("k".into(), vec![odd.into()])];
            assert!(admit(KubeUser { extra, ..user("jane", &[]) }).is_err(), "{odd:?}");
        }
        assert!(admit_user(&user("Jäne Döe", &["größe", ""]), &Reserved::default()).is_ok());
    }
}
