//! Introspection (RFC 7662): attack list 23.

use ambient::Clock as _;
use serde_json::{Value, json};
use testkit::stage::{CONFIG, ISSUER, app, basic, claims};

use crate::site::{Answer, Site};

const POLICIES: &str = r#"
tokenExchange:
  policies:
  - name: canary-policy
    subject: {connector: up}
    clients: [app]
    audiences: [peer]
    issue: {subject: '"workload"', groups: '["readers"]'}
"#;

const INACTIVE: &str = r#"{"active":false}"#;

async fn ask(site: &Site, authorization: &str, body: &str) -> Answer {
    site.post("/dex/token/introspect", &[("authorization", authorization)], body).await
}

fn as_client(name: &str) -> String {
    basic(name, &format!("canary-secret-of-{name}"))
}

async fn exchanged(site: &Site, kind: &str) -> String {
    let subject = json!({"sub": "1234", "aud": ISSUER});
    let subject = site.stage.upstream.token(site.stage.clock.now(), subject).sign();
    let kinds = "urn:ietf:params:oauth:token-type:";
    let body = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={subject}\
         &subject_token_type={kinds}id_token&requested_token_type={kinds}{kind}"
    );
    site.stage.granted(&body).await.access_token
}

#[tokio::test]
async fn the_audience_and_the_client_learn_what_a_token_was_issued_for() {
    let site = Site::with(&format!("{CONFIG}{POLICIES}")).await;
    let token = exchanged(&site, "access_token").await;
    assert!(!testkit::stage::payload(&token).contains("canary-policy"), "who holds it learns no rule");
    let said = claims(&token);
    for asker in ["app", "peer"] {
        let answer =
            ask(&site, &as_client(asker), &format!("token={token}&token_type_hint=refresh_token")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("cache-control"), "no-store");
        let expected = json!({
            "active": true, "iss": ISSUER, "sub": "workload", "aud": ["peer"], "client_id": "app",
            "exp": said["exp"], "iat": said["iat"], "jti": said["jti"], "token_type": "Bearer",
            "token_use": "access_token", "policy": "canary-policy", "ext": {"groups": ["readers"]},
        });
        assert_eq!(answer.json(), expected, "{asker}");
    }
    let posted = format!("client_id=peer&client_secret=canary-secret-of-peer&token={token}");
    let answer = site.post("/dex/token/introspect", &[], &posted).await;
    assert_eq!(answer.json()["active"], true);
}

#[tokio::test]
async fn attack_23_everybody_else_learns_nothing() {
    let site = Site::with(&format!("{CONFIG}{POLICIES}")).await;
    let token = exchanged(&site, "access_token").await;
    let id_token = exchanged(&site, "id_token").await;
    let mut forged = token.clone();
    forged.pop();
    let shorter = forged.clone();
    forged.push(if token.ends_with('A') { 'Q' } else { 'A' });
    for (asker, token) in [
        ("other", token.as_str()),
        ("app", &id_token),
        ("app", &forged),
        ("app", &shorter),
        ("app", &format!("{token}A")),
        ("app", "x"),
    ] {
        let answer = ask(&site, &as_client(asker), &format!("token={token}")).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, INACTIVE), "{asker} {token}");
    }
    // Dex weakness P2: nobody asks without proving who it is.
    for authorization in ["", "Basic !", &basic("app", "wrong"), &basic("nobody", "x"), &basic("native", "")]
    {
        let answer = ask(&site, authorization, &format!("token={token}")).await;
        assert!(matches!(answer.status.as_u16(), 400 | 401), "{authorization}");
        assert!(!answer.body.contains("active"), "{}", answer.body);
    }
    let named = site.post("/dex/token/introspect", &[], &format!("client_id=native&token={token}")).await;
    assert_eq!(named.error(), (401, "invalid_client".into()));
    assert_eq!(ask(&site, &app(), "").await.error(), (400, "invalid_request".into()));
    let query = format!("/dex/token/introspect?token={token}");
    assert_eq!(site.ask("POST", &query, &[("authorization", &app())], "").await.status, 400);
    assert_eq!(site.get("/dex/token/introspect").await.status, 405);
}

/// RFC 7662 section 2.2 leaves it to the server which tokens it answers about. An ID token opens nothing (Dex weakness P1),
/// and a refresh token is between its client and us: whoever else holds one has no business with it.
#[tokio::test]
async fn attack_23_id_and_refresh_tokens_are_never_active() {
    let site = Site::new().await;
    let code = site.stage.sign_in("app", "openid offline_access").await;
    let redeem = format!("grant_type=authorization_code&code={code}&redirect_uri=https://app.example/cb");
    let tokens = site.stage.token(Some(&app()), &redeem).await.unwrap();
    let refresh_token = tokens.refresh_token.unwrap();
    for token in [refresh_token.as_str(), tokens.id_token.as_deref().unwrap()] {
        for hint in [
            "",
            "&token_type_hint=refresh_token",
            "&token_type_hint=access_token",
            "&token_type_hint=id_token",
        ] {
            let answer = ask(&site, &app(), &format!("token={token}{hint}")).await;
            assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, INACTIVE), "{hint}");
        }
    }
    let access = ask(&site, &app(), &format!("token={}", tokens.access_token)).await;
    assert_eq!(access.json()["active"], true, "a hint is only a hint, and the access token is one");
    // Asking about it is no use of it.
    let refresh = format!("grant_type=refresh_token&refresh_token={refresh_token}");
    site.stage.token(Some(&app()), &refresh).await.unwrap();
}

#[tokio::test]
async fn a_token_dies_with_its_client_connector_and_policy() {
    let site = Site::with(&format!("{CONFIG}{POLICIES}")).await;
    let token = exchanged(&site, "access_token").await;
    let active =
        async || ask(&site, &as_client("peer"), &format!("token={token}")).await.json()["active"].clone();
    assert_eq!(active().await, true);
    for (config, lives) in [
        (format!("{CONFIG}{POLICIES}").replace("name: canary-policy", "name: renamed"), false),
        (
            format!("{CONFIG}{POLICIES}")
                .replace("name: canary-policy", "name: canary-policy\n    shadow: true"),
            false,
        ),
        (format!("{CONFIG}tokenExchange:\n"), false),
        (CONFIG.to_owned(), false),
        (format!("{CONFIG}{POLICIES}").replace("id: app,", "id: gone,").replace("[app]", "[gone]"), false),
        (format!("{CONFIG}{POLICIES}"), true),
    ] {
        site.reload(&config);
        assert_eq!(active().await, lives, "{config}");
    }
}

#[tokio::test]
async fn discovery_names_it_and_how_to_authenticate() {
    let site = Site::new().await;
    let document = site.get("/dex/.well-known/openid-configuration").await.json();
    assert_eq!(document["introspection_endpoint"], format!("{ISSUER}/token/introspect"));
    let methods = &document["introspection_endpoint_auth_methods_supported"];
    assert_eq!(*methods, Value::from(vec!["client_secret_basic", "client_secret_post"]));
}
