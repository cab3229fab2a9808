//! Crowd, against a stub that speaks its documented API.

use provider::connector::{Flow, Identity, Opened, UpstreamError};
use serde_json::{Value, json};
use testkit::FakeClock;

use crate::api::{ALL, NOTHING, denied};
use crate::rest::{Rest, login};
use crate::{faults_of, open};

pub(crate) async fn site(more: Value) -> (Rest, Opened) {
    let rest = Rest::start().await;
    let base = rest.server.url("/crowd").to_string();
    let mut config = json!({"baseURL": base, "clientID": "obol", "clientSecret": "s:cret"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let opened = open("atlassian-crowd", &config, &FakeClock::default());
    rest.set("POST /crowd/rest/usermanagement/1/session", 201, json!({"token": "t"}));
    rest.set(USER, 200, user());
    rest.set(GROUPS, 200, json!({"groups": [{"name": "dev"}, {"name": "ops"}]}));
    (rest, opened)
}

const USER: &str = "GET /crowd/rest/usermanagement/1/user?username=a%26b";
const GROUPS: &str = "GET /crowd/rest/usermanagement/1/user/group/nested?username=a%26b";

fn user() -> Value {
    json!({"key": "32:1", "name": "a&b", "email": "ana@example.com", "active": true})
}

/// Who signs in.
pub(crate) fn ana() -> Identity {
    Identity {
        user_id: "32:1".into(),
        username: "a&b".into(),
        email: "ana@example.com".into(),
        groups: vec!["dev".into(), "ops".into()],
        ..Identity::default()
    }
}

#[tokio::test]
async fn dex_k11_crowd_signs_somebody_in_and_asks_again() {
    let (rest, opened) = site(json!({})).await;
    let signed_in = login(&opened, ALL, "a&b", "right").await.unwrap().unwrap();
    let want = ana();
    assert_eq!(signed_in.identity, want);
    assert_eq!(signed_in.kept.expose(), br#"{"username":"a&b"}"#, "as Dex stores it");
    assert_eq!(rest.server.seen()[0].headers["authorization"], "Basic b2JvbDpzOmNyZXQ=");
    assert!(login(&opened, NOTHING, "a&b", "right").await.unwrap().unwrap().identity.groups.is_empty());
    let refresh = opened.connector.refresh().unwrap();
    assert_eq!(refresh.refresh(ALL, &want, signed_in.kept.expose()).await.unwrap().identity, want);
    let mut blocked = user();
    blocked["active"] = json!(false);
    rest.set(USER, 200, blocked);
    assert!(denied(&refresh.refresh(ALL, &want, signed_in.kept.expose()).await));
    assert!(denied(&login(&opened, ALL, "a&b", "right").await));
    assert!(denied(&refresh.refresh(ALL, &want, b"").await));
    for (field, value) in [("key", "32:1"), ("name", "a&b"), ("email", "ana@example.com")] {
        let (_rest, opened) = site(
            json!({"preferredUsernameField": field, "emailVerified": true, "usernamePrompt": "Crowd name"}),
        )
        .await;
        let identity = login(&opened, ALL, "a&b", "right").await.unwrap().unwrap().identity;
        assert!(identity.preferred_username == value && identity.email_verified);
        let Flow::Password(flow) = opened.connector.flow() else { panic!("no password") };
        assert_eq!(flow.prompt(), "Crowd name");
    }
}

#[tokio::test]
async fn dex_k2_crowds_groups_are_demanded_whatever_is_asked_for() {
    let (rest, opened) = site(json!({"groups": ["ops"]})).await;
    for scopes in [ALL, NOTHING] {
        assert_eq!(login(&opened, scopes, "a&b", "right").await.unwrap().unwrap().identity.groups, ["ops"]);
    }
    rest.set(GROUPS, 200, json!({"groups": [{"name": "dev"}]}));
    for scopes in [ALL, NOTHING] {
        assert!(denied(&login(&opened, scopes, "a&b", "right").await));
    }
}

#[tokio::test]
async fn crowd_tells_a_wrong_password_from_trouble() {
    let (rest, opened) = site(json!({})).await;
    let session = "POST /crowd/rest/usermanagement/1/session";
    for reason in ["INVALID_USER_AUTHENTICATION", "INACTIVE_ACCOUNT", "EXPIRED_CREDENTIAL"] {
        rest.set(session, 400, json!({"reason": reason}));
        assert!(login(&opened, ALL, "a&b", "wrong").await.unwrap().is_none());
    }
    for (status, body) in
        [(401, json!({})), (400, json!({"reason": "OTHER"})), (500, json!({})), (200, json!({}))]
    {
        rest.set(session, status, body);
        assert!(login(&opened, ALL, "a&b", "right").await.is_err(), "{status}");
    }
    let before = rest.server.seen().len();
    assert!(login(&opened, ALL, "a&b", "").await.unwrap().is_none());
    assert_eq!(rest.server.seen().len(), before);
    rest.set(session, 201, json!({}));
    rest.set(USER, 401, json!({}));
    assert!(matches!(login(&opened, ALL, "a&b", "right").await, Err(UpstreamError::Unavailable(_))));
    let told = faults_of("atlassian-crowd", &json!({}));
    for line in ["baseURL: is missing", "clientID: is missing", "clientSecret: is missing"] {
        assert!(told.contains(line), "{line}\n---\n{told}");
    }
}
