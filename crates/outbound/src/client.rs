//! The HTTP client: whole answers, capped and timed, under the rules of the crate's header.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambient::{BoxFuture, Clock, Fetch, FetchError, Fetched, Want};
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls_pki_types::TrustAnchor;
use url::Url;

use crate::address::Reach;
use crate::connector::{Connector, Served};
use crate::credential::{Credential, bearer_value};
use crate::dial::{Dial, DialError};
use crate::freshness::fresh_for;
use crate::permit::{bare_host, permit, same_host, shown};
use crate::tls::{BadTrust, Believed, Protocols, Trust};

/// An HTTP client for one upstream: one trust, one credential, its own connections. Cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    dial: Dial,
    clock: Arc<dyn Clock>,
    deadline: Duration,
    credential: Option<Credential>,
    believed: Option<Arc<Believed>>,
    anywhere: Pool,
    public_only: Pool,
    /// How far the documents of configured hosts may point: by the address that served the last one. The name is not
    /// asked again, since whoever answers for it could say something else then.
    served: Mutex<HashMap<String, Reach>>,
}

type Pool = legacy::Client<Connector, Full<Bytes>>;

/// How an upstream is talked to.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whom to believe, and the certificate to show.
    pub trust: Trust,
    /// What to send to the configured origin.
    pub credential: Option<Credential>,
    /// From the first look-up to the last byte of the body.
    pub deadline: Duration,
}

/// A request. The body is whole, and so will the answer be.
#[derive(Clone)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: &'a Url,
    /// The configured URL whose document named `url`; `None` when `url` itself is configured.
    pub named_by: Option<&'a Url>,
    /// Headers beside those of the [`Credential`].
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// A longer answer is refused.
    pub cap: usize,
    /// Whether 3xx is an answer like any other. It is never followed.
    pub redirect_is_an_answer: bool,
}

/// An answer of any status; 3xx only where [`Request::redirect_is_an_answer`].
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

impl Default for Options {
    fn default() -> Self {
        Self { trust: Trust::default(), credential: None, deadline: DEADLINE }
    }
}

// Bodies and headers hold tokens and secrets, and so may queries.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named_by = self.named_by.map(shown);
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &shown(self.url))
            .field("named_by", &named_by)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Request<'a> {
    /// A GET of a configured URL.
    pub fn get(url: &'a Url) -> Self {
        Self {
            method: Method::GET,
            url,
            named_by: None,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            cap: CAP,
            redirect_is_an_answer: false,
        }
    }

    /// A POST of an encoded form, as token endpoints want it.
    pub fn form(url: &'a Url, form: impl Into<Bytes>) -> Self {
        Self::post(url, HeaderValue::from_static("application/x-www-form-urlencoded"), form)
    }

    /// A POST of a JSON document.
    pub fn json(url: &'a Url, document: impl Into<Bytes>) -> Self {
        Self::post(url, HeaderValue::from_static("application/json"), document)
    }

    /// Says which configured URL's document named this one.
    #[must_use]
    pub const fn named_by(mut self, configured: Option<&'a Url>) -> Self {
        self.named_by = configured;
        self
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the bound on the answer's body.
    #[must_use]
    pub const fn cap(mut self, bytes: usize) -> Self {
        self.cap = bytes;
        self
    }

    /// Takes 3xx for an answer, for upstreams that say no by it.
    #[must_use]
    pub const fn redirect_is_an_answer(mut self) -> Self {
        self.redirect_is_an_answer = true;
        self
    }

    fn post(url: &'a Url, kind: HeaderValue, body: impl Into<Bytes>) -> Self {
        let plain = Self { method: Method::POST, body: body.into(), ..Self::get(url) };
        plain.header(CONTENT_TYPE, kind).header(ACCEPT, HeaderValue::from_static("application/json"))
    }
}

impl Client {
    /// A client that connects by `dial`.
    ///
    /// # Errors
    /// [`BadTrust`]: the CA bundle or the client certificate cannot be used.
    pub fn new(dial: &Dial, options: Options) -> Result<Self, BadTrust> {
        let believed = options.trust.believed()?;
        let tls = options.trust.client_config_with(believed.clone(), Protocols::Both)?;
        let pool = |reach| {
            legacy::Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(KEEP_IDLE)
                .pool_max_idle_per_host(MAX_IDLE)
                .build(Connector::new(dial.clone(), reach, Arc::clone(&tls)))
        };
        Ok(Self(Arc::new(Inner {
            dial: dial.clone(),
            clock: dial.clock(),
            deadline: options.deadline,
            credential: options.credential,
            believed,
            anywhere: pool(Reach::Anywhere),
            public_only: pool(Reach::PublicOnly),
            served: Mutex::default(),
        })))
    }

    /// Whose certificates it believes, as the name and key of each authority (DER) in one order; `None`: anybody's. For
    /// what must be kept apart from the answers to a client that believes others.
    pub fn believed(&self) -> Option<Vec<[Vec<u8>; 2]>> {
        let anchor = |anchor: &TrustAnchor<'_>| {
            [anchor.subject.as_ref().to_vec(), anchor.subject_public_key_info.as_ref().to_vec()]
        };
        let mut all: Vec<_> = self.0.believed.as_ref()?.anchors().roots.iter().map(anchor).collect();
        all.sort_unstable();
        all.dedup();
        Some(all)
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// [`FetchError`], but never `Status`: any status is an answer, 3xx where the request says so.
    pub async fn send(&self, request: Request<'_>) -> Result<Answer, FetchError> {
        let url = request.url;
        tokio::select! {
            answered = self.exchange(request) => answered,
            () = self.0.clock.sleep(self.0.deadline) => Err(FetchError::Late { url: shown(url) }),
        }
    }

