//! Tokens of Obol's own as subject tokens: narrower perhaps, never longer, never wider (attack 9).

use std::sync::Arc;
use std::time::Duration;

use ambient::Clock as _;
use provider::connector::Opened;
use serde_json::json;
use testkit::stage::{CONFIG, ISSUER, Stage, app, basic, claims};

use crate::exchange::{TYPE, asking};

const ALL: &str = "openid+email+groups+profile";

/// A first token of ours for `app`.
async fn own(stage: &Stage, kind: &str, more: &str) -> String {
    let subject =
        json!({"sub": "1234", "aud": ISSUER, "name": "Alice", "email": "a@example.com", "groups": ["dev"]});
    let subject = stage.upstream.token(stage.clock.now(), subject).sign();
    let more = format!("requested_token_type={TYPE}{kind}&{more}");
    stage.granted(&asking(&subject, "id_token", &more)).await.access_token
}

#[tokio::test]
async fn attack_09_a_loop_of_exchanges_never_lengthens() {
    let stage = Stage::new().await;
    let mut token = own(&stage, "access_token", &format!("scope={ALL}")).await;
    let end = claims(&token)["exp"].clone();
    for left in [82800, 79200, 75600] {
        stage.clock.advance(Duration::from_secs(3600));
        let next = stage.granted(&asking(&token, "access_token", "scope=openid+groups")).await;
        assert_eq!((&claims(&next.access_token)["exp"], next.expires_in), (&end, left));
        assert_eq!(claims(&next.access_token)["sub"], claims(&token)["sub"]);
        token = next.access_token;
    }
    stage.clock.advance(Duration::from_secs(75599));
    assert_eq!(stage.granted(&asking(&token, "access_token", "")).await.expires_in, 1);
    stage.clock.advance(Duration::from_secs(1));
    assert!(stage.refused(&asking(&token, "access_token", "")).await.1.contains("expired"));
}

#[tokio::test]
async fn attack_09_one_kind_does_not_pass_for_another() {
    let stage = Stage::new().await;
    for (kind, declared, passes) in [
        ("access_token", "access_token", true),
        ("access_token", "id_token", false),
        ("access_token", "jwt", true),
        ("id_token", "id_token", true),
        ("id_token", "access_token", false),
        ("id_token", "jwt", true),
    ] {
        let body =
            asking(&own(&stage, kind, "").await, declared, &format!("requested_token_type={TYPE}{kind}"));
        if passes {
            stage.granted(&body).await;
        } else {
            let (code, reason) = stage.refused(&body).await;
            assert_eq!((code, &*reason), ("invalid_request", "the token is not of the declared type"));
        }
    }
}

/// UserInfo refuses ID tokens; an exchange is no way around that.
#[tokio::test]
async fn attack_09_dex_p1_an_id_token_does_not_become_an_access_token() {
    let stage = Stage::new().await;
    let id_token = own(&stage, "id_token", "scope=openid+email").await;
    for declared in ["id_token", "jwt"] {
        for requested in ["", "access_token"] {
            let more = if requested.is_empty() {
                String::new()
            } else {
                format!("requested_token_type={TYPE}{requested}")
            };
            let (code, reason) = stage.refused(&asking(&id_token, declared, &more)).await;
            assert_eq!(
                (code, reason.contains("not exchanged for an access token")),
                ("invalid_request", true)
            );
        }
    }
}

/// Nobody agreed to tokens for others: an audience that the token does not have is not added by asking for it.
#[tokio::test]
async fn attack_09_attack_18_audiences_are_narrowed_only() {
    let stage = Stage::new().await;
    let both = own(&stage, "access_token", "audience=app&audience=peer").await;
    let alone = own(&stage, "access_token", "").await;
    let next = stage.granted(&asking(&both, "access_token", "audience=peer")).await;
    assert_eq!(claims(&next.access_token)["aud"], "peer");
    let (code, reason) = stage.refused(&asking(&alone, "access_token", "audience=peer")).await;
    assert_eq!((code, reason.contains("not issued for")), ("invalid_target", true), "{reason}");
    stage.granted(&asking(&alone, "access_token", "audience=app")).await;
}

#[tokio::test]
async fn attack_18_scopes_are_narrowed_only() {
    // A client whose name ends another scope must not stand for it.
    let config = format!(
        "{CONFIG}- {{id: s, secret: x, name: S, trustedPeers: [app]}}\n- {{id: les, secret: x, name: L, trustedPeers: [app]}}\n"
    );
    let stage = Stage::with(&config, |up| vec![up.opened("up", &[])]).await;
    let cross = "audience:server:client_id:";
    for (held, asked, passes) in [
        ("openid+email", "email", true),
        ("email", "openid+email", true),
        ("openid+email", "email+groups", false),
        ("openid+email", "federated:id", false),
        ("", "openid", true),
        ("", "email", false),
        (&format!("openid+{cross}s"), "groups", false),
        (&format!("openid+{cross}s"), &format!("{cross}s"), true),
        (&format!("openid+{cross}s"), &format!("{cross}les"), false),
        (&format!("openid+{cross}les"), &format!("{cross}s"), false),
    ] {
        let token = own(&stage, "access_token", &format!("scope={held}")).await;
        let body = asking(&token, "access_token", &format!("scope={asked}"));
        if passes {
            stage.granted(&body).await;
        } else {
            assert_eq!(stage.refused(&body).await.0, "invalid_scope", "{held} -> {asked}");
        }
    }
}

