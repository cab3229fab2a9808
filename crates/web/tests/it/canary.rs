//! Secrets that are easy to recognise go through every journey and must not come out in events, errors or logs
//! (attack 26).

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use testkit::stage::{APP_SECRET, ISSUER, authorization, parameter};
use testkit::upstream::{KEPT, Mood};
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
    let site = Site::new().await;
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
    let done =
        site.post("/dex/approval", &[("cookie", &cookie)], &format!("req={request}&approval=approve")).await;
    let code = parameter(done.header("location"), "code").unwrap();
    let redeem = format!("grant_type=authorization_code&code={code}&redirect_uri=https://app.example/cb");
    secrets.extend([code, cookie.split_once('=').unwrap().1.to_owned(), "canary-upstream-code".into()]);
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
