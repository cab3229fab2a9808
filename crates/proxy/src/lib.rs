//! The Kubernetes proxy: OpenID Connect for clusters whose API server cannot be configured.
//!
//! # One request, step by step
//!
//! 1. [`authenticate`](authenticate::Authenticate): a bearer token of the configured issuer, verified for the purpose
//!    `ProxyCaller`, becomes a [`KubeUser`] by the rules of the API server's `--oidc-*` flags. Nobody is anonymous.
//! 2. [`guard`]: what may not pass is refused or taken out. The header of that file says why each rule is there.
//! 3. [`impersonate`]: a [`Passage`](impersonate::Passage) says as whom the request goes on, and there are two:
//!    as the user with the proxy's credential, or with the caller's own token.
//! 4. [`upstream`] sends it on the lane of that passage; the answer streams back as it comes, or two upgraded
//!    connections are joined ([`upgrade`]).
//! 5. [`event`]: whatever happened is told to the observer, once, also when the client hangs up meanwhile. While the
//!    observer cannot listen, nothing is sent on.
//!
//! With an audit policy, [`audit`] records each request beside these steps, as the API server would.
//!
//! A refusal in any step is an answer of [`refusal`] and an event; no step after it runs. Who may do what is decided by
//! the API server's own authorization, from the impersonated name: the proxy grants nothing.

pub mod audit;
mod authenticate;
mod bearer;
mod body;
mod cache;
mod configuration;
mod event;
mod failures;
mod guard;
mod identity;
mod impersonate;
mod issuers;
mod on_behalf;
mod passthrough;
mod probe;
mod refusal;
mod rights;
mod source;
mod upgrade;
mod upstream;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ambient::{BoxFuture, Clock, Observer, Tasks, Time};
use arc_swap::ArcSwap;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use outbound::Dial;
use token::RemoteKeys;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use body::Body;
pub use configuration::{Anonymous, Configuration, kubernetes_algs};
pub use event::{Event, Outcome, User};
pub use guard::Reserved;
pub use identity::{KubeUser, Mapping, Named, Prefixes, Rule};
pub use impersonate::{Extras, Rights};
pub use issuers::{BadIssuer, IssuerSpec, Issuers, Means};
pub use on_behalf::OnBehalf;
pub use passthrough::Passthrough;
pub use probe::Probe;
pub use rights::keep_rights;
pub use source::TrustedProxies;
pub use upstream::{BadTarget, Credential, Target};

use audit::{Audit, Recording, Sent, Served};
use authenticate::{Authenticate, Caller, Way};
use bearer::Bearer;
use body::Deadline;
use event::Beginning;
use failures::Failures;
use impersonate::Passage;
use refusal::Refusal;
use upstream::{Source, Upstream};

/// The proxy. Shared by all connections.
pub struct Proxy {
    authenticate: Authenticate,
    reserved: Reserved,
    mode: Mode,
    rights: ArcSwap<Rights>,
    on_behalf: Option<OnBehalf>,
    trusted_proxies: TrustedProxies,
    stream_grace: Option<Duration>,
    audit: Option<Arc<Audit>>,
    upstream: Upstream,
    free_tunnels: Arc<Semaphore>,
    world: World,
}

/// Whose callers pass, and how.
pub struct Settings {
    /// Whose tokens are accepted, and how they become users.
    pub issuers: Issuers,
    /// `system:` names that a token may carry all the same.
    pub reserved: Reserved,
    /// As whom requests go on.
    pub mode: Mode,
    /// Passes tokens on that the API server itself knows.
    pub passthrough: Option<Passthrough>,
    /// Lets callers impersonate whom they may by the API server's word; without, nobody may.
    pub on_behalf: Option<OnBehalf>,
    /// Proxies before this one, whose word for who the client is counts.
    pub trusted_proxies: TrustedProxies,
    /// How long a stream may outlive its caller's token; `None`: as long as it likes.
    pub stream_grace: Option<Duration>,
    /// Tokens of one address that may fail each second, ten times as many at once; 0: any number.
    pub failures_per_second: u32,
    /// Records requests by a policy.
    pub audit: Option<Arc<Audit>>,
    /// Upgraded connections at once. They are not among those that the listener counts.
    pub most_tunnels: usize,
}

/// As whom requests go on.
#[derive(Debug, Clone)]
pub enum Mode {
    /// As the caller, by the proxy's right to impersonate.
    Impersonate(Extras),
    /// With the caller's own token (`--disable-impersonation`).
    AsIs,
}

