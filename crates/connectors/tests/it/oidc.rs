//! OpenID providers: what their tokens are worth in exchanges, and what their claims become.

mod login;
mod mapping;
mod peer;

use ambient::{BoxFuture, Clock as _};
use provider::connector::{Flow, Presented, SubjectAudience, SubjectAudiences, VouchError, Vouched};
use serde_json::{Value, json};
use testkit::FakeClock;
use testkit::conformance::connector::{self, Site, Vouching};
use testkit::issuer::Issuer;
use wire::oauth::TokenType;

use crate::{OUR_ISSUER, faults_of, open};

/// A connector in front of a fresh provider; `more` is added to its `config`.
pub(crate) async fn site(more: Value) -> Vouching {
    let clock = FakeClock::default();
    let issuer = Issuer::builder().clock(clock.clone()).start().await;
    let endpoint = |path: &str| json!(format!("{}{path}", issuer.issuer()));
    issuer.set_discovery("introspection_endpoint", endpoint("/introspect"));
    let mut config = json!({"issuer": issuer.issuer(), "rootCAs": [issuer.ca_pem()]});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let opened = open("oidc", &config, &clock);
    let claims = json!({"sub": "248289761001", "aud": "obol"});
    Vouching { opened, issuer, clock, claims, user_id: "248289761001".to_owned() }
}

