//! Bitbucket Cloud, against a stub that speaks its documented API. Bitbucket itself cannot be had.

use provider::connector::{Identity, UpstreamError};
use serde_json::{Value, json};

use crate::api::{ALL, NOTHING, Site, denied, parameter};

pub(crate) async fn site(more: Value) -> Site {
    let site = Site::plain("/site/oauth2/access_token").await;
    let url = site.server.url("");
    let mut config = json!({"baseURL": url.as_str(), "apiURL": url.as_str()});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let site = site.opened("bitbucket-cloud", &config);
    site.set("/2.0/user", json!({"uuid": "{u-1}", "username": "ana", "display_name": "Ana B"}));
    let next = site.server.url("/2.0/user/emails?page=2").to_string();
    site.set("/2.0/user/emails", json!({"values": [email("old@example.com", false, true)], "next": next}));
    site.set("/2.0/user/emails?page=2", json!({"values": [email("ana@example.com", true, true)]}));
    site.set(
        "/2.0/user/workspaces",
        json!({"values": [{"administrator": true, "workspace": {"slug": "acme"}}, {"slug": "guild"}]}),
    );
    site.set("/2.0/user/workspaces/acme/permission", json!({"permission": "owner"}));
    site.set("/2.0/user/workspaces/guild/permission", json!({"permission": "member"}));
    site
}

fn email(address: &str, primary: bool, confirmed: bool) -> Value {
    json!({"email": address, "is_primary": primary, "is_confirmed": confirmed})
}

/// Who signs in.
pub(crate) fn ana() -> Identity {
    Identity {
        user_id: "{u-1}".into(),
        username: "ana".into(),
        preferred_username: String::new(),
        email: "ana@example.com".into(),
        email_verified: true,
        groups: vec!["acme".into(), "guild".into()],
    }
}

#[tokio::test]
async fn bitbucket_signs_somebody_in_and_asks_again() {
    let site_ = site(json!({})).await;
    site_.grants(json!({"refresh_token": "r-1", "expires_in": 7200}));
    let url = site_.depart(ALL).await;
    assert_eq!(
        (url.path(), parameter(&url, "scope").as_deref()),
        ("/site/oauth2/authorize", Some("account email"))
    );
    let signed_in = site_.login(ALL).await.unwrap();
    assert_eq!(signed_in.identity, ana());
    assert_eq!(site_.refresh(signed_in.kept.expose()).await.unwrap().identity, ana());
    assert!(site_.login(NOTHING).await.unwrap().identity.groups.is_empty());
    assert!(denied(&site_.refresh(br#"{"accessToken":"revoked"}"#).await));
    let groups =
        site(json!({"getWorkspacePermissions": true})).await.login(ALL).await.unwrap().identity.groups;
    assert_eq!(groups, ["acme", "acme:owner", "guild", "guild:member"]);
}

#[tokio::test]
async fn dex_k2_bitbuckets_teams_are_demanded_whatever_is_asked_for() {
    for (teams, permissions, told) in [
        (json!(["guild", "x"]), false, Some("guild")),
        (json!(["acme:owner"]), true, Some("acme:owner")),
        (json!(["acme:owner"]), false, None),
        (json!(["Acme"]), false, None),
    ] {
        let site = site(json!({"teams": teams, "getWorkspacePermissions": permissions})).await;
        for scopes in [ALL, NOTHING] {
            let said = site.login(scopes).await;
            match told {
                Some(told) => assert_eq!(said.unwrap().identity.groups, [told]),
                None => assert!(denied(&said), "{said:?}"),
            }
        }
        assert_eq!(site.refresh(br#"{"accessToken":"canary-access-token"}"#).await.is_ok(), told.is_some());
    }
}

#[tokio::test]
async fn attack_24_bitbuckets_primary_address_must_be_confirmed() {
    let site = site(json!({})).await;
    for emails in [
        json!([]),
        json!([email("ana@example.com", true, false)]),
        json!([email("ana@example.com", false, true)]),
    ] {
        site.set("/2.0/user/emails", json!({"values": emails}));
        assert!(denied(&site.login(ALL).await), "{emails}");
    }
    site.set("/2.0/user/emails", json!({"values": [email("ana@example.com", true, true)]}));
    for (values, next) in [
        (json!([{"slug": "../x"}]), None),
        (json!([{"administrator": true}]), None),
        (json!([]), Some("https://evil.example/2.0/user/workspaces")),
    ] {
        site.set("/2.0/user/workspaces", json!({"values": values, "next": next}));
        let said = site.login(ALL).await;
        assert!(matches!(said, Err(UpstreamError::Invalid(_))), "{said:?}");
    }
    site.set("/2.0/user", json!({"uuid": ""}));
    assert!(matches!(site.login(NOTHING).await, Err(UpstreamError::Invalid(_))));
}
