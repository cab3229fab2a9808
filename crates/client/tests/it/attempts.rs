use std::sync::Arc;
use std::time::Duration;

use ambient::{Clock as _, Secret};
use client::{Endpoint, Error, Note};
use http::Response;
use serde_json::json;
use testkit::{TestBody, TestCa, serve};

use crate::world::{ID_TOKEN, World, subject};

#[tokio::test]
async fn the_form_is_what_rfc_8693_and_dex_expect() {
    let world = World::start().await;
    let issued = world.exchanger().exchange(&world.ask(), &subject("a")).await.unwrap();
    assert_eq!(issued.token.expose(), "token-1");
    assert_eq!(issued.issued_token_type, ID_TOKEN);
    let now = world.clock.now();
    assert_eq!(issued.expires, Some(now + Duration::from_secs(900)));
    assert_eq!(issued.fresh_until, Some(now + Duration::from_secs(840)));
    let seen = world.server.seen();
    let request = seen.iter().find(|seen| seen.path == "/token").unwrap();
    assert_eq!(request.method, "POST");
    assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    let body = std::str::from_utf8(&request.body).unwrap();
    let form = wire::form::Form::parse(body, &["audience"]).unwrap();
    assert_eq!(form.get("grant_type"), Some("urn:ietf:params:oauth:grant-type:token-exchange"));
    assert_eq!(form.get("subject_token_type"), Some(ID_TOKEN));
    assert_eq!(form.get("client_id"), Some("prod-cluster"));
    assert_eq!(form.get("connector_id"), Some("cluster-1"));
    assert_eq!(form.get("audience"), Some("prod-cluster"));
    assert!(request.headers.get("authorization").is_none());
}

#[tokio::test]
async fn a_client_secret_travels_in_the_header_and_not_in_the_form() {
    let world = World::start().await;
    let mut ask = world.ask();
    ask.client.secret = Some(Secret::from("hunter2"));
    world.exchanger().exchange(&ask, &subject("a")).await.unwrap();
    let seen = world.server.seen();
    let request = seen.last().unwrap();
    assert_eq!(request.headers["authorization"], "Basic cHJvZC1jbHVzdGVyOmh1bnRlcjI=");
    assert!(!String::from_utf8_lossy(&request.body).contains("hunter2"));
    assert!(!format!("{ask:?}").contains("hunter2"));
}

#[tokio::test]
async fn an_outage_passes_and_retry_after_is_honoured() {
    let world = World::start().await;
    let busy = Response::builder().status(503).header("retry-after", "7").body(TestBody::Whole("".into()));
    world.next(busy.unwrap());
    world.next(serve::text(500, "oops"));
    let before = world.clock.monotonic();
    let (exchanger, ask, subject) = (world.exchanger(), world.ask(), subject("a"));
    let issued = exchanger.exchange(&ask, &subject).await.unwrap();
    assert_eq!(issued.token.expose(), "token-1");
    assert_eq!(world.exchanges(), 3);
    assert!(world.clock.monotonic() - before >= Duration::from_secs(7));
    let notes = world.notes.all();
    assert!(matches!(notes.first(), Some(Note::Retrying { after, .. }) if *after >= Duration::from_secs(7)));
    assert_eq!(notes.len(), 2);
}

#[tokio::test]
async fn tries_are_bounded_and_a_long_retry_after_is_not_waited_for() {
    let world = World::start().await;
    for _ in 0..10 {
        world.next(serve::text(502, "bad gateway"));
    }
    let (exchanger, ask, subject) = (world.exchanger(), world.ask(), subject("a"));
    let told = exchanger.exchange(&ask, &subject).await.unwrap_err();
    assert!(matches!(told, Error::Status { status: 502, .. }), "{told}");
    assert_eq!(world.exchanges(), 4);

    let world = World::start().await;
    let busy = Response::builder().status(429).header("retry-after", "3600").body(TestBody::Whole("".into()));
    world.next(busy.unwrap());
    let told = world.exchanger().exchange(&world.ask(), &subject).await.unwrap_err();
    assert!(matches!(told, Error::Status { status: 429, .. }), "{told}");
    assert_eq!(world.exchanges(), 1);
}

#[tokio::test]
async fn a_refusal_is_final_and_says_what_to_look_at() {
    let world = World::start().await;
    let refusal = json!({"error": "invalid_target", "error_description": "no such audience"}).to_string();
    world.next(serve::text(400, &refusal));
    let told = world.exchanger().exchange(&world.ask(), &subject("a")).await.unwrap_err().to_string();
    assert!(told.contains("invalid_target: no such audience; check --audience"), "{told}");
    assert_eq!(world.exchanges(), 1);
}

#[tokio::test]
async fn redirects_oversize_answers_and_foreign_authorities_are_refused() {
    let world = World::start().await;
    let elsewhere = Response::builder().status(307).header("location", "https://evil.example/token");
    world.next(elsewhere.body(TestBody::Whole("".into())).unwrap());
    let told = world.exchanger().exchange(&world.ask(), &subject("a")).await.unwrap_err().to_string();
    assert!(told.contains("redirect"), "{told}");
    world.next(Response::new(TestBody::Endless));
    let told = world.exchanger().exchange(&world.ask(), &subject("a")).await.unwrap_err().to_string();
    assert!(told.contains("1048576 bytes"), "{told}");
    assert_eq!(world.exchanges(), 2);

    let stranger = world.exchanger_believing(TestCa::new().pem());
    let (ask, subject) = (world.ask(), subject("a"));
    let told = stranger.exchange(&ask, &subject).await.unwrap_err().to_string();
    assert!(told.contains("--certificate-authority"), "{told}");
    assert_eq!(world.exchanges(), 2, "nothing was sent to a server that could not prove itself");
}

#[tokio::test]
async fn a_server_that_never_answers_is_not_waited_for_for_ever() {
    let world = World::start().await;
    for _ in 0..5 {
        world.next(Response::new(TestBody::Stalling("{".into())));
    }
    let exchanger = world.exchanger_with(world.ca.pem(), Arc::new(world.clock.clone()));
    let (mut ask, subject) = (world.ask(), subject("a"));
    ask.endpoint = Endpoint::Token(world.server.url("/token"));
    let told = world.through(exchanger.exchange(&ask, &subject)).await.unwrap_err().to_string();
    assert!(told.contains("did not answer in time"), "{told}");
}
