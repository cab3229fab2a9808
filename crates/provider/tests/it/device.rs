//! A device and its person (RFC 8628).

use std::time::Duration;

use provider::connector::Opened;
use provider::error::{Error, Fault};
use provider::login::{Answer, Ask, Notice, Stop};
use provider::store::Kind;
use testkit::stage::{Stage, app, basic, claims, every_grant, location, peer};
use testkit::{Fault as Faulty, Verb};
use wire::form::Form;

const DEVICE: Kind = Kind("device");
const GRANT: Kind = Kind("grant");

fn poll(device_code: &str) -> String {
    format!("grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code={device_code}")
}

/// Codes for the client `app`.
async fn codes(stage: &Stage) -> (String, String) {
    stage.device(Some(&app()), "scope=openid+groups+offline_access").await
}

async fn ask(stage: &Stage, authorization: Option<&str>, body: &str) -> Result<(), String> {
    let form = Form::parse(body, &[]).unwrap();
    match stage.provider.authorize_device(&peer(), authorization, &form).await {
        Ok(_) => Ok(()),
        Err(Error::Refusal(refusal)) => Err(refusal.code.as_str().into()),
        Err(Error::Fault(fault)) => Err(fault.to_string()),
    }
}

#[tokio::test]
async fn a_device_gets_its_tokens_once() {
    let stage = Stage::with_every_grant().await;
    let (device, user) = codes(&stage).await;
    assert_eq!(stage.refused(&poll(&device)).await.0, "authorization_pending");
    assert_eq!(stage.refused(&poll(&device)).await.0, "slow_down");
    let done = stage.decide_for(&user.to_lowercase().replace('-', ""), true).await.unwrap();
    assert!(matches!(done.answer, Answer::DeviceDone(client) if client == "App"));
    let tokens = stage.granted(&poll(&device)).await;
    let said = claims(&tokens.id_token.unwrap());
    assert_eq!((&said["aud"], &said["groups"][0]), (&"app".into(), &"dev".into()));
    let refresh = format!("grant_type=refresh_token&refresh_token={}", tokens.refresh_token.unwrap());
    assert_eq!(stage.refused(&poll(&device)).await.0, "invalid_grant");
    stage.granted(&refresh).await;
    let Err(Stop::Page { notice, .. }) = stage.provider.verify_user_code(&peer(), &user).await.map(drop)
    else {
        assert!(matches!(
            stage.provider.verify_user_code(&peer(), &user).await.unwrap().answer,
            Answer::Device(page) if page.wrong
        ));
        return;
    };
    panic!("{notice}");
}

#[tokio::test]
async fn a_refusal_is_told_to_the_device() {
    let stage = Stage::with_every_grant().await;
    let (device, user) = codes(&stage).await;
    let refused = stage.decide_for(&user, false).await;
    assert!(matches!(refused, Err(Stop::Page { status: 403, notice: Notice::NotAgreed, .. })), "{refused:?}");
    assert_eq!(stage.refused(&poll(&device)).await.0, "access_denied");
    assert!(stage.memory.all(GRANT).is_empty());
}

/// Also where consent is otherwise skipped: the link may have come by mail (RFC 8628 section 5.4).
#[tokio::test]
async fn attack_21_the_person_is_always_asked_and_shown_the_code() {
    let stage = Stage::with_every_grant().await;
    let skipping = every_grant().replace("oauth2:", "oauth2:\n  skipApprovalScreen: true");
    stage.reload(&skipping, stage.connectors());
    let (_, user) = codes(&stage).await;
    let (attempt, cookie) = stage.identify_for(&user).await;
    let page = stage.provider.consent_page(&peer(), &attempt, Some(&cookie)).await.unwrap();
    let Answer::Consent(page) = page.answer else { panic!() };
    assert_eq!((page.device, &*page.client), (Some(user), "App"));
    assert_eq!(page.asks, [Ask::Groups, Ask::Offline]);
    // Another browser's cookie, or none, decides nothing.
    assert!(stage.provider.submit_consent(&peer(), &attempt, true, None).await.is_err());
    assert!(stage.memory.all(GRANT).is_empty());
}

