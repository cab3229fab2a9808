//! Which redirect URIs a client may name (RFC 9700 section 4.1.3, RFC 8252 section 7.3, dex.md 1.8).

use url::{Host, Url};

use super::way::BY_HAND;
use crate::clients::Client;

/// Whether the client may be answered there: one of its own URIs, byte for byte; for a native app its own loopback
/// address on any port; for a public client without any, every loopback address, and nowhere but the page.
pub(super) fn allows(client: &Client, raw: &str) -> bool {
    let registered = client.redirect_uris.iter().any(|known| known == raw);
    let native = client.public && client.redirect_uris.is_empty();
    if raw == BY_HAND {
        return registered || native;
    }
    let Ok(url) = Url::parse(raw) else { return false };
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return false;
    }
    // A browser would run or show these instead of leaving.
    if SCRIPTS.contains(&url.scheme()) {
        return false;
    }
    let own_loopback = || client.redirect_uris.iter().any(|known| same_but_port(known, &url));
    registered || is_loopback(&url) && (native || client.public && own_loopback())
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

const SCRIPTS: [&str; 7] = ["javascript", "vbscript", "data", "blob", "file", "about", "filesystem"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::{AccessTokens, GroupRules};

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
            access_tokens: AccessTokens::Dex,
            groups: GroupRules::default(),
            own_groups: vec![],
            logo: None,
        };
        allows(&client, raw)
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
        for evil in ["javascript:alert(1)", "data:text/html,x", "blob:https://a/b", "https://a.example/#f"] {
            assert!(!allowed(false, &[evil], evil), "{evil} is registered");
        }
        assert!(allowed(false, &["com.example.app:/cb"], "com.example.app:/cb"));
        assert!(allowed(true, &["http://127.0.0.1/cb"], "http://127.0.0.1:5555/cb"));
        assert!(!allowed(true, &["http://127.0.0.1/cb"], "http://127.0.0.1:5555/other"));
        assert!(!allowed(true, &["http://localhost/cb"], "http://localhost:5555/cb"));
        assert!(!allowed(false, &["http://127.0.0.1/cb"], "http://127.0.0.1:5555/cb"));
    }

    #[test]
    fn a_code_is_carried_by_hand_for_native_apps_or_where_it_is_registered() {
        assert!(allowed(true, &[], BY_HAND) && allowed(false, &[BY_HAND], BY_HAND));
        assert!(!allowed(false, &[], BY_HAND) && !allowed(true, &["http://127.0.0.1/cb"], BY_HAND));
        assert!(!allowed(true, &[], "urn:ietf:wg:oauth:2.0:oob:auto"));
    }
}
