//! An upstream with OAuth 2.0 and nothing more.

use provider::connector::{Flow, Identity, UpstreamError};
use serde_json::{Value, json};

use crate::api::{ALL, NOTHING, Site, denied, parameter, registered};
use crate::faults_of;

pub(crate) async fn site(more: Value) -> Site {
    let site = Site::start("/token").await;
    let url = |path: &str| site.server.url(path).to_string();
    let mut config = json!({
        "authorizationURL": url("/authorize"), "tokenURL": url("/token"), "userInfoURL": url("/me"),
        "rootCAs": [site.ca.pem()],
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let site = site.opened("oauth", &config);
    site.set(
        "/me",
        json!({
            "id": "u-1", "user_name": "Ana B", "preferred_username": "ana", "email": "ana@example.com",
            "email_verified": true, "groups": ["a", {"name": "b"}],
        }),
    );
    site
}

/// Who signs in.
pub(crate) fn ana() -> Identity {
    Identity {
        user_id: "u-1".into(),
        username: "Ana B".into(),
        preferred_username: "ana".into(),
        email: "ana@example.com".into(),
        email_verified: true,
        groups: vec!["a".into(), "b".into()],
    }
}

#[tokio::test]
async fn who_it_is_stands_in_userinfo() {
    let site_ = site(json!({"scopes": ["profile", "email"]})).await;
    assert_eq!(parameter(&site_.depart(ALL).await, "scope").as_deref(), Some("profile email"));
    let want = ana();
    assert_eq!(site_.login(ALL).await.unwrap().identity, want);
    assert!(site_.login(NOTHING).await.unwrap().identity.groups.is_empty());
    assert!(site_.connector().connector.refresh().is_none(), "as in Dex");
    // The stub knows clients by the body alone: the header is tried first.
    let tried = site_.server.seen().into_iter().filter(|seen| seen.path == "/token").collect::<Vec<_>>();
    assert!(
        tried[0].headers.contains_key("authorization") && !tried[1].headers.contains_key("authorization")
    );
    let said = site(json!({"rootCAs": []})).await.login(ALL).await;
    assert!(matches!(said, Err(UpstreamError::Unavailable(_))), "a stranger's authority: {said:?}");
    assert!(site(json!({"rootCAs": [], "insecureSkipVerify": true})).await.login(ALL).await.is_ok());
    let mapped = json!({
        "userIDKey": "sub",
        "claimMapping": {
            "userNameKey": "n", "preferredUsernameKey": "p", "groupsKey": "g", "emailKey": "e", "emailVerifiedKey": "v",
        },
    });
    let site_ = site(mapped).await;
    site_.set(
        "/me",
        json!({"sub": "u-1", "n": "Ana B", "p": "ana", "e": "ana@example.com", "v": true, "g": ["a", "b"]}),
    );
    assert_eq!(site_.login(ALL).await.unwrap().identity, want);
}

#[tokio::test]
async fn dex_k4_groups_come_from_userinfo_alone_and_ids_tell_people_apart() {
    let site = site(json!({})).await;
    let payload = wire::b64::encode(r#"{"groups": ["admins"]}"#);
    site.grants(json!({"access_token": format!("e30.{payload}.c2ln")}));
    let said = site.login(ALL).await;
    assert!(denied(&said), "the stub does not know that token: {said:?}");
    site.grants(json!({"id_token": format!("e30.{payload}.c2ln")}));
    assert_eq!(site.login(ALL).await.unwrap().identity.groups, ["a", "b"]);
    for (id, want) in [
        (json!(7), Some("7")),
        (json!(1_234_567), Some("1.234567e+06")),
        (json!(9_007_199_254_740_993_u64), Some("9007199254740993")),
        (json!(1.5), None),
        (json!(""), None),
        (json!(null), None),
        (json!(["u"]), None),
    ] {
        site.set("/me", json!({"id": id, "email": "a@x", "email_verified": "true"}));
        match (site.login(ALL).await, want) {
            (Ok(signed_in), Some(want)) => {
                assert_eq!(signed_in.identity.user_id, want);
                assert!(!signed_in.identity.email_verified, "a text is no yes");
            }
            (Err(UpstreamError::Invalid(_)), None) => {}
            (said, _) => panic!("{id}: {said:?}"),
        }
    }
    for groups in [json!("a"), json!([1]), json!({"a": 1})] {
        site.set("/me", json!({"id": "u", "groups": groups}));
        assert!(matches!(site.login(ALL).await, Err(UpstreamError::Invalid(_))));
    }
}

/// RFC 9207: an answer that says whose it is must be of the server that was asked.
#[tokio::test]
async fn attack_21_an_answer_of_another_server_is_refused() {
    let site = site(json!({})).await;
    let own = site.server.url("").to_string();
    let asked = |query: &str| url::form_urlencoded::byte_serialize(query.as_bytes()).collect::<String>();
    for good in [&own, own.trim_end_matches('/'), &format!("{own}realms/acme")] {
        assert!(site.login_with(ALL, &format!("&iss={}", asked(good))).await.is_ok(), "{good}");
    }
    let before = site.server.requests("/token");
    for other in [
        "https://evil.example",
        "https://127.0.0.1",
        &own.replace("https:", "http:"),
        &format!("https://evil.example/{own}"),
        &own.replace("127.0.0.1", "127.0.0.1.evil.example"),
        "x",
        "data:,x",
    ] {
        let said = site.login_with(ALL, &format!("&iss={}", asked(other))).await;
        assert!(matches!(said, Err(UpstreamError::Invalid(_))), "{other}: {said:?}");
    }
    assert_eq!(site.server.requests("/token"), before, "no code goes anywhere");
}

#[test]
fn a_callback_may_be_ones_own() {
    let told = |callback: &str| {
        let places = json!({
            "tokenURL": "https://a", "authorizationURL": "https://a", "userInfoURL": "https://a",
            "redirectURI": format!("https://obol.example/dex/{callback}"),
        });
        faults_of("oauth", &registered(&places))
    };
    for good in ["callback", "callback/up"] {
        assert_eq!(told(good), "", "{good}");
    }
    for other in ["callback/", "callback/other", "callback/%75p", "callback/up/", "Callback"] {
        assert!(
            told(other)
                .contains("write https://obol.example/dex/callback, or https://obol.example/dex/callback/up")
        );
    }
}

#[tokio::test]
async fn attack_21_who_has_a_callback_of_its_own_says_so() {
    for (callback, own) in [("/callback", false), ("/callback/up", true)] {
        let redirect = format!("{}{callback}", crate::OUR_ISSUER);
        let site = site(json!({"redirectURI": redirect})).await;
        let oidc = json!({"issuer": "https://a.example", "clientID": "obol", "clientSecret": "s", "redirectURI": redirect});
        let oidc = crate::open("oidc", &oidc, &testkit::FakeClock::default());
        for opened in [site.connector(), &oidc] {
            let Flow::Redirect(flow) = opened.connector.flow() else { panic!("no redirect") };
            assert_eq!(flow.has_own_callback(), own, "{callback}");
        }
    }
}

/// What the client says of who signs in is told under the upstream's own name for it.
#[test]
fn hints_go_to_upstreams_that_take_them() {
    let url = json!("https://a.example");
    for (kind, more, name) in [
        ("github", json!({}), Some("login")),
        ("gitlab", json!({}), None),
        ("microsoft", json!({}), Some("login_hint")),
        ("oauth", json!({"tokenURL": url, "authorizationURL": url, "userInfoURL": url}), None),
        ("oidc", json!({"issuer": url}), Some("login_hint")),
    ] {
        let opened = crate::open(kind, &registered(&more), &testkit::FakeClock::default());
        let Flow::Redirect(flow) = opened.connector.flow() else { panic!("no redirect") };
        assert_eq!(flow.hint_parameter(), name, "{kind}");
    }
}

#[test]
fn what_an_oauth_upstream_needs_is_demanded_at_start() {
    let told = faults_of("oauth", &registered(&json!({"userInfoURL": "http://a"})));
    for line in [
        "config.tokenURL: is missing",
        "config.authorizationURL: is missing",
        "config: has a userInfoURL by http",
    ] {
        assert!(told.contains(line), "{line}\n---\n{told}");
    }
}
