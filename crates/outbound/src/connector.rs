//! `Dial` in the shape that hyper-util's pool wants, and the connection it gives.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ambient::BoxFuture;
use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_rustls::client::TlsStream;

use crate::address::{Class, Reach, classify};
use crate::dial::{Dial, DialError};

/// Connects a pool of connections under one reach. Pools of different reach are never shared: an idle connection to a
/// private host must not serve a URL that may not point there.
#[derive(Clone)]
pub struct Connector {
    dial: Dial,
    reach: Reach,
    tls: Arc<ClientConfig>,
}

/// A connection, encrypted or not.
pub enum Link {
    /// `http`
    Plain(TcpStream),
    /// `https`
    Tls(Box<TlsStream<TcpStream>>),
    /// A socket of this machine's file system.
    #[cfg(unix)]
    Local(UnixStream),
}

impl Connector {
    /// A connector for `hyper_util::client::legacy::Client`. The caller sees to it that `http` is wanted where it is asked for.
    pub const fn new(dial: Dial, reach: Reach, tls: Arc<ClientConfig>) -> Self {
        Self { dial, reach, tls }
    }

    /// Connects to the host and port of `uri`.
    ///
    /// # Errors
    /// [`DialError`]; see there.
    pub async fn connect(&self, uri: &Uri) -> Result<Link, DialError> {
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if uri.scheme() == Some(&http::uri::Scheme::HTTP) {
            let stream = self.dial.tcp(host, uri.port_u16().unwrap_or(80), self.reach).await?;
            return Ok(Link::Plain(stream));
        }
        let port = uri.port_u16().unwrap_or(443);
        Ok(Link::Tls(Box::new(self.dial.tls(host, port, self.reach, &self.tls).await?)))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Link>;
    type Error = DialError;
    type Future = BoxFuture<'static, Result<Self::Response, DialError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri).await.map(TokioIo::new) })
    }
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(Served(self.reach()));
        match self {
            Self::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                connected.negotiated_h2()
            }
            _ => connected,
        }
    }
}

impl Link {
    /// How far documents that come along here may point: anywhere if the peer has a private address.
    fn reach(&self) -> Reach {
        let socket = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
            #[cfg(unix)]
            Self::Local(_) => return Reach::Anywhere,
        };
        match socket.peer_addr().map(|peer| classify(peer.ip())) {
            Ok(Class::Private) => Reach::Anywhere,
            _ => Reach::PublicOnly,
        }
    }
}

/// Stands among an answer's extensions: how far what it says may point, by the address that it came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served(pub(crate) Reach);

impl AsyncRead for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(unix)]
            Self::Local(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            #[cfg(unix)]
            Self::Local(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            #[cfg(unix)]
            Self::Local(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(unix)]
            Self::Local(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Local(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
