//! Where a URL may lead.

use std::sync::Arc;

use ambient::{FetchError, Fetched};
use outbound::{Client, Options};
use testkit::issuer::{Behaviour, Issuer, Route};
use testkit::serve::{Server, text};
use url::Url;

use crate::{Names, dial, fetch, trusting};

fn is_forbidden(answer: &Result<Fetched, FetchError>) -> bool {
    matches!(answer, Err(FetchError::Forbidden { .. }))
}

#[tokio::test]
async fn a_configured_loopback_url_is_fetched() {
    let issuer = Issuer::start().await;
    let client = Client::new(&dial(), trusting(issuer.ca_pem())).unwrap();
    let fetched = fetch(&client, &issuer.url(Route::Keys), Some(&issuer.base_url())).await.unwrap();
    assert_eq!(fetched.fresh_for, None);
    let document: serde_json::Value = serde_json::from_slice(&fetched.body).unwrap();
    assert!(document.get("keys").is_some());
}

#[tokio::test]
async fn attack_12_a_public_issuer_cannot_point_into_the_private_network() {
    let server = Server::plain(async |_| text(200, "secret")).await;
    let inside = server.url_as("inside.example", "/").to_string().replace("http:", "https:");
    let inside = Url::parse(&inside).unwrap();
    let names = Names::new(&[
        ("public.example", &[&["8.8.8.8"]]),
        ("private.example", &[&["10.0.0.1"]]),
        ("mixed.example", &[&["10.0.0.1", "8.8.8.8"]]),
        ("inside.example", &[&["127.0.0.1"]]),
    ]);
    let client = Client::new(&dial().resolving(names), Options::default()).unwrap();
    for configured in ["https://public.example", "https://mixed.example"] {
        let configured = Url::parse(configured).unwrap();
        assert!(is_forbidden(&fetch(&client, &inside, Some(&configured)).await), "{configured}");
    }
    assert_eq!(server.connections(), 0);
    // A private issuer may: the connection is made, and only then fails as TLS.
    let private = Url::parse("https://private.example").unwrap();
    let answer = fetch(&client, &inside, Some(&private)).await;
    assert!(matches!(answer, Err(FetchError::Unreachable { .. })), "{answer:?}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn attack_12_an_idle_connection_does_not_carry_a_url_past_the_guard() {
    let issuer = Issuer::builder().names(&["inside.example"]).start().await;
    let keys = issuer.server().url_as("inside.example", "/keys");
    let names = Names::new(&[("public.example", &[&["8.8.8.8"]]), ("inside.example", &[&["127.0.0.1"]])]);
    let client = Client::new(&dial().resolving(names), trusting(issuer.ca_pem())).unwrap();
    assert!(fetch(&client, &keys, None).await.is_ok());
    let public = Url::parse("https://public.example").unwrap();
    assert!(is_forbidden(&fetch(&client, &keys, Some(&public)).await));
    assert_eq!(issuer.requests(Route::Keys), 1);
}

#[tokio::test]
async fn attack_12_rebinding_finds_no_second_resolution() {
    let server = Server::plain(async |_| text(200, "first")).await;
    // The second answer would be another host's address; were the name resolved again, nobody would listen there.
    let names = Names::new(&[("rebind.example", &[&["127.0.0.1"], &["127.0.0.99"]])]);
    let client = Client::new(&dial().resolving(Arc::clone(&names) as _), Options::default()).unwrap();
    let answer = fetch(&client, &server.url_as("rebind.example", "/"), None).await.unwrap();
    assert_eq!(answer.body, "first");
    assert_eq!((names.asked("rebind.example"), server.connections()), (1, 1));
}

/// The name of a public issuer is its owner's to answer for, at any time in any way. What counts is who served the
/// document.
#[tokio::test]
async fn attack_12_an_issuer_that_turns_private_after_its_document_points_no_further() {
    let private = Server::plain(async |_| text(200, "secret")).await;
    let inside = private.url_as("inside.example", "/").to_string().replace("http:", "https:");
    let inside = Url::parse(&inside).unwrap();
    let issuer = Issuer::builder().names(&["issuer.example"]).start().await;
    let configured = issuer.server().url_as("issuer.example", "/.well-known/openid-configuration");
    for (later, connections) in [("8.8.8.8", 1), ("127.0.0.1", 2)] {
        let names = Names::new(&[
            ("issuer.example", &[&["127.0.0.1"], &[later]]),
            ("inside.example", &[&["127.0.0.1"]]),
        ]);
        let client =
            Client::new(&dial().resolving(Arc::clone(&names) as _), trusting(issuer.ca_pem())).unwrap();
        fetch(&client, &configured, None).await.unwrap();
        // It was private when it served the document, so the connection is made, and only then fails as TLS.
        let answer = fetch(&client, &inside, Some(&configured)).await;
        assert!(matches!(answer, Err(FetchError::Unreachable { .. })), "{later}: {answer:?}");
        assert_eq!((private.connections(), names.asked("issuer.example")), (connections, 1), "{later}");
    }
}

#[tokio::test]
async fn attack_12_metadata_is_out_of_reach_even_when_configured() {
    let names = Names::new(&[
        ("metadata.google.internal", &[&["8.8.8.8"]]),
        ("innocent.example", &[&["169.254.169.254"]]),
        ("nowhere.example", &[&[]]),
    ]);
    let client = Client::new(&dial().resolving(Arc::clone(&names) as _), Options::default()).unwrap();
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "http://2852039166/",
        "http://0xa9.0xfe.0xa9.0xfe/",
        "http://0251.0376.0251.0376/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "http://0/",
        "http://innocent.example/",
        "http://nowhere.example/",
        "http://METADATA.google.internal./",
    ] {
        let answer = fetch(&client, &Url::parse(url).unwrap(), None).await;
        assert!(is_forbidden(&answer), "{url}");
    }
    assert_eq!(names.asked("metadata.google.internal"), 0);
}

