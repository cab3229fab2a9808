//! OpenShift, against a stub that speaks the documented API of its API server and of its OAuth server. OpenShift itself cannot be had.

use provider::connector::{Identity, UpstreamError};
use serde_json::{Value, json};

use crate::api::{ALL, NOTHING, Site, denied, parameter, registered};
use crate::faults_of;

const DOCUMENT: &str = "/.well-known/oauth-authorization-server";
const USER: &str = "/apis/user.openshift.io/v1/users/~";

pub(crate) async fn site(more: Value) -> Site {
    let site = Site::start("/oauth/token").await;
    let mut config = json!({"issuer": site.server.url("").as_str(), "rootCA": site.ca.pem()});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let site = site.opened("openshift", &config);
    site.publish(DOCUMENT, document(&site));
    site.set(USER, user(&json!(["dev", "ops"])));
    site
}

fn document(site: &Site) -> Value {
    let at = |path: &str| site.server.url(path).to_string();
    json!({
        "issuer": "https://oauth.apps.example", "authorization_endpoint": at("/oauth/authorize"),
        "token_endpoint": at("/oauth/token"), "scopes_supported": ["user:info"],
    })
}

fn user(groups: &Value) -> Value {
    json!({"kind": "User", "metadata": {"name": "ana", "uid": "uid-1"}, "fullName": "Ana B", "groups": groups})
}

/// Who signs in.
pub(crate) fn ana() -> Identity {
    Identity {
        user_id: "uid-1".into(),
        username: "ana".into(),
        preferred_username: "ana".into(),
        email: "ana".into(),
        email_verified: false,
        groups: vec!["dev".into(), "ops".into()],
    }
}

#[tokio::test]
async fn openshift_signs_somebody_in_and_asks_again() {
    let site_ = site(json!({})).await;
    let url = site_.depart(ALL).await;
    assert_eq!((url.path(), parameter(&url, "scope").as_deref()), ("/oauth/authorize", Some("user:info")));
    let signed_in = site_.login(ALL).await.unwrap();
    assert_eq!(signed_in.identity, ana());
    assert_eq!(site_.refresh(signed_in.kept.expose()).await.unwrap().identity, ana());
    let of_dex =
        br#"{"access_token":"canary-access-token","token_type":"Bearer","expiry":"0001-01-01T00:00:00Z"}"#;
    assert_eq!(site_.refresh(of_dex).await.unwrap().identity, ana(), "as Dex kept it");
    assert!(denied(&site_.refresh(br#"{"access_token":"revoked"}"#).await));
    assert_eq!(site_.server.requests(DOCUMENT), 1, "it is kept for a while");
    site_.set(USER, user(&json!(null)));
    assert!(site_.login(ALL).await.unwrap().identity.groups.is_empty());
    let stranger = site(json!({"rootCA": ""})).await;
    assert!(
        matches!(stranger.login(ALL).await.unwrap_err(), UpstreamError::Unavailable(_)),
        "a stranger's authority"
    );
    assert!(site(json!({"rootCA": "", "insecureCA": true})).await.login(ALL).await.is_ok());
    let told = faults_of("openshift", &registered(&json!({})));
    assert!(told.contains("config.issuer: is missing"), "{told}");
}

#[tokio::test]
async fn dex_k2_openshifts_groups_are_demanded() {
    let site = site(json!({"groups": ["ops", "x"]})).await;
    for scopes in [ALL, NOTHING] {
        assert_eq!(site.login(scopes).await.unwrap().identity.groups, ["dev", "ops"], "as in Dex");
    }
    for groups in [json!(["dev"]), json!([]), json!(null), json!(["Ops"])] {
        site.set(USER, user(&groups));
        assert!(denied(&site.login(NOTHING).await));
        assert!(denied(&site.refresh(br#"{"access_token":"canary-access-token"}"#).await));
    }
    for nobody in
        [json!({"metadata": {"name": "ana"}}), json!({"metadata": {"name": "", "uid": "u"}}), json!({})]
    {
        site.set(USER, nobody);
        assert!(matches!(site.login(ALL).await, Err(UpstreamError::Invalid(_))));
    }
}

/// What the cluster says of its OAuth server is believed as far as it is safe.
#[tokio::test]
async fn attack_21_openshifts_document_names_the_issuer_and_https_alone() {
    let site_ = site(json!({})).await;
    for (iss, good) in [
        ("https://oauth.apps.example", true),
        ("https://oauth.apps.example/", false),
        ("https://evil.example", false),
    ] {
        let iss: String = url::form_urlencoded::byte_serialize(iss.as_bytes()).collect();
        let said = site_.login_with(ALL, &format!("&iss={iss}")).await;
        assert!(said.is_ok() == good, "{iss}: {said:?}");
    }
    for (member, value) in [
        ("authorization_endpoint", json!("http://evil.example/authorize")),
        ("token_endpoint", json!("http://evil.example/token")),
        ("authorization_endpoint", json!("javascript:alert(1)")),
        ("token_endpoint", json!(null)),
        ("authorization_response_iss_parameter_supported", json!(true)),
    ] {
        let site = site(json!({})).await;
        let mut document = document(&site);
        document[member] = value;
        site.publish(DOCUMENT, document);
        if member == "authorization_response_iss_parameter_supported" {
            assert!(matches!(site.login(ALL).await, Err(UpstreamError::Invalid(_))), "no iss came");
        } else {
            assert!(matches!(site.login(ALL).await, Err(UpstreamError::Invalid(_))), "{member}");
            assert!(site.login(ALL).await.is_err());
            assert_eq!(site.server.requests(DOCUMENT), 1, "it is not asked again at once");
            site.publish(DOCUMENT, self::document(&site));
            site.clock.advance(std::time::Duration::from_secs(5));
            assert!(site.login(ALL).await.is_ok(), "and then it is");
        }
    }
}
