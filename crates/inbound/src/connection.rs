//! One accepted connection, from the handshake to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt as _};

use crate::busy::{Busy, until_sent};
use crate::listener::{Event, Limits, Setting};

/// Who asks: an extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the connection; a load balancer, perhaps.
    pub address: SocketAddr,
    /// Whether this listener speaks TLS.
    pub encrypted: bool,
}

/// Shakes hands and speaks HTTP.
pub(crate) async fn run<S, B>(stream: TcpStream, address: SocketAddr, service: S, setting: Setting)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _ = stream.set_nodelay(true);
    let Some(tls) = &setting.tls else {
        return speak(stream, Peer { address, encrypted: false }, service, &setting).await;
    };
    let shaken = tokio::select! {
        shaken = TlsAcceptor::from(tls.config()).accept(stream) => shaken.map_err(|error| error.to_string()),
        () = setting.clock.sleep(setting.limits.handshake) => Err("no handshake in time".to_owned()),
        () = setting.tasks.stopping() => return,
    };
    match shaken {
        Ok(stream) => speak(stream, Peer { address, encrypted: true }, service, &setting).await,
        Err(reason) => setting.observer.observe(&Event::Handshake { peer: address, reason }),
    }
}

async fn speak<S, B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    service: S,
    setting: &Setting,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let busy = Busy::new(Arc::clone(&setting.clock));
    let serving = {
        let (busy, observer) = (Arc::clone(&busy), Arc::clone(&setting.observer));
        service_fn(move |mut request: Request<Incoming>| {
            let under_way = busy.begin();
            request.extensions_mut().insert(peer);
            let (service, observer) = (service.clone(), Arc::clone(&observer));
            async move {
                let answer = caught(async move { service.oneshot(request).await }).await;
                Ok::<_, Infallible>(match answer {
                    Some(Ok(answer)) => answer.map(|body| Either::Left(until_sent(body, under_way))),
                    None => {
                        observer.observe(&Event::Panicked { peer: peer.address });
                        failed().map(Either::Right)
                    }
                })
            }
        })
    };
    let builder = protocols(&setting.limits);
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), serving));
    // hyper's own timer starts only once it knows the protocol, which a silent peer never tells.
    let mut watch = setting.clock.sleep(setting.limits.head);
    let mut stopping = setting.tasks.stopping();
    let mut seen = 0;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = &mut watch => {
                let begun = busy.begun();
                match begun {
                    0 => return,
                    _ if begun == seen && busy.is_quiet() => break,
                    _ if busy.has_stalled(setting.limits.stall) => break,
                    _ => seen = begun,
                }
                watch = setting.clock.sleep(setting.limits.idle);
            }
            () = &mut stopping => break,
        }
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        () = setting.clock.sleep(setting.limits.drain) => {}
    }
}

fn protocols(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(usize::try_from(limits.head_bytes).unwrap_or(MIN_BUFFER).max(MIN_BUFFER));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.head)
        .max_concurrent_streams(limits.streams)
        .initial_connection_window_size(limits.window)
        .initial_stream_window_size(limits.window.min(STREAM_WINDOW))
        .max_header_list_size(limits.head_bytes);
    builder
}

/// Runs `work`; `None` if it panics. What it held is dropped and nothing of it is used again.
async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

fn failed() -> Response<Empty<Bytes>> {
    let mut answer = Response::new(Empty::new());
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    answer
}

/// For one request of an HTTP/2 connection.
const STREAM_WINDOW: u32 = 256 * 1024;

/// hyper's own minimum.
const MIN_BUFFER: usize = 8192;