/// Dex asks nobody who they are at `/device/code`, and hands the tokens out until they expire.
#[tokio::test]
async fn dex_d1_the_client_proves_itself_from_the_beginning() {
    let stage = Stage::with_every_grant().await;
    for (authorization, body, expected) in [
        (None, "client_id=app", Err("invalid_client")),
        (None, "client_id=nobody", Err("invalid_client")),
        (None, "scope=openid", Err("invalid_client")),
        (Some(basic("app", "wrong")), "scope=openid", Err("invalid_client")),
        (Some(app()), "scope=nonsense", Err("invalid_scope")),
        (Some(app()), "scope=email", Err("invalid_scope")),
        (Some(app()), "scope=openid+audience:server:client_id:other", Err("invalid_scope")),
        (Some(app()), "code_challenge=x", Err("invalid_request")),
        (Some(app()), "scope=openid+audience:server:client_id:peer", Ok(())),
        (None, "client_id=native", Ok(())),
    ] {
        let told = ask(&stage, authorization.as_deref(), body).await;
        assert_eq!(told.as_ref().map_err(String::as_str).copied(), expected, "{body}");
    }
    let (device, user) = codes(&stage).await;
    stage.decide_for(&user, true).await.unwrap();
    let other = basic("other", "canary-secret-of-other");
    for (authorization, more) in [(Some(&*other), ""), (None, "&client_id=native"), (None, "&client_id=app")]
    {
        assert!(stage.token(authorization, &format!("{}{more}", poll(&device))).await.is_err(), "{more}");
    }
    for bad in [device.replace('.', ".x"), device.split('.').next().unwrap().into(), "a.b".into(), ".".into()]
    {
        assert_eq!(stage.refused(&poll(&bad)).await.0, "invalid_grant", "{bad}");
    }
    stage.granted(&poll(&device)).await;
}

/// No redirect URI is asked for, so none has to be registered.
#[tokio::test]
async fn dex_d2_a_public_client_needs_no_redirect_uri() {
    let stage = Stage::with_every_grant().await;
    let (device, user) = stage.device(None, "client_id=native").await;
    stage.decide_for(&user, true).await.unwrap();
    stage.token(None, &format!("{}&client_id=native", poll(&device))).await.unwrap();
}

#[tokio::test]
async fn a_device_waits_as_long_as_configured() {
    let stage = Stage::with_every_grant().await;
    let config = format!("{}expiry: {{deviceRequests: 10m}}\n", every_grant());
    for (config, lives) in [(every_grant(), 300), (config, 600)] {
        stage.reload(&config, stage.connectors());
        let ((device, user), (late, late_user)) = (codes(&stage).await, codes(&stage).await);
        let (attempt, cookie) = stage.identify_for(&late_user).await;
        stage.clock.advance(Duration::from_secs(lives - 1));
        assert_eq!(stage.refused(&poll(&device)).await.0, "authorization_pending");
        stage.clock.advance(Duration::from_secs(1));
        assert_eq!(stage.refused(&poll(&device)).await.0, "expired_token");
        let typed = stage.provider.verify_user_code(&peer(), &user).await.unwrap();
        assert!(matches!(typed.answer, Answer::Device(page) if page.wrong));
        let decided = stage.provider.submit_consent(&peer(), &attempt, true, Some(&cookie)).await;
        assert!(matches!(decided, Err(Stop::Page { notice: Notice::DeviceOver, .. })), "{decided:?}");
        assert_eq!(stage.refused(&poll(&late)).await.0, "expired_token");
        stage.clock.advance(Duration::from_secs(86_400));
        stage.provider.sweep().await.unwrap();
        assert!(stage.memory.is_empty(), "{lives}");
    }
}

/// Nobody who has proven nothing fills the store, and nobody finds a code by trying.
#[tokio::test]
async fn attack_25_devices_and_their_codes_are_limited() {
    let stage = Stage::with_every_grant().await;
    let mut given = 0;
    for _ in 0..100 {
        match ask(&stage, None, "client_id=native").await {
            Ok(()) => given += 1,
            Err(told) => assert!(told.starts_with("too many"), "{told}"),
        }
    }
    assert_eq!((given, stage.memory.all(DEVICE).len()), (30, 30));
    ask(&stage, Some(&app()), "scope=openid").await.unwrap();
    stage.clock.advance(Duration::from_secs(10));
    ask(&stage, None, "client_id=native").await.unwrap();

    let (_, user) = codes(&stage).await;
    for _ in 0..20 {
        stage.provider.verify_user_code(&peer(), &user).await.unwrap();
    }
    for _ in 0..10 {
        let wrong = stage.provider.verify_user_code(&peer(), "BBBB-BBBB").await.unwrap();
        assert!(matches!(wrong.answer, Answer::Device(page) if page.wrong));
    }
    for code in ["BBBB-BBBB", user.as_str()] {
        let held = stage.provider.verify_user_code(&peer(), code).await;
        assert!(matches!(held, Err(Stop::Fault(Fault::TooMany { .. }))), "{held:?}");
    }
    let query = "user_code=BBBB-BBBB";
    let around = stage.provider.authorize(&peer(), query, &Form::parse(query, &[]).unwrap()).await;
    assert!(matches!(around, Err(Stop::Fault(Fault::TooMany { .. }))), "no way around: {around:?}");
    stage.clock.advance(Duration::from_secs(10));
    stage.provider.verify_user_code(&peer(), &user).await.unwrap();
}

