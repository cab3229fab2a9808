//! RFC 6749 section 4.3, and what holds up whoever tries passwords.

use std::time::Duration;

use ambient::Secret;
use provider::error::{Error, Fault};
use provider::login::{Answer, Stop};
use provider::store::Kind;
use testkit::stage::{Stage, app, authorization, claims, every_grant, location, parameter, peer};
use testkit::upstream::{Mood, NAME, PASSWORD};
use wire::form::Form;

fn body(name: &str, password: &str, scope: &str) -> String {
    format!("grant_type=password&username={name}&password={password}&scope={scope}&nonce=n-7")
}

#[tokio::test]
async fn a_password_becomes_tokens() {
    let stage = Stage::with_every_grant().await;
    let tokens = stage.granted(&body(NAME, PASSWORD, "openid+email+offline_access")).await;
    let said = claims(&tokens.id_token.unwrap());
    assert_eq!((&said["email"], &said["nonce"]), (&NAME.into(), &"n-7".into()));
    let refresh = format!("grant_type=refresh_token&refresh_token={}", tokens.refresh_token.unwrap());
    let again = stage.granted(&refresh).await;
    assert_eq!(claims(&again.access_token)["sub"], said["sub"]);
    // Without offline_access nothing is kept.
    let stage = Stage::with_every_grant().await;
    assert!(stage.granted(&body(NAME, PASSWORD, "openid")).await.refresh_token.is_none());
    assert!(stage.memory.is_empty());
}

#[tokio::test]
async fn a_wrong_password_is_an_invalid_grant() {
    let stage = Stage::with_every_grant().await;
    for form in
        [body(NAME, "wrong", "openid"), body("nobody", PASSWORD, "openid"), body(NAME, "%00", "openid")]
    {
        assert_eq!(stage.refused(&form).await, ("invalid_grant", "wrong name or password".into()), "{form}");
    }
    for (form, code) in [
        (body("", PASSWORD, "openid"), "invalid_request"),
        (body(NAME, "", "openid"), "invalid_request"),
        (body(NAME, PASSWORD, "email"), "invalid_scope"),
        (body(NAME, PASSWORD, "openid+root"), "invalid_scope"),
        (body(NAME, PASSWORD, "openid+audience:server:client_id:other"), "invalid_scope"),
    ] {
        assert_eq!(stage.refused(&form).await.0, code, "{form}");
    }
    stage.passwords.turns(Mood::Denies);
    assert_eq!(stage.refused(&body(NAME, PASSWORD, "openid")).await, ("invalid_grant", "blocked".into()));
    stage.passwords.turns(Mood::Down);
    for _ in 0..20 {
        let down = stage.token(Some(&app()), &body(NAME, PASSWORD, "openid")).await;
        assert!(matches!(down, Err(Error::Fault(Fault::Upstream(_)))), "nobody was wrong: {down:?}");
    }
    assert!(stage.memory.is_empty());
}

#[tokio::test]
async fn oauth2_password_connector_says_whose_passwords_are_taken() {
    let stage = Stage::with_every_grant().await;
    let form = body(NAME, PASSWORD, "openid");
    let on = every_grant();
    for (config, code) in [
        (on.replace("passwordConnector: passwords", "skipApprovalScreen: true"), "unsupported_grant_type"),
        (on.replace("passwordConnector: passwords", "passwordConnector: ''"), "unsupported_grant_type"),
        (on.replace("passwordConnector: passwords", "passwordConnector: up"), "unauthorized_client"),
        (on.replace("passwordConnector: passwords", "passwordConnector: gone"), "unauthorized_client"),
        (on.replace("name: App,", "name: App, allowedConnectors: [up],"), "unauthorized_client"),
    ] {
        stage.reload(&config, stage.connectors());
        let told = stage.provider.metadata().grant_types_supported.contains(&String::from("password"));
        assert_eq!(told, code != "unsupported_grant_type");
        assert_eq!(stage.refused(&form).await.0, code, "{config}");
    }
    stage.reload(&on, stage.connectors());
    stage.granted(&form).await;
}

