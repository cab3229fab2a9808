use client::{Endpoint, Error};
use serde_json::json;

use crate::world::{DISCOVERY, World, subject};

#[tokio::test]
async fn the_document_must_be_the_issuers_own() {
    for (member, value, want) in [
        ("issuer", json!("https://other.example"), "it is of the issuer"),
        ("token_endpoint", json!(null), "names no token_endpoint"),
        ("token_endpoint", json!(""), "names no token_endpoint"),
        ("token_endpoint", json!("no url"), "not a URL"),
        ("token_endpoint", json!("http://o.example/token"), "not https"),
        ("token_endpoint", json!("http://127.0.0.1:1/token"), "may not name an http URL"),
        ("token_endpoint", json!("https://169.254.169.254/token"), "may not be"),
    ] {
        let world = World::start().await;
        world.set_discovery(member, value.clone());
        let told = world.exchanger().exchange(&world.ask(), &subject("a")).await.unwrap_err().to_string();
        assert!(told.contains(want), "{member}={value}: {told}");
        assert_eq!(world.exchanges(), 0);
    }
}

#[tokio::test]
async fn a_trailing_slash_makes_another_issuer() {
    let world = World::start().await;
    let mut ask = world.ask();
    ask.endpoint = Endpoint::Issuer(format!("{}/", world.issuer()));
    let told = world.exchanger().exchange(&ask, &subject("a")).await.unwrap_err();
    assert!(matches!(told, Error::Discovery { .. }), "{told}");
    assert_eq!(world.server.requests(DISCOVERY), 1);
}

#[tokio::test]
async fn a_token_endpoint_needs_no_discovery_and_must_be_https() {
    let world = World::start().await;
    let mut ask = world.ask();
    ask.endpoint = Endpoint::Token(world.server.url("/token"));
    world.exchanger().exchange(&ask, &subject("a")).await.unwrap();
    assert_eq!(world.server.requests(DISCOVERY), 0);
    ask.endpoint = Endpoint::Token("http://o.example/token".parse().unwrap());
    let told = world.exchanger().exchange(&ask, &subject("a")).await.unwrap_err();
    assert!(matches!(told, Error::Insecure { .. }), "{told}");
}
