//! The token endpoint as HTTP (RFC 6749 sections 3.2 and 5).

use std::sync::Arc;

use ambient::BoxFuture;
use serde_json::json;
use testkit::stage::{APP_SECRET, CONFIG, ISSUER, Stage, app, basic, every_grant, signers};
use token::{SignError, Signer};

use crate::site::{FORM, Site};

const GOOD: &str = "grant_type=client_credentials&scope=openid";

#[tokio::test]
async fn tokens_are_nobodys_to_keep() {
    let site = Site::new().await;
    let answer = site.token(GOOD).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
    let json = answer.json();
    let names: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["access_token", "expires_in", "id_token", "scope", "token_type"]);
    assert_eq!((&json["token_type"], &json["expires_in"]), (&json!("bearer"), &json!(86400)));
}

/// Each refusal is told once to the audit log, also if the request could not even be read.
#[tokio::test]
async fn bad_requests_are_told_apart() {
    let site = Site::new().await;
    let (auth, large) = (app(), format!("{GOOD}&x={}", "a".repeat(170_000)));
    let auth = ("authorization", auth.as_str());
    let json = ("content-type", "application/json");
    let token = format!("eyJ{}", "x".repeat(60));
    let twice = format!("{token}&{token}");
    let many = "a=b&".repeat(65).replace("a=", "audience=");
    for (headers, path, body, status, code) in [
        (vec![FORM], "/dex/token", "", 400, "invalid_request"),
        (vec![FORM, auth], "/dex/token", "grant_type=password", 400, "unsupported_grant_type"),
        (vec![FORM], "/dex/token", GOOD, 401, "invalid_client"),
        (vec![FORM, ("authorization", "Basic eDp5")], "/dex/token", GOOD, 401, "invalid_client"),
        (vec![FORM, auth, auth], "/dex/token", GOOD, 400, "invalid_request"),
        (vec![FORM, ("authorization", "Digest x")], "/dex/token", GOOD, 400, "invalid_request"),
        (vec![auth], "/dex/token", GOOD, 400, "invalid_request"),
        (vec![json, auth], "/dex/token", "{\"grant_type\":\"client_credentials\"}", 400, "invalid_request"),
        (
            vec![FORM, auth],
            "/dex/token",
            "grant_type=client_credentials&grant_type=x",
            400,
            "invalid_request",
        ),
        (vec![FORM, auth], "/dex/token", &twice, 400, "invalid_request"),
        (vec![FORM, auth], "/dex/token", &many, 400, "invalid_request"),
        (vec![FORM, auth], "/dex/token", "grant_type=%zz", 400, "invalid_request"),
        (vec![FORM, auth], "/dex/token", "grant_type=%ff", 400, "invalid_request"),
        (vec![FORM, auth], "/dex/token", &large, 400, "invalid_request"),
        (vec![FORM, auth], "/dex/token?client_secret=x", GOOD, 400, "invalid_request"),
        (vec![FORM, auth], "/dex/token?a=b&client%5Fsecret=x", GOOD, 400, "invalid_request"),
        (vec![FORM, auth], "/dex/token?subject_token", GOOD, 400, "invalid_request"),
    ] {
        site.stage.decisions();
        let answer = site.ask("POST", path, &headers, body).await;
        assert_eq!(answer.error(), (status, code.to_owned()), "{path} {body:.80}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let challenge = if status == 401 { r#"Basic realm="obol""# } else { "" };
        assert_eq!(answer.header("www-authenticate"), challenge);
        assert!(answer.body.len() < 300 && !answer.body.contains(&token), "{}", answer.body);
        let told = site.stage.decisions();
        assert_eq!((told.len(), told[0].allowed, told[0].error), (1, false, Some(code)), "{path}");
    }
    let parameter = site.ask("POST", "/dex/token?x=y&grant_type=password", &[FORM, auth], GOOD).await;
    assert_eq!(parameter.status, 200, "what is no credential is ignored");
    let charset = ("content-type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8");
    assert_eq!(site.ask("POST", "/dex/token", &[charset, auth], GOOD).await.status, 200);
}

#[tokio::test]
async fn only_post() {
    let site = Site::new().await;
    for method in ["GET", "PUT", "DELETE"] {
        let answer = site.ask(method, "/dex/token", &[("authorization", &app())], GOOD).await;
        assert_eq!((answer.error(), answer.header("allow")), ((405, "invalid_request".into()), "POST"));
    }
}

#[tokio::test]
async fn no_capacity_says_when_to_come_again() {
    let site = Site::new().await;
    let busy = signers().await.into_iter().map(|signer| Arc::new(Busy(signer)) as Arc<dyn Signer>);
    site.stage.provider.ring().install_signers(busy.collect(), &[]);
    let answer = site.token(GOOD).await;
    assert_eq!(
        (answer.error(), answer.header("retry-after")),
        ((503, "temporarily_unavailable".into()), "1")
    );
    site.stage.store.set_down(true);
    let answer = site.token("grant_type=authorization_code&code=a.b").await;
    assert_eq!(
        (answer.error(), answer.header("retry-after")),
        ((503, "temporarily_unavailable".into()), "5")
    );
    assert!(!answer.body.contains("planned"), "why is not told outside");
}

/// T9, and the switch for callers that were written against Dex.
#[tokio::test]
async fn dex_t9_error_codes_and_dexs_own() {
    let exchange = |subject: &str, kind: &str, more: &str| {
        format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&connector_id=up\
             &subject_token={subject}&subject_token_type=urn:ietf:params:oauth:token-type:{kind}&{more}"
        )
    };
    let site = Site::new().await;
    let now = ambient::Clock::now(&site.stage.clock);
    let good = site.stage.upstream.token(now, json!({"sub": "1", "aud": ISSUER})).sign();
    let dex = CONFIG.replace("oauth2:", "oauth2:\n  dexCompatibleErrors: true");
    for (body, ours, theirs) in [
        (exchange("a.b.c", "id_token", ""), (400, "invalid_request"), (401, "access_denied")),
        (exchange(&good, "saml2", ""), (400, "invalid_request"), (400, "request_not_supported")),
        (exchange(&good, "id_token", "audience=other"), (400, "invalid_target"), (400, "invalid_target")),
        (
            exchange(&good, "id_token", "scope=audience:server:client_id:other"),
            (400, "invalid_scope"),
            (400, "invalid_scope"),
        ),
        ("grant_type=refresh_token&refresh_token=x".into(), (400, "invalid_grant"), (400, "invalid_request")),
    ] {
        for (config, (status, code)) in [(CONFIG, ours), (&dex, theirs)] {
            site.reload(config);
            assert_eq!(site.token(&body).await.error(), (status, code.to_owned()), "{body}");
        }
    }
}

