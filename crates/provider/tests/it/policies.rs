//! Written policies, shown on tokens that were really signed.

use std::time::Duration;

use ambient::Clock as _;
use proptest::prelude::*;
use provider::grants::token_exchange::explain::{Subject, Supposed};
use serde_json::{Value, json};
use testkit::stage::{CONFIG, ISSUER, Stage, app, basic, claims, peer};
use token::{Audience, ClientSide, Expect, KeySet, Trust, UnverifiedJwt, Verifier};

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

/// An administrator is told what the endpoint would say: a token of ours dies with the policy that granted it.
#[tokio::test]
async fn explain_looks_at_the_policy_that_granted_a_token_of_ours() {
    let stage = stage().await;
    let first = subject(&stage, &json!({}));
    let first = stage.granted(&asking(&first, "id_token", "audience=peer")).await.access_token;
    let outcome = async || {
        let supposed = Supposed {
            client: "app",
            connector: Some("self"),
            subject: Subject::Token(&first),
            audience: vec!["peer".into()],
            scope: "",
        };
        serde_json::to_value(stage.provider.explain(&peer(), supposed).await.unwrap().outcome).unwrap()
    };
    let again = asking(&first, "access_token", "audience=peer");
    let granted = outcome().await;
    assert_eq!((&granted["decision"], &granted["policy"]), (&json!("granted"), &json!("again")), "{granted}");
    stage.granted(&again).await;
    let renamed = format!("{CONFIG}{POLICIES}").replace("name: deploys", "name: renamed");
    stage.reload(&renamed, vec![stage.upstream.opened("up", &["obol"])]);
    let (code, reason) = stage.refused(&again).await;
    let refused = outcome().await;
    assert_eq!(refused["decision"], "refused");
    assert_eq!((refused["error"].as_str(), refused["reason"].as_str()), (Some(code), Some(&*reason)));
    assert!(reason.contains("the policy that granted it is gone"), "{reason}");
}

/// What a policy may say of a token's life and names, at random.
#[derive(Debug, Clone)]
struct Drawn {
    lifetime: Option<u32>,
    within: bool,
    allow: Vec<&'static str>,
    subject: &'static str,
    name: &'static str,
    groups: &'static str,
    free: &'static str,
    claims: (String, Vec<String>),
    left: i64,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let hostile = [
        "system:masters",
        "system:node:n1",
        "System:masters",
        " system:masters",
        "system:serviceaccount:kube-system:admin",
        "system:serviceaccount:ci:runner",
        "ci",
        "a,system:masters",
        "masters",
        "system:",
    ];
    let text = || {
        let hostile = proptest::sample::select(hostile.to_vec()).prop_map(str::to_owned);
        prop_oneof![4 => hostile, 1 => "[a-z:*]{1,12}"]
    };
    let texts = ["claims.x", "\"system:\" + claims.x", "\"x:\" + claims.x", "claims.y[0]", "claims.x.trim()"];
    let one = move || proptest::sample::select(texts.to_vec());
    let lists = ["claims.y", "[claims.x]", "claims.x.split(\",\")", "claims.y.map(g, \"system:\" + g)", "[]"];
    let frees = ["claims.x", "claims.y", "{\"a\": [claims.y]}", "{claims.x: 1}", "null"];
    let allow = proptest::sample::subsequence(
        vec!["system:serviceaccount:ci:*", "system:node:n1", "system:masters"],
        0..=2,
    );
    let life = (proptest::option::of(1_u32..200_000), any::<bool>(), 1_i64..200_000);
    let says =
        (one(), one(), proptest::sample::select(lists.to_vec()), proptest::sample::select(frees.to_vec()));
    let claims = (text(), proptest::collection::vec(text(), 1..4));
    (life, allow, says, claims).prop_map(
        |((lifetime, within, left), allow, (subject, name, groups, free), claims)| Drawn {
            lifetime,
            within,
            allow,
            subject,
            name,
            groups,
            free,
            claims,
            left,
        },
    )
}

