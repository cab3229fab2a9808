//! What we send along, and to whom.

use std::sync::Arc;
use std::time::Duration;

use ambient::{Fetch as _, Secret, Want};
use outbound::{Bearer, Client, Credential, Options, Request, TokenFile};
use testkit::serve::{Server, text};
use testkit::{FakeClock, TestCa};
use url::Url;

use crate::{dial, fetch, trusting};

fn credential(origin: &Url, bearer: Bearer) -> Credential {
    let headers = [(http::HeaderName::from_static("private-token"), "p1".parse().unwrap())];
    Credential { origin: origin.clone(), bearer: Some(bearer), headers: headers.into_iter().collect() }
}

fn sent(server: &Server) -> Option<String> {
    let seen = server.seen().pop().unwrap();
    let bearer = seen.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(bearer.is_some(), seen.headers.contains_key("private-token"));
    bearer
}

#[tokio::test]
async fn attack_12_a_credential_goes_to_its_origin_alone() {
    let ca = TestCa::new();
    let (own, other) =
        (Server::tls(&ca, async |_| text(200, "")).await, Server::tls(&ca, async |_| text(200, "")).await);
    let credential = credential(&own.url("/some/path"), Bearer::Fixed(Secret::from("s3cret")));
    let shown = format!("{credential:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
    let client =
        Client::new(&dial(), Options { credential: Some(credential), ..trusting(ca.pem()) }).unwrap();

    fetch(&client, &own.url("/keys"), None).await.unwrap();
    assert_eq!(sent(&own).as_deref(), Some("Bearer s3cret"));
    // The same host on another port, then under another name.
    fetch(&client, &other.url("/keys"), Some(&own.url("/"))).await.unwrap();
    assert_eq!(sent(&other), None);
    fetch(&client, &own.url_as("localhost", "/keys"), Some(&own.url("/"))).await.unwrap();
    assert_eq!(sent(&own), None);
    client.send(Request::form(&other.url("/token"), "a=b").named_by(Some(&own.url("/")))).await.unwrap();
    assert_eq!(sent(&other), None);
}

#[tokio::test]
async fn an_upstream_token_is_sent_where_it_is_wanted() {
    let server = Server::plain(async |_| text(200, "{}")).await;
    let client = Client::new(&dial(), trusting("")).unwrap();
    let url = server.url("/userinfo");
    let want = |bearer| Want { url: &url, named_by: None, accept: "*/*", bearer: Some(bearer), cap: 10 };
    client.fetch(want("upstream")).await.unwrap();
    assert_eq!(server.seen().pop().unwrap().headers.get("authorization").unwrap(), "Bearer upstream");
    assert!(client.fetch(want("new\r\nline: x")).await.is_err());
    assert_eq!(server.requests("/userinfo"), 1);
}

#[tokio::test]
async fn a_token_file_is_read_again_and_its_loss_survived() {
    let (server, folder) = (Server::plain(async |_| text(200, "")).await, tempfile::tempdir().unwrap());
    let (path, clock) = (folder.path().join("token"), FakeClock::default());
    let file = Arc::new(TokenFile::new(&path, Arc::new(clock.clone())));
    let credential = credential(&server.url("/"), Bearer::File(file));
    let client = Client::new(&dial(), Options { credential: Some(credential), ..trusting("") }).unwrap();
    let url = server.url("/");

    assert!(fetch(&client, &url, None).await.is_err(), "no token yet");
    std::fs::write(&path, "\n").unwrap();
    assert!(fetch(&client, &url, None).await.is_err(), "an empty token");
    assert_eq!(server.connections(), 0);
    for (content, expected) in
        [(Some("one\n"), "Bearer one"), (Some("two"), "Bearer two"), (None, "Bearer two")]
    {
        match content {
            Some(token) => std::fs::write(&path, token).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        clock.advance(Duration::from_secs(10));
        fetch(&client, &url, None).await.unwrap();
        assert_eq!(sent(&server).as_deref(), Some(expected));
    }
}