#[tokio::test]
async fn attack_26_the_store_shows_neither_code() {
    let stage = Stage::with_every_grant().await;
    let (device, user) = codes(&stage).await;
    let secret = device.split('.').nth(1).unwrap();
    for record in stage.memory.all(DEVICE) {
        let shown = format!("{record:?} {}", String::from_utf8_lossy(&record.body));
        for secret in [secret, &user, &user.replace('-', "")] {
            assert!(!shown.contains(secret), "{secret}");
        }
    }
    assert!(!format!("{:?}", stage.decisions()).contains(secret));
}

/// Many at once: one decision counts.
#[tokio::test]
async fn a_device_is_decided_once() {
    let stage = Stage::with_every_grant().await;
    let (device, user) = codes(&stage).await;
    let (first, second) = (stage.identify_for(&user).await, stage.identify_for(&user).await);
    for _ in 0..8 {
        stage.store.plan(Verb::Get, Faulty::Yield);
        stage.store.plan(Verb::Replace, Faulty::Yield);
    }
    let decide = |(attempt, cookie): &(String, String)| {
        let (attempt, cookie, provider) = (attempt.clone(), cookie.clone(), stage.provider.clone());
        async move { provider.submit_consent(&peer(), &attempt, true, Some(&cookie)).await }
    };
    let (left, right) = tokio::join!(decide(&first), decide(&second));
    assert_eq!([left.is_ok(), right.is_ok()].iter().filter(|done| **done).count(), 1);
    stage.granted(&poll(&device)).await;
    assert_eq!(stage.refused(&poll(&device)).await.0, "invalid_grant");
}

/// Switched off for the connector, for the client or altogether.
#[tokio::test]
async fn a_device_signs_in_where_it_may() {
    let stage = Stage::with_every_grant().await;
    let (_, user) = codes(&stage).await;
    let query = format!("user_code={user}");
    let authorize = async || {
        let form = Form::parse(&query, &[]).unwrap();
        stage.provider.authorize(&peer(), &query, &form).await
    };
    let shown = authorize().await.unwrap();
    assert!(matches!(shown.answer, Answer::Choose(choices) if choices.len() == 2));
    let mut only = stage.upstream.opened("up", &[]);
    only.grant_types = std::sync::Arc::from([String::from("authorization_code")]);
    let passwords = stage.passwords.opened("passwords", &[]);
    stage.reload(&every_grant(), vec![only, passwords]);
    assert!(location(&authorize().await.unwrap()).starts_with("/dex/auth/passwords?user_code="));
    let off = every_grant().replace("'urn:ietf:params:oauth:grant-type:device_code', ", "");
    stage.reload(&off, stage.connectors());
    assert!(authorize().await.is_err());
    assert_eq!(
        ask(&stage, Some(&app()), "").await.map_err(|told| told == "unsupported_grant_type"),
        Err(true)
    );
    assert_eq!(stage.provider.metadata().device_authorization_endpoint, None);
    stage.reload(&every_grant(), stage.connectors());
    let told = stage.provider.metadata().device_authorization_endpoint;
    assert_eq!(told.as_deref(), Some("https://obol.example/dex/device/code"));
}

/// Its `grantTypes` too, as they are by then.
#[tokio::test]
async fn the_connector_must_still_be_for_devices() {
    let stage = Stage::with_every_grant().await;
    let (device, user) = codes(&stage).await;
    stage.decide_for(&user, true).await.unwrap();
    let up = stage.upstream.opened("up", &[]);
    let only = |kind: &str| Opened { grant_types: [kind.to_owned()].into(), ..up.clone() };
    stage.reload(&every_grant(), vec![only("authorization_code")]);
    let told = stage.refused(&poll(&device)).await;
    assert!(told.1.contains("gone or forbidden"), "{told:?}");
    stage.reload(&every_grant(), vec![only("urn:ietf:params:oauth:grant-type:device_code")]);
    stage.granted(&poll(&device)).await;
}
