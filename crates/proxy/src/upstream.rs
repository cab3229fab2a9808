//! The API server: where it is, and the two lanes that lead there.
//!
//! A request that carries the proxy's identity and one that carries only the caller's never use the same connection:
//! a connection may have the proxy's client certificate, and the API server believes a certificate before it reads a
//! token. So each lane has its own TLS identity and pool, and a request is typed by its lane when it is made; there is
//! no way to send one along the other.

use std::error::Error as _;
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cluster::Reviews;
use http::header::{CONNECTION, HeaderName, HeaderValue, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use outbound::{
    BadTrust, Client, Connector, Dial, DialError, Identity, Options, Protocols, Reach, Roots, TokenFile,
    Trust,
};
use url::Url;

use crate::audit::Sent;
use crate::bearer::Bearer;
use crate::identity::KubeUser;
use crate::impersonate::{self, Passage};
use crate::refusal::Refusal;
use crate::upgrade::Protocol;

/// Where the API server is and what the proxy shows it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its URL, perhaps with a path before all of its own. Only `https`.
    pub server: Url,
    /// Whose certificate it must have.
    pub roots: Roots,
    /// The proxy's own credential, which may impersonate.
    pub credential: Credential,
}

/// The proxy's own credential.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A token in a file, read again while we run.
    TokenFile(Arc<TokenFile>),
    /// A token.
    Token(ambient::Secret<String>),
    /// A client certificate.
    Certificate(Identity),
}

impl Target {
    /// Asks the API server for reviews, with the proxy's own credential.
    ///
    /// # Errors
    /// [`BadTrust`]: the CA or the proxy's certificate cannot be used.
    pub fn reviews(&self, dial: &Dial) -> Result<Reviews, BadTrust> {
        let (bearer, identity) = match &self.credential {
            Credential::TokenFile(file) => (Some(outbound::Bearer::File(Arc::clone(file))), None),
            Credential::Token(token) => (Some(outbound::Bearer::Fixed(token.clone())), None),
            Credential::Certificate(identity) => (None, Some(identity.clone())),
        };
        let credential =
            outbound::Credential { origin: self.server.clone(), bearer, headers: HeaderMap::new() };
        let trust = Trust { roots: self.roots.clone(), identity, ..Trust::default() };
        let options = Options { trust, credential: Some(credential), ..Options::default() };
        Ok(Reviews::new(Client::new(dial, options)?, self.server.clone()))
    }
}

/// The target cannot be used; the operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum BadTarget {
    /// Plain HTTP, or no host.
    #[error("{0} is not an https URL of an API server")]
    Url(Url),
    /// The CA or the client certificate.
    #[error(transparent)]
    Trust(#[from] BadTrust),
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    /// Who sent it.
    pub(crate) client: IpAddr,
    /// Who connected: the same, or a trusted proxy.
    pub(crate) peer: IpAddr,
}

/// The API server as the last step sees it.
pub(crate) struct Upstream {
    authority: Authority,
    prefix: String,
    credential: Credential,
    ours: Lane<Ours>,
    theirs: Lane<Theirs>,
}

/// A lane on which the proxy's credential travels.
enum Ours {}

/// A lane on which only the caller's token travels.
enum Theirs {}

struct Lane<L> {
    pool: legacy::Client<Connector, Sent>,
    kind: PhantomData<fn() -> L>,
}

/// A request whose headers are complete for lane `L`.
struct Outgoing<L> {
    request: Request<Sent>,
    kind: PhantomData<fn() -> L>,
}

impl Upstream {
    pub(crate) fn new(target: Target, dial: &Dial) -> Result<Self, BadTarget> {
        let authority = match (target.server.scheme(), target.server.host()) {
            ("https", Some(_)) => Authority::try_from(target.server.authority()).ok(),
            _ => None,
        };
        let authority = authority.ok_or_else(|| BadTarget::Url(target.server.clone()))?;
        let identity = match &target.credential {
            Credential::Certificate(identity) => Some(identity.clone()),
            _ => None,
        };
        Ok(Self {
            authority,
            prefix: target.server.path().trim_end_matches('/').to_owned(),
            ours: Lane::new(dial, &Trust { roots: target.roots.clone(), identity, ..Trust::default() })?,
            theirs: Lane::new(dial, &Trust { roots: target.roots, identity: None, ..Trust::default() })?,
            credential: target.credential,
        })
    }

