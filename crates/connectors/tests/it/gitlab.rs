//! GitLab, against a stub that speaks its documented API.

use provider::connector::{Identity, UpstreamError};
use serde_json::{Value, json};

use crate::api::{ALL, NOTHING, Site, denied, parameter, registered};
use crate::faults_of;

pub(crate) async fn site(more: Value) -> Site {
    let site = Site::start("/oauth/token").await;
    let ca = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, site.ca.pem());
    let mut config = json!({"baseURL": site.server.url("").as_str(), "rootCAData": ca});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let site = site.opened("gitlab", &config);
    site.set("/api/v4/user", user());
    site.set(
        "/oauth/userinfo",
        json!({
            "sub": "17", "groups": ["ops", "ops/deploy", "opsec"],
            "https://gitlab.org/claims/groups/maintainer": ["ops"],
            "https://gitlab.org/claims/groups/owner": ["opsec"],
        }),
    );
    site
}

fn user() -> Value {
    json!({"id": 17, "username": "ana", "name": "Ana B", "email": "ana@example.com", "state": "active", "confirmed_at": "2026-01-01T00:00:00Z"})
}

/// Who signs in.
pub(crate) fn ana() -> Identity {
    Identity {
        user_id: "17".into(),
        username: "Ana B".into(),
        preferred_username: "ana".into(),
        email: "ana@example.com".into(),
        email_verified: false,
        groups: ["ops", "ops/deploy", "opsec"].map(String::from).to_vec(),
    }
}

