//! The listener that the browser comes back to: one port of the loopback interface, one path, one answer.
//!
//! Anybody on the machine, and any page in the browser, can send it requests. So it hears only those whose `Host` is the
//! one of the redirect URI (a name that was rebound to this address is another), tells apart ours from theirs by `state`
//! alone, goes on waiting after theirs, and takes one answer. What strangers wrote is never shown unescaped.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambient::{Clock, Ignore, Secret, Tasks};
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use inbound::{Limits, Listener, ServerTls, Setting, Versions};
use tokio::sync::{mpsc, oneshot};
use tower::service_fn;
use url::{Host, Url};

use super::opening::{Arrival, Opening};
use super::page::{self, Page};
use crate::discovery::Discovered;
use crate::error::Error;
use crate::flow::Exchanger;
use crate::note::Note;

/// Where the browser comes back to.
#[derive(Debug, Clone, Default)]
pub struct Landing {
    /// Tried in this order; port 0 is any free one.
    pub addresses: Vec<SocketAddr>,
    /// The redirect URI as it is registered; `http://localhost:PORT` if not given. A loopback address without a port gets
    /// that of the listener (RFC 8252 section 7.3).
    pub redirect_uri: Option<String>,
    /// Serves HTTPS.
    pub pair: Option<Pair>,
    /// Where the browser goes when all is done, instead of our page.
    pub afterwards: Option<Url>,
}

/// A certificate and its key, PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate, then its intermediates.
    pub chain_pem: Vec<u8>,
    /// The private key.
    pub key_pem: Secret<Vec<u8>>,
}

/// How it ended, for the page.
pub(super) enum Outcome {
    SignedIn(Option<String>),
    Failed(String),
}

/// A bound port; nobody is answered yet.
pub(super) struct Port {
    listeners: Vec<Listener>,
    pub(super) port: u16,
    pub(super) redirect_uri: String,
    tls: Option<Arc<ServerTls>>,
    afterwards: Option<Url>,
}

/// A port that listens.
pub(super) struct Open {
    state: Arc<State>,
    answers: tokio::sync::Mutex<mpsc::Receiver<Answer>>,
    tasks: Tasks,
}

type Answer = (Arrival, oneshot::Sender<Outcome>);

struct State {
    opening: Opening,
    found: Discovered,
    host: String,
    path: String,
    afterwards: Option<Url>,
    /// Taken by the first answer.
    first: Mutex<Option<mpsc::Sender<Answer>>>,
    asker: Exchanger,
}

impl Landing {
    pub(super) async fn bind(&self) -> Result<Port, Error> {
        let pair = self
            .pair
            .as_ref()
            .map(|pair| inbound::Pair { chain_pem: pair.chain_pem.clone(), key_pem: pair.key_pem.clone() });
        let tls = pair.map(|pair| ServerTls::new(&pair, Versions::default())).transpose();
        let tls = tls.map_err(|error| Error::Listen(error.to_string()))?.map(Arc::new);
        let mut last = String::from("no address to listen on is given");
        for address in &self.addresses {
            match self.bind_one(*address).await {
                Ok((listeners, port)) => {
                    let redirect_uri = self.redirect_uri(port, tls.is_some())?;
                    let afterwards = self.afterwards.clone();
                    return Ok(Port { listeners, port, redirect_uri, tls, afterwards });
                }
                Err(error) => last = format!("cannot listen on {address}: {error}"),
            }
        }
        Err(Error::Listen(last))
    }

    /// `localhost` is two addresses, and whoever holds the other one would get what the browser brings: so both are ours
    /// or neither, where there are both.
    async fn bind_one(&self, address: SocketAddr) -> std::io::Result<(Vec<Listener>, u16)> {
        let named = self.redirect_uri.as_deref().and_then(|raw| Url::parse(raw).ok());
        let by_name = named.is_none_or(|url| url.host_str() == Some("localhost"));
        let first = Listener::bind(address).await?;
        let port = first.address()?.port();
        let twin = match address.ip() {
            IpAddr::V4(Ipv4Addr::LOCALHOST) if by_name => IpAddr::V6(Ipv6Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST) if by_name => IpAddr::V4(Ipv4Addr::LOCALHOST),
            _ => return Ok((vec![first], port)),
        };
        match Listener::bind(SocketAddr::new(twin, port)).await {
            Ok(second) => Ok((vec![first, second], port)),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(error),
            Err(_) => Ok((vec![first], port)),
        }
    }

