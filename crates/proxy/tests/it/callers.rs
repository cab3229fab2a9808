//! Who passes and as whom; 401 and 403 for the others.

use std::time::Duration;

use http_body_util::BodyExt as _;
use proxy::{Extras, Mode, Outcome, Probe, Reserved};
use serde_json::{Value, json};
use testkit::Line;

use crate::front::{Front, Plan};

#[tokio::test]
async fn a_caller_reaches_the_api_server_as_itself_by_the_proxys_right() {
    let front = Front::start().await;
    let token =
        front.token(json!({"sub": "jane", "groups": ["a", "", "b", "system:authenticated"], "jti": "7"}));
    let seen =
        front.reached(&token, &[("accept", "application/json"), ("x-forwarded-for", "10.9.9.9")]).await;
    let headers = &seen["headers"];
    assert_eq!(seen["target"], "/api/v1/pods?limit=1");
    assert_eq!(headers["authorization"], json!(["Bearer the-proxys-own"]));
    assert_eq!(headers["impersonate-user"], json!(["jane"]));
    assert_eq!(headers["impersonate-group"], json!(["a", "b"]));
    assert_eq!(headers["x-forwarded-for"], json!(["127.0.0.1"]));
    assert_eq!(headers["accept"], json!(["application/json"]));
    assert_eq!(headers["host"], json!([front.stub.url().authority()]));
    let extra = headers.as_object().unwrap().keys().find(|name| name.starts_with("impersonate-extra"));
    assert_eq!(extra, None);
    let event = front.events.all().pop().unwrap();
    let user = event.user.as_ref().unwrap();
    assert_eq!((user.name.as_str(), user.token_id.as_deref()), ("jane", Some("7")));
    assert_eq!((event.path.as_str(), event.issuer), ("/api/v1/pods", front.issuer.issuer()));
    assert!(matches!(event.outcome, Outcome::Passed { impersonated: true, .. }));
    assert!(!format!("{:?}", front.events.all()).contains(&token));
}

#[tokio::test]
async fn extra_fields_are_sent_when_configured() {
    let fixed = vec![("example.org/team".to_owned(), vec!["a".to_owned(), "b".to_owned()])];
    let mode = Mode::Impersonate(Extras { fixed, client_ip: true });
    let front = Plan { mode, ..Plan::default() }.start().await;
    let headers = &front.reached(&front.jane(), &[]).await["headers"];
    assert_eq!(headers["impersonate-extra-example.org%2fteam"], json!(["a", "b"]));
    assert_eq!(headers["impersonate-extra-remote-client-ip"], json!(["127.0.0.1"]));
}

