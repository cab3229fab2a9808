//! Microsoft's directory, against a stub that speaks the documented API of Graph.

use provider::connector::{Identity, UpstreamError};
use serde_json::{Value, json};

use crate::api::{ALL, NOTHING, Site, denied, parameter, registered};
use crate::faults_of;

pub(crate) async fn site(more: Value) -> Site {
    let site = Site::plain("/acme/oauth2/v2.0/token").await;
    let url = site.server.url("");
    let mut config = json!({"tenant": "acme", "apiURL": url.as_str(), "graphURL": url.as_str()});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let site = site.opened("microsoft", &config);
    site.set("/v1.0/me", json!({
        "id": "0f-1", "displayName": "Ana B", "userPrincipalName": "Ana@Example.com", "mailNickname": "ana.b",
        "onPremisesSamAccountName": "AB",
    }));
    site.set("/v1.0/me/getMemberGroups", json!({"value": ["g-1", "g-2"]}));
    site.set(
        "/v1.0/directoryObjects/getByIds",
        json!({"value": [{"id": "g-1", "displayName": "dev"}, {"id": "g-2", "displayName": "ops"}]}),
    );
    site
}

async fn groups(site: &Site) -> Vec<String> {
    site.login(ALL).await.unwrap().identity.groups
}

/// Who signs in.
pub(crate) fn ana() -> Identity {
    Identity {
        user_id: "0f-1".into(),
        username: "Ana B".into(),
        preferred_username: String::new(),
        email: "Ana@Example.com".into(),
        email_verified: false,
        groups: vec!["dev".into(), "ops".into()],
    }
}

#[tokio::test]
async fn microsoft_signs_somebody_in_and_asks_again() {
    let site_ = site(json!({})).await;
    let signed_in = site_.login(ALL).await.unwrap();
    let want = ana();
    assert_eq!(signed_in.identity, want);
    assert_eq!(site_.refresh(signed_in.kept.expose()).await.unwrap().identity, want);
    assert!(site_.login(NOTHING).await.unwrap().identity.groups.is_empty());
    for (field, value) in [
        ("name", "Ana B"),
        ("email", "ana@example.com"),
        ("mailNickname", "ana.b"),
        ("onPremisesSamAccountName", "AB"),
    ] {
        let config =
            json!({"preferredUsernameField": field, "emailToLowercase": true, "emailVerified": true});
        let site = site(config).await;
        let signed_in = site.login(ALL).await.unwrap();
        let again = site.refresh(signed_in.kept.expose()).await.unwrap().identity;
        assert_eq!(again.preferred_username, value);
        assert_eq!((again.email.as_str(), again.email_verified), ("ana@example.com", true), "at refresh too");
    }
}

#[tokio::test]
async fn microsoft_is_asked_for_what_is_configured() {
    let url = site(json!({})).await.depart(NOTHING).await;
    assert_eq!(url.path(), "/acme/oauth2/v2.0/authorize");
    assert_eq!(parameter(&url, "scope").as_deref(), Some("user.read"));
    assert!(parameter(&url, "prompt").is_none() && parameter(&url, "domain_hint").is_none());
    let more = json!({"scopes": ["a"], "promptType": "login", "domainHint": "acme.example"});
    let url = site(more).await.depart(ALL).await;
    assert_eq!(parameter(&url, "scope").as_deref(), Some("a directory.read.all offline_access"));
    assert_eq!(parameter(&url, "prompt").as_deref(), Some("login"));
    assert_eq!(parameter(&url, "domain_hint").as_deref(), Some("acme.example"));
    let anybody = site(json!({"tenant": "Consumers"})).await.depart(ALL).await;
    assert_eq!(parameter(&anybody, "scope").as_deref(), Some("user.read offline_access"));
}

