//! A stub of an API server: it echoes what reached it, streams what a test tells it to, and upgrades to an echo.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use ambient::Tasks;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use testkit::TestCa;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use url::Url;

/// A running stub.
pub(crate) struct Stub {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: Tasks,
}

/// Sends the events of a watch.
pub(crate) type Events = mpsc::UnboundedSender<&'static str>;

#[derive(Default)]
struct Shared {
    raw: Option<String>,
    paths: Mutex<Vec<String>>,
    reviews: Mutex<Vec<Value>>,
    allowed: Mutex<Vec<&'static str>>,
    refuses_reviews: AtomicBool,
    watch: Mutex<Option<mpsc::UnboundedReceiver<&'static str>>>,
    held: Mutex<Option<mpsc::UnboundedSender<()>>>,
    connections: AtomicUsize,
    tasks: Tasks,
}

struct Pushed(mpsc::UnboundedReceiver<&'static str>);

impl Stub {
    pub(crate) async fn start(ca: &TestCa) -> Self {
        Self::serve(ca, None).await
    }

    /// Answers every request with these bytes.
    pub(crate) async fn raw(ca: &TestCa, answer: &str) -> Self {
        Self::serve(ca, Some(answer.to_owned())).await
    }

    pub(crate) fn url(&self) -> Url {
        Url::parse(&format!("https://{}", self.address)).unwrap()
    }

    /// The paths that were asked for.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.shared.paths.lock().unwrap().clone()
    }

    /// What was asked in reviews.
    pub(crate) fn reviews(&self) -> Vec<Value> {
        self.shared.reviews.lock().unwrap().clone()
    }

    /// Answers reviews with 500, or answers them again.
    pub(crate) fn refuse_reviews(&self, refuse: bool) {
        self.shared.refuses_reviews.store(refuse, Ordering::SeqCst);
    }

    /// What may be done: reviews whose attributes contain one of these.
    pub(crate) fn allow(&self, patterns: &[&'static str]) {
        *self.shared.allowed.lock().unwrap() = patterns.to_vec();
    }

    /// Arms `/watch`: it sends what is sent here, when it is sent.
    pub(crate) fn watch(&self) -> Events {
        let (events, pushed) = mpsc::unbounded_channel();
        *self.shared.watch.lock().unwrap() = Some(pushed);
        events
    }

    /// Arms `/held`: it says when it was asked, and never answers.
    pub(crate) fn hold(&self) -> mpsc::UnboundedReceiver<()> {
        let (asked, held) = mpsc::unbounded_channel();
        *self.shared.held.lock().unwrap() = Some(asked);
        held
    }

    async fn serve(ca: &TestCa, raw: Option<String>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = Tasks::default();
        let shared = Arc::new(Shared { raw, tasks: tasks.clone(), ..Shared::default() });
        let acceptor = TlsAcceptor::from(config(ca));
        let (accepting, spawner) = (Arc::clone(&shared), tasks.clone());
        tasks.spawn_until_stop(async move {
            loop {
                let stream = listener.accept().await.unwrap().0;
                let number = accepting.connections.fetch_add(1, Ordering::SeqCst);
                spawner.spawn_until_stop(connection(
                    Arc::clone(&accepting),
                    acceptor.clone(),
                    stream,
                    number,
                ));
            }
        });
        Self { address, shared, tasks }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl http_body::Body for Pushed {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.get_mut().0.poll_recv(cx);
        next.map(|text| text.map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }
}

async fn connection(shared: Arc<Shared>, acceptor: TlsAcceptor, stream: TcpStream, number: usize) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    if let Some(raw) = &shared.raw {
        return answer_raw(&mut stream, raw).await;
    }
    let certified = stream.get_ref().1.peer_certificates().is_some();
    let service = hyper::service::service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, request, number, certified).await) }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer_raw(stream: &mut TlsStream<TcpStream>, raw: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let _ = stream.write_all(raw.as_bytes()).await;
    let _ = stream.shutdown().await;
}

type Answer = Response<http_body_util::Either<String, Pushed>>;