/// An ID token of a sign-in has no `scope`: what stands in it tells.
#[tokio::test]
async fn an_id_token_holds_what_it_shows() {
    let stage = Stage::new().await;
    let code = stage.sign_in("app", "openid email federated:id").await;
    let body = format!("grant_type=authorization_code&code={code}&redirect_uri=https://app.example/cb");
    let id_token = stage.granted(&body).await.id_token.unwrap();
    assert_eq!(claims(&id_token)["scope"], json!(null));
    let wider = format!("scope=groups&requested_token_type={TYPE}id_token");
    assert_eq!(stage.refused(&asking(&id_token, "id_token", &wider)).await.0, "invalid_scope");
    let more = format!("scope=openid+email+federated:id&requested_token_type={TYPE}id_token");
    let next = stage.granted(&asking(&id_token, "id_token", &more)).await;
    let next = claims(&next.access_token);
    assert_eq!(next["email"], "alice@example.com");
    assert_eq!(next["federated_claims"], json!({"connector_id": "up", "user_id": "1234"}));
}

#[tokio::test]
async fn attack_09_what_it_came_from_must_still_live() {
    let stage = Stage::new().await;
    let for_peer = own(&stage, "access_token", "audience=peer").await;
    let body = asking(&for_peer, "access_token", "");
    let peer = basic("peer", "canary-secret-of-peer");
    let up = || stage.upstream.opened("up", &[]);
    let only = |kind: &str| Opened { grant_types: Arc::from([kind.to_owned()]), ..up() };
    let refused = async |config: &str, connectors: Vec<Opened>, why: &str| {
        stage.reload(config, connectors);
        let reason = match stage.token(Some(&peer), &body).await {
            Err(provider::error::Error::Refusal(refusal)) => refusal.reason,
            other => panic!("{other:?} although {why}"),
        };
        assert!(reason.contains(why), "{reason}");
    };
    refused(
        &CONFIG.replace("id: app,", "id: gone,"),
        vec![up()],
        "client that the token was issued to is gone",
    )
    .await;
    refused(
        CONFIG,
        vec![stage.upstream.opened("different", &[])],
        "connector that vouched for the token is gone",
    )
    .await;
    let elsewhere = CONFIG.replace("name: Peer,", "name: Peer, allowedConnectors: [elsewhere],");
    refused(&elsewhere, vec![up()], "may not use the connector").await;
    refused(CONFIG, vec![only("authorization_code")], "may not use the connector").await;
    stage.reload(CONFIG, vec![up()]);
    stage.token(Some(&peer), &body).await.unwrap();
    // Whom it is not meant for cannot use it.
    let other = basic("other", "canary-secret-of-other");
    assert!(stage.token(Some(&other), &body).await.is_err());
    assert!(stage.token(Some(&app()), &body).await.is_err());
}

/// A user who is no longer there is dead at the next use of what they hold.
#[tokio::test]
async fn a_token_of_a_user_who_is_gone_opens_nothing() {
    let stage = Stage::new().await;
    let token = own(&stage, "access_token", "").await;
    let userinfo = async || stage.provider.userinfo(&testkit::stage::peer(), Some(&token)).await;
    userinfo().await.unwrap();
    stage.upstream.turns(testkit::upstream::Mood::Denies);
    assert!(userinfo().await.is_err());
    assert!(stage.refused(&asking(&token, "access_token", "")).await.1.contains("user"));
    stage.upstream.turns(testkit::upstream::Mood::Well);
    userinfo().await.unwrap();
}

/// DESIGN section 4.7: a policy that is gone takes along what was granted under it, at the next use.
#[tokio::test]
async fn a_token_dies_with_the_policy_that_granted_it() {
    let policies = |name: &str| {
        format!(
            "{CONFIG}tokenExchange:\n  policies:\n  - {{name: {name}, subject: {{connector: up}}, clients: [app], audiences: [app], issue: {{lifetime: \
             1h, subject: '\"w\"'}}}}\n  - {{name: down, subject: {{connector: self}}, clients: [app], audiences: [app]}}\n"
        )
    };
    let stage = Stage::with(&policies("first"), |up| vec![up.opened("up", &[])]).await;
    for kind in ["access_token", "id_token", "jwt"] {
        stage.reload(&policies("first"), vec![stage.upstream.opened("up", &[])]);
        let token = own(&stage, kind, "").await;
        let again = asking(&token, kind, "");
        stage.granted(&again).await;
        let bearer = stage.provider.userinfo(&testkit::stage::peer(), Some(&token)).await;
        assert_eq!(bearer.is_ok(), kind == "access_token");
        stage.reload(&policies("second"), vec![stage.upstream.opened("up", &[])]);
        let (code, reason) = stage.refused(&again).await;
        assert_eq!((code, &*reason), ("invalid_request", "the policy that granted it is gone"), "{kind}");
        assert!(stage.provider.userinfo(&testkit::stage::peer(), Some(&token)).await.is_err());
    }
}
