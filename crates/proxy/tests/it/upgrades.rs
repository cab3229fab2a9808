//! exec, attach and port-forward: upgraded connections.

use http::StatusCode;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{self, get};
use crate::front::{Front, Plan};
use crate::stub::Stub;

#[tokio::test]
async fn bytes_pass_both_ways_and_each_way_ends_for_itself() {
    let front = Front::start().await;
    for protocol in ["SPDY/3.1", "websocket"] {
        let headers = [("connection", "Upgrade"), ("upgrade", protocol)];
        let response = client::send(front.address, get("/exec", &front.jane(), &headers)).await;
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(response.headers()["upgrade"], protocol);
        assert_eq!(response.headers()["connection"], "Upgrade");
        assert_eq!(response.headers()["x-stream-protocol-version"], "v4.channel.k8s.io");
        let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        stream.write_all(b"ping").await.unwrap();
        let mut echoed = [0; 4];
        stream.read_exact(&mut echoed).await.unwrap();
        assert_eq!(&echoed, b"ping");
        stream.write_all(&vec![b'x'; 100_000]).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "after the end: 100000");
    }
}

#[tokio::test]
async fn attack_25_tunnels_have_a_bound_and_give_their_place_back() {
    let front = Plan { most_tunnels: 1, ..Plan::default() }.start().await;
    let headers = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
    let first = client::send(front.address, get("/exec", &front.jane(), &headers)).await;
    assert_eq!(first.status(), StatusCode::SWITCHING_PROTOCOLS);
    front.get("/exec", &front.jane(), &headers).await.failure(503, "ServiceUnavailable");
    assert_eq!((front.stub.paths().len(), front.events.last_code()), (1, "tunnels"));
    front.reached(&front.jane(), &[]).await;
    let mut stream = TokioIo::new(hyper::upgrade::on(first).await.unwrap());
    stream.write_all(b"ping").await.unwrap();
    stream.shutdown().await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    drop(stream);
    // The place is free once both ends are: soon, and nobody says when.
    loop {
        let again = client::send(front.address, get("/exec", &front.jane(), &headers)).await;
        if again.status() == StatusCode::SWITCHING_PROTOCOLS {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn attack_28_an_upgrade_to_bare_http_is_refused() {
    let front = Front::start().await;
    for protocol in ["h2c", "TLS/1.0", "websocket, h2c"] {
        let headers = [
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", protocol),
            ("http2-settings", "AAMAAABk"),
        ];
        front.get("/exec", &front.jane(), &headers).await.failure(400, "BadRequest");
    }
    front
        .get("/exec", "garbage", &[("connection", "Upgrade"), ("upgrade", "websocket")])
        .await
        .failure(401, "Unauthorized");
    assert!(front.stub.paths().is_empty());
}

#[tokio::test]
async fn a_switch_that_was_not_asked_for_is_not_passed_on() {
    for (asked, switched) in
        [(&[][..], "websocket"), (&[("connection", "upgrade"), ("upgrade", "websocket")], "h2c")]
    {
        let plan = Plan::default();
        let raw =
            format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {switched}\r\n\r\n");
        let stub = Some(Stub::raw(&plan.ca, &raw).await);
        let front = Plan { stub, ..plan }.start().await;
        front.get("/exec", &front.jane(), asked).await.failure(502, "ServiceUnavailable");
    }
}

#[tokio::test]
async fn a_refused_upgrade_is_an_answer_like_any_other() {
    let front = Front::start().await;
    let headers = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
    let seen = front.reached(&front.jane(), &headers).await;
    assert_eq!(seen["headers"]["upgrade"], serde_json::json!(["SPDY/3.1"]));
    assert_eq!(seen["headers"]["connection"], serde_json::json!(["Upgrade"]));
}

#[tokio::test]
async fn an_upgraded_connection_ends_soon_after_its_token() {
    let front = Front::start().await;
    let ends = ambient::Clock::now(&front.clock).unix() + 60;
    let token =
        front.issuer.token(serde_json::json!({"sub": "jane", "aud": "kubernetes", "exp": ends})).sign();
    let headers = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
    let response = client::send(front.address, get("/exec", &token, &headers)).await;
    let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    stream.write_all(b"ping").await.unwrap();
    let mut echoed = [0; 4];
    stream.read_exact(&mut echoed).await.unwrap();
    front.clock.until_sleeping(1).await;
    front.clock.advance(std::time::Duration::from_secs(91));
    assert!(stream.read_to_end(&mut Vec::new()).await.is_ok_and(|read| read == 0));
}
