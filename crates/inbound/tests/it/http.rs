//! Plain HTTP: bounds, panics, the end.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use inbound::{Event, Limits, Peer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Running, short};

pub(crate) async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_ne!(request.uri().path(), "/panic", "on purpose");
    if request.uri().path() == "/never" {
        std::future::pending::<()>().await;
    }
    let peer = request.extensions().get::<Peer>().copied();
    let text = format!("{} {}", request.uri().path(), peer.is_some_and(|peer| !peer.encrypted));
    Ok(Response::new(Full::from(text)))
}

#[tokio::test]
async fn requests_are_answered_and_know_their_peer() {
    let running = Running::start(Limits::default(), None).await;
    let answer = running.say("GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("/hello true"), "{answer}");
}

#[tokio::test]
async fn a_panic_is_a_500_and_counted_and_the_listener_lives() {
    let running = Running::start(Limits::default(), None).await;
    let answer = running
        .say("GET /panic HTTP/1.1\r\nhost: x\r\n\r\nGET /after HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    assert!(answer.ends_with("/after true"), "{answer}");
    assert!(matches!(running.events.all().as_slice(), [Event::Panicked { .. }]));
}

#[tokio::test]
async fn attack_25_slow_and_silent_peers_are_closed() {
    let running = Running::start(short(), None).await;
    // Nothing at all; the beginning of either protocol; half a head; a kept-alive connection that goes quiet.
    for text in
        ["", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nhost", "GET /once HTTP/1.1\r\nhost: x\r\n\r\n"]
    {
        let answer = running.say(text).await;
        assert_eq!(answer.contains("/once"), text.contains("/once"), "{text:?}: {answer:?}");
    }
}

/// A connection that is alive and asks nothing gives its place back; one that still gets its answer keeps it.
#[tokio::test]
async fn attack_25_pings_do_not_keep_a_place() {
    let running = Running::start(Limits { idle: Duration::from_millis(50), ..short() }, None).await;
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (mut send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let alive = tokio::spawn(connection);
    let ask = |path: &str| Request::builder().uri(format!("http://x{path}")).body(String::new()).unwrap();
    let slow = send.send_request(ask("/never"));
    assert!(send.send_request(ask("/once")).await.unwrap().status().is_success());
    let early = tokio::time::timeout(Duration::from_millis(300), slow).await;
    assert!(early.is_err() && !alive.is_finished(), "a request was under way");
    // Dropping the request ends it, and then nothing is under way.
    alive.await.unwrap().unwrap();
}

#[tokio::test]
async fn attack_25_a_head_beyond_the_bound_is_refused() {
    let running = Running::start(Limits { head_bytes: 8192, ..Limits::default() }, None).await;
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nlong: {}\r\n\r\n", "x".repeat(100_000));
    let answer = running.say(&head).await;
    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn a_full_house_makes_the_next_one_wait_and_then_serves_it() {
    let running = Running::start(Limits { connections: 1, ..Limits::default() }, None).await;
    let mut first = TcpStream::connect(running.address).await.unwrap();
    first.write_all(b"GET /first HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut some = [0; 12];
    first.read_exact(&mut some).await.unwrap();
    let second = running.say("GET /second HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let mut second = Box::pin(second);
    let mut round_trips = async || {
        for _ in 0..10 {
            first.write_all(b"GET /first HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            first.read_exact(&mut some).await.unwrap();
        }
    };
    let early = tokio::select! {
        biased;
        answer = &mut second => Some(answer),
        () = round_trips() => None,
    };
    assert_eq!(early, None);
    drop(first);
    assert!(second.await.ends_with("/second true"));
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_those_that_never_finish() {
    let limits = Limits { drain: Duration::from_millis(50), ..Limits::default() };
    let running = Running::start(limits, None).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(b"GET /idle HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut some = [0; 12];
    idle.read_exact(&mut some).await.unwrap();
    let mut stuck = TcpStream::connect(running.address).await.unwrap();
    stuck.write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    running.tasks.stop();
    running.tasks.ended().await;
    assert!(TcpStream::connect(running.address).await.is_err());
}