/// `clientID` and `clientSecret`, and these.
pub(crate) fn client(more: &Value) -> Value {
    let mut config = json!({"clientID": "obol", "clientSecret": "s&cret"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

async fn vouch_access_token(site: &Vouching, raw: &str) -> Result<Vouched, VouchError> {
    let token = Presented { kind: TokenType::AccessToken, raw, unverified: None };
    site.opened.connector.subject().unwrap().vouch(token, site.clock.now()).await
}

struct WithClient;

impl Site for WithClient {
    fn open(&self) -> BoxFuture<'_, Vouching> {
        Box::pin(site(client(&json!({}))))
    }
}

#[tokio::test]
async fn it_keeps_the_contract() {
    connector::run_all(WithClient).await;
}

#[tokio::test]
async fn dex_t1_the_audience_is_told_and_demanded() {
    let site_ = site(client(&json!({"audiences": ["ci"]}))).await;
    assert_eq!(site_.opened.audiences, SubjectAudiences::AnyOf(["obol".to_owned(), "ci".to_owned()].into()));
    let vouched = site_.vouch(&site_.good().claim("aud", json!(["other-app"])).sign()).await.unwrap();
    assert_eq!(
        vouched.audience,
        SubjectAudience::InToken(vec!["other-app".to_owned()]),
        "the policy judges it"
    );
    let open_ = site(json!({})).await;
    assert_eq!(open_.opened.audiences, SubjectAudiences::Unrestricted);
    let told = faults_of("oidc", &json!({"issuer": "https://a.example"}));
    assert!(told.contains("warning: connectors[0].config: has neither clientID nor audiences"), "{told}");
    assert_eq!(faults_of("oidc", &json!({"issuer": "https://a.example", "audiences": ["x"]})), "");
}

#[tokio::test]
async fn dex_t2_an_access_token_needs_somebody_who_knows_whom_it_was_meant_for() {
    let person = json!({"sub": "ana", "name": "Ana"});
    // UserInfo alone is no answer.
    for config in [json!({"getUserInfo": true}), json!({"getUserInfo": true, "clientID": "obol"})] {
        let site = site(config).await;
        site.issuer.set_userinfo("opaque", person.clone());
        let said = vouch_access_token(&site, "opaque").await;
        assert!(
            matches!(&said, Err(VouchError::Rejected(why)) if why.contains("unsafeDexExchange")),
            "{said:?}"
        );
    }
    // Without getUserInfo, access tokens are not taken at all, as in Dex.
    let site_ = site(client(&json!({}))).await;
    assert!(matches!(vouch_access_token(&site_, "opaque").await, Err(VouchError::Unsupported(_))));
    // Whoever wants Dex's way says so.
    let site_ = site(json!({"getUserInfo": true, "unsafeDexExchange": true})).await;
    site_.issuer.set_userinfo("opaque", person);
    let vouched = vouch_access_token(&site_, "opaque").await.unwrap();
    assert_eq!(vouched.audience, SubjectAudience::Unknown);
    assert_eq!(vouched.identity.user_id, "ana");
    let said = vouch_access_token(&site_, "unknown").await;
    assert!(matches!(said, Err(VouchError::Rejected(_))), "{said:?}");
}

#[tokio::test]
async fn attack_07_introspection_says_whom_an_access_token_was_issued_to() {
    let site = site(client(&json!({"getUserInfo": true}))).await;
    let now = site.clock.now().unix();
    site.issuer.set_userinfo("opaque", json!({"sub": "ana", "client_id": "obol", "aud": "obol"}));
    let answer =
        json!({"active": true, "sub": "ana", "client_id": "evil-app", "aud": ["api"], "exp": now + 60});
    site.issuer.set_answer("/introspect", 200, answer.clone());
    let vouched = vouch_access_token(&site, "opaque").await.unwrap();
    assert_eq!(vouched.audience, SubjectAudience::Introspected(vec!["api".into(), "evil-app".into()]));
    assert_eq!(vouched.expires.map(|at| at.unix()), Some(now + 60));
    assert_eq!(vouched.claims.str("client_id"), Some("evil-app"), "UserInfo cannot change it");
    let seen = site.issuer.server().seen();
    let asked = seen.iter().find(|seen| seen.path == "/introspect").unwrap();
    // RFC 6749 section 2.3.1: both are encoded before they are joined.
    assert_eq!(asked.headers["authorization"], "Basic b2JvbDpzJTI2Y3JldA==");
    for (member, value) in [
        ("active", json!(false)),
        ("active", json!("true")),
        ("active", json!(null)),
        ("sub", json!("bob")),
        ("exp", json!(now)),
        ("iss", json!("https://evil.example")),
    ] {
        let mut answer = answer.clone();
        answer[member] = value;
        site.issuer.set_answer("/introspect", 200, answer);
        let said = vouch_access_token(&site, "opaque").await;
        assert!(matches!(said, Err(VouchError::Rejected(_))), "{member}: {said:?}");
    }
    let mut bound = answer;
    bound["cnf"] = json!({"jkt": "x"});
    site.issuer.set_answer("/introspect", 200, bound);
    assert!(vouch_access_token(&site, "opaque").await.unwrap().bound);
    for status in [401, 500] {
        site.issuer.set_answer("/introspect", status, json!({"error": "invalid_client"}));
        let said = vouch_access_token(&site, "opaque").await;
        assert!(matches!(said, Err(VouchError::Unavailable(_))), "{status}: {said:?}");
    }
}

#[tokio::test]
async fn dex_t7_no_configuration_for_logins_is_needed() {
    // The configuration of the talk, as it stands.
    let clock = FakeClock::default();
    let issuer = Issuer::builder().kubernetes().clock(clock.clone()).start().await;
    let config = json!({
        "issuer": issuer.issuer(),
        "rootCAs": [issuer.ca_pem()],
        "scopes": ["profile", "groups", "federated:id"],
        "userNameKey": "sub",
        "claimMappings": {"groups": "roles"},
    });
    let opened = open("oidc", &config, &clock);
    assert!(matches!(opened.connector.flow(), Flow::None));
    assert!(opened.connector.refresh().is_none());
    let claims = json!({"sub": "system:serviceaccount:argocd:application-controller", "aud": "cluster"});
    let user_id = claims["sub"].as_str().unwrap().to_owned();
    let site = Vouching { opened, issuer, clock, claims, user_id: user_id.clone() };
    let identity = site.vouch(&site.good().sign()).await.unwrap().identity;
    assert_eq!((identity.user_id, identity.username), (user_id.clone(), user_id));
}

#[tokio::test]
async fn dex_t8_machine_tokens_need_neither_name_nor_e_mail() {
    let site = site(client(&json!({}))).await;
    let identity = site.vouch(&site.good().sign()).await.unwrap().identity;
    assert_eq!(identity.username, site.user_id);
    assert_eq!((identity.email.as_str(), identity.email_verified), ("", false));
    let token = site.good().claim("email", json!("a@example.com")).claim("name", json!("Ana"));
    let identity = site.vouch(&token.sign()).await.unwrap().identity;
    assert_eq!((identity.email.as_str(), identity.email_verified), ("a@example.com", false));
    assert_eq!(identity.username, "Ana");
    let token = site.good().claim("email", json!("a@example.com")).claim("email_verified", json!("true"));
    assert!(!site.vouch(&token.sign()).await.unwrap().identity.email_verified, "a text is no yes");
}

#[tokio::test]
async fn an_alias_of_the_issuer_passes_and_nothing_else() {
    let clock = FakeClock::default();
    let issuer = Issuer::builder().issuer("https://alias.example").clock(clock.clone()).start().await;
    let base = issuer.base_url().as_str().trim_end_matches('/').to_owned();
    let config =
        json!({"issuer": base, "issuerAlias": "https://alias.example", "rootCAs": [issuer.ca_pem()]});
    let opened = open("oidc", &config, &clock);
    let site = Vouching { opened, issuer, clock, claims: json!({"sub": "a"}), user_id: "a".into() };
    assert!(site.vouch(&site.good().sign()).await.is_ok());
    assert!(site.vouch(&site.good().claim("iss", json!("https://alias.example/")).sign()).await.is_err());
}

#[test]
fn faults_are_told() {
    let with = |key: &str, value: Value| {
        let mut config = json!({"issuer": "https://a.example", "clientID": "c", "clientSecret": "s"});
        config[key] = value;
        faults_of("oidc", &config)
    };
    assert_eq!(with("redirectURI", json!(format!("{OUR_ISSUER}/callback"))), "");
    for (key, value, line) in [
        ("issuer", json!(null), "config.issuer: is missing"),
        (
            "redirectURI",
            json!("https://obol.example/callback"),
            "which is not our callback; write https://obol.example/dex/callback",
        ),
        ("hostedDomains", json!(["a"]), "has hostedDomains"),
        ("pkceChallenge", json!("plain"), "warning: connectors[0].config: has pkceChallenge: plain"),
        ("pkceChallenge", json!("S512"), "has pkceChallenge: \"S512\""),
        (
            "claimModifications",
            json!({"filterGroupClaims": {"groupsFilter": "("}}),
            "groupsFilter: is \"(\", which is no regular expression",
        ),
        ("allowedGroups", json!(["a"]), "has allowedGroups without insecureEnableGroups"),
        ("claimMappings", json!({"groups": "roles"}), "is an old spelling; write claimMapping"),
        ("unsafeDexExchange", json!(true), "exchanges access tokens without knowing"),
        ("clientSecret", json!("$UNSET"), "uses $UNSET, which is not set"),
        ("scpoes", json!([]), "did you mean scopes?"),
    ] {
        let told = with(key, value);
        assert!(told.contains(line), "{line}\n---\n{told}");
    }
}
