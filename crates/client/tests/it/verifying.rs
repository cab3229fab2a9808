use std::sync::Arc;
use std::time::Duration;

use ambient::Ignore;
use client::{Exchanger, Unverified, verify};
use outbound::{Client, Dial, Options, Trust};
use serde_json::json;
use testkit::{FakeClock, Issuer, SeededRandom, TestKey};

async fn world() -> (Issuer, Exchanger, FakeClock) {
    let clock = FakeClock::default();
    let issuer = Issuer::builder().clock(clock.clone()).start().await;
    let shared = Arc::new(clock.clone());
    let options = Options { trust: Trust::only(Some(issuer.ca_pem().into())), ..Options::default() };
    let http = Client::new(&Dial::new(shared.clone()), options).unwrap();
    let exchanger = Exchanger::new(http, shared, Arc::new(SeededRandom::new(1)), Arc::new(Ignore));
    (issuer, exchanger, clock)
}

#[tokio::test]
async fn the_issuers_own_tokens_verify_of_every_kind() {
    let (issuer, exchanger, _) = world().await;
    for kind in ["JWT", "at+jwt"] {
        let token = issuer.token(json!({"sub": "a", "aud": "b"})).header("typ", json!(kind)).sign();
        assert_eq!(verify(&exchanger, &issuer.issuer(), &token).await.unwrap(), "ES256", "{kind}");
    }
}

#[tokio::test]
async fn forged_foreign_and_ended_tokens_do_not() {
    let (issuer, exchanger, clock) = world().await;
    let good = issuer.token(json!({"sub": "a", "aud": "b"}));
    let stranger = Arc::new(TestKey::generate(testkit::Alg::Es256, "stranger"));
    for (token, want) in [
        (issuer.token(json!({"sub": "a", "aud": "b"})).signed_by(stranger).sign(), "signature"),
        (issuer.mint(json!({"sub": "a", "aud": "b", "iss": "https://o.example"})), "issuer"),
        ("no token".to_owned(), "three"),
    ] {
        let told = verify(&exchanger, &issuer.issuer(), &token).await.unwrap_err();
        assert!(matches!(told, Unverified::Rejected(_)) && told.to_string().contains(want), "{told}");
    }
    let token = good.sign();
    clock.advance(Duration::from_secs(3600));
    let told = verify(&exchanger, &issuer.issuer(), &token).await.unwrap_err().to_string();
    assert!(told.contains("expired"), "{told}");
}
