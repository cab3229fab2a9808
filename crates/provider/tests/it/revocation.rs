//! Tokens that are taken back (RFC 7009), and what dies with a grant.

use std::time::Duration;

use provider::error::Error;
use provider::store::Kind;
use testkit::stage::{Stage, app, basic, peer};
use wire::form::Form;
use wire::oauth::TokenResponse;

use crate::code::redeem;

const REVOKED: Kind = Kind("revoked");

async fn signed_in(stage: &Stage) -> TokenResponse {
    let code = stage.sign_in("app", "openid email offline_access").await;
    stage.granted(&redeem(&code)).await
}

async fn revoke(stage: &Stage, authorization: Option<&str>, body: &str) -> Result<(), Error> {
    stage.provider.revoke(&peer(), authorization, &Form::parse(body, &[]).unwrap()).await
}

async fn is_good(stage: &Stage, access: &str) -> bool {
    stage.provider.userinfo(&peer(), Some(access)).await.is_ok()
}

fn refresh(tokens: &TokenResponse) -> String {
    format!("grant_type=refresh_token&refresh_token={}", tokens.refresh_token.as_ref().unwrap())
}

#[tokio::test]
async fn dex_p3_a_refresh_token_takes_its_access_tokens_with_it() {
    let stage = Stage::new().await;
    let (first, other) = (signed_in(&stage).await, signed_in(&stage).await);
    let second = stage.granted(&refresh(&first)).await;
    assert!(is_good(&stage, &first.access_token).await && is_good(&stage, &second.access_token).await);
    // One that was rotated away is the same grant's.
    for token in [&first, &second] {
        let body = format!("token={}&token_type_hint=access_token", token.refresh_token.as_ref().unwrap());
        revoke(&stage, Some(&app()), &body).await.unwrap();
    }
    assert_eq!(stage.refused(&refresh(&second)).await, ("invalid_grant", "the grant has ended".into()));
    assert!(!is_good(&stage, &first.access_token).await && !is_good(&stage, &second.access_token).await);
    assert!(is_good(&stage, &other.access_token).await, "another sign-in is another grant");
    // As long as those could be shown, and no longer.
    stage.clock.advance(Duration::from_secs(86_400 - 60));
    stage.provider.sweep().await.unwrap();
    assert!(!is_good(&stage, &second.access_token).await);
}

#[tokio::test]
async fn dex_p3_an_access_token_ends_alone() {
    let stage = Stage::new().await;
    let tokens = signed_in(&stage).await;
    let body = format!("token={}&token_type_hint=refresh_token", tokens.access_token);
    for _ in 0..2 {
        revoke(&stage, Some(&app()), &body).await.unwrap();
    }
    assert!(!is_good(&stage, &tokens.access_token).await);
    let exchange = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={}\
         &subject_token_type=urn:ietf:params:oauth:token-type:access_token",
        tokens.access_token
    );
    assert_eq!(stage.refused(&exchange).await, ("invalid_request", "the token was revoked".into()));
    let again = stage.granted(&refresh(&tokens)).await;
    assert!(is_good(&stage, &again.access_token).await);
    assert_eq!(stage.memory.all(REVOKED).len(), 1);
    stage.clock.advance(Duration::from_secs(86_400 + 900));
    stage.provider.sweep().await.unwrap();
    assert!(stage.memory.all(REVOKED).is_empty());
}

/// Whose it is not, and what is none, changes nothing and tells nothing.
#[tokio::test]
async fn attack_23_only_the_owner_takes_a_token_back() {
    let stage = Stage::new().await;
    let tokens = signed_in(&stage).await;
    let (access, id_token) = (&tokens.access_token, tokens.id_token.as_ref().unwrap());
    let raw = tokens.refresh_token.as_ref().unwrap();
    let other = basic("other", "canary-secret-of-other");
    for (authorization, token) in [
        (&other, raw.as_str()),
        (&other, access),
        (&app(), id_token),
        (&app(), raw.get(..raw.len() - 4).unwrap()),
        (&app(), &format!("{raw}AA")),
        (&app(), access.get(..access.len() - 4).unwrap()),
        (&app(), "nonsense"),
    ] {
        revoke(&stage, Some(authorization), &format!("token={token}")).await.unwrap();
    }
    assert!(is_good(&stage, access).await && stage.memory.all(REVOKED).is_empty());
    stage.granted(&refresh(&tokens)).await;
    for (authorization, body, code) in [
        (None, format!("token={access}"), "invalid_client"),
        (None, format!("token={access}&client_id=app"), "invalid_client"),
        (Some(basic("app", "wrong")), format!("token={access}"), "invalid_client"),
        (Some(app()), "token=".into(), "invalid_request"),
    ] {
        match revoke(&stage, authorization.as_deref(), &body).await {
            Err(Error::Refusal(refusal)) => assert_eq!(refusal.code.as_str(), code, "{body}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(is_good(&stage, access).await);
}

/// What the first use of a code opened is ended by the second: the access tokens too (RFC 6749 section 4.1.2).
#[tokio::test]
async fn dex_p10_a_replayed_code_takes_its_access_tokens_with_it() {
    let stage = Stage::new().await;
    for scope in ["openid offline_access", "openid"] {
        let code = stage.sign_in("app", scope).await;
        let tokens = stage.granted(&redeem(&code)).await;
        assert!(is_good(&stage, &tokens.access_token).await);
        assert_eq!(stage.refused(&redeem(&code)).await.0, "invalid_grant");
        assert!(!is_good(&stage, &tokens.access_token).await, "{scope}");
    }
}

/// Nobody can tell whether it was taken back.
#[tokio::test]
async fn without_the_store_no_token_of_ours_is_believed() {
    let stage = Stage::new().await;
    let tokens = signed_in(&stage).await;
    let asked = format!("token={}", tokens.access_token);
    let form = Form::parse(&asked, &[]).unwrap();
    let introspect = async || stage.provider.introspect(&peer(), Some(&app()), &form).await.unwrap().active;
    assert!(introspect().await);
    stage.store.set_down(true);
    let user = stage.provider.userinfo(&peer(), Some(&tokens.access_token)).await;
    assert!(matches!(user, Err(Error::Fault(_))), "{user:?}");
    assert!(!introspect().await);
    let exchange = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={}\
         &subject_token_type=urn:ietf:params:oauth:token-type:access_token",
        tokens.access_token
    );
    assert!(matches!(stage.token(Some(&app()), &exchange).await, Err(Error::Fault(_))));
    stage.store.set_down(false);
    assert!(is_good(&stage, &tokens.access_token).await && introspect().await);
    revoke(&stage, Some(&app()), &asked).await.unwrap();
    assert!(!introspect().await);
}
