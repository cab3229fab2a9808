//! A small HTTP server on a free port of the loopback that remembers what it was asked, ends when it is dropped, and
//! can be taken off the line.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use ambient::{BoxFuture, Tasks};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::tls::TestCa;

/// A server. Dropping it closes the port and every connection.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    line: watch::Sender<Line>,
    tasks: Tasks,
    scheme: &'static str,
}

/// The state of the network before a [`Server`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Everything works.
    Up,
    /// Nobody listens.
    Refusing,
    /// Connections are accepted and broken at once.
    Resetting,
    /// Connections are accepted and nothing ever comes back.
    Hanging,
}

/// A request that was received.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query, if there is one.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A body that may behave badly.
#[derive(Debug, Clone)]
pub enum TestBody {
    /// Everything at once, with its length.
    Whole(Bytes),
    /// These bytes, and then nothing and no end.
    Stalling(Bytes),
    /// Zeros without end.
    Endless,
}

struct Shared {
    handler: Handler,
    tls: Option<Arc<ServerConfig>>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    /// The line as the accept loop knows it, and the connections that were accepted while it was up.
    applied: watch::Sender<Line>,
    speaking: watch::Sender<usize>,
}

type Handler = Box<dyn Fn(Request<Bytes>) -> BoxFuture<'static, Response<TestBody>> + Send + Sync>;

impl Server {
    /// A server without TLS.
    pub async fn plain<F>(handler: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<TestBody>> + Send + 'static,
    {
        Self::start(None, Box::new(move |request| Box::pin(handler(request)))).await
    }

    /// A server whose certificate `ca` made for `127.0.0.1` and `localhost`.
    pub async fn tls<F>(ca: &TestCa, handler: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<TestBody>> + Send + 'static,
    {
        Self::tls_for(ca, &[], handler).await
    }

    /// A server whose certificate `ca` made for these names.
    pub async fn tls_for<F>(
        ca: &TestCa,
        names: &[&str],
        handler: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<TestBody>> + Send + 'static,
    {
        Self::start(Some(ca.server_config(names)), Box::new(move |request| Box::pin(handler(request)))).await
    }

    /// `https://127.0.0.1:PORT/path`, or `http`.
    pub fn url(&self, path: &str) -> Url {
        self.url_as("127.0.0.1", path)
    }

    /// The same under another name, for tests that bring a resolver.
    pub fn url_as(&self, host: &str, path: &str) -> Url {
        Url::parse(&format!("{}://{host}:{}{path}", self.scheme, self.address.port())).unwrap()
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the network; when this returns it has changed, and if it is not up, the connections from before are cut.
    pub async fn set_line(&self, line: Line) {
        self.line.send_replace(line);
        let _ = self.shared.applied.subscribe().wait_for(|applied| *applied == line).await;
        if line != Line::Up {
            let _ = self.shared.speaking.subscribe().wait_for(|count| *count == 0).await;
        }
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many requests for this path were received so far.
    pub fn requests(&self, path: &str) -> usize {
        self.shared.seen.lock().unwrap().iter().filter(|seen| seen.path == path).count()
    }

    /// All requests so far, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    async fn start(tls: Option<Arc<ServerConfig>>, handler: Handler) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            handler,
            tls,
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            applied: watch::Sender::new(Line::Up),
            speaking: watch::Sender::new(0),
        });
        let (line, tasks) = (watch::Sender::new(Line::Up), Tasks::default());
        tasks.spawn_until_stop(accept(Arc::clone(&shared), listener, line.subscribe(), tasks.clone()));
        Self { shared, address, line, tasks, scheme }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

/// 200 with a JSON document.
pub fn json(document: &serde_json::Value) -> Response<TestBody> {
    let body = TestBody::Whole(document.to_string().into());
    Response::builder().header("content-type", "application/json").body(body).unwrap()
}

/// Any status with a plain text.
pub fn text(status: u16, text: &str) -> Response<TestBody> {
    Response::builder().status(status).body(TestBody::Whole(text.to_owned().into())).unwrap()
}

async fn accept(
    shared: Arc<Shared>,
    mut listener: TcpListener,
    mut line: watch::Receiver<Line>,
    tasks: Tasks,
) {
    let address = listener.local_addr().unwrap();
    loop {
        let now = *line.borrow_and_update();
        if now == Line::Refusing {
            drop(listener);
            // Bound and not listening: refuses, and keeps the port from others.
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(address).unwrap();
            shared.applied.send_replace(now);
            let _ = line.wait_for(|line| *line != Line::Refusing).await;
            listener = socket.listen(128).unwrap();
            continue;
        }
        shared.applied.send_replace(now);
        let stream = tokio::select! {
            biased;
            changed = line.changed() => if changed.is_ok() { continue } else { return },
            accepted = listener.accept() => accepted.unwrap().0,
        };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        if now == Line::Up {
            shared.speaking.send_modify(|count| *count += 1);
        }
        tasks.spawn_until_stop(accepted(Arc::clone(&shared), stream, now, line.clone()));
    }
}

/// One connection that was accepted when the line was `now`.
async fn accepted(shared: Arc<Shared>, stream: TcpStream, now: Line, mut line: watch::Receiver<Line>) {
    match now {
        Line::Up => {
            tokio::select! {
                () = connection(Arc::clone(&shared), stream) => {}
                _ = line.wait_for(|line| *line != Line::Up) => {}
            }
            shared.speaking.send_modify(|count| *count -= 1);
        }
        Line::Hanging => {
            let _ = line.wait_for(|line| *line != Line::Hanging).await;
        }
        Line::Resetting | Line::Refusing => drop(stream),
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    match shared.tls.clone() {
        None => speak(shared, stream).await,
        Some(config) => {
            if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                speak(shared, stream).await;
            }
        }
    }
}

async fn speak(shared: Arc<Shared>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            shared.seen.lock().unwrap().push(Seen {
                method: head.method.clone(),
                path: head.uri.path().to_owned(),
                query: head.uri.query().map(str::to_owned),
                headers: head.headers.clone(),
                body: body.clone(),
            });
            Ok::<_, Infallible>((shared.handler)(Request::from_parts(head, body)).await)
        }
    });
    let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Body for TestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Stalling(bytes) if bytes.is_empty() => Poll::Pending,
            Self::Whole(bytes) | Self::Stalling(bytes) => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            Self::Endless => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 16 * 1024]))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