async fn answer(shared: &Shared, mut request: Request<Incoming>, number: usize, certified: bool) -> Answer {
    if !request.uri().path().starts_with("/apis/auth") {
        shared.paths.lock().unwrap().push(request.uri().path().to_owned());
    }
    match request.uri().path() {
        "/watch" | "/api/v1/watch/pods" => {
            let pushed = shared.watch.lock().unwrap().take().expect("the test armed the watch");
            Response::new(http_body_util::Either::Right(Pushed(pushed)))
        }
        "/held" | "/api/v1/namespaces/held" => {
            shared.held.lock().unwrap().as_ref().expect("the test armed it").send(()).unwrap();
            std::future::pending().await
        }
        path if path.ends_with("/exec") => exec(shared, &mut request),
        path if path.starts_with("/apis/auth") && path.contains("reviews") => review(shared, request).await,
        path if path.starts_with("/401") => whole(StatusCode::UNAUTHORIZED, "who are you?".into()),
        _ => echo(request, number, certified).await,
    }
}

/// Answers reviews: the token `sa-token` is a service account's; whatever names `allowed` may be done.
async fn review(shared: &Shared, request: Request<Incoming>) -> Answer {
    if shared.refuses_reviews.load(Ordering::SeqCst) {
        return whole(StatusCode::INTERNAL_SERVER_ERROR, "out of order".into());
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let asked: Value = serde_json::from_slice(&body).unwrap();
    shared.reviews.lock().unwrap().push(asked["spec"].clone());
    let status = if asked["kind"] == "TokenReview" {
        let known = ["sa-token", "unaware"].iter().any(|token| asked["spec"]["token"] == *token);
        let audiences = if asked["spec"]["token"] == "unaware" { json!([]) } else { json!(["api"]) };
        json!({"authenticated": known, "audiences": audiences,
            "user": {"username": "system:serviceaccount:a:b", "groups": ["system:serviceaccounts"]}})
    } else {
        let attributes = &asked["spec"]["resourceAttributes"];
        let allowed = shared.allowed.lock().unwrap();
        json!({"allowed": allowed.iter().any(|pattern| attributes.to_string().contains(pattern))})
    };
    whole(StatusCode::CREATED, json!({"kind": asked["kind"], "status": status}).to_string())
}

fn exec(shared: &Shared, request: &mut Request<Incoming>) -> Answer {
    let upgrade = hyper::upgrade::on(&mut *request);
    shared.tasks.spawn_until_stop(async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        let mut first = [0; 4];
        stream.read_exact(&mut first).await.unwrap();
        stream.write_all(&first).await.unwrap();
        stream.flush().await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        // The other side has ended its direction; this one is still open.
        stream.write_all(format!("after the end: {}", rest.len()).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let asked = request.headers()["upgrade"].clone();
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "Upgrade")
        .header("upgrade", asked)
        .header("x-stream-protocol-version", "v4.channel.k8s.io")
        .body(http_body_util::Either::Left(String::new()))
        .unwrap()
}

async fn echo(request: Request<Incoming>, number: usize, certified: bool) -> Answer {
    let (head, body) = request.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().is_some();
    let mut headers = serde_json::Map::new();
    for (name, value) in &head.headers {
        let list = headers.entry(name.as_str()).or_insert_with(|| json!([]));
        list.as_array_mut().unwrap().push(String::from_utf8_lossy(value.as_bytes()).into());
    }
    let told = json!({
        "method": head.method.as_str(), "target": head.uri.to_string(), "headers": Value::Object(headers),
        "body": String::from_utf8_lossy(&collected.to_bytes()), "trailers": trailers,
        "connection": number, "certificate": certified,
    });
    whole(StatusCode::OK, told.to_string())
}

fn whole(status: StatusCode, text: String) -> Answer {
    Response::builder()
        .status(status)
        .header("keep-alive", "timeout=5")
        .body(http_body_util::Either::Left(text))
        .unwrap()
}

/// Takes client certificates of the same authority and does not insist, as API servers do.
fn config(ca: &TestCa) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .unwrap();
    let leaf = ca.leaf(&[]);
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(leaf.cert_pem.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).unwrap(),
        )
        .unwrap();
    Arc::new(config)
}
