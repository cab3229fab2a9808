//! A proxy that says who somebody is.

use http::HeaderMap;
use provider::connector::{Flow, Identity, Inbound, Opened, UpstreamError};
use serde_json::{Value, json};
use testkit::FakeClock;

use crate::{faults_of, open};

fn opened(more: &Value) -> Opened {
    let mut config = json!({"trustedProxies": ["10.0.0.0/8", "fd00::1"]});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    open("authproxy", &config, &FakeClock::default())
}

fn arrive(
    opened: &Opened,
    from: Option<&str>,
    sent: &[(&'static str, &str)],
) -> Result<Identity, UpstreamError> {
    let Flow::Proxied(flow) = opened.connector.flow() else { panic!("no proxy") };
    let mut headers = HeaderMap::new();
    for (name, value) in sent {
        headers.append(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let connection = from.map(|ip| ip.parse().unwrap());
    flow.arrive(&Inbound { connection, headers: &headers }).map(|signed_in| signed_in.identity)
}

/// The headers that Dex reads unasked.
fn named() -> Value {
    json!({
        "userIDHeader": "X-Remote-User-Id", "userNameHeader": "X-Remote-User-Name",
        "emailHeader": "X-Remote-User-Email", "groupHeader": "X-Remote-Group",
    })
}

const PROXY: Option<&str> = Some("10.1.2.3");

#[test]
fn who_it_is_stands_in_the_headers() {
    let proxy = opened(&named());
    let all = [
        ("x-remote-user", "ana"),
        ("x-remote-user-id", "u-1"),
        ("x-remote-user-name", "Ana B"),
        ("x-remote-user-email", "ana@example.com"),
        ("x-remote-group", "a, b,,c d"),
    ];
    let want = Identity {
        user_id: "u-1".into(),
        username: "ana".into(),
        preferred_username: "Ana B".into(),
        email: "ana@example.com".into(),
        email_verified: false,
        groups: ["a", "b", "c d"].map(String::from).to_vec(),
    };
    assert_eq!(arrive(&proxy, PROXY, &all).unwrap(), want);
    let short = arrive(&proxy, PROXY, &[("x-remote-user", "jörg")]).unwrap();
    assert_eq!((short.user_id.as_str(), short.email.as_str()), ("jörg", "jörg"), "as in Dex");
    assert!(short.groups.is_empty() && short.preferred_username.is_empty());
    let renamed = json!({
        "userHeader": "X-User", "userIDHeader": "X-Id", "userNameHeader": "X-Name", "emailHeader": "X-Mail",
        "groupHeader": "X-Groups", "groupHeaderSeparator": ";", "staticGroups": ["proxied"], "emailVerified": true,
    });
    let sent = [
        ("x-user", "ana"),
        ("x-id", "u-1"),
        ("x-name", "Ana B"),
        ("x-mail", "ana@example.com"),
        ("x-groups", "a;b"),
    ];
    let groups = ["a", "b", "proxied"].map(String::from).to_vec();
    let want = Identity { groups, email_verified: true, ..want };
    assert_eq!(arrive(&opened(&renamed), PROXY, &sent).unwrap(), want);
    assert!(matches!(arrive(&opened(&renamed), PROXY, &all), Err(UpstreamError::Invalid(_))), "no user");
}

#[test]
fn attack_22_only_a_trusted_proxy_is_believed() {
    let proxy = opened(&json!({}));
    let sent = [("x-remote-user", "ana"), ("x-forwarded-for", "10.0.0.1")];
    for from in [PROXY, Some("::ffff:10.9.9.9"), Some("fd00::1")] {
        assert!(arrive(&proxy, from, &sent).is_ok(), "{from:?}");
    }
    for from in [None, Some("11.0.0.1"), Some("127.0.0.1"), Some("fd00::2"), Some("::1")] {
        assert!(matches!(arrive(&proxy, from, &sent), Err(UpstreamError::Denied(_))), "{from:?}");
    }
    let nobody = open("authproxy", &json!({}), &FakeClock::default());
    assert!(matches!(arrive(&nobody, Some("127.0.0.1"), &sent), Err(UpstreamError::Denied(_))));
    let told = faults_of("authproxy", &json!({}));
    assert!(told.contains("warning: connectors[0].config: has no trustedProxies"), "{told}");
}

/// A proxy that sets one header lets the others through as the browser wrote them.
#[test]
fn attack_22_headers_that_are_not_configured_are_not_read() {
    let all = [
        ("x-remote-user", "ana"),
        ("x-remote-user-id", "root"),
        ("x-remote-user-name", "Root"),
        ("x-remote-user-email", "root@example.com"),
        ("x-remote-group", "admins"),
    ];
    let ana = Identity {
        user_id: "ana".into(),
        username: "ana".into(),
        email: "ana".into(),
        ..Identity::default()
    };
    assert_eq!(arrive(&opened(&json!({})), PROXY, &all).unwrap(), ana);
    for (key, header, changed) in [
        ("userIDHeader", "X-Remote-User-Id", Identity { user_id: "root".into(), ..ana.clone() }),
        (
            "userNameHeader",
            "X-Remote-User-Name",
            Identity { preferred_username: "Root".into(), ..ana.clone() },
        ),
        ("emailHeader", "X-Remote-User-Email", Identity { email: "root@example.com".into(), ..ana.clone() }),
        ("groupHeader", "X-Remote-Group", Identity { groups: vec!["admins".into()], ..ana.clone() }),
    ] {
        let config = json!({(key): header});
        assert_eq!(arrive(&opened(&config), PROXY, &all).unwrap(), changed, "{key}");
        assert_eq!(arrive(&opened(&json!({(key): ""})), PROXY, &all).unwrap(), ana, "{key} is empty");
        let told = faults_of("authproxy", &json!({(key): "no header"}));
        assert!(told.contains("which is no header's name"), "{told}");
    }
}

#[test]
fn attack_22_a_header_that_comes_twice_is_nobodys_word() {
    let proxy = opened(&named());
    for twice in
        ["x-remote-user", "x-remote-user-id", "x-remote-user-name", "x-remote-user-email", "x-remote-group"]
    {
        let said = arrive(&proxy, PROXY, &[("x-remote-user", "ana"), (twice, "a"), (twice, "b")]);
        assert!(matches!(said, Err(UpstreamError::Invalid(_))), "{twice}: {said:?}");
    }
    let said = arrive(&proxy, PROXY, &[("x_remote_user", "ana"), ("x-remote-user", " ")]);
    assert!(matches!(said, Err(UpstreamError::Invalid(_))), "{said:?}");
}

#[test]
fn nobody_is_asked_again() {
    assert!(opened(&json!({})).connector.refresh().is_none());
    for (config, line) in [
        (
            json!({"userHeader": "no header"}),
            "config: has userHeader: \"no header\", which is no header's name",
        ),
        (
            json!({"trustedProxies": ["10.0.0.0/40"]}),
            "config.trustedProxies[0]: is \"10.0.0.0/40\", which is no network",
        ),
    ] {
        let told = faults_of("authproxy", &config);
        assert!(told.contains(line), "{line}\n---\n{told}");
    }
}
