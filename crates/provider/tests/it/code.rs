//! RFC 6749 section 4.1.3, RFC 7636, RFC 9700 sections 4.5 and 4.8.

use std::time::Duration;

use ambient::Clock as _;
use provider::connector::Opened;
use serde_json::json;
use testkit::stage::{CONFIG, ISSUER, Stage, VERIFIER, app, basic, claims, header, payload};

/// A code of `app`, redeemed as it should be, or nearly.
pub(crate) fn redeem(code: &str) -> String {
    format!("grant_type=authorization_code&code={code}&redirect_uri=https://app.example/cb")
}

#[tokio::test]
async fn a_code_becomes_tokens() {
    let stage = Stage::new().await;
    let signed_in = stage.clock.now().unix();
    let code = stage.sign_in("app", "openid email offline_access").await;
    stage.clock.advance(Duration::from_secs(30));
    let tokens = stage.granted(&redeem(&code)).await;
    let (now, id_token) = (stage.clock.now().unix(), tokens.id_token.unwrap());
    let (jti, hash) =
        (claims(&id_token)["jti"].clone(), token::Alg::Es256.left_half_hash(&tokens.access_token));
    let expected = format!(
        r#"{{"iss":"{ISSUER}","sub":"CgQxMjM0EgJ1cA","aud":"app","exp":{},"iat":{now},"jti":{jti},"nonce":"n-1","auth_time":{signed_in},"at_hash":"{hash}","email":"alice@example.com","email_verified":true}}"#,
        now + 86400
    );
    assert_eq!(payload(&id_token), expected);
    let access = claims(&tokens.access_token);
    assert_eq!(
        (&access["client_id"], &access["scope"]),
        (&json!("app"), &json!("openid email offline_access"))
    );
    assert_ne!(access["jti"], jti);
    assert_eq!(
        (&header(&id_token)["typ"], &header(&tokens.access_token)["typ"]),
        (&json!("JWT"), &json!("at+jwt"))
    );
    assert!(tokens.refresh_token.is_some() && tokens.token_type == "bearer");
}

/// A failed proof leaves the code to its owner.
#[tokio::test]
async fn attack_20_attack_21_a_code_is_bound() {
    let stage = Stage::new().await;
    let native = |code: &str, verifier: &str| {
        format!(
            "grant_type=authorization_code&client_id=native&code={code}&redirect_uri=http://127.0.0.1:1/cb{verifier}"
        )
    };
    let code = stage.sign_in("native", "openid").await;
    let wrong = VERIFIER.replace('d', "e");
    for verifier in ["", "&code_verifier=", "&code_verifier=short", &format!("&code_verifier={wrong}")] {
        assert!(stage.token(None, &native(&code, verifier)).await.is_err(), "{verifier}");
    }
    let challenge = testkit::stage::CHALLENGE;
    assert!(stage.token(None, &native(&code, &format!("&code_verifier={challenge}"))).await.is_err());
    stage.token(None, &native(&code, &format!("&code_verifier={VERIFIER}"))).await.unwrap();

    let code = stage.sign_in("app", "openid").await;
    let other = basic("other", "canary-secret-of-other");
    assert!(stage.token(Some(&other), &redeem(&code)).await.is_err());
    for body in [
        format!("{}&code_verifier={VERIFIER}", redeem(&code)),
        redeem(&code).replace("/cb", "/cb/"),
        redeem(&code).replace("redirect_uri=", "x="),
        redeem(&code.replace('.', ".x")),
        redeem(&code.to_uppercase()),
        redeem(code.split('.').next().unwrap()),
        redeem(&format!("{code}.x")),
    ] {
        assert_eq!(stage.refused(&body).await.0, "invalid_grant", "{body}");
    }
    stage.granted(&redeem(&code)).await;
}

#[tokio::test]
async fn dex_p10_a_code_is_short_lived_and_its_replay_ends_what_it_opened() {
    let stage = Stage::new().await;
    let late = stage.sign_in("app", "openid").await;
    stage.clock.advance(Duration::from_secs(60));
    assert_eq!(stage.refused(&redeem(&late)).await, ("invalid_grant", "the code has expired".into()));

    let code = stage.sign_in("app", "openid offline_access").await;
    let refresh = stage.granted(&redeem(&code)).await.refresh_token.unwrap();
    // Also long after it would have expired.
    stage.clock.advance(Duration::from_secs(3600));
    assert!(stage.refused(&redeem(&code)).await.1.contains("redeemed before"));
    let body = format!("grant_type=refresh_token&refresh_token={refresh}");
    assert_eq!(stage.refused(&body).await, ("invalid_grant", "the grant has ended".into()));
}

