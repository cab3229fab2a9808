//! A client of the proxy: one request a connection, or raw bytes.

use std::net::SocketAddr;

use ambient::Tasks;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::front::Front;

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) document: Value,
}

/// A GET with these headers beside the bearer token.
pub(crate) fn get(path: &str, token: &str, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Request::get(path);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::default()).unwrap()
}

/// Sends a request over HTTP/1.1.
pub(crate) async fn send(address: SocketAddr, mut request: Request<Full<Bytes>>) -> Response<Incoming> {
    request.headers_mut().entry("host").or_insert("proxy.test".parse().unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    Tasks::default().spawn(async move { drop(connection.with_upgrades().await) });
    sender.send_request(request).await.unwrap()
}

/// Sends a request over HTTP/2.
pub(crate) async fn send_h2(address: SocketAddr, request: Request<Full<Bytes>>) -> Response<Incoming> {
    over_h2(hyper::client::conn::http2::Builder::new(TokioExecutor::new()), address, request).await
}

/// The same, and opens no window for the answer's body.
pub(crate) async fn send_h2_unread(address: SocketAddr, request: Request<Full<Bytes>>) -> Response<Incoming> {
    let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    client.initial_stream_window_size(0);
    over_h2(client, address, request).await
}

async fn over_h2(
    client: hyper::client::conn::http2::Builder<TokioExecutor>,
    address: SocketAddr,
    mut request: Request<Full<Bytes>>,
) -> Response<Incoming> {
    let target = format!("http://proxy.test{}", request.uri());
    *request.uri_mut() = target.parse().unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
    Tasks::default().spawn(async move { drop(connection.await) });
    sender.send_request(request).await.unwrap()
}

/// Reads an answer to its end.
pub(crate) async fn read(response: Response<Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned();
    let text = String::from_utf8(collected.to_bytes().to_vec()).unwrap();
    let document = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status: head.status, headers: head.headers, trailers, document }
}

impl Front {
    /// A GET with this token and these headers, answered.
    pub(crate) async fn get(&self, path: &str, token: &str, headers: &[(&str, &str)]) -> Answer {
        read(send(self.address, get(path, token, headers)).await).await
    }

    /// What reached the API server of a GET that passes.
    pub(crate) async fn reached(&self, token: &str, headers: &[(&str, &str)]) -> Value {
        let answer = self.get("/api/v1/pods?limit=1", token, headers).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.document);
        answer.document
    }

    /// Sends these bytes and reads until the other side closes or has answered `answers` times.
    pub(crate) async fn say(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Answer {
    /// Checks that this is a Kubernetes `Status` of a failure, and gives its message.
    pub(crate) fn failure(&self, status: u16, reason: &str) -> &str {
        assert_eq!(self.status, status, "{}", self.document);
        assert_eq!(self.headers["content-type"], "application/json");
        let document = &self.document;
        assert_eq!((&document["kind"], &document["apiVersion"]), (&"Status".into(), &"v1".into()));
        assert_eq!((&document["status"], &document["code"]), (&"Failure".into(), &status.into()));
        assert_eq!(document["reason"], reason);
        document["message"].as_str().unwrap()
    }
}
