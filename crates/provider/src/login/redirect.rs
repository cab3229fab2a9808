//! Which redirect URIs a client may name (RFC 9700 section 4.1.3, RFC 8252 section 7.3, dex.md 1.8).

use url::{Host, Url};

use crate::clients::Client;

/// The URI, if the client may be answered there: one of its own, byte for byte; for a native app its own loopback
/// address on any port; for a public client without any, every loopback address.
pub(super) fn check(client: &Client, raw: &str) -> Option<Url> {
    let url = Url::parse(raw).ok()?;
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let registered = client.redirect_uris.iter().any(|known| known == raw);
    let native = client.public && is_loopback(&url);
    let own_loopback = || client.redirect_uris.iter().any(|known| same_but_port(known, &url));
    (registered || native && (client.redirect_uris.is_empty() || own_loopback())).then_some(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "http" && host
}

/// A name can be pointed elsewhere, so only literal loopback addresses may change their port.
fn same_but_port(known: &str, url: &Url) -> bool {
    let Ok(known) = Url::parse(known) else { return false };
    let literal = matches!(known.host(), Some(Host::Ipv4(_) | Host::Ipv6(_)));
    literal
        && is_loopback(&known)
        && known.host() == url.host()
        && known.path() == url.path()
        && known.query() == url.query()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(public: bool, uris: &[&str], raw: &str) -> bool {
        let client = Client {
            id: "c".into(),
            secret: None,
            name: "c".into(),
            redirect_uris: uris.iter().map(|&u| u.to_owned()).collect(),
            public,
            trusted_peers: vec![],
            allowed_connectors: vec![],
            signing_alg: None,
            own_groups: vec![],
        };
        check(&client, raw).is_some()
    }

    #[test]
    fn attack_21_only_exact_uris_and_loopback_for_native_apps() {
        let own = ["https://app.example/cb?x=1"];
        assert!(allowed(false, &own, own[0]));
        for evil in [
            "https://app.example/cb",
            "https://app.example/cb?x=1&y",
            "https://app.example/cb?x=1#f",
            "https://app.example/cb/../evil",
            "https://APP.example/cb?x=1",
            "https://app.example:443/cb?x=1",
            "https://app.example@evil.example/cb?x=1",
            "//app.example/cb",
            "https://app.example.evil/cb?x=1",
            "javascript:alert(1)",
            "https://app.example/cb%3Fx=1",
            "",
            "http://127.0.0.1:1/",
        ] {
            assert!(!allowed(false, &own, evil), "{evil}");
        }
        assert!(
            allowed(true, &[], "http://localhost:8000/callback") && allowed(true, &[], "http://[::1]:1/")
        );
        for evil in [
            "http://localhost.evil/",
            "https://localhost/",
            "http://127.0.0.1.evil/",
            "http://user@127.0.0.1/",
            "http://10.0.0.1/",
        ] {
            assert!(!allowed(true, &[], evil), "{evil}");
        }
        assert!(allowed(true, &["http://127.0.0.1/cb"], "http://127.0.0.1:5555/cb"));
        assert!(!allowed(true, &["http://127.0.0.1/cb"], "http://127.0.0.1:5555/other"));
        assert!(!allowed(true, &["http://localhost/cb"], "http://localhost:5555/cb"));
        assert!(!allowed(false, &["http://127.0.0.1/cb"], "http://127.0.0.1:5555/cb"));
    }
}