#[tokio::test]
async fn dex_k2_microsofts_groups_are_demanded_whatever_is_asked_for() {
    let site_ = site(json!({"groups": ["ops", "x"]})).await;
    for scopes in [ALL, NOTHING] {
        assert_eq!(site_.login(scopes).await.unwrap().identity.groups, ["dev", "ops"]);
    }
    assert_eq!(groups(&site(json!({"groups": ["ops"], "useGroupsAsWhitelist": true})).await).await, ["ops"]);
    let by_id = site(json!({"groups": ["g-2"], "groupNameFormat": "id", "onlySecurityGroups": true})).await;
    assert_eq!(groups(&by_id).await, ["g-1", "g-2"]);
    let asked = by_id.server.seen().into_iter().find(|seen| seen.path.ends_with("getMemberGroups")).unwrap();
    assert_eq!(&asked.body[..], br#"{"securityEnabledOnly":true}"#);
    site_.set("/v1.0/directoryObjects/getByIds", json!({"value": [{"displayName": "dev"}]}));
    for scopes in [ALL, NOTHING] {
        assert!(denied(&site_.login(scopes).await));
    }
    assert!(denied(&site_.refresh(br#"{"accessToken":"canary-access-token"}"#).await));
    let told = faults_of("microsoft", &registered(&json!({"groups": ["a"]})));
    assert!(told.contains("error: connectors[0].config: has groups without a tenant of its own"), "{told}");
    let told = faults_of("microsoft", &registered(&json!({"tenant": "a/b"})));
    assert!(told.contains("config: has a tenant that is none"), "{told}");
}

/// Anybody who may make a group may call it what another is called; ids are given once.
#[test]
fn attack_24_groups_that_let_people_in_by_name_are_warned_of() {
    let told = |config: Value| faults_of("microsoft", &registered(&config));
    let warning = "warning: connectors[0].config: lets people in by the display names of groups";
    assert!(told(json!({"tenant": "acme", "groups": ["ops"]})).contains(warning));
    assert!(told(json!({"tenant": "acme", "groups": ["ops"], "groupNameFormat": "name"})).contains(warning));
    assert_eq!(told(json!({"tenant": "acme", "groups": ["g-1"], "groupNameFormat": "id"})), "");
    assert_eq!(told(json!({"tenant": "acme"})), "", "nobody is let in by a name");
}

/// Tenants that are everybody's know no groups of one's own, however they are written.
#[test]
fn attack_24_everybodys_tenants_are_known_by_every_name() {
    for tenant in [
        "",
        "common",
        "Common",
        "ORGANIZATIONS",
        "Consumers",
        "9188040d-6c67-4c5b-b112-36a304b66dad",
        "9188040D-6C67-4C5B-B112-36A304B66DAD",
    ] {
        let config = json!({"tenant": tenant, "groups": ["g-1"], "groupNameFormat": "id"});
        let told = faults_of("microsoft", &registered(&config));
        assert!(told.contains("has groups without a tenant of its own"), "{tenant:?}: {told}");
    }
    for tenant in ["acme.example", "72f988bf-86f1-41af-91ab-2d7cd011db47"] {
        let config = json!({"tenant": tenant, "groups": ["g-1"], "groupNameFormat": "id"});
        assert_eq!(faults_of("microsoft", &registered(&config)), "", "{tenant}");
    }
}

#[tokio::test]
async fn many_groups_are_looked_up_in_batches_and_pages() {
    let ids: Vec<_> = (0..1500).map(|n| format!("g-{n}")).collect();
    for (batches, asked) in [(true, 2), (false, 1)] {
        let site = site(json!({"batchGroupLookups": batches})).await;
        let next = site.server.url("/v1.0/next").to_string();
        site.set("/v1.0/me/getMemberGroups", json!({"value": ids[..800], "@odata.nextLink": next}));
        site.set("/v1.0/next", json!({"value": ids[800..]}));
        assert_eq!(groups(&site).await.len(), 2 * asked);
        assert_eq!(site.server.requests("/v1.0/directoryObjects/getByIds"), asked);
        let elsewhere = json!({"value": [], "@odata.nextLink": "https://evil.example/v1.0/next"});
        site.set("/v1.0/me/getMemberGroups", elsewhere);
        let said = site.login(ALL).await;
        assert!(
            matches!(&said, Err(UpstreamError::Invalid(why)) if why.contains("another server")),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn an_assertion_from_a_file_stands_in_for_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("assertion");
    let site = Site::plain("/acme/oauth2/v2.0/token").await;
    let url = site.server.url("").to_string();
    let config = json!({"tenant": "acme", "apiURL": url, "graphURL": url, "clientAssertion": file, "clientSecret": ""});
    let site = site.opened("microsoft", &config);
    assert!(matches!(site.login(ALL).await, Err(UpstreamError::Unavailable(_))), "no file yet");
    for assertion in ["one", "two"] {
        std::fs::write(&file, format!("{assertion}\n")).unwrap();
        let _ = site.login(ALL).await;
        let seen = site.server.seen();
        let last = seen.iter().rfind(|seen| seen.path.ends_with("/token")).unwrap();
        let form: std::collections::HashMap<_, _> =
            url::form_urlencoded::parse(&last.body).into_owned().collect();
        assert_eq!(form["client_assertion"], assertion);
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        assert!(!form.contains_key("client_secret"));
    }
}
