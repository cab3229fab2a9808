//! Attack list 10: a subject token that may be used once, across replicas and whatever the store does.

use std::time::Duration;

use ambient::Clock as _;
use provider::error::{Error, Fault};
use provider::store::Kind;
use serde_json::{Value, json};
use testkit::stage::{CONFIG, Stage};
use testkit::upstream::Upstream;

use super::exchange::asking;

const ONCE: &str = r#"
tokenExchange:
  policies:
  - name: once
    subject: {connector: up, audiences: [once], singleUse: true}
    clients: [app]
    audiences: [app]
    issue: {subject: '"once"'}
  - name: often
    subject: {connector: up, audiences: [often]}
    clients: [app]
    audiences: [app]
    issue: {subject: '"often"', algorithm: RS256}
"#;

async fn stage() -> Stage {
    Stage::with(&format!("{CONFIG}{ONCE}"), |up| vec![up.opened("up", &[])]).await
}

fn form(stage: &Stage, upstream: &Upstream, claims: Value) -> String {
    asking(&upstream.token(stage.clock.now(), claims).sign(), "id_token", "")
}

#[tokio::test]
async fn attack_10_the_second_use_is_refused_and_nothing_readable_is_kept() {
    let stage = stage().await;
    let once = form(&stage, &stage.upstream, json!({"sub": "s", "aud": "once", "jti": "canary-jti"}));
    stage.granted(&once).await;
    let (code, reason) = stage.refused(&once).await;
    assert_eq!(code, "invalid_request");
    assert!(reason.contains("used before"), "{reason}");
    let kept = stage.memory.all(Kind("used"));
    assert_eq!(kept.len(), 1);
    assert!(!format!("{kept:?}").contains("canary"), "{kept:?}");
    // Another token of the same workload is another one; a policy that does not ask keeps nothing.
    stage.granted(&form(&stage, &stage.upstream, json!({"sub": "s", "aud": "once", "jti": "2"}))).await;
    let often = form(&stage, &stage.upstream, json!({"sub": "s", "aud": "often", "jti": "3"}));
    for _ in 0..3 {
        let token = stage.granted(&often).await.access_token;
        assert_eq!(testkit::stage::header(&token)["alg"], "RS256", "the policy's own algorithm");
    }
    assert_eq!(stage.memory.all(Kind("used")).len(), 2);
}

#[tokio::test]
async fn attack_10_of_many_at_once_one_is_granted() {
    let stage = stage().await;
    let once = form(&stage, &stage.upstream, json!({"sub": "s", "aud": "once", "jti": "1"}));
    let app = testkit::stage::app();
    let (a, b, c) = tokio::join!(
        stage.token(Some(&app), &once),
        stage.token(Some(&app), &once),
        stage.token(Some(&app), &once)
    );
    assert_eq!([a, b, c].iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

#[tokio::test]
async fn attack_10_a_token_that_nothing_names_cannot_be_used_once() {
    let stage = stage().await;
    let (code, reason) =
        stage.refused(&form(&stage, &stage.upstream, json!({"sub": "s", "aud": "once"}))).await;
    assert_eq!(code, "invalid_request");
    assert!(reason.contains("has no jti"), "{reason}");
    assert!(stage.memory.all(Kind("used")).is_empty());
}

#[tokio::test]
async fn without_the_store_single_use_grants_nothing_and_the_rest_goes_on() {
    let stage = stage().await;
    let once = form(&stage, &stage.upstream, json!({"sub": "s", "aud": "once", "jti": "1"}));
    let often = form(&stage, &stage.upstream, json!({"sub": "s", "aud": "often", "jti": "2"}));
    stage.store.set_down(true);
    let failed = stage.token(Some(&testkit::stage::app()), &once).await;
    assert!(matches!(failed, Err(Error::Fault(Fault::Store(_)))), "{failed:?}");
    stage.granted(&often).await;
    stage.store.set_down(false);
    stage.granted(&once).await;
}

#[tokio::test]
async fn records_of_uses_are_swept_once_the_token_is_long_over() {
    let stage = stage().await;
    let once = form(&stage, &stage.upstream, json!({"sub": "s", "aud": "once", "jti": "1"}));
    stage.granted(&once).await;
    stage.clock.advance(Duration::from_secs(1400));
    stage.provider.sweep().await.unwrap();
    assert_eq!(stage.memory.all(Kind("used")).len(), 1, "it may still pass by leniency");
    stage.clock.advance(Duration::from_secs(200));
    stage.provider.sweep().await.unwrap();
    assert!(stage.memory.all(Kind("used")).is_empty());
}