#[tokio::test]
async fn gitlab_signs_somebody_in_and_asks_again() {
    let site_ = site(json!({})).await;
    site_.grants(json!({"refresh_token": "r-1", "expires_in": 7200}));
    let signed_in = site_.login(ALL).await.unwrap();
    let want = ana();
    assert_eq!(signed_in.identity, want);
    assert_eq!(site_.login(NOTHING).await.unwrap().identity.groups, [""; 0]);
    let again = site_.refresh(signed_in.kept.expose()).await.unwrap();
    assert_eq!(again.identity, want);
    site_.grants(json!({"refresh_token": "r-2"}));
    assert!(denied(&site_.refresh(signed_in.kept.expose()).await), "used up");
    assert!(site_.refresh(br#"{"accessToken":"canary-access-token"}"#).await.is_ok(), "as Dex kept it");
    assert!(denied(&site_.refresh(br#"{"accessToken":"revoked"}"#).await));
    let by_login = site(json!({"useLoginAsID": true})).await;
    assert_eq!(by_login.login(ALL).await.unwrap().identity.user_id, "ana");
}

#[tokio::test]
async fn scopes_are_asked_for_as_far_as_groups_are_needed() {
    for (config, scopes, asked) in [
        (json!({}), NOTHING, "read_user"),
        (json!({}), ALL, "read_user openid"),
        (json!({"groups": ["ops"]}), NOTHING, "read_user openid"),
        (json!({"inheritedGroups": true}), ALL, "read_user openid read_api"),
    ] {
        let url = site(config).await.depart(scopes).await;
        assert_eq!(parameter(&url, "scope").as_deref(), Some(asked));
        assert_eq!(url.path(), "/oauth/authorize");
    }
    let faults = faults_of("gitlab", &registered(&json!({"groups": ["a"]})));
    assert_eq!(faults, "");
}

#[tokio::test]
async fn dex_k2_gitlabs_groups_are_demanded_whatever_is_asked_for() {
    let site = site(json!({"groups": ["ops", "other"]})).await;
    for scopes in [ALL, NOTHING] {
        assert_eq!(site.login(scopes).await.unwrap().identity.groups, ["ops"]);
    }
    site.set("/oauth/userinfo", json!({"sub": "17", "groups": ["ops/deploy"]}));
    for scopes in [ALL, NOTHING] {
        assert!(denied(&site.login(scopes).await));
    }
    assert!(denied(&site.refresh(br#"{"accessToken":"canary-access-token"}"#).await));
    site.set("/oauth/userinfo", json!({"sub": "18", "groups": ["ops"]}));
    let said = site.login(ALL).await;
    assert!(matches!(said, Err(UpstreamError::Invalid(_))), "somebody else: {said:?}");
}

#[tokio::test]
async fn permissions_are_told_where_that_is_wanted() {
    let site_ = site(json!({"getGroupsPermission": true})).await;
    let groups = site_.login(ALL).await.unwrap().identity.groups;
    assert_eq!(
        groups,
        ["ops", "ops/deploy", "opsec", "ops:maintainer", "ops/deploy:maintainer", "opsec:owner"]
    );
    let site_ = site(json!({"getGroupsPermission": true, "inheritedGroups": true})).await;
    site_.set(
        "/api/v4/groups",
        json!([{"id": 1, "full_path": "ops"}, {"id": 2, "full_path": "x/y"}, {"id": 3, "full_path": "z"}]),
    );
    site_.set("/api/v4/groups/1/members/all/17", json!({"access_level": 40}));
    site_.set("/api/v4/groups/3/members/all/17", json!({"access_level": 41}));
    let groups = site_.login(ALL).await.unwrap().identity.groups;
    assert_eq!(groups, ["ops", "ops:maintainer", "z"]);
    site_.answers("/api/v4/groups/2/members/all/17", 500, json!({}));
    assert!(matches!(site_.login(ALL).await, Err(UpstreamError::Unavailable(_))));
}

/// Whoever is let into one project sees its group in the list, and is no member of it.
#[tokio::test]
async fn attack_24_who_is_let_into_a_project_is_no_member_of_its_group() {
    let listed = json!([{"id": 1, "full_path": "ops"}, {"id": 2, "full_path": "ops/deploy"}, {"id": 3, "full_path": "art"}]);
    let open = async |more: Value| {
        let mut config = json!({"inheritedGroups": true});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let site = site(config).await;
        site.set("/api/v4/groups", listed.clone());
        site.set(
            "/api/v4/groups/3/members/all/17",
            json!({"access_level": 30, "membership_state": "active"}),
        );
        site
    };
    let site_ = open(json!({})).await;
    for (status, member) in [
        (404, json!({})),
        (403, json!({})),
        (200, json!({"access_level": 0})),
        (200, json!({"access_level": 30, "membership_state": "awaiting"})),
    ] {
        site_.answers("/api/v4/groups/1/members/all/17", status, member.clone());
        assert_eq!(site_.login(ALL).await.unwrap().identity.groups, ["art"], "{status} {member}");
    }
    site_.set("/api/v4/groups/1/members/all/17", json!({"access_level": 5}));
    assert_eq!(site_.login(ALL).await.unwrap().identity.groups, ["ops", "art"]);

    let restricted = open(json!({"groups": ["ops"]})).await;
    for scopes in [ALL, NOTHING] {
        assert!(denied(&restricted.login(scopes).await));
    }
    assert!(denied(&restricted.refresh(br#"{"accessToken":"canary-access-token"}"#).await));
    assert_eq!(restricted.server.requests("/api/v4/groups/3/members/all/17"), 0, "nothing hangs on it");
    let level = json!({"groups": ["ops:maintainer"], "getGroupsPermission": true});
    let restricted = open(level).await;
    for (level, good) in [(30, false), (40, true)] {
        restricted.set("/api/v4/groups/1/members/all/17", json!({"access_level": level}));
        let said = restricted.login(NOTHING).await;
        assert!(if good { said.unwrap().identity.groups == ["ops:maintainer"] } else { denied(&said) });
    }
}

#[tokio::test]
async fn attack_24_gitlab_says_who_is_active_and_what_is_confirmed() {
    for (believed, member, value, active, verified) in [
        (json!({}), "name", json!("Ana B"), true, false),
        (json!({"emailVerified": true}), "name", json!("Ana B"), true, true),
        (json!({"emailVerified": true}), "confirmed_at", json!(null), true, false),
        (json!({"emailVerified": true}), "email", json!(""), true, false),
        (json!({}), "state", json!("blocked"), false, false),
        (json!({}), "state", json!("deactivated"), false, false),
    ] {
        let site = site(believed.clone()).await;
        let mut changed = user();
        changed[member] = value;
        site.set("/api/v4/user", changed);
        let said = site.login(ALL).await;
        assert_eq!(said.is_ok(), active, "{member}: {said:?}");
        assert!(active || denied(&said));
        assert!(said.is_err() || said.unwrap().identity.email_verified == verified, "{believed} {member}");
    }
}
