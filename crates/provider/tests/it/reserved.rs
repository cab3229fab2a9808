//! What Kubernetes keeps for itself does not come from an upstream, unless a policy names it (attack 16).

use ambient::Clock as _;
use provider::connector::Identity;
use serde_json::{Value, json};
use testkit::stage::{CONFIG, ISSUER, Stage, app, claims};
use testkit::upstream::{Mood, alice};

use super::exchange::asking;

const MACHINE: &str = "system:serviceaccount:argocd:argocd-application-controller";
const WITHHELD: &str = "system: names of the upstream are withheld";

async fn exchanged(stage: &Stage, names: &Value) -> Value {
    let mut all = json!({"sub": "1", "aud": ISSUER});
    all.as_object_mut().unwrap().extend(names.as_object().unwrap().clone());
    let subject = stage.upstream.token(stage.clock.now(), all).sign();
    let body = asking(&subject, "id_token", "scope=openid+profile+email+groups");
    claims(&stage.granted(&body).await.access_token)
}

#[tokio::test]
async fn attack_16_an_exchange_without_a_policy_gives_no_reserved_groups() {
    let stage = Stage::new().await;
    let groups =
        json!(["dev", "system:masters", "System:masters", " system:x", "system:nodes", "oidc:system:a"]);
    let token = exchanged(&stage, &json!({"groups": groups, "name": "Alice"})).await;
    assert_eq!(token["groups"], json!(["dev", "oidc:system:a"]));
    assert_eq!(token["name"], "Alice");
    assert_eq!(stage.decisions().remove(0).reason.as_deref(), Some(WITHHELD));
    let token = exchanged(&stage, &json!({"groups": ["system:masters"]})).await;
    assert_eq!(token["groups"], Value::Null, "none is left");
    stage.decisions();
    exchanged(&stage, &json!({"groups": ["dev"]})).await;
    assert_eq!(stage.decisions().remove(0).reason, None);
}

#[tokio::test]
async fn attack_16_an_exchange_without_a_policy_gives_no_reserved_names() {
    let stage = Stage::new().await;
    let names = json!({
        "name": "system:admin", "preferred_username": "system:kube-scheduler",
        "email": "system:node:n1", "email_verified": true,
    });
    let token = exchanged(&stage, &names).await;
    for claim in ["name", "preferred_username", "email"] {
        assert_eq!(token[claim], Value::Null, "{claim}");
    }
    assert_eq!(token["email_verified"], false, "nothing is verified");
    // A service account's own name is what machines come with (`userNameKey: sub`), and API servers prefix it.
    let token = exchanged(&stage, &json!({"name": MACHINE})).await;
    assert_eq!(token["name"], MACHINE);
    for crooked in
        ["system:serviceaccount:kube-system:", "system:serviceaccount:a:b:c", "System:serviceaccount:a:b"]
    {
        assert_eq!(exchanged(&stage, &json!({"name": crooked})).await["name"], Value::Null, "{crooked}");
    }
}

#[tokio::test]
async fn attack_16_a_sign_in_gives_no_reserved_groups_nor_does_its_refresh() {
    let stage = Stage::new().await;
    let named = |groups: &[&str]| {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        Mood::Named(Box::new(Identity { username: "system:admin".into(), groups, ..alice() }))
    };
    stage.upstream.turns(named(&["dev", "system:masters"]));
    let code = stage.sign_in("app", "openid profile groups offline_access").await;
    stage.decisions();
    let redeem = format!("grant_type=authorization_code&code={code}&redirect_uri=https://app.example/cb");
    let tokens = stage.token(Some(&app()), &redeem).await.unwrap();
    for token in [Some(&tokens.access_token), tokens.id_token.as_ref()] {
        let claims = claims(token.unwrap());
        assert_eq!((&claims["groups"], &claims["name"]), (&json!(["dev"]), &Value::Null));
    }
    assert_eq!(stage.decisions().remove(0).reason.as_deref(), Some(WITHHELD));
    stage.upstream.turns(named(&["system:masters", "ops"]));
    let refresh = format!("grant_type=refresh_token&refresh_token={}", tokens.refresh_token.unwrap());
    let again = stage.token(Some(&app()), &refresh).await.unwrap();
    assert_eq!(claims(&again.access_token)["groups"], json!(["ops"]));
    assert_eq!(stage.decisions().remove(0).reason.as_deref(), Some(WITHHELD));
}

/// Where a policy is written, it alone names them.
#[tokio::test]
async fn a_policy_names_what_is_reserved() {
    let policy = "tokenExchange: {policies: [{name: p, subject: {connector: up}, clients: [app], audiences: [app], \
                  issue: {subject: claims.name, groups: claims.groups, scopes: [profile, email, groups], \
                  allowSystem: ['system:serviceaccount:argocd:*', 'system:nodes']}}]}";
    let stage = Stage::with(&format!("{CONFIG}{policy}\n"), |up| vec![up.opened("up", &[])]).await;
    let token = exchanged(&stage, &json!({"name": MACHINE, "groups": ["system:nodes"]})).await;
    assert_eq!((&token["sub"], &token["groups"]), (&json!(MACHINE), &json!(["system:nodes"])));
}