    fn redirect_uri(&self, port: u16, encrypted: bool) -> Result<String, Error> {
        let scheme = if encrypted { "https" } else { "http" };
        let Some(raw) = &self.redirect_uri else { return Ok(format!("{scheme}://localhost:{port}")) };
        let bad = |what: &str| Error::Listen(format!("the redirect URL {raw} {what}"));
        let url = Url::parse(raw).map_err(|_| bad("is not a URL"))?;
        let loopback = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if url.query().is_some() || url.fragment().is_some() || !url.has_host() {
            return Err(bad("must be a plain http or https URL without query and fragment"));
        }
        if loopback && url.port().is_none() && url.scheme() == "http" {
            let path = if url.path() == "/" && !raw.ends_with('/') { "" } else { url.path() };
            return Ok(format!("http://{}:{port}{path}", url.host_str().unwrap_or_default()));
        }
        Ok(raw.clone())
    }
}

impl Port {
    pub(super) fn open(self, opening: Opening, found: Discovered, asker: &Exchanger) -> Result<Open, Error> {
        let url =
            Url::parse(&self.redirect_uri).map_err(|_| Error::Listen("the redirect URL is none".into()))?;
        let host = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
            None => url.host_str().unwrap_or_default().to_owned(),
        };
        let (sender, answers) = mpsc::channel(1);
        let state = Arc::new(State {
            opening,
            found,
            host,
            path: url.path().to_owned(),
            afterwards: self.afterwards,
            first: Mutex::new(Some(sender)),
            asker: asker.clone(),
        });
        let tasks = Tasks::default();
        for listener in self.listeners {
            let setting = Setting {
                tls: self.tls.clone(),
                limits: limits(),
                clock: Arc::clone(&asker.clock),
                tasks: tasks.clone(),
                observer: Arc::new(Ignore),
            };
            let state = Arc::clone(&state);
            let service = service_fn(move |request: Request<Incoming>| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(state.answer(&request).await) }
            });
            tasks.spawn(listener.serve(service, setting));
        }
        Ok(Open { state, answers: tokio::sync::Mutex::new(answers), tasks })
    }
}

impl Open {
    pub(super) fn opening(&self) -> &Opening {
        &self.state.opening
    }

    /// The one answer, and where to say how it went.
    pub(super) async fn arrived(&self) -> Result<Answer, Error> {
        let gone = || Error::Listen("the listener has ended".into());
        self.answers.lock().await.recv().await.ok_or_else(gone)
    }

    /// Lets the page go out and closes the port.
    pub(super) async fn close(self, clock: &dyn Clock) {
        self.tasks.stop();
        tokio::select! {
            () = self.tasks.ended() => {}
            () = clock.sleep(DRAIN) => {}
        }
    }
}

impl State {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let arrival = match self.judge(request) {
            Ok(arrival) => arrival,
            Err(page) => return page.response(),
        };
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(first) = first else { return page::over().response() };
        let (tell, told) = oneshot::channel();
        if first.send((arrival, tell)).await.is_err() {
            return page::over().response();
        }
        match told.await {
            Ok(Outcome::SignedIn(who)) => match &self.afterwards {
                Some(url) => page::away(url),
                None => page::signed_in(who.as_deref()).response(),
            },
            Ok(Outcome::Failed(why)) => page::failed(&why).response(),
            Err(_) => page::over().response(),
        }
    }

    fn judge(&self, request: &Request<Incoming>) -> Result<Arrival, Page> {
        let host = request.uri().authority().map(http::uri::Authority::as_str);
        let host = host.or_else(|| request.headers().get(header::HOST)?.to_str().ok());
        if !host.is_some_and(|host| host.eq_ignore_ascii_case(&self.host)) {
            return Err(page::elsewhere());
        }
        if request.uri().path() != self.path {
            return Err(page::nothing_here());
        }
        if request.method() != Method::GET {
            return Err(page::only_get());
        }
        let query = request.uri().query().unwrap_or_default();
        self.opening.arrival(query, &self.found).map_err(|stray| {
            self.asker.tell(&Note::Stray { reason: stray.0 });
            page::stray()
        })
    }
}

fn limits() -> Limits {
    let short = Duration::from_secs(15);
    Limits {
        connections: 64,
        handshake: short,
        head: short,
        head_bytes: 32 * 1024,
        idle: Duration::from_secs(120),
        streams: 8,
        drain: DRAIN,
        ..Limits::default()
    }
}

/// kubectl waits behind us while the last page goes out.
const DRAIN: Duration = Duration::from_secs(1);