#[tokio::test]
async fn attack_12_redirects_are_not_followed() {
    let (issuer, elsewhere) = (Issuer::start().await, Server::plain(async |_| text(200, "{}")).await);
    let client = Client::new(&dial(), trusting(issuer.ca_pem())).unwrap();
    issuer.behave(Route::Keys, Behaviour::Redirect(elsewhere.url("/").into()));
    assert!(is_forbidden(&fetch(&client, &issuer.url(Route::Keys), None).await));
    for status in [300, 301, 303, 304, 307, 308] {
        issuer.behave(Route::Keys, Behaviour::Status(status));
        assert!(is_forbidden(&fetch(&client, &issuer.url(Route::Keys), None).await), "{status}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn attack_12_a_document_cannot_downgrade_to_http() {
    let (issuer, plain) = (Issuer::start().await, Server::plain(async |_| text(200, "{}")).await);
    let client = Client::new(&dial(), trusting(issuer.ca_pem())).unwrap();
    assert!(is_forbidden(&fetch(&client, &plain.url("/keys"), Some(&issuer.base_url())).await));
    assert_eq!(plain.connections(), 0);
    assert!(fetch(&client, &plain.url("/keys"), Some(&plain.url("/"))).await.is_ok());
}

#[tokio::test]
async fn attack_14_an_issuer_that_comes_back_is_reached_again() {
    let issuer = Issuer::start().await;
    let client = Client::new(&dial(), trusting(issuer.ca_pem())).unwrap();
    let url = issuer.url(Route::Discovery);
    for line in [testkit::Line::Refusing, testkit::Line::Resetting] {
        issuer.set_line(line).await;
        let answer = fetch(&client, &url, None).await;
        assert!(matches!(answer, Err(FetchError::Unreachable { .. })), "{line:?}: {answer:?}");
        issuer.set_line(testkit::Line::Up).await;
        assert!(fetch(&client, &url, None).await.is_ok(), "{line:?}");
    }
}