/// What the proxy is handed instead of reaching for it.
pub struct World {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Opens connections to the API server.
    pub dial: Dial,
    /// Carries upgraded connections. Stopping it cuts them.
    pub tunnels: Tasks,
    /// Hears what became of every request.
    pub observer: Arc<dyn Observer<Event>>,
}

impl Proxy {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`BadTarget`]: the API server's URL, CA or the proxy's certificate cannot be used.
    pub fn new(settings: Settings, target: Target, world: World) -> Result<Self, BadTarget> {
        let Settings {
            issuers,
            reserved,
            mode,
            passthrough,
            on_behalf,
            trusted_proxies,
            stream_grace,
            failures_per_second,
            audit,
            most_tunnels,
        } = settings;
        let failures = Failures::new(failures_per_second, Arc::clone(&world.clock));
        let rights = match &mode {
            Mode::Impersonate(extras) => Rights::of_configured(extras),
            Mode::AsIs => Rights::default(),
        };
        Ok(Self {
            authenticate: Authenticate::new(issuers, passthrough, failures, Arc::clone(&world.clock)),
            reserved,
            mode,
            rights: ArcSwap::from_pointee(rights),
            on_behalf,
            trusted_proxies,
            stream_grace,
            audit,
            upstream: Upstream::new(target, &world.dial)?,
            free_tunnels: Arc::new(Semaphore::new(most_tunnels.min(Semaphore::MAX_PERMITS))),
            world,
        })
    }

    /// Replaces the issuers and who needs none, from the next request on. An issuer that is the same keeps its keys.
    ///
    /// # Errors
    /// [`BadIssuer`]: nothing has changed.
    pub fn replace_issuers(
        &self,
        specs: Vec<IssuerSpec>,
        anonymous: Anonymous,
        means: &Means,
    ) -> Result<(), BadIssuer> {
        self.authenticate.replace(|before| Issuers::new(specs, anonymous, means, Some(before)))
    }

    /// Says what the proxy's own account may impersonate.
    pub fn set_rights(&self, rights: Rights) {
        self.rights.store(Arc::new(rights));
    }

    /// The keys of all extra fields that a user may come to have.
    fn extra_keys(&self) -> BTreeSet<String> {
        let Mode::Impersonate(extras) = &self.mode else { return BTreeSet::new() };
        let mut keys = self.authenticate.with_issuers(Issuers::extra_keys);
        keys.extend(extras.keys().map(str::to_owned));
        if self.on_behalf.is_some() {
            keys.extend(on_behalf::ORIGINAL.map(str::to_owned));
        }
        keys
    }

    /// Each issuer's name and keys, in a steady order.
    pub fn issuer_keys(&self) -> Vec<(Arc<str>, Arc<RemoteKeys>)> {
        self.authenticate.with_issuers(Issuers::keys)
    }

    /// Answers one request of a client at `peer`.
    pub async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Served> {
        let source = Source { client: self.trusted_proxies.client(peer, request.headers()), peer };
        let beginning = Beginning::of(&request, source.client, self.world.clock.now());
        let mut recording = self.audit.as_ref().map(|audit| Recording::begin(audit, &request, source));
        let mut heard = Heard { proxy: self, beginning: Some(beginning) };
        let outcome = match heard.beginning.as_mut() {
            Some(beginning) => self.pass(request, source, beginning, &mut recording).await,
            None => Err(Refusal::Unheard),
        };
        let refused = outcome.as_ref().err().map(Refusal::code);
        let response = heard.close(outcome);
        match recording {
            Some(recording) => recording.answered(response, refused).await,
            None => response.map(Served::plain),
        }
    }

    /// The steps, in order.
    async fn pass(
        &self,
        mut request: Request<Incoming>,
        source: Source,
        beginning: &mut Beginning,
        recording: &mut Option<Box<Recording>>,
    ) -> Result<Response<Body>, Refusal> {
        if !self.world.observer.listens() {
            return Err(Refusal::Unheard);
        }
        let (caller, bearer) =
            self.authenticate.caller(request.headers(), request.uri().path(), source.client).await?;
        beginning.user = Some(caller.told());
        beginning.issuer = caller.issuer.to_string();
        if let Some(recording) = recording {
            recording.received(&caller).await?;
        }

        guard::admit_request(&request)?;
        let user = match caller.way {
            Way::Token => guard::admit_user(&caller.user, &self.reserved)?,
            Way::Anonymous | Way::Review => caller.user.clone(),
        };
        let user = match (&self.on_behalf, caller.way) {
            (Some(on_behalf), Way::Token) if guard::refuse_impersonation(request.headers()).is_err() => {
                let user = on_behalf.user(user, request.headers_mut()).await?;
                if let Some(recording) = recording {
                    recording.impersonated(&user);
                }
                user
            }
            _ => guard::refuse_impersonation(request.headers()).map(|()| user)?,
        };
        let version = request.version();
        let asked = guard::strip_request(request.headers_mut(), version)?;
        if let Some(recording) = recording {
            recording.prepare(request.headers_mut());
        }

        let passage = self.passage(user, caller.way, bearer, source.client);

        let client = match asked {
            Some(protocol) => {
                let held = (self.free_tunnel()?, recording.as_mut().map(|recording| recording.tunnelled()));
                Some((protocol, held, hyper::upgrade::on(&mut request)))
            }
            None => None,
        };
        let mut request = request.map(|body| Sent::new(body, recording.as_deref_mut()));
        // What this side's HTTP stack noted about the request means nothing to the other's.
        request.extensions_mut().clear();
        beginning.forwarded = true;
        beginning.impersonated = matches!(passage, Passage::Impersonate(_));
        let answer = self.upstream.send(request, &passage, source, asked).await?;
        match (client, answer.status()) {
            (Some((protocol, held, client)), StatusCode::SWITCHING_PROTOCOLS) => {
                upgrade::join(answer, protocol, client, held, self.end_of(&caller), &self.world.tunnels)
            }
            (None, StatusCode::SWITCHING_PROTOCOLS) => {
                Err(Refusal::Answer("it switches protocols and was not asked to"))
            }
            _ => Ok(streamed(answer, self.left_of(&caller).map(|left| Deadline::new(left, self.clock())))),
        }
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.world.clock)
    }

    /// How long a stream of this caller may go on.
    fn left_of(&self, caller: &Caller) -> Option<Duration> {
        let grace = self.stream_grace.filter(|_| caller.ends != Time::MAX)?;
        Some(caller.ends.since(self.world.clock.now()).saturating_add(grace))
    }

    /// Resolves when a stream of this caller must end.
    fn end_of(&self, caller: &Caller) -> BoxFuture<'static, ()> {
        match self.left_of(caller) {
            Some(left) => self.world.clock.sleep(left),
            None => Box::pin(std::future::pending()),
        }
    }

    fn free_tunnel(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.free_tunnels).try_acquire_owned().map_err(|_| Refusal::Tunnels)
    }

    fn passage(&self, mut user: KubeUser, way: Way, bearer: Option<Bearer>, peer: IpAddr) -> Passage {
        match &self.mode {
            Mode::Impersonate(extras) if way != Way::Review => {
                extras.add_to(&mut user, peer);
                self.rights.load().narrow(&mut user);
                Passage::Impersonate(user)
            }
            Mode::Impersonate(_) | Mode::AsIs => Passage::AsIs(bearer),
        }
    }
}

