//! Plain HTTP: bounds, panics, the end.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use inbound::{Event, Limits, Peer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Running, short};

type Answer = Either<Full<Bytes>, Watch>;

/// One part, and no end.
pub(crate) struct Watch(Option<Bytes>);

impl http_body::Body for Watch {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
    }
}

pub(crate) async fn answer(request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
    assert_ne!(request.uri().path(), "/panic", "on purpose");
    if request.uri().path() == "/never" {
        std::future::pending::<()>().await;
    }
    if request.uri().path() == "/large" {
        return Ok(Response::new(Either::Left(Full::from(vec![b'x'; 1024 * 1024]))));
    }
    if request.uri().path() == "/watch" {
        return Ok(Response::new(Either::Right(Watch(Some(Bytes::from_static(b"one"))))));
    }
    let peer = request.extensions().get::<Peer>().copied();
    let text = format!("{} {}", request.uri().path(), peer.is_some_and(|peer| !peer.encrypted));
    Ok(Response::new(Either::Left(Full::from(text))))
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

/// Who opens no window answers pings for ever, and holds its connection, its streams and what is behind them.
#[tokio::test]
async fn attack_25_who_reads_nothing_holds_nothing() {
    let span = Duration::from_millis(50);
    for (path, limits) in [
        ("/once", Limits { idle: span, stall: Duration::MAX, ..short() }),
        ("/large", Limits { idle: span, stall: span, ..short() }),
    ] {
        let running = Running::start(limits, None).await;
        let stream = TcpStream::connect(running.address).await.unwrap();
        let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let client = client.initial_stream_window_size(0).handshake(TokioIo::new(stream));
        let (mut send, connection) = client.await.unwrap();
        let mut alive = tokio::spawn(connection);
        let ask = Request::builder().uri(format!("http://x{path}")).body(String::new()).unwrap();
        let answer = send.send_request(ask).await.unwrap();
        assert!(answer.status().is_success());
        let ended = tokio::time::timeout(Duration::from_secs(10), &mut alive).await;
        assert!(ended.is_ok(), "{path}");
        drop(answer);
    }
}

/// An answer that has nothing to say yet is not its reader's fault.
#[tokio::test]
async fn who_waits_for_more_is_left_alone() {
    let span = Duration::from_millis(50);
    let running = Running::start(Limits { idle: span, stall: span * 10, ..short() }, None).await;
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (mut send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let alive = tokio::spawn(connection);
    let ask = |path: &str| Request::builder().uri(format!("http://x{path}")).body(String::new()).unwrap();
    let mut watched = send.send_request(ask("/watch")).await.unwrap();
    watched.body_mut().frame().await.unwrap().unwrap();
    let more = tokio::time::timeout(span * 20, watched.body_mut().frame()).await;
    assert!(more.is_err() && !alive.is_finished(), "a watch waits");
}

#[tokio::test]
async fn attack_25_a_head_beyond_the_bound_is_refused() {
    let running = Running::start(Limits { head_bytes: 8192, ..Limits::default() }, None).await;
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nlong: {}\r\n\r\n", "x".repeat(100_000));
    let answer = running.say(&head).await;
    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn attack_25_one_peer_does_not_take_every_place() {
    let running = Running::start(Limits { connections: 3, per_peer: 1, ..Limits::default() }, None).await;
    let mut first = TcpStream::connect(running.address).await.unwrap();
    first.write_all(b"GET /first HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut some = [0; 12];
    first.read_exact(&mut some).await.unwrap();
    for _ in 0..5 {
        let mut more = TcpStream::connect(running.address).await.unwrap();
        let _ = more.write_all(b"GET /more HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        let mut answer = Vec::new();
        let _ = more.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
    }
    assert!(matches!(running.events.all()[..], [Event::Crowded { .. }, _, _, _, _]));
    drop(first);
    // Its place is free soon, and nobody says when.
    let again = async {
        while !running
            .say("GET /again HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .ends_with("/again true")
        {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), again).await.is_ok());
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
