//! Calls to etcd: gRPC over HTTP/2 (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>), one question and one
//! answer each. Of several endpoints the one that answered last is asked first.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambient::{BoxFuture, Secret};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{HeaderMap, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use outbound::{Dial, DialError, Link, Reach};

use super::proto::{self, Message};
use crate::sql::{Fault, Tls, line};

/// Where etcd is and who we are.
pub(super) struct Settings {
    pub(super) endpoints: Vec<Uri>,
    pub(super) user: Option<(String, Secret<String>)>,
    pub(super) tls: Arc<Tls>,
    /// Whose certificate is expected, where it is not for the endpoint's host.
    pub(super) server_name: Option<String>,
}

/// Connections to etcd, one an endpoint.
pub(super) struct Rpc {
    client: Client<Connector, Full<Bytes>>,
    settings: Arc<Settings>,
    /// The endpoint that is asked first.
    first: AtomicUsize,
    token: Mutex<Option<String>>,
}

/// What was asked may have happened, unless it says otherwise.
pub(super) enum Failed {
    /// The connection, the member or its leader went away.
    Gone(String),
    /// It did not happen: say again who we are.
    Unknown,
    /// It did not happen.
    Refused(Fault),
}

impl Rpc {
    pub(super) fn new(dial: Dial, settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let connector = Connector { dial, settings: Arc::clone(&settings) };
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            // A member that vanished without a word is noticed while somebody waits for it, within a call's patience. etcd
            // hangs up on whom it hears from more often than each five seconds.
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(Duration::from_secs(6))
            .http2_keep_alive_timeout(Duration::from_secs(3))
            .build(connector);
        Self { client, settings, first: AtomicUsize::new(0), token: Mutex::default() }
    }

    /// How many endpoints there are.
    pub(super) fn endpoints(&self) -> usize {
        self.settings.endpoints.len()
    }

    /// Asks as the configured user.
    pub(super) async fn call(&self, method: &str, message: &Message) -> Result<Bytes, Failed> {
        let Some((name, password)) = &self.settings.user else {
            return self.ask(method, message, None).await;
        };
        let known = self.lock().clone();
        let token = match known {
            Some(token) => token,
            None => {
                let who = Message::default().bytes(1, name.as_bytes()).bytes(2, password.expose().as_bytes());
                let answer = self.ask("etcdserverpb.Auth/Authenticate", &who, None).await?;
                let token = proto::token(answer).ok_or_else(|| Failed::Refused(nonsense()))?;
                *self.lock() = Some(token.clone());
                token
            }
        };
        let answer = self.ask(method, message, Some(&token)).await;
        if matches!(answer, Err(Failed::Unknown)) {
            *self.lock() = None;
        }
        answer
    }

    async fn ask(&self, method: &str, message: &Message, token: Option<&str>) -> Result<Bytes, Failed> {
        let place = self.first.load(Ordering::Relaxed);
        let answer = self.ask_at(place, method, message, token).await;
        if matches!(answer, Err(Failed::Gone(_))) {
            // Whoever else failed there has moved on already.
            let next = (place + 1) % self.endpoints().max(1);
            let _ = self.first.compare_exchange(place, next, Ordering::Relaxed, Ordering::Relaxed);
        }
        answer
    }

    async fn ask_at(
        &self,
        place: usize,
        method: &str,
        message: &Message,
        token: Option<&str>,
    ) -> Result<Bytes, Failed> {
        let broken = |what: String| Failed::Refused(Fault::Broken(what));
        let endpoint = self.settings.endpoints.get(place).ok_or_else(|| broken("no endpoints".into()))?;
        let base = endpoint.to_string();
        let mut request = Request::post(format!("{}/{method}", base.trim_end_matches('/')))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(token) = token {
            request = request.header("token", token);
        }
        let request = request.body(Full::new(framed(message))).map_err(|error| broken(error.to_string()))?;
        let answer = self.client.request(request).await.map_err(|error| Failed::Gone(cause(&error)))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LONGEST).collect().await;
        let body = body.map_err(|error| Failed::Gone(format!("the answer was cut: {error}")))?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        status(&trailers).or_else(|| status(&head.headers)).unwrap_or_else(|| {
            Err(Failed::Gone(format!("no answer of gRPC but HTTP {}", head.status.as_u16())))
        })?;
        unframed(body.to_bytes()).ok_or_else(|| Failed::Refused(nonsense()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message with its prefix: not compressed, so long.
fn framed(message: &Message) -> Bytes {
    let message = message.as_bytes();
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(message);
    frame.freeze()
}

fn unframed(mut frame: Bytes) -> Option<Bytes> {
    let compressed = frame.try_get_u8().ok()?;
    let length = usize::try_from(frame.try_get_u32().ok()?).ok()?;
    (compressed == 0 && frame.len() == length).then_some(frame)
}

/// What gRPC's status says; `None` where there is none.
fn status(headers: &HeaderMap) -> Option<Result<(), Failed>> {
    let code: u32 = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    let message = headers.get("grpc-message").and_then(|text| text.to_str().ok()).unwrap_or_default();
    let text = format!("{} ({code})", line(message));
    Some(match code {
        0 => Ok(()),
        // Cancelled, its time was over, aborted, no leader.
        1 | 4 | 10 | 14 => Err(Failed::Gone(text)),
        16 => Err(Failed::Unknown),
        // Users or roles changed since the token was given; nothing was done.
        3 if message.contains("revision of auth store is old") => Err(Failed::Unknown),
        // A wrong name or password is an invalid argument to etcd, and so are users where it has none.
        3 | 9 if message.contains("auth") || message.contains("user") => {
            Err(Failed::Refused(Fault::Unavailable(text)))
        }
        // No permission; no space left; it stopped.
        7 | 8 | 13 => Err(Failed::Refused(Fault::Unavailable(text))),
        _ => Err(Failed::Refused(Fault::Broken(text))),
    })
}

/// The innermost reason: the outer ones only say that a request failed.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = inner.source() {
        // Its own text says more than the system's.
        if inner.is::<DialError>() {
            break;
        }
        inner = source;
    }
    line(&inner.to_string())
}

fn nonsense() -> Fault {
    Fault::Broken("etcd's answer cannot be read".into())
}

/// Connects to an endpoint.
#[derive(Clone)]
struct Connector {
    dial: Dial,
    settings: Arc<Settings>,
}

impl Connector {
    async fn connect(&self, uri: &Uri) -> Result<Link, DialError> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let stream = self.dial.tcp(host, uri.port_u16().unwrap_or(2379), Reach::Anywhere).await?;
        if uri.scheme() != Some(&hyper::http::uri::Scheme::HTTPS) {
            return Ok(Link::Plain(stream));
        }
        let name = self.settings.server_name.as_deref().unwrap_or(host);
        let config = self.settings.tls.config().map_err(|fault| DialError::Tls {
            host: name.to_owned(),
            source: std::io::Error::other(fault.to_string()),
        })?;
        self.dial.secure(name, stream, &config).await.map(|stream| Link::Tls(Box::new(stream)))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Link>;
    type Error = DialError;
    type Future = BoxFuture<'static, Result<Self::Response, DialError>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), DialError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri).await.map(TokioIo::new) })
    }
}

/// Of an answer: [`super::BATCH`] records of full size fit.
const LONGEST: usize = 48 << 20;
