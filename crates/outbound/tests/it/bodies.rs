//! Answers that are too long, too slow or not what they seem.

use std::sync::Arc;
use std::time::Duration;

use ambient::FetchError;
use outbound::{Client, Dial, Request};
use serde_json::json;
use testkit::issuer::{Behaviour, Issuer, Route};
use testkit::serve::{Server, text};
use testkit::{FakeClock, Line};

use crate::{dial, fetch, trusting};

#[tokio::test]
async fn attack_12_bodies_are_capped_by_what_they_say_and_by_what_they_are() {
    let issuer = Issuer::start().await;
    let client = Client::new(&dial(), trusting(issuer.ca_pem())).unwrap();
    let url = issuer.url(Route::Keys);
    issuer.behave(Route::Keys, Behaviour::Endless);
    assert!(matches!(fetch(&client, &url, None).await, Err(FetchError::TooLarge { .. })));
    issuer.behave(Route::Keys, Behaviour::Body("x".repeat(64 * 1024 + 1)));
    assert!(matches!(fetch(&client, &url, None).await, Err(FetchError::TooLarge { .. })));
    issuer.behave(Route::Keys, Behaviour::Body("x".repeat(64 * 1024)));
    assert_eq!(fetch(&client, &url, None).await.unwrap().body.len(), 64 * 1024);
}

#[tokio::test]
async fn attack_12_compressed_bodies_are_refused() {
    let issuer = Issuer::start().await;
    let client = Client::new(&dial(), trusting(issuer.ca_pem())).unwrap();
    issuer.behave(Route::Keys, Behaviour::Gzip);
    let answer = fetch(&client, &issuer.url(Route::Keys), None).await;
    assert!(matches!(answer, Err(FetchError::Forbidden { .. })), "{answer:?}");
    let asked = issuer.server().seen();
    assert!(asked.iter().all(|seen| !seen.headers.contains_key("accept-encoding")));
}

#[tokio::test]
async fn attack_12_one_deadline_covers_every_way_of_being_slow() {
    let issuer = Issuer::start().await;
    let url = issuer.url(Route::Keys);
    for (behaviour, line) in
        [(Behaviour::SlowBody, Line::Up), (Behaviour::Silent, Line::Up), (Behaviour::Normal, Line::Hanging)]
    {
        let clock = FakeClock::default();
        let client = Client::new(&Dial::new(Arc::new(clock.clone())), trusting(issuer.ca_pem())).unwrap();
        issuer.behave(Route::Keys, behaviour.clone());
        issuer.set_line(line).await;
        let slow = fetch(&client, &url, None);
        let later = async {
            clock.until_sleeping(1).await;
            clock.advance(Duration::from_secs(3600));
        };
        let (answer, ()) = tokio::join!(slow, later);
        assert!(matches!(answer, Err(FetchError::Late { .. })), "{behaviour:?} {line:?}: {answer:?}");
    }
}

#[tokio::test]
async fn attack_12_a_body_that_drips_forever_ends_with_the_deadline() {
    let issuer = Issuer::start().await;
    let clock = FakeClock::default();
    let client = Client::new(&Dial::new(Arc::new(clock.clone())), trusting(issuer.ca_pem())).unwrap();
    issuer.behave(Route::Keys, Behaviour::SlowBody);
    let url = issuer.url(Route::Keys);
    let mut slow = Box::pin(fetch(&client, &url, None));
    // The head has been answered when the request was seen; only then does time pass.
    let seen = async {
        while issuer.requests(Route::Keys) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { _ = &mut slow => panic!("half a body is no answer"), () = seen => {} }
    clock.advance(Duration::from_secs(3600));
    assert!(matches!(slow.await, Err(FetchError::Late { .. })));
}

#[tokio::test]
async fn answers_that_are_not_200_are_answers_to_send_and_errors_to_fetch() {
    let server = Server::plain(async |_| text(400, r#"{"error":"invalid_grant"}"#)).await;
    let client = Client::new(&dial(), trusting("")).unwrap();
    let url = server.url("/token?query=kept");
    let answer = client.send(Request::form(&url, "grant_type=x&a=b")).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (400, &br#"{"error":"invalid_grant"}"#[..]));
    let seen = server.seen().pop().unwrap();
    assert_eq!((seen.method.as_str(), seen.body.as_ref()), ("POST", &b"grant_type=x&a=b"[..]));
    assert_eq!(seen.query.as_deref(), Some("query=kept"));
    assert_eq!(seen.headers.get("content-type").unwrap(), "application/x-www-form-urlencoded");
    let error = fetch(&client, &url, None).await.unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 400, .. }));
    assert!(!error.to_string().contains("query"), "{error}");
}

#[tokio::test]
async fn freshness_comes_from_the_server() {
    let issuer = Issuer::builder().kubernetes().start().await;
    let client = Client::new(&dial(), trusting(issuer.ca_pem())).unwrap();
    let fetched = fetch(&client, &issuer.url(Route::Discovery), None).await.unwrap();
    assert_eq!(fetched.fresh_for, Some(Duration::from_secs(3600)));
    let document: serde_json::Value = serde_json::from_slice(&fetched.body).unwrap();
    assert_eq!(document.get("issuer"), Some(&json!(issuer.issuer())));
    assert_eq!(document.get("authorization_endpoint"), None);
}