    /// Sends a request, whose headers the guard has cleared, on the lane that its passage names.
    pub(crate) async fn send(
        &self,
        mut request: Request<Sent>,
        passage: &Passage,
        source: Source,
        upgrade: Option<Protocol>,
    ) -> Result<Response<Incoming>, Refusal> {
        *request.uri_mut() = self.address(request.uri())?;
        *request.version_mut() = Version::HTTP_11;
        write_hop(request.headers_mut(), source, upgrade)?;
        match passage {
            Passage::Impersonate(user) => {
                let delegated = is_delegated(request.uri().path());
                let answer = self.ours.send(Outgoing::ours(request, user, &self.credential)?).await?;
                // The caller is authenticated: a 401 is about us, and kubectl must not throw its token away for it.
                if answer.status() == StatusCode::UNAUTHORIZED && !delegated {
                    return Err(Refusal::CredentialRefused);
                }
                Ok(answer)
            }
            Passage::AsIs(bearer) => self.theirs.send(Outgoing::theirs(request, bearer.as_ref())?).await,
        }
    }

    fn address(&self, asked: &Uri) -> Result<Uri, Refusal> {
        let path = asked.path_and_query().map_or("/", PathAndQuery::as_str);
        Uri::builder()
            .scheme(Scheme::HTTPS)
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path}", self.prefix))
            .build()
            .map_err(|_| Refusal::Request("the request's target cannot be passed on"))
    }
}

impl<L> Lane<L> {
    fn new(dial: &Dial, trust: &Trust) -> Result<Self, BadTrust> {
        // HTTP/1.1 alone: it carries upgrades, and an idle pool gives every watch a connection of its own.
        let tls = trust.client_config(Protocols::Http1)?;
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP_IDLE)
            .pool_max_idle_per_host(MOST_IDLE)
            .build(Connector::new(dial.clone(), Reach::Anywhere, tls));
        Ok(Self { pool, kind: PhantomData })
    }

    async fn send(&self, outgoing: Outgoing<L>) -> Result<Response<Incoming>, Refusal> {
        self.pool.request(outgoing.request).await.map_err(|error| explain(&error))
    }
}

impl Outgoing<Ours> {
    fn ours(mut request: Request<Sent>, user: &KubeUser, credential: &Credential) -> Result<Self, Refusal> {
        impersonate::write(user, request.headers_mut())?;
        match credential {
            Credential::TokenFile(file) => {
                let token = file.current().map_err(|error| Refusal::NoCredential(error.to_string()))?;
                impersonate::authorize(token.expose(), request.headers_mut())?;
            }
            Credential::Token(token) => impersonate::authorize(token.expose(), request.headers_mut())?,
            Credential::Certificate(_) => {}
        }
        Ok(Self { request, kind: PhantomData })
    }
}

impl Outgoing<Theirs> {
    fn theirs(mut request: Request<Sent>, bearer: Option<&Bearer>) -> Result<Self, Refusal> {
        if let Some(bearer) = bearer {
            impersonate::authorize(bearer.token(), request.headers_mut())?;
        }
        Ok(Self { request, kind: PhantomData })
    }
}

/// The headers of this hop: who is before us, and the upgrade that is asked for.
fn write_hop(headers: &mut HeaderMap, source: Source, upgrade: Option<Protocol>) -> Result<(), Refusal> {
    let Source { client, peer } = source;
    let chain = if client == peer { client.to_string() } else { format!("{client}, {peer}") };
    let chain = HeaderValue::try_from(chain).map_err(|_| Refusal::Unheadable)?;
    headers.insert(FORWARDED_FOR, chain);
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(protocol.name()));
    }
    Ok(())
}

/// Whether somebody behind the API server answers (a pod, a service, a node), whose 401 is its own affair.
fn is_delegated(path: &str) -> bool {
    path.split('/').any(|segment| segment == "proxy")
}

fn explain(error: &legacy::Error) -> Refusal {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(dialed) = cause.downcast_ref::<DialError>() {
            return match dialed {
                DialError::Late { .. } => Refusal::Late(dialed.to_string()),
                DialError::Unconnected { source, .. } if source.kind() == ErrorKind::TimedOut => {
                    Refusal::Late(dialed.to_string())
                }
                other => Refusal::Unreachable(other.to_string()),
            };
        }
        causes.push(cause.to_string());
        next = cause.source();
    }
    Refusal::Unreachable(causes.join(": "))
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Shorter than the API server's 90 s, so that it is seldom the other end that closes first.
const KEEP_IDLE: Duration = Duration::from_secs(60);

const MOST_IDLE: usize = 256;
