use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use ambient::{BoxFuture, Clock, Time};
use client::Way;
use serde_json::json;
use testkit::FakeClock;

use super::stage::Stage;

fn codes(stage: &Stage, more: serde_json::Value) {
    let mut codes = json!({"device_code": "canary-device", "user_code": "ABCD-EFGH", "expires_in": 600,
        "verification_uri": format!("{}/device", stage.issuer.issuer())});
    let serde_json::Value::Object(more) = more else { panic!("an object") };
    for (name, value) in more {
        codes[name] = value;
    }
    stage.issuer.set_answer("/device/code", 200, codes);
}

/// A clock on which a device's pauses take no time and are written down. Before each, something may happen.
struct Paced {
    clock: FakeClock,
    pauses: Mutex<Vec<u64>>,
    before: OnceLock<Before>,
}

type Before = Box<dyn Fn(usize) + Send + Sync>;

impl Paced {
    async fn stage() -> (Arc<Self>, Stage) {
        let paced =
            Arc::new(Self { clock: FakeClock::default(), pauses: Mutex::default(), before: OnceLock::new() });
        let stage = Stage::at(Arc::new(Shared(Arc::clone(&paced)))).await;
        (paced, stage)
    }

    fn before(&self, before: impl Fn(usize) + Send + Sync + 'static) {
        assert!(self.before.set(Box::new(before)).is_ok());
    }

    fn pauses(&self) -> Vec<u64> {
        self.pauses.lock().unwrap().clone()
    }
}

struct Shared(Arc<Paced>);

impl Clock for Shared {
    fn now(&self) -> Time {
        self.0.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.clock.monotonic()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        if !PAUSES.contains(&span.as_secs()) {
            return self.0.clock.sleep(span);
        }
        let mut pauses = self.0.pauses.lock().unwrap();
        if let Some(before) = self.0.before.get() {
            before(pauses.len());
        }
        pauses.push(span.as_secs());
        Box::pin(tokio::task::yield_now())
    }
}

/// Deadlines have other lengths.
const PAUSES: [u64; 4] = [3, 5, 8, 16];

#[tokio::test]
async fn a_device_waits_as_it_is_told() {
    let (paced, stage) = Paced::stage().await;
    codes(&stage, json!({"interval": 3}));
    let issuer = Arc::clone(&stage.issuer);
    paced.before(move |turn| match turn {
        0 => issuer.set_answer("/token", 400, json!({"error": "authorization_pending"})),
        1 => issuer.set_answer("/token", 400, json!({"error": "slow_down"})),
        2 => issuer.set_answer("/token", 502, json!({})),
        _ => {
            let now = FakeClock::default().now().unix();
            let claims = json!({"sub": "ana", "aud": "kubectl", "iat": now, "exp": now + 900});
            issuer.set_answer(
                "/token",
                200,
                json!({"access_token": "opaque", "token_type": "bearer",
                "id_token": issuer.mint(claims)}),
            );
        }
    });
    stage.sign_in(&stage.ask(Way::Device)).await.unwrap();
    // Five seconds more after slow_down, and a server that stumbles costs another pause.
    assert_eq!(paced.pauses(), [3, 3, 8, 16]);
    assert!(stage.visited(0).await.path() == "/device" && stage.told() == ["ABCD-EFGH false"]);
    let form = stage.last_form("/device/code");
    assert!(form.contains("client_id=kubectl") && form.contains("code_challenge_method=S256"), "{form}");
    let form = stage.last_form("/token");
    assert!(form.contains("device_code=canary-device") && form.contains("code_verifier="), "{form}");
}

#[tokio::test]
async fn a_device_says_why_it_got_nothing() {
    for (error, want) in [
        ("access_denied", "signing in was refused: access_denied"),
        ("expired_token", "the code has expired before anybody used it"),
        ("invalid_client", "check --client-id"),
    ] {
        let (_, stage) = Paced::stage().await;
        codes(&stage, json!({"verification_uri_complete": "https://o.example/device?user_code=ABCD-EFGH"}));
        stage.issuer.set_answer("/token", 400, json!({"error": error}));
        let told = stage.sign_in(&stage.ask(Way::Device)).await.unwrap_err().to_string();
        assert!(told.contains(want), "{told}");
        assert_eq!(stage.visited(0).await.query(), Some("user_code=ABCD-EFGH"));
        assert_eq!(stage.told(), ["ABCD-EFGH true"]);
    }
}

#[tokio::test]
async fn nobody_is_waited_for_for_ever() {
    let clock = FakeClock::default();
    let stage = Stage::at(Arc::new(clock.clone())).await;
    let ask = stage.ask(stage.browser());
    let elsewhere = async {
        stage.visited(0).await;
        loop {
            clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    let outcome = tokio::select! {
        outcome = stage.sign_in(&ask) => outcome,
        () = elsewhere => unreachable!(),
    };
    let told = outcome.unwrap_err().to_string();
    assert_eq!(told, "nobody finished signing in within 100 s; run the command again");
}