/// A request that is told to the observer exactly once, also if its future is dropped: hyper does that as soon as the
/// client hangs up, and by then the API server may have done what it was asked.
struct Heard<'a> {
    proxy: &'a Proxy,
    beginning: Option<Beginning>,
}

impl Heard<'_> {
    fn close(mut self, end: Result<Response<Body>, Refusal>) -> Response<Body> {
        let (response, outcome) = match end {
            Ok(response) => {
                let impersonated = self.beginning.as_ref().is_some_and(|beginning| beginning.impersonated);
                let outcome = Outcome::Passed { status: response.status(), impersonated };
                (response, outcome)
            }
            Err(refusal) => {
                let (status, code, detail) = (refusal.status(), refusal.code(), refusal.detail());
                (refusal.response(), Outcome::Refused { status, code, detail })
            }
        };
        self.tell(|_| outcome);
        response
    }

    fn tell(&mut self, outcome: impl FnOnce(&Beginning) -> Outcome) {
        if let Some(beginning) = self.beginning.take() {
            let outcome = outcome(&beginning);
            self.proxy.world.observer.observe(&beginning.end(outcome));
        }
    }
}

impl Drop for Heard<'_> {
    fn drop(&mut self) {
        self.tell(|beginning| Outcome::Abandoned { forwarded: beginning.forwarded });
    }
}

impl Caller {
    fn told(&self) -> User {
        User {
            name: self.user.name.clone(),
            groups: self.user.groups.clone(),
            token_id: self.token_id.clone(),
        }
    }
}

/// Upgraded connections that a proxy carries at once unless it is told otherwise. Each holds two file descriptors and,
/// when both directions are busy, some 100 KiB.
pub const MOST_TUNNELS: usize = 2048;

/// The API server's answer without the headers of its hop.
fn streamed(answer: Response<Incoming>, until: Option<Deadline>) -> Response<Body> {
    let mut response = answer.map(|stream| Body::stream(stream, until));
    guard::strip_response(response.headers_mut());
    response
}