    async fn exchange(&self, request: Request<'_>) -> Result<Answer, FetchError> {
        let Request { method, url, named_by, mut headers, body, cap, redirect_is_an_answer } = request;
        permit(url, named_by)?;
        let pool = match self.reach(url, named_by).await? {
            Reach::Anywhere => &self.0.anywhere,
            Reach::PublicOnly => &self.0.public_only,
        };
        if let Some(credential) = self.0.credential.as_ref().filter(|c| c.is_for(url)) {
            credential
                .add_to(&mut headers)
                .map_err(|reason| FetchError::Unreachable { url: shown(url), reason })?;
        }
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        let uri = http::Uri::try_from(url.as_str())
            .map_err(|_| forbidden(url, "it is not a URL that HTTP can carry"))?;
        let mut outgoing = http::Request::new(Full::new(body));
        *outgoing.method_mut() = method;
        *outgoing.uri_mut() = uri;
        *outgoing.headers_mut() = headers;
        let answer = pool.request(outgoing).await.map_err(|error| explain(url, &error))?;
        self.remember(url, named_by, &answer);
        if answer.status().is_redirection() && !redirect_is_an_answer {
            return Err(forbidden(url, "it answers with a redirect, and redirects are not followed"));
        }
        read(url, answer, cap).await
    }

    async fn reach(&self, url: &Url, named_by: Option<&Url>) -> Result<Reach, FetchError> {
        match named_by {
            Some(configured) if !same_host(configured, url) => {
                let host = bare_host(configured);
                if let Some(reach) = self.served().get(&host) {
                    return Ok(*reach);
                }
                // Its document came to somebody else.
                self.0.dial.reach_of(&host).await.map_err(|error| explain_dial(url, &error))
            }
            _ => Ok(Reach::Anywhere),
        }
    }

    /// Only hosts that the configuration names are remembered, so there are few.
    fn remember(&self, url: &Url, named_by: Option<&Url>, answer: &http::Response<Incoming>) {
        if named_by.is_none_or(|configured| same_host(configured, url)) {
            let reach = answer.extensions().get::<Served>().map_or(Reach::PublicOnly, |served| served.0);
            self.served().insert(bare_host(url), reach);
        }
    }

    fn served(&self) -> std::sync::MutexGuard<'_, HashMap<String, Reach>> {
        self.0.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetch for Client {
    fn fetch<'a>(&'a self, want: Want<'a>) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        Box::pin(async move {
            let mut request = Request::get(want.url)
                .named_by(want.named_by)
                .cap(want.cap)
                .header(ACCEPT, HeaderValue::from_static(want.accept));
            if let Some(token) = want.bearer {
                let value = bearer_value(token)
                    .ok_or_else(|| forbidden(want.url, "the bearer token is not printable ASCII"))?;
                request = request.header(AUTHORIZATION, value);
            }
            let answer = self.send(request).await?;
            if answer.status != StatusCode::OK {
                return Err(FetchError::Status { url: shown(want.url), status: answer.status.as_u16() });
            }
            Ok(Fetched { fresh_for: fresh_for(&answer.headers), body: answer.body })
        })
    }
}

/// Reads a body under its cap, after refusing what must not be read at all.
async fn read(url: &Url, answer: http::Response<Incoming>, cap: usize) -> Result<Answer, FetchError> {
    let (head, mut body) = answer.into_parts();
    if head.headers.get_all(CONTENT_ENCODING).iter().any(|v| !v.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(forbidden(url, "it answers with a compressed body, which was not asked for"));
    }
    let too_large = || FetchError::TooLarge { url: shown(url), cap };
    if body.size_hint().lower() > u64::try_from(cap).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| FetchError::Unreachable { url: shown(url), reason: error.to_string() })?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > cap - whole.len() {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    Ok(Answer { status: head.status, headers: head.headers, body: whole.freeze() })
}

fn forbidden(url: &Url, reason: &str) -> FetchError {
    FetchError::Forbidden { url: shown(url), reason: reason.to_owned() }
}

/// What went wrong below, in the words of the one who knows: the guard's refusal lies deep in the pool's error.
fn explain(url: &Url, error: &legacy::Error) -> FetchError {
    let mut cause: &(dyn Error + 'static) = error;
    while let Some(deeper) = cause.source() {
        if let Some(dial) = deeper.downcast_ref::<DialError>() {
            return explain_dial(url, dial);
        }
        cause = deeper;
    }
    FetchError::Unreachable { url: shown(url), reason: cause.to_string() }
}

fn explain_dial(url: &Url, error: &DialError) -> FetchError {
    match error {
        DialError::Forbidden { .. } => forbidden(url, &error.to_string()),
        DialError::Late { .. } => FetchError::Late { url: shown(url) },
        DialError::Unconnected { source, .. } if source.kind() == ErrorKind::TimedOut => {
            FetchError::Late { url: shown(url) }
        }
        other => FetchError::Unreachable { url: shown(url), reason: other.to_string() },
    }
}

const AGENT: &str = concat!("obol/", env!("CARGO_PKG_VERSION"));
const DEADLINE: Duration = Duration::from_secs(15);

/// Discovery documents and token answers stay far below.
const CAP: usize = 1 << 20;
const KEEP_IDLE: Duration = Duration::from_secs(60);
const MAX_IDLE: usize = 8;
