//! Written policies, shown on tokens that were really signed.

use std::time::Duration;

use ambient::Clock as _;
use serde_json::{Value, json};
use testkit::stage::{CONFIG, Stage, basic, claims};

use super::exchange::{TYPE, asking};

const POLICIES: &str = r#"
tokenExchange:
  policies:
  - name: never-root
    deny: true
    subject: {connector: up, match: 'claims.sub == "root"'}
  - name: deploys
    subject: {connector: up, audiences: [obol], match: 'claims.project == "platform/infra"'}
    clients: [app]
    audiences: [peer]
    issue: {subject: '"deploy:" + claims.project', groups: '["deployers"]', scopes: [groups]}
  - name: short
    subject: {connector: up, audiences: [obol-short]}
    clients: [app]
    audiences: [app]
    issue: {subject: '"short"', lifetime: 1h, withinSubject: true}
  - name: again
    subject: {connector: self, audiences: [app, peer]}
    clients: [app]
    audiences: [app, peer]
    issue: {lifetime: 24h}
"#;

async fn stage() -> Stage {
    Stage::with(&format!("{CONFIG}{POLICIES}"), |up| vec![up.opened("up", &["obol", "obol-short"])]).await
}

fn subject(stage: &Stage, more: &Value) -> String {
    let mut all = json!({"sub": "project:1", "aud": "obol", "project": "platform/infra"});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    stage.upstream.token(stage.clock.now(), all).sign()
}

/// T3: who may exchange what, for whom and as whom is written down, client by client, or refused.
#[tokio::test]
async fn dex_t3_a_policy_says_who_may_exchange_what() {
    let stage = stage().await;
    let good = asking(&subject(&stage, &json!({})), "id_token", "audience=peer&scope=openid+groups");
    let token = claims(&stage.granted(&good).await.access_token);
    assert_eq!((&token["sub"], &token["aud"]), (&json!("deploy:platform/infra"), &json!("peer")));
    assert_eq!(token["groups"], json!(["deployers"]));
    assert_eq!(token["exp"].as_i64().unwrap() - token["iat"].as_i64().unwrap(), 900, "unless it says more");
    for (claims, more, code) in [
        // another subject
        (json!({"project": "evil/infra"}), "audience=peer", "invalid_request"),
        (json!({"project": null}), "audience=peer", "invalid_request"),
        (json!({"sub": "root"}), "audience=peer", "invalid_request"),
        // meant for somebody else
        (json!({"aud": "other"}), "audience=peer", "invalid_request"),
        // another audience, or one beside it
        (json!({}), "audience=app", "invalid_request"),
        (json!({}), "audience=other", "invalid_target"),
        (json!({}), "audience=peer&audience=app", "invalid_request"),
        // a scope that is not listed
        (json!({}), "audience=peer&scope=openid+email", "invalid_scope"),
        // and by Dex's way to name audiences
        (json!({}), "scope=audience:server:client_id:other", "invalid_target"),
    ] {
        let body = asking(&subject(&stage, &claims), "id_token", more);
        assert_eq!(stage.refused(&body).await.0, code, "{claims} {more}");
    }
    for client in ["other", "peer"] {
        let credentials = basic(client, &format!("canary-secret-of-{client}"));
        assert!(stage.token(Some(&credentials), &good).await.is_err(), "{client} is not listed");
    }
    // With the section there and no policy in it, nobody is let through.
    stage.reload(
        &format!("{CONFIG}tokenExchange: {{policies: []}}\n"),
        vec![stage.upstream.opened("up", &["obol"])],
    );
    assert_eq!(stage.refused(&good).await.0, "invalid_target");
}

/// T10: a token lives no longer than its policy says, nor than the subject token where the policy asks for that, and
/// always where that is one of ours.
#[tokio::test]
async fn dex_t10_a_token_lives_no_longer_than_its_policy_and_its_subject() {
    let stage = stage().await;
    let now = stage.clock.now().unix();
    let life = |token: &str| claims(token)["exp"].as_i64().unwrap() - stage.clock.now().unix();
    for (left, lives) in [(60, 60), (3599, 3599), (3600, 3600), (100_000, 3600)] {
        let subject = subject(&stage, &json!({"aud": "obol-short", "exp": now + left}));
        let tokens = stage.granted(&asking(&subject, "id_token", "")).await;
        assert_eq!((life(&tokens.access_token), tokens.expires_in), (lives, lives));
    }
    // Ended, but within the time that clocks may differ: nothing is left to give.
    let ended = subject(&stage, &json!({"aud": "obol-short", "exp": now - 1}));
    stage.refused(&asking(&ended, "id_token", "")).await;
    // One of ours, under a policy that would give it a day.
    let first = subject(&stage, &json!({"exp": now + 100_000}));
    let first = stage.granted(&asking(&first, "id_token", "audience=peer")).await.access_token;
    stage.clock.advance(Duration::from_mins(10));
    let more = format!("audience=peer&requested_token_type={TYPE}access_token");
    let second = stage.granted(&asking(&first, "access_token", &more)).await;
    assert_eq!((life(&second.access_token), second.expires_in), (300, 300));
    assert_eq!(claims(&second.access_token)["exp"], claims(&first)["exp"]);
}
