//! Keystone, against a stub that speaks its documented API.

use provider::connector::{Identity, Opened, UpstreamError};
use serde_json::{Value, json};
use testkit::FakeClock;

use crate::api::{ALL, NOTHING, denied};
use crate::rest::{Rest, login};
use crate::{faults_of, open};

pub(crate) async fn site(more: Value) -> (Rest, Opened) {
    let rest = Rest::start().await;
    let mut config = json!({
        "keystoneHost": rest.server.url("").as_str(), "keystoneUsername": "admin", "keystonePassword": "canary", "domain": "default",
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let opened = open("keystone", &config, &FakeClock::default());
    rest.set("POST /v3/auth/tokens/", 201, json!({"token": {"user": {"id": "u1", "name": "ana"}}}));
    rest.set(
        "GET /v3/users/u1",
        200,
        json!({"user": {"id": "u1", "name": "ana", "email": "ana@example.com", "enabled": true}}),
    );
    rest.set("GET /v3/users/u1/groups", 200, json!({"groups": [{"id": "g", "name": "dev"}]}));
    (rest, opened)
}

/// Who signs in.
pub(crate) fn ana() -> Identity {
    Identity {
        user_id: "u1".into(),
        username: "ana".into(),
        email: "ana@example.com".into(),
        groups: vec!["dev".into()],
        ..Identity::default()
    }
}

#[tokio::test]
async fn keystone_signs_somebody_in_and_asks_again() {
    let (rest, opened) = site(json!({})).await;
    let signed_in = login(&opened, ALL, "ana", "right").await.unwrap().unwrap();
    let want = ana();
    assert_eq!(signed_in.identity, want);
    let asked: Value = serde_json::from_slice(&rest.server.seen()[0].body).unwrap();
    let user = json!({"name": "ana", "domain": {"id": "default"}, "password": "right"});
    assert_eq!(asked["auth"]["identity"]["password"]["user"], user);
    assert!(login(&opened, NOTHING, "ana", "right").await.unwrap().unwrap().identity.groups.is_empty());
    let refresh = opened.connector.refresh().unwrap();
    assert_eq!(refresh.refresh(ALL, &want, b"").await.unwrap().identity, want);
    let last = rest.server.seen().into_iter().rfind(|seen| seen.path == "/v3/auth/tokens/").unwrap();
    let asked: Value = serde_json::from_slice(&last.body).unwrap();
    assert_eq!(asked["auth"]["identity"]["password"]["user"]["name"], "admin");
    for (answer, ends) in [
        ((200, json!({"user": {"enabled": false}})), true),
        ((404, json!({})), true),
        ((500, json!({})), false),
    ] {
        rest.set("GET /v3/users/u1", answer.0, answer.1);
        let said = refresh.refresh(ALL, &want, b"").await;
        assert!(said.is_err() && denied(&said) == ends, "{said:?}");
    }
    let (_rest, opened) = site(json!({"emailVerified": true})).await;
    assert!(login(&opened, ALL, "ana", "right").await.unwrap().unwrap().identity.email_verified);
    for (domain, want) in [
        ("", json!({"id": "default"})),
        ("acme", json!({"name": "acme"})),
        ("7be66b27-2f5d-4b26-9c3a-9b33b2a1c6b0", json!({"id": "7be66b27-2f5d-4b26-9c3a-9b33b2a1c6b0"})),
    ] {
        let (rest, opened) = site(json!({"domain": domain})).await;
        login(&opened, ALL, "ana", "right").await.unwrap();
        let asked: Value = serde_json::from_slice(&rest.server.seen()[0].body).unwrap();
        assert_eq!(asked["auth"]["identity"]["password"]["user"]["domain"], want);
    }
}

#[tokio::test]
async fn dex_k7_a_refused_password_is_no_failure_of_ours() {
    let (rest, opened) = site(json!({})).await;
    rest.set("POST /v3/auth/tokens/", 401, json!({"error": {"code": 401}}));
    assert!(login(&opened, ALL, "ana", "wrong").await.unwrap().is_none());
    let before = rest.server.seen().len();
    assert!(login(&opened, ALL, "ana", "").await.unwrap().is_none());
    assert_eq!(rest.server.seen().len(), before, "an empty password is not tried");
    let said = opened.connector.refresh().unwrap().refresh(ALL, &Identity::default(), b"").await;
    assert!(
        matches!(said, Err(UpstreamError::Unavailable(_))),
        "our own password says nothing of others: {said:?}"
    );
    for (status, body) in
        [(500, json!({})), (201, json!({})), (201, json!({"token": {"user": {"id": "../admin"}}}))]
    {
        rest.set("POST /v3/auth/tokens/", status, body);
        assert!(login(&opened, ALL, "ana", "right").await.is_err());
    }
    let told = faults_of("keystone", &json!({}));
    for line in ["keystoneHost: is missing", "keystoneUsername: is missing", "keystonePassword: is missing"] {
        assert!(told.contains(line), "{line}\n---\n{told}");
    }
}