impl Drawn {
    fn config(&self) -> String {
        let mut issue = json!({
            "subject": self.subject, "name": self.name, "groups": self.groups, "claims": {"roles": self.free},
            "withinSubject": self.within, "allowSystem": self.allow,
        });
        if let Some(seconds) = self.lifetime {
            issue["lifetime"] = json!(format!("{seconds}s"));
        }
        if self.allow.is_empty() {
            issue.as_object_mut().unwrap().remove("allowSystem");
        }
        let policy = json!({"policies": [{
            "name": "drawn", "subject": {"connector": "up"}, "clients": ["app"], "audiences": ["app"], "issue": issue,
        }]});
        format!("{CONFIG}tokenExchange: {policy}\n")
    }

    /// Whether a name may stand in a token: it is no `system:` name, or the policy names it.
    fn may_say(&self, name: &str) -> bool {
        let named = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => {
                name.strip_prefix(start).is_some_and(|rest| !rest.is_empty() && !rest.contains([':', '/']))
            }
            None => name == pattern,
        };
        !name.trim().to_lowercase().starts_with("system:") || self.allow.iter().any(|pattern| named(pattern))
    }
}

fn strings(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, all)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            all.push(name.clone());
            strings(value, all);
        }),
        _ => {}
    }
}

/// Whatever a policy says and whatever claims come: a token that was really signed lives no longer than the policy lets it,
/// nor than its subject token where that is asked for, and holds no `system:` name that the policy does not name.
#[test]
fn attack_16_attack_18_no_signed_token_outlives_its_policy_or_says_a_reserved_name() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stage = runtime.block_on(Stage::new());
    let search = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(search);
    let (granted, reserved) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let outcome = runner.run(&drawn(), |drawn| {
        stage.reload(&drawn.config(), vec![stage.upstream.opened("up", &[])]);
        let now = stage.clock.now().unix();
        let (x, y) = &drawn.claims;
        let claimed = json!({"sub": "s", "aud": ISSUER, "x": x, "y": y, "exp": now + drawn.left});
        let body = asking(&stage.upstream.token(stage.clock.now(), claimed).sign(), "id_token", "");
        let Ok(tokens) = runtime.block_on(stage.token(Some(&app()), &body)) else { return Ok(()) };
        granted.set(granted.get() + 1);
        let token = signed(&stage, &tokens.access_token);
        let lives = token["exp"].as_i64().unwrap() - now;
        prop_assert_eq!(lives, tokens.expires_in);
        prop_assert!(lives <= i64::from(drawn.lifetime.unwrap_or(900)), "{} s", lives);
        prop_assert!(!drawn.within || lives <= drawn.left, "{} s of {}", lives, drawn.left);
        let mut said = Vec::new();
        strings(&token, &mut said);
        reserved.set(reserved.get() + usize::from(said.iter().any(|name| name.starts_with("system:"))));
        for name in said {
            prop_assert!(drawn.may_say(&name), "{:?}", name);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|why| panic!("{why}"));
    // The search saw both: tokens, and names that a policy allowed.
    assert!(
        granted.get() > 40 && reserved.get() > 5,
        "{} granted, {} reserved",
        granted.get(),
        reserved.get()
    );
}

/// The claims of a token whose signature is that of a published key.
fn signed(stage: &Stage, raw: &str) -> Value {
    let keys = KeySet::from_jwks(&stage.provider.ring().jwks().unwrap()).unwrap();
    let expect = Expect::<ClientSide>::new(ISSUER, Audience::only("app"));
    let verifier = Verifier::new(Trust::new("test"), keys, expect);
    let verified = verifier.verify_at_hand(UnverifiedJwt::parse(raw).unwrap(), stage.clock.now()).unwrap();
    serde_json::to_value(verified.claims().object()).unwrap()
}
