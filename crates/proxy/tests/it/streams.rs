//! Bodies stream both ways, as they come.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::json;

use crate::client::{self, get};
use crate::front::{Front, Plan};
use crate::stub::Stub;

#[tokio::test]
async fn a_watch_event_arrives_before_the_next_one_is_sent() {
    let front = Front::start().await;
    for over_h2 in [false, true] {
        let events = front.stub.watch();
        let request = get("/watch", &front.jane(), &[]);
        let mut response = if over_h2 {
            client::send_h2(front.address, request).await
        } else {
            client::send(front.address, request).await
        };
        for event in ["{\"type\":\"ADDED\"}\n", "{\"type\":\"MODIFIED\"}\n", "{\"type\":\"DELETED\"}\n"] {
            events.send(event).unwrap();
            let frame = response.body_mut().frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), event);
        }
        drop(events);
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
}

#[tokio::test]
async fn a_watch_ends_at_the_api_server_when_the_client_goes() {
    let front = Front::start().await;
    let events = front.stub.watch();
    let mut response = client::send(front.address, get("/watch", &front.jane(), &[])).await;
    events.send("{}\n").unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    drop(response);
    events.closed().await;
}

/// A token that ends in a minute, for streams that end half a minute later.
fn short_lived(front: &Front) -> String {
    let ends = ambient::Clock::now(&front.clock).unix() + 60;
    front.issuer.token(json!({"sub": "jane", "aud": "kubernetes", "exp": ends})).sign()
}

/// Whoever reads nothing has nobody poll what is sent: the end must come by itself, and as far as the API server.
#[tokio::test]
async fn attack_25_a_stream_ends_with_its_token_although_nobody_reads_it() {
    let front = Front::start().await;
    let events = front.stub.watch();
    let request = get("/watch", &short_lived(&front), &[]);
    let response = client::send_h2_unread(front.address, request).await;
    // The first waits for a window that is never opened; the second would be ready if it were.
    events.send("{}\n").unwrap();
    events.send("{}\n").unwrap();
    // Both are where they get to by now.
    for _ in 0..20 {
        front.reached(&front.jane(), &[]).await;
    }
    front.clock.until_sleeping(1).await;
    front.clock.advance(std::time::Duration::from_secs(90));
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), events.closed()).await;
    assert!(ended.is_ok(), "the API server still sends");
    drop(response);
}

/// Whatever is ready, whoever reads slowly enough could find something for ever: the deadline is looked at first, also where
/// nobody is left to take the stream away.
#[tokio::test]
async fn attack_25_what_is_ready_does_not_outlive_the_token() {
    let front = Front::start().await;
    let events = front.stub.watch();
    let request = get("/watch", &short_lived(&front), &[]);
    let mut response = client::send(front.address, request).await;
    events.send("{}\n").unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    front.tunnels.stop();
    front.tunnels.ended().await;
    front.clock.advance(std::time::Duration::from_secs(90));
    events.send("late\n").unwrap();
    let rest = tokio::time::timeout(std::time::Duration::from_secs(10), response.into_body().collect()).await;
    assert!(rest.expect("an end").unwrap().to_bytes().is_empty());
}

/// An answer that does not come, and a request that is never sent to its end, hold the API server no longer than the token.
#[tokio::test]
async fn attack_25_a_request_ends_with_its_token_before_it_is_answered() {
    let front = Front::start().await;
    let mut held = front.stub.hold();
    let request = get("/held", &short_lived(&front), &[]);
    let address = front.address;
    let asking = tokio::spawn(async move { client::read(client::send(address, request).await).await });
    held.recv().await.unwrap();
    front.clock.advance(std::time::Duration::from_secs(90));
    let answer = tokio::time::timeout(std::time::Duration::from_secs(10), asking).await;
    answer.expect("an answer").unwrap().failure(504, "Timeout");
    assert_eq!(front.events.last_code(), "ended");
}

#[tokio::test]
async fn bodies_and_methods_pass_over_both_protocols() {
    let front = Front::start().await;
    let body = "x".repeat(300_000);
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let make = || {
            Request::builder()
                .method(method)
                .uri("/api/v1/namespaces?dryRun=All")
                .header("authorization", format!("Bearer {}", front.jane()))
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(body.clone())))
                .unwrap()
        };
        for answer in
            [client::send(front.address, make()).await, client::send_h2(front.address, make()).await]
        {
            let seen = client::read(answer).await.document;
            assert_eq!((&seen["method"], &seen["body"]), (&json!(method), &json!(body)));
            assert_eq!(seen["headers"]["content-length"], json!(["300000"]));
        }
    }
}

#[tokio::test]
async fn trailers_pass_back_and_the_headers_of_the_hop_do_not() {
    let plan = Plan::default();
    let raw = "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\nTransfer-Encoding: chunked\r\n\
               Trailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n";
    let stub = Some(Stub::raw(&plan.ca, raw).await);
    let front = Plan { stub, ..plan }.start().await;
    let answer = client::read(client::send_h2(front.address, get("/api", &front.jane(), &[])).await).await;
    assert_eq!(answer.document, "hi");
    assert_eq!(answer.trailers.unwrap()["x-sum"], "7");
    assert_eq!(answer.headers["x-end"], "2");
    assert!(!answer.headers.contains_key("x-hop") && !answer.headers.contains_key("connection"));
}

#[tokio::test]
async fn connections_to_the_api_server_are_used_again() {
    let front = Front::start().await;
    let first = front.reached(&front.jane(), &[]).await;
    let second = front.reached(&front.jane(), &[]).await;
    assert_eq!(first["connection"], second["connection"]);
}

#[tokio::test]
async fn a_watch_ends_soon_after_its_token() {
    let front = Front::start().await;
    let events = front.stub.watch();
    let ends = ambient::Clock::now(&front.clock).unix() + 60;
    let token = front.issuer.token(json!({"sub": "jane", "aud": "kubernetes", "exp": ends})).sign();
    let mut response = client::send(front.address, get("/watch", &token, &[])).await;
    events.send("{}\n").unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    front.clock.until_sleeping(1).await;
    front.clock.advance(std::time::Duration::from_secs(89));
    events.send("still\n").unwrap();
    let frame = response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "still\n");
    front.clock.advance(std::time::Duration::from_secs(1));
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty(), "a clean end");
    events.closed().await;
}