#[tokio::test]
async fn a_refresh_token_comes_only_where_it_can_be_used() {
    let without = |kind: &str| CONFIG.replace(&format!(" {kind},"), "");
    let only = |opened: Opened| Opened {
        grant_types: std::sync::Arc::from([String::from("authorization_code")]),
        ..opened
    };
    let stage = Stage::new().await;
    let up = stage.upstream.opened("up", &[]);
    for (config, opened, scope, given) in [
        (CONFIG.to_owned(), up.clone(), "openid offline_access", true),
        (CONFIG.to_owned(), up.clone(), "openid", false),
        (without("refresh_token"), up.clone(), "openid offline_access", false),
        (CONFIG.to_owned(), only(up.clone()), "openid offline_access", false),
    ] {
        stage.reload(&config, vec![opened]);
        let code = stage.sign_in("app", scope).await;
        assert_eq!(stage.granted(&redeem(&code)).await.refresh_token.is_some(), given, "{scope}");
    }
}

#[tokio::test]
async fn the_connector_must_still_be_allowed() {
    let stage = Stage::new().await;
    let code = stage.sign_in("app", "openid").await;
    let elsewhere = CONFIG.replace("name: App,", "name: App, allowedConnectors: [elsewhere],");
    stage.reload(&elsewhere, vec![stage.upstream.opened("up", &[])]);
    assert!(stage.refused(&redeem(&code)).await.1.contains("gone or forbidden"));
    stage.reload(CONFIG, vec![stage.upstream.opened("up", &[])]);
    assert!(stage.token(Some(&app()), &redeem(&code)).await.is_ok(), "nothing was spent");
}

/// Its `grantTypes` too, as they are by then.
#[tokio::test]
async fn the_connector_must_still_be_for_codes() {
    let stage = Stage::new().await;
    let code = stage.sign_in("app", "openid").await;
    let up = stage.upstream.opened("up", &[]);
    let only = |kind: &str| Opened { grant_types: [kind.to_owned()].into(), ..up.clone() };
    stage.reload(CONFIG, vec![only("refresh_token")]);
    assert!(stage.refused(&redeem(&code)).await.1.contains("gone or forbidden"));
    stage.reload(CONFIG, vec![only("authorization_code")]);
    stage.granted(&redeem(&code)).await;
}

#[tokio::test]
async fn codes_live_as_long_as_configured() {
    let config = format!("{CONFIG}expiry: {{authCodes: 10m}}\n");
    let stage = Stage::with(&config, |up| vec![up.opened("up", &[])]).await;
    let (good, late) = (stage.sign_in("app", "openid").await, stage.sign_in("app", "openid").await);
    stage.clock.advance(Duration::from_secs(599));
    stage.granted(&redeem(&good)).await;
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.refused(&redeem(&late)).await, ("invalid_grant", "the code has expired".into()));
}

/// RFC 9068 section 2.2: what its readers need, and nothing of an ID token's.
#[tokio::test]
async fn access_tokens_may_be_rfc_9068_alone() {
    let config = CONFIG.replace("name: App,", "name: App, accessTokenFormat: rfc9068,");
    let stage = Stage::with(&config, |up| vec![up.opened("up", &[])]).await;
    let scope = "openid email groups audience:server:client_id:peer";
    let tokens = stage.granted(&redeem(&stage.sign_in("app", scope).await)).await;
    let (access, id_token) = (claims(&tokens.access_token), claims(&tokens.id_token.unwrap()));
    assert_eq!(header(&tokens.access_token)["typ"], "at+jwt");
    for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti", "auth_time", "scope", "groups"] {
        assert!(access.get(name).is_some(), "{name}: {access}");
    }
    for name in ["nonce", "at_hash", "azp"] {
        assert_eq!((access.get(name), id_token.get(name).is_some()), (None, true), "{name}");
    }
    let known = stage.provider.userinfo(&testkit::stage::peer(), Some(&tokens.access_token)).await.unwrap();
    assert_eq!(known.str("email"), Some("alice@example.com"));
    let plain = Stage::new().await;
    let tokens = plain.granted(&redeem(&plain.sign_in("app", "openid").await)).await;
    assert!(claims(&tokens.access_token).get("nonce").is_some(), "Dex's claims unless that is asked for");
}

/// A client is told those of its concern, under names that mean something there.
#[tokio::test]
async fn dex_p14_groups_are_chosen_and_named_for_each_client() {
    let groups = async |rules: &str| {
        let config = CONFIG.replace("name: App,", &format!("name: App, {rules}"));
        let stage = Stage::with(&config, |up| vec![up.opened("up", &[])]).await;
        let tokens = stage.granted(&redeem(&stage.sign_in("app", "openid groups").await)).await;
        assert_eq!(
            claims(&tokens.access_token)["groups"],
            claims(&tokens.id_token.clone().unwrap())["groups"]
        );
        claims(&tokens.id_token.unwrap())["groups"].clone()
    };
    assert_eq!(groups("").await, json!(["dev", "ops"]));
    assert_eq!(groups("groups: {only: [o*]},").await, json!(["ops"]));
    assert_eq!(groups("groups: {only: ['*'], prefix: 'acme:'},").await, json!(["acme:dev", "acme:ops"]));
    assert_eq!(groups("groups: {only: []},").await, json!(null), "none is none, not all");
    assert_eq!(groups("groups: {only: [de]},").await, json!(null), "a pattern speaks of the whole name");
}