#[tokio::test]
async fn every_bad_token_is_a_401_that_tells_nothing() {
    let front = Front::start().await;
    let good = || front.issuer.token(json!({"sub": "jane", "aud": "kubernetes"}));
    let stranger = testkit::Issuer::builder().clock(front.clock.clone()).start().await;
    for (token, code) in [
        (String::new(), "no_token"),
        ("garbage".into(), "malformed"),
        (good().claim("aud", json!("other")).sign(), "audience"),
        (good().claim("aud", Value::Null).sign(), "audience"),
        (good().claim("iss", json!("https://elsewhere.test")).sign(), "issuer"),
        (good().claim("exp", json!(1)).sign(), "expired"),
        (good().claim("exp", Value::Null).sign(), "no_expiry"),
        (good().header("typ", json!("logout+jwt")).sign(), "kind"),
        (good().header("alg", json!("none")).signature(b"").sign(), "algorithm"),
        (good().hs256(b"secret").sign(), "algorithm"),
        (good().signed_by(stranger.signing_key()).sign(), "signature"),
        (good().claim("sub", json!(null)).claim("groups", json!([])).raw_payload("[]").sign(), "claims"),
        (good().claim("groups", json!([1])).sign(), "claims"),
        (good().claim("cnf", json!({"jkt": "x"})).sign(), "claims"),
    ] {
        let answer = front.get("/api", &token, &[]).await;
        assert_eq!(answer.failure(401, "Unauthorized"), "Unauthorized", "{code}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        assert_eq!(front.events.last_code(), code);
    }
    assert!(front.stub.paths().is_empty());
}

#[tokio::test]
async fn attack_28_a_name_that_a_token_may_not_give_is_a_403() {
    let reserved = Reserved { users: Vec::new(), groups: vec!["system:special".into()] };
    let front = Plan { reserved, ..Plan::default() }.start().await;
    for (claims, code) in [
        (json!({"groups": ["a"]}), "no_name"),
        (json!({"sub": "system:admin"}), "reserved_name"),
        (json!({"sub": "system:serviceaccount:kube-system:default"}), "reserved_name"),
        (json!({"sub": "jane", "groups": ["system:masters"]}), "reserved_name"),
        (json!({"sub": "jane", "groups": "system:masters"}), "reserved_name"),
        (json!({"sub": "jane", "groups": ["a", " system:masters"]}), "unheadable_name"),
        (json!({"sub": "jane\r\nImpersonate-Group: system:masters"}), "unheadable_name"),
    ] {
        let answer = front.get("/api", &front.token(claims), &[]).await;
        let message = answer.failure(403, "Forbidden").to_owned();
        assert_eq!(front.events.last_code(), code);
        match code {
            "no_name" => assert_eq!(message, "Username claim not available in OIDC Issuer response"),
            "reserved_name" => {
                assert!(message.starts_with("identities with the reserved \"system:\" prefix"));
            }
            _ => {}
        }
    }
    assert!(front.stub.paths().is_empty());
    let special = front.token(json!({"sub": "jane", "groups": ["system:special"]}));
    assert_eq!(front.reached(&special, &[]).await["headers"]["impersonate-group"], json!(["system:special"]));
}

#[tokio::test]
async fn required_claims_are_enforced() {
    let mut plan = Plan::default();
    plan.mapping.required = vec![("hd".into(), "example.org".into())];
    let front = plan.start().await;
    front.get("/api", &front.jane(), &[]).await.failure(401, "Unauthorized");
    front.reached(&front.token(json!({"sub": "jane", "hd": "example.org"})), &[]).await;
}

#[tokio::test]
async fn a_caller_is_forgotten_when_its_token_ends() {
    let front = Front::start().await;
    let token = front.issuer.token(json!({"sub": "jane", "aud": "kubernetes"}));
    let ends = ambient::Clock::now(&front.clock).unix() + 5;
    let token = token.claim("exp", json!(ends)).sign();
    front.reached(&token, &[]).await;
    front.clock.advance(Duration::from_secs(4));
    front.reached(&token, &[]).await;
    front.clock.advance(Duration::from_secs(1));
    front.get("/api", &token, &[]).await.failure(401, "Unauthorized");
    assert_eq!(front.events.last_code(), "expired");
}

#[tokio::test]
async fn an_issuer_that_is_down_lets_nobody_in_and_recovers() {
    let front = Front::start().await;
    let probe = Probe::new(
        front.proxy.clone(),
        Duration::from_hours(24),
        false,
        std::sync::Arc::new(front.clock.clone()),
    );
    let ask = |path: &str| probe.answer(&http::Request::get(path).body(()).unwrap()).status().as_u16();
    front.issuer.set_line(Line::Refusing).await;
    front.get("/api", &front.jane(), &[]).await.failure(401, "Unauthorized");
    assert_eq!(front.events.last_code(), "keys_unavailable");
    probe.set_serving(true);
    assert_eq!((ask("/ready"), ask("/live"), ask("/")), (503, 200, 404));
    let told = probe.answer(&http::Request::get("/ready?full=1").body(()).unwrap()).into_body();
    let told = told.collect().await.unwrap().to_bytes();
    assert_eq!(told, r#"{"oidc-issuer":"failed","serving":"OK"}"#, "which, and not why");
    front.issuer.set_line(Line::Up).await;
    front.clock.advance(Duration::from_secs(60));
    front.reached(&front.jane(), &[]).await;
    assert_eq!(ask("/ready"), 200);
    probe.set_serving(false);
    assert_eq!(ask("/ready"), 503);
    probe.set_serving(true);
    front.clock.advance(Duration::from_hours(25));
    assert_eq!((ask("/ready"), ask("/live")), (503, 200));
}

#[tokio::test]
async fn attack_25_a_neighbours_flood_does_not_lock_out_who_was_let_in_before() {
    let front = Plan { failures_per_second: 1, ..Plan::default() }.start().await;
    let known = front.jane();
    front.reached(&known, &[]).await;
    // Verified callers are kept for ten seconds; what is remembered longer is that they were good.
    front.clock.advance(Duration::from_secs(20));
    for _ in 0..10 {
        front.get("/api", "garbage", &[]).await.failure(401, "Unauthorized");
    }
    front.get("/api", &front.token(json!({"sub": "bob"})), &[]).await.failure(429, "TooManyRequests");
    front.reached(&known, &[]).await;
}

#[tokio::test]
async fn attack_25_a_flood_of_bad_tokens_is_cut_off_and_who_is_known_passes() {
    let front = Plan { failures_per_second: 1, ..Plan::default() }.start().await;
    front.reached(&front.jane(), &[]).await;
    let known = front.jane();
    front.reached(&known, &[]).await;
    for _ in 0..10 {
        front.get("/api", "garbage", &[]).await.failure(401, "Unauthorized");
    }
    let answer = front.get("/api", "garbage", &[]).await;
    answer.failure(429, "TooManyRequests");
    assert_eq!(
        (answer.headers["retry-after"].as_bytes(), front.events.last_code()),
        (&b"1"[..], "too_many_failures")
    );
    front.reached(&known, &[]).await;
    // Without a token nothing is looked at, and nothing counts.
    front.get("/api", "", &[]).await.failure(401, "Unauthorized");
    front.clock.advance(Duration::from_secs(1));
    front.reached(&front.token(json!({"sub": "bob"})), &[]).await;
}
