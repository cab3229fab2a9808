//! Secrets that are easy to recognise go through every journey and must not come out in events, errors or logs
//! (attack 26).

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use testkit::stage::{APP_SECRET, ISSUER, Stage, app, authorization, every_grant, parameter};
use testkit::upstream::{KEPT, Mood, NAME, PASSWORD};
use tracing_subscriber::fmt::MakeWriter;

use crate::site::Site;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "current_thread")]
async fn attack_26_no_secret_is_logged_or_told() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::info!("the log is heard");
    let site = Site::on(Stage::with_every_grant().await, &every_grant());
    let mut secrets = vec![APP_SECRET.to_owned(), KEPT.to_owned(), "canary-nobody".into()];
    let mut shown = String::new();

    // A sign-in, its code, two refreshes, a replay, UserInfo.
    let begun = site.get(&format!("/dex/auth/up?{}", authorization("app", "openid offline_access"))).await;
    let cookie = begun.header("set-cookie").split(';').next().unwrap().to_owned();
    let state = parameter(begun.header("location"), "state").unwrap();
    let bad = format!("/dex/callback?state={state}&code=canary-upstream-code");
    site.ask("GET", &bad, &[("cookie", &cookie)], "").await;
    let back =
        site.ask("GET", &format!("/dex/callback?state={state}&code=good"), &[("cookie", &cookie)], "").await;
    let request = parameter(back.header("location"), "req").unwrap();
    let signed_in = back.header("set-cookie").split(';').next().unwrap().to_owned();
    let done = site
        .post("/dex/approval", &[("cookie", &signed_in)], &format!("req={request}&approval=approve"))
        .await;
    let code = parameter(done.header("location"), "code").unwrap();
    let redeem = format!("grant_type=authorization_code&code={code}&redirect_uri=https://app.example/cb");
    secrets.extend([code, "canary-upstream-code".into()]);
    secrets.extend([cookie, signed_in].map(|held| held.split_once('=').unwrap().1.to_owned()));
    let tokens = site.token(&redeem).await.json();
    for name in ["access_token", "id_token", "refresh_token"] {
        secrets.push(tokens[name].as_str().unwrap().to_owned());
    }
    let refresh =
        format!("grant_type=refresh_token&refresh_token={}", tokens["refresh_token"].as_str().unwrap());
    site.stage.upstream.turns(Mood::Down);
    site.token(&refresh).await;
    site.stage.upstream.turns(Mood::Well);
    secrets.push(site.token(&refresh).await.json()["refresh_token"].as_str().unwrap().to_owned());
    site.token(&refresh).await;
    site.token(&redeem).await;
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    site.ask("GET", "/dex/userinfo", &[("authorization", &bearer)], "").await;
    site.ask("GET", "/dex/userinfo", &[("authorization", "Bearer canary-nobody")], "").await;

    other_doors(&site, &mut secrets).await;

    // Exchanges, good and bad, and everything in the wrong place.
    let subject =
        site.stage.upstream.token(ambient::Clock::now(&site.stage.clock), json!({"sub": "1", "aud": ISSUER}));
    let subject = subject.sign();
    let signature = subject.rsplit('.').next().unwrap().to_owned();
    let exchange = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&connector_id=up\
                    &subject_token_type=urn:ietf:params:oauth:token-type:id_token&subject_token";
    for body in [
        format!("{exchange}={subject}"),
        format!("{exchange}={subject}x"),
        format!("{exchange}=canary-nobody"),
        format!("{subject}&{subject}"),
        format!("grant_type={subject}"),
        format!("grant_type=client_credentials&scope={subject}&client_secret={APP_SECRET}"),
        format!("grant_type=client_credentials&scope={subject}&audience={subject}"),
        format!("{exchange}={subject}&audience={subject}&resource={subject}"),
    ] {
        shown += &format!("{:?}", site.token(&body).await.json().get("error_description"));
    }
    secrets.extend([subject, signature]);
    site.post(&format!("/dex/token?client_secret={APP_SECRET}"), &[], "").await;
    site.stage.store.set_down(true);
    site.token(&redeem).await;
    site.post("/dex/token", &[("authorization", "Basic canary-nobody")], &redeem).await;

    let told = site.stage.decisions();
    assert!(told.len() > 15, "{}", told.len());
    shown += &format!("{told:?} {:?}", site.stage.provider.living().settings);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the log is heard") && log.contains("unavailable"), "{log}");
    for secret in secrets {
        let tail = secret.rsplit('.').next().unwrap();
        assert!(!shown.contains(&secret) && !shown.contains(tail), "{secret} is told: {shown}");
        assert!(!log.contains(&secret) && !log.contains(tail), "{secret} is logged: {log}");
    }
}

/// A device, passwords in the grant and in the form, and tokens that are taken back.
async fn other_doors(site: &Site, secrets: &mut Vec<String>) {
    let app = app();
    let codes = site.post("/dex/device/code", &[("authorization", &app)], "scope=openid").await.json();
    let text = |name: &str| codes[name].as_str().unwrap().to_owned();
    let poll = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code={}",
        text("device_code")
    );
    for typed in ["canary-typed", &text("user_code")] {
        site.post("/dex/device/auth/verify_code", &[], &format!("user_code={typed}")).await;
    }
    site.token(&poll).await;
    site.token(&format!("{poll}x")).await;
    site.stage.decide_for(&text("user_code"), true).await.unwrap();
    let access = site.token(&poll).await.json()["access_token"].as_str().unwrap().to_owned();
    for token in [&access, "canary-revoked"] {
        site.post("/dex/token/revoke", &[("authorization", &app)], &format!("token={token}")).await;
    }
    for password in [PASSWORD, "canary-wrong"] {
        let body = format!("grant_type=password&username={NAME}&password={password}&scope=openid");
        site.token(&body).await;
    }
    let query = authorization("app", "openid");
    let begun = site.get(&format!("/dex/auth/passwords?{query}")).await;
    let cookie = begun.header("set-cookie").split(';').next().unwrap().to_owned();
    for password in ["canary-wrong", PASSWORD] {
        let form = format!("login={NAME}&password={password}");
        let answer = site.post(begun.header("location"), &[("cookie", &cookie)], &form).await;
        let known = answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        let known = known.filter_map(|value| value.split(';').next()?.strip_prefix("obol_known="));
        secrets.extend(known.map(str::to_owned));
    }
    secrets.extend([text("device_code"), text("user_code"), access, PASSWORD.to_owned()]);
    secrets.extend(["canary-typed", "canary-revoked", "canary-wrong"].map(str::to_owned));
}