#[tokio::test]
async fn both_ways_of_client_authentication() {
    let site = Site::new().await;
    let body = format!("{GOOD}&client_id=app&client_secret={APP_SECRET}");
    assert_eq!(site.post("/dex/token", &[], &body).await.status, 200);
    assert_eq!(site.post("/dex/token", &[("authorization", &app())], &body).await.error().0, 400);
}

struct Busy(Arc<dyn Signer>);

impl Signer for Busy {
    fn alg(&self) -> token::Alg {
        self.0.alg()
    }

    fn public_jwk(&self) -> &wire::jose::Jwk {
        self.0.public_jwk()
    }

    fn sign<'a>(&'a self, _: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, SignError>> {
        Box::pin(async { Err(SignError::Busy) })
    }
}

/// Dex answers 500 to its own failures as the client's, 403 to a bad bearer token, and lets errors be cached.
#[tokio::test]
async fn dex_p7_errors_are_those_of_the_specifications() {
    let site = Site::on(Stage::with_every_grant().await, &every_grant());
    let wrong = basic("app", "wrong");
    for (authorization, body, status, code, challenge) in [
        (app(), "grant_type=refresh_token&refresh_token=x", 400, "invalid_grant", ""),
        (app(), "grant_type=authorization_code&code=x", 400, "invalid_grant", ""),
        (app(), "grant_type=password&username=a&password=b&scope=openid", 400, "invalid_grant", ""),
        (app(), "grant_type=password&username=a&password=b&scope=root", 400, "invalid_scope", ""),
        (app(), DEVICE, 400, "invalid_grant", ""),
        (app(), "grant_type=unknown", 400, "unsupported_grant_type", ""),
        (wrong.clone(), "grant_type=client_credentials", 401, "invalid_client", "Basic realm=\"obol\""),
    ] {
        let answer = site.post("/dex/token", &[("authorization", &authorization)], body).await;
        assert_eq!(answer.error(), (status, code.into()), "{body}");
        assert_eq!(
            (answer.header("cache-control"), answer.header("www-authenticate")),
            ("no-store", challenge)
        );
    }
    let user = site.ask("GET", "/dex/userinfo", &[("authorization", "Bearer x")], "").await;
    assert_eq!(user.error(), (401, "invalid_token".into()));
    assert!(user.header("www-authenticate").starts_with("Bearer error=\"invalid_token\""));
    for _ in 0..60 {
        site.post("/dex/token", &[("authorization", &wrong)], "grant_type=client_credentials").await;
    }
    let held = site.post("/dex/token", &[("authorization", &wrong)], "grant_type=client_credentials").await;
    assert_eq!((held.error(), held.header("retry-after")), ((429, "temporarily_unavailable".into()), "1"));
    let revoked = site
        .post("/dex/token/revoke", &[("authorization", &basic("other", "canary-secret-of-other"))], "token=x")
        .await;
    assert_eq!(
        (revoked.status.as_u16(), &*revoked.body, revoked.header("cache-control")),
        (200, "", "no-store")
    );
}

const DEVICE: &str = "grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=x";
