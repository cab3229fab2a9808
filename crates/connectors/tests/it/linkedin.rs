//! LinkedIn, against a stub that speaks its documented API. LinkedIn itself cannot be had.

use provider::connector::{Identity, UpstreamError};
use serde_json::{Value, json};

use crate::api::{ALL, Site, denied, parameter};

pub(crate) async fn site(more: Value) -> Site {
    let site = Site::plain("/oauth/v2/accessToken").await;
    let url = site.server.url("");
    let mut config = json!({"baseURL": url.as_str(), "apiURL": url.as_str()});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let site = site.opened("linkedin", &config);
    site.set(
        "/v2/userinfo",
        json!({"sub": "l-1", "name": "Ana B", "email": "ana@example.com", "email_verified": true}),
    );
    site
}

/// Who signs in.
pub(crate) fn ana() -> Identity {
    Identity {
        user_id: "l-1".into(),
        username: "Ana B".into(),
        preferred_username: String::new(),
        email: "ana@example.com".into(),
        email_verified: true,
        groups: Vec::new(),
    }
}

#[tokio::test]
async fn dex_k12_linkedin_signs_somebody_in_and_asks_again() {
    let site = site(json!({})).await;
    let url = site.depart(ALL).await;
    assert_eq!(
        (url.path(), parameter(&url, "scope").as_deref()),
        ("/oauth/v2/authorization", Some("openid profile email"))
    );
    let signed_in = site.login(ALL).await.unwrap();
    assert_eq!(signed_in.identity, ana());
    assert_eq!(site.refresh(signed_in.kept.expose()).await.unwrap().identity, ana());
    assert!(site.refresh(br#"{"accessToken":"canary-access-token"}"#).await.is_ok(), "as Dex kept it");
    assert!(denied(&site.refresh(br#"{"accessToken":"revoked"}"#).await));
}

#[tokio::test]
async fn attack_24_linkedins_word_on_an_address_is_taken_as_it_is() {
    let site = site(json!({})).await;
    for (userinfo, verified) in [
        (json!({"sub": "l-1", "email": "a@example.com", "email_verified": true}), true),
        (json!({"sub": "l-1", "email": "a@example.com", "email_verified": false}), false),
        (json!({"sub": "l-1", "email": "a@example.com", "email_verified": "true"}), false),
        (json!({"sub": "l-1", "email": "a@example.com"}), false),
        (json!({"sub": "l-1", "email_verified": true}), false),
    ] {
        site.set("/v2/userinfo", userinfo.clone());
        assert_eq!(site.login(ALL).await.unwrap().identity.email_verified, verified, "{userinfo}");
    }
    for nobody in [json!({"sub": ""}), json!({"name": "Ana"}), json!([])] {
        site.set("/v2/userinfo", nobody);
        assert!(matches!(site.login(ALL).await, Err(UpstreamError::Invalid(_))));
    }
}
