//! The accept loop.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ambient::{Clock, Observer, Tasks};
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::Service;

use crate::connection;
use crate::peers::Peers;
use crate::tls::ServerTls;

/// A bound port. Connections queue in the kernel until [`Listener::serve`], so that it can be bound before there is
/// anything to answer with.
pub struct Listener(TcpListener);

/// What a listener needs from around it.
#[derive(Clone)]
pub struct Setting {
    /// TLS, or plain HTTP without.
    pub tls: Option<Arc<ServerTls>>,
    /// The bounds.
    pub limits: Limits,
    /// What they are measured with.
    pub clock: Arc<dyn Clock>,
    /// Connections are tasks of this group; stopping it ends the listener gracefully.
    pub tasks: Tasks,
    /// Hears what goes wrong.
    pub observer: Arc<dyn Observer<Event>>,
}

/// Bounds on what strangers may hold open. Bodies are bounded by those who read them.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; more wait in the kernel's queue.
    pub connections: usize,
    /// Those of one address, or of one IPv6 network of 64 bits; more are closed at once.
    pub per_peer: usize,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// For the first request of a connection, and for each head of an HTTP/1.1 request, idle time before it included.
    pub head: Duration,
    /// Bytes of an HTTP/1.1 head, and of an HTTP/2 header list.
    pub head_bytes: u32,
    /// A connection on which nothing was asked or answered for so long is closed, pings or not.
    pub idle: Duration,
    /// A connection whose peer took nothing of a large or endless answer for so long is closed; it is looked at as often as
    /// idle ones are.
    pub stall: Duration,
    /// HTTP/2 streams at once on one connection.
    pub streams: u32,
    /// Bytes of bodies that an HTTP/2 connection may send ahead of who reads them.
    pub window: u32,
    /// For what is under way when the group stops.
    pub drain: Duration,
}

/// What went wrong at the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A connection could not be accepted; out of file descriptors, usually.
    Unaccepted(String),
    /// A peer has as many connections as it may, and one more was closed.
    Crowded {
        /// Which.
        peer: SocketAddr,
    },
    /// A TLS handshake failed or took too long.
    Handshake {
        /// With whom.
        peer: SocketAddr,
        /// Why.
        reason: String,
    },
    /// The service panicked and the request was answered with 500.
    Panicked {
        /// Whose request.
        peer: SocketAddr,
    },
    /// A new certificate is in use.
    PairReplaced,
    /// A new certificate cannot be used; the last good one stays.
    PairRefused(String),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            per_peer: usize::MAX,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(60),
            head_bytes: 64 * 1024,
            idle: Duration::from_secs(180),
            stall: Duration::from_secs(300),
            streams: 250,
            window: 1024 * 1024,
            drain: Duration::from_secs(20),
        }
    }
}

impl Listener {
    /// Binds a port; 0 means any.
    ///
    /// # Errors
    /// The port is taken or not allowed.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Serves until the task group stops and its connections have ended. Each request carries its [`crate::Peer`] as an
    /// extension. Upgraded connections belong to the service that upgraded them.
    pub async fn serve<S, B>(self, service: S, setting: Setting)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let places = Arc::new(Semaphore::new(setting.limits.connections));
        let peers = Peers::new(setting.limits.per_peer);
        let mut stopping = setting.tasks.stopping();
        loop {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await.ok();
                (place, self.0.accept().await)
            };
            let (place, accepted) = tokio::select! {
                next = next => next,
                () = &mut stopping => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Some(entered) = peers.enter(peer.ip()) else {
                        setting.observer.observe(&Event::Crowded { peer });
                        continue;
                    };
                    let (service, cx) = (service.clone(), setting.clone());
                    setting.tasks.spawn(async move {
                        connection::run(stream, peer, service, cx).await;
                        drop((place, entered));
                    });
                }
                Err(error) => {
                    setting.observer.observe(&Event::Unaccepted(error.to_string()));
                    setting.clock.sleep(AFTER_FAILURE).await;
                }
            }
        }
        drop(self.0);
        let all = u32::try_from(setting.limits.connections).unwrap_or(u32::MAX);
        let _ = places.acquire_many(all).await;
    }
}

/// Without a pause, a process that is out of file descriptors would spin.
const AFTER_FAILURE: Duration = Duration::from_millis(100);
