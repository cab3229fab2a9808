//! Gitea, against a stub that speaks its documented API.

use provider::connector::{Identity, UpstreamError};
use serde_json::{Value, json};

use crate::api::{ALL, NOTHING, Site, denied, parameter, registered};
use crate::faults_of;

pub(crate) async fn site(more: Value) -> Site {
    let site = Site::start("/login/oauth/access_token").await;
    let mut config = json!({"baseURL": site.server.url("").as_str(), "rootCAs": [site.ca.pem()]});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let site = site.opened("gitea", &config);
    site.set(
        "/api/v1/user",
        json!({"id": 5, "login": "ana", "full_name": "Ana B", "email": "ana@example.com"}),
    );
    site.set("/api/v1/user/emails", json!([{"email": "ana@example.com", "verified": true, "primary": true}]));
    teams(&site, &[json!([team("acme", "dev"), team("acme", "art")]), json!([team("guild", "ops")])]);
    site
}

fn team(org: &str, name: &str) -> Value {
    json!({"id": 1, "name": name, "organization": {"id": 2, "username": org}})
}

/// Page by page, and an empty one behind the last.
fn teams(site: &Site, pages: &[Value]) {
    for (index, page) in pages.iter().chain([&json!([])]).enumerate() {
        site.set(&format!("/api/v1/user/teams?page={}&limit=20", index + 1), page.clone());
    }
}

/// Who signs in.
pub(crate) fn ana() -> Identity {
    Identity {
        user_id: "5".into(),
        username: "Ana B".into(),
        preferred_username: "ana".into(),
        email: "ana@example.com".into(),
        email_verified: false,
        groups: ["acme", "acme:dev", "acme:art", "guild", "guild:ops"].map(String::from).to_vec(),
    }
}

#[tokio::test]
async fn gitea_signs_somebody_in_and_asks_again() {
    let site_ = site(json!({"loadAllGroups": true})).await;
    let url = site_.depart(ALL).await;
    assert_eq!((url.path(), parameter(&url, "scope")), ("/login/oauth/authorize", None));
    let signed_in = site_.login(ALL).await.unwrap();
    let want = ana();
    assert_eq!(signed_in.identity, want);
    assert_eq!(site_.refresh(signed_in.kept.expose()).await.unwrap().identity, want);
    assert!(denied(&site_.refresh(br#"{"accessToken":"revoked"}"#).await));
    let said = site(json!({"rootCAs": []})).await.login(ALL).await;
    assert!(matches!(said, Err(UpstreamError::Unavailable(_))), "a stranger's authority: {said:?}");
    assert!(site(json!({"rootCAs": [], "insecureSkipVerify": true})).await.login(ALL).await.is_ok());
    let plain = site(json!({"useLoginAsID": true})).await;
    let identity = plain.login(ALL).await.unwrap().identity;
    assert_eq!((identity.user_id.as_str(), identity.groups.len()), ("ana", 0));
}

/// A server without confirmation mail says of whatever somebody types in that it is verified.
#[tokio::test]
async fn attack_24_a_giteas_addresses_are_believed_only_where_that_is_written() {
    let of = |email: &str, verified: bool| json!([{"email": email, "verified": verified, "primary": true}]);
    for (config, said, verified) in [
        (json!({}), of("ana@example.com", true), false),
        (json!({"emailVerified": false}), of("ana@example.com", true), false),
        (json!({"emailVerified": true}), of("ana@example.com", true), true),
        (json!({"emailVerified": true}), of("ana@example.com", false), false),
        (json!({"emailVerified": true}), of("other@example.com", true), false),
        (json!({"emailVerified": true}), json!([]), false),
    ] {
        let site = site(config.clone()).await;
        site.set("/api/v1/user/emails", said.clone());
        let signed_in = site.login(ALL).await.unwrap();
        assert_eq!(signed_in.identity.email_verified, verified, "{config} {said}");
        let again = site.refresh(signed_in.kept.expose()).await.unwrap();
        assert_eq!(again.identity.email_verified, verified, "{config} {said}");
    }
}

#[tokio::test]
async fn dex_k2_giteas_organisations_and_teams_are_demanded() {
    let orgs = json!({"orgs": [{"name": "acme", "teams": ["dev"]}, {"name": "guild"}]});
    let site_ = site(orgs.clone()).await;
    for scopes in [ALL, NOTHING] {
        assert_eq!(
            site_.login(scopes).await.unwrap().identity.groups,
            ["acme", "acme:dev", "guild", "guild:ops"]
        );
    }
    for (pages, good) in [
        (vec![json!([team("guild", "x")])], true),
        (vec![json!([team("acme", "art")])], false),
        (vec![json!([team("other", "dev")])], false),
        (vec![], false),
    ] {
        teams(&site_, &pages);
        let said = site_.login(NOTHING).await;
        assert!(said.is_ok() == good && (good || denied(&said)), "{pages:?}: {said:?}");
        let said = site_.refresh(br#"{"accessToken":"canary-access-token"}"#).await;
        assert!(said.is_ok() == good, "{said:?}");
    }
    let endless = site(json!({"loadAllGroups": true})).await;
    endless.set("/api/v1/user/teams", json!([team("acme", "dev")]));
    for page in 1..4 {
        endless.set(&format!("/api/v1/user/teams?page={page}&limit=20"), json!([team("acme", "dev")]));
    }
    assert!(matches!(endless.login(ALL).await, Err(UpstreamError::Invalid(_))));
    let told = faults_of("gitea", &registered(&json!({"orgs": [{"teams": ["a"]}], "baseURL": "http://a"})));
    for line in ["config.orgs[0].name: is missing", "config: has a baseURL by http"] {
        assert!(told.contains(line), "{line}\n---\n{told}");
    }
}
