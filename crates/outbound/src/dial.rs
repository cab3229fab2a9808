//! The one place that connects: resolve once, judge, connect to what was judged.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ambient::Clock;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::address::{self, Class, Reach, classify};
use crate::resolve::{Resolve, SystemResolver};

/// Opens connections under the guard. Cheap to clone; made once and handed to everybody.
#[derive(Clone)]
pub struct Dial {
    resolver: Arc<dyn Resolve>,
    clock: Arc<dyn Clock>,
    within: Duration,
    /// Whose certificates are asked for instead of the host's.
    peer: Option<ServerName<'static>>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The guard refuses every address of the host, or its name.
    #[error("{host} may not be reached: {reason}")]
    Forbidden {
        /// The host that was asked for.
        host: String,
        /// The rule.
        reason: &'static str,
    },
    /// The name has no answer.
    #[error("{host} cannot be resolved: {source}")]
    Unresolved {
        /// The host that was asked for.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Nobody listens there, or the network failed.
    #[error("{address} cannot be connected to: {source}")]
    Unconnected {
        /// The last address that was tried.
        address: SocketAddr,
        /// What the network said.
        source: io::Error,
    },
    /// Nobody listens at that path.
    #[error("{path} cannot be connected to: {source}")]
    Absent {
        /// The path of the socket.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The peer's certificate or protocol is not acceptable.
    #[error("no TLS with {host}: {source}")]
    Tls {
        /// The host that was asked for.
        host: String,
        /// What TLS said.
        source: io::Error,
    },
    /// Connection and handshake took longer than they may.
    #[error("{host} did not accept a connection in time")]
    Late {
        /// The host that was asked for.
        host: String,
    },
}

impl Dial {
    /// With the system's resolver and ten seconds for a connection.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { resolver: Arc::new(SystemResolver), clock, within: CONNECT_WITHIN, peer: None }
    }

    /// With another resolver.
    #[must_use]
    pub fn resolving(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// With another bound on connection and handshake together.
    #[must_use]
    pub const fn within(mut self, span: Duration) -> Self {
        self.within = span;
        self
    }

    /// With another name that every peer's certificate must be for, as where a cluster is reached through a tunnel. `None`: that is no
    /// name.
    #[must_use]
    pub fn expecting(mut self, name: &str) -> Option<Self> {
        self.peer = Some(ServerName::try_from(name.to_owned()).ok()?);
        Some(self)
    }

    /// The clock that deadlines are measured with.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// How far documents from `host` may point: anywhere if the host has private addresses only.
    ///
    /// # Errors
    /// [`DialError::Unresolved`], or [`DialError::Forbidden`] for a name or addresses that nobody may reach.
    pub async fn reach_of(&self, host: &str) -> Result<Reach, DialError> {
        let admitted = self.admitted(host, Reach::Anywhere).await?;
        let private = admitted.iter().all(|ip| classify(*ip) == Class::Private);
        Ok(if private { Reach::Anywhere } else { Reach::PublicOnly })
    }

    /// A TCP connection without Nagle's delay. `host` is a name or a literal address, without brackets.
    ///
    /// # Errors
    /// [`DialError`]; see there.
    pub async fn tcp(&self, host: &str, port: u16, reach: Reach) -> Result<TcpStream, DialError> {
        self.timed(host, self.connect(host, port, reach)).await
    }

    /// A TLS connection; the certificate must be for `host`.
    ///
    /// # Errors
    /// [`DialError`]; see there.
    pub async fn tls(
        &self,
        host: &str,
        port: u16,
        reach: Reach,
        config: &Arc<ClientConfig>,
    ) -> Result<TlsStream<TcpStream>, DialError> {
        let handshake = async {
            let stream = self.connect(host, port, reach).await?;
            self.handshake(host, stream, config).await
        };
        self.timed(host, handshake).await
    }

    /// TLS over a connection that [`Dial::tcp`] made, for protocols that begin in clear (StartTLS).
    ///
    /// # Errors
    /// [`DialError`]; see there.
    pub async fn secure(
        &self,
        host: &str,
        stream: TcpStream,
        config: &Arc<ClientConfig>,
    ) -> Result<TlsStream<TcpStream>, DialError> {
        self.timed(host, self.handshake(host, stream, config)).await
    }

    /// A connection to a socket of this machine's file system, which the operator named: no address, nothing to judge.
    ///
    /// # Errors
    /// [`DialError::Absent`], or [`DialError::Late`].
    #[cfg(unix)]
    pub async fn local(&self, path: &std::path::Path) -> Result<tokio::net::UnixStream, DialError> {
        let named = path.display().to_string();
        let absent = |source| DialError::Absent { path: named.clone(), source };
        self.timed(&named, async { tokio::net::UnixStream::connect(path).await.map_err(absent) }).await
    }

    async fn connect(&self, host: &str, port: u16, reach: Reach) -> Result<TcpStream, DialError> {
        let mut last = None;
        let admitted = self.admitted(host, reach).await?;
        let tries = admitted.len().clamp(1, MAX_TRIES);
        // A dead address must not eat the time of the living one behind it.
        let share = self.within / u32::try_from(tries).unwrap_or(1);
        for ip in admitted.into_iter().take(tries) {
            let address = SocketAddr::new(ip, port);
            match self.connect_to(address, share).await {
                Ok(stream) => return Ok(stream),
                Err(source) => last = Some(DialError::Unconnected { address, source }),
            }
        }
        Err(last.unwrap_or_else(|| DialError::Late { host: host.to_owned() }))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that connects, to an address that was judged"
    )]
    async fn connect_to(&self, address: SocketAddr, within: Duration) -> io::Result<TcpStream> {
        tokio::select! {
            connected = TcpStream::connect(address) => {
                let stream = connected?;
                stream.set_nodelay(true)?;
                Ok(stream)
            }
            () = self.clock.sleep(within) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn admitted(&self, host: &str, reach: Reach) -> Result<Vec<IpAddr>, DialError> {
        let forbidden = |reason| DialError::Forbidden { host: host.to_owned(), reason };
        if address::is_metadata_name(host) {
            return Err(forbidden("it is the name of a metadata service"));
        }
        let resolved = match host.parse() {
            Ok(literal) => vec![literal],
            Err(_) => self
                .resolver
                .resolve(host)
                .await
                .map_err(|source| DialError::Unresolved { host: host.to_owned(), source })?,
        };
        address::admit(resolved, reach).map_err(forbidden)
    }

    /// The certificate must be for `host`, unless another name is expected.
    async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
        config: &Arc<ClientConfig>,
    ) -> Result<TlsStream<TcpStream>, DialError> {
        let failed = |source| DialError::Tls { host: host.to_owned(), source };
        let name = match &self.peer {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.strip_suffix('.').unwrap_or(host).to_owned())
                .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?,
        };
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await.map_err(failed)
    }

    async fn timed<T>(
        &self,
        host: &str,
        work: impl Future<Output = Result<T, DialError>>,
    ) -> Result<T, DialError> {
        tokio::select! {
            done = work => done,
            () = self.clock.sleep(self.within) => Err(DialError::Late { host: host.to_owned() }),
        }
    }
}

const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// More addresses than this are not tried.
const MAX_TRIES: usize = 4;