/// The form and the grant are one door: whoever is held up at the one is held up at the other.
#[tokio::test]
async fn dex_l5_wrong_passwords_are_limited() {
    let stage = Stage::with_every_grant().await;
    let query = authorization("app", "openid");
    let form = Form::parse(&query, &[]).unwrap();
    let begun = stage.provider.begin_login(&peer(), "passwords", &form, None).await.unwrap();
    let cookie = begun.cookie.as_ref().unwrap();
    let cookie = format!("{}={}", cookie.name, cookie.value.as_deref().unwrap());
    let state = parameter(&location(&begun), "state").unwrap();
    let typed = async |password: &str| {
        let password = Secret::from(password);
        stage.provider.submit_password(&peer(), "passwords", &state, Some(&cookie), NAME, &password).await
    };
    for _ in 0..5 {
        assert!(matches!(typed("wrong").await.unwrap().answer, Answer::Password(page) if page.wrong));
        assert_eq!(stage.refused(&body(NAME, "wrong", "openid")).await.0, "invalid_grant");
    }
    stage.decisions();
    for password in ["wrong", PASSWORD] {
        assert!(matches!(typed(password).await, Err(Stop::Fault(Fault::TooMany { .. }))));
        let held = stage.token(Some(&app()), &body(NAME, password, "openid")).await;
        assert!(matches!(held, Err(Error::Fault(Fault::TooMany { .. }))), "{held:?}");
    }
    let told = stage.decisions();
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|told| told.reason.as_deref().unwrap().starts_with("too many")), "{told:?}");
    // Somebody else is not held up, and neither is Alice for long.
    assert_eq!(stage.refused(&body("ben", "wrong", "openid")).await.0, "invalid_grant");
    stage.clock.advance(Duration::from_secs(10));
    typed(PASSWORD).await.unwrap();
    assert_eq!(stage.memory.all(Kind("attempt")).len(), 1);
}

#[tokio::test]
async fn dex_l5_wrong_client_secrets_are_limited() {
    let stage = Stage::with_every_grant().await;
    let wrong = testkit::stage::basic("app", "wrong");
    let mut told = Vec::new();
    for _ in 0..70 {
        told.push(
            stage
                .token(Some(&wrong), "grant_type=client_credentials")
                .await
                .is_err_and(|error| matches!(error, Error::Fault(Fault::TooMany { .. }))),
        );
    }
    assert_eq!(told.iter().filter(|held| !**held).count(), 60);
    let body = Form::parse("token=x", &[]).unwrap();
    let asked = stage.provider.introspect(&peer(), Some(&wrong), &body).await;
    assert!(matches!(asked, Err(Error::Fault(Fault::TooMany { .. }))), "at whichever door");
    // Right ones are not counted, whoever asks as somebody else.
    let other = testkit::stage::basic("other", "canary-secret-of-other");
    for _ in 0..400 {
        stage.token(Some(&other), "grant_type=client_credentials").await.unwrap();
    }
    stage.clock.advance(Duration::from_secs(1));
    stage.granted("grant_type=client_credentials").await;
}

/// Behind one address, who guesses at a name keeps others from it, but not the browser that was right about it before.
#[tokio::test]
async fn dex_l5_a_known_browser_is_not_locked_out() {
    let stage = Stage::with_every_grant().await;
    let query = authorization("app", "openid");
    let typed = async |password: &str, more: &str| {
        let form = Form::parse(&query, &[]).unwrap();
        let begun = stage.provider.begin_login(&peer(), "passwords", &form, None).await.unwrap();
        let cookie = begun.cookie.as_ref().unwrap();
        let held = format!("{}={}; {more}", cookie.name, cookie.value.as_deref().unwrap());
        let state = parameter(&location(&begun), "state").unwrap();
        let password = Secret::from(password);
        stage.provider.submit_password(&peer(), "passwords", &state, Some(&held), NAME, &password).await
    };
    let first = typed(PASSWORD, "").await.unwrap();
    let known = first.others.iter().find(|change| change.name == "obol_known").unwrap();
    assert!(known.secure && known.path == "/dex" && known.max_age > 86_400);
    let known = format!("obol_known={}", known.value.as_deref().unwrap());
    for _ in 0..10 {
        typed("wrong", "").await.unwrap();
    }
    for _ in 0..3 {
        assert!(matches!(typed(PASSWORD, "").await, Err(Stop::Fault(Fault::TooMany { .. }))));
        typed(PASSWORD, &known).await.unwrap();
    }
    // It has tries of its own, and no more than anybody.
    for _ in 0..10 {
        typed("wrong", &known).await.unwrap();
    }
    assert!(matches!(typed(PASSWORD, &known).await, Err(Stop::Fault(Fault::TooMany { .. }))));
}
