//! The proxy under test, on a listener of its own, with everything it needs around it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ambient::{Clock, Ignore, Observer, SystemClock, Tasks};
use inbound::{Limits, Listener, Peer, Setting};
use outbound::{Dial, Roots};
use proxy::audit::Audit;
use proxy::{
    Anonymous, Credential, Event, Extras, IssuerSpec, Issuers, MOST_TUNNELS, Mapping, Means, Mode, Named,
    OnBehalf, Outcome, Passthrough, Proxy, Reserved, Settings, Target, TrustedProxies, World,
    kubernetes_algs,
};
use serde_json::{Value, json};
use testkit::{FakeClock, Issuer, TestCa};
use tokio::sync::Notify;
use url::Url;

use crate::stub::Stub;

/// A proxy in service. What is dropped with it ends.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) issuer: Issuer,
    pub(crate) stub: Stub,
    pub(crate) clock: FakeClock,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) means: Means,
    pub(crate) target: Target,
    pub(crate) events: Arc<Heard>,
    tasks: Tasks,
}

/// How it differs from the usual one.
pub(crate) struct Plan {
    pub(crate) ca: TestCa,
    pub(crate) stub: Option<Stub>,
    pub(crate) server: Option<Url>,
    pub(crate) credential: Option<Credential>,
    pub(crate) mode: Mode,
    pub(crate) mapping: Mapping,
    pub(crate) anonymous: Anonymous,
    pub(crate) reserved: Reserved,
    pub(crate) passthrough: bool,
    pub(crate) on_behalf: bool,
    pub(crate) clock: FakeClock,
    pub(crate) dial: Option<Dial>,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) failures_per_second: u32,
    pub(crate) most_tunnels: usize,
    pub(crate) audit: Option<Arc<Audit>>,
}

#[derive(Default)]
pub(crate) struct Heard {
    events: Mutex<Vec<Event>>,
    deaf: AtomicBool,
    panics: AtomicBool,
    more: Notify,
}

impl Observer<Event> for Heard {
    fn observe(&self, event: &Event) {
        assert!(!self.panics.load(Ordering::SeqCst), "as a test wants it");
        self.events.lock().unwrap().push(event.clone());
        self.more.notify_one();
    }

    fn listens(&self) -> bool {
        !self.deaf.load(Ordering::SeqCst)
    }
}

impl Heard {
    pub(crate) fn all(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// Stops listening, or listens again.
    pub(crate) fn set_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::SeqCst);
    }

    /// Panics at every event from now on.
    pub(crate) fn set_panics(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    /// The event that comes next, or has come since the last call.
    pub(crate) async fn next(&self) -> Event {
        self.more.notified().await;
        self.all().pop().expect("an event")
    }

    /// The word of the last refusal.
    pub(crate) fn last_code(&self) -> &'static str {
        match self.all().pop().expect("an event").outcome {
            Outcome::Refused { code, .. } => code,
            Outcome::Passed { .. } => "passed",
            Outcome::Abandoned { .. } => "abandoned",
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            ca: TestCa::new(),
            stub: None,
            server: None,
            credential: None,
            mode: Mode::Impersonate(Extras::default()),
            mapping: Mapping::of_claims(Named::claim("sub", ""), Some(Named::claim("groups", ""))),
            anonymous: Anonymous::Nobody,
            reserved: Reserved::default(),
            passthrough: false,
            on_behalf: false,
            clock: FakeClock::default(),
            dial: None,
            trusted_proxies: TrustedProxies::default(),
            failures_per_second: 0,
            most_tunnels: MOST_TUNNELS,
            audit: None,
        }
    }
}

impl Front {
    pub(crate) async fn start() -> Self {
        Plan::default().start().await
    }

    /// A token that passes.
    pub(crate) fn jane(&self) -> String {
        self.token(json!({"sub": "jane", "groups": ["developers"]}))
    }

    /// A token for this proxy with more claims.
    pub(crate) fn token(&self, claims: Value) -> String {
        self.issuer.token(claims).claim("aud", json!(CLIENT_ID)).sign()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Plan {
    pub(crate) async fn start(self) -> Front {
        let issuer = Issuer::builder().clock(self.clock.clone()).start().await;
        let stub = match self.stub {
            Some(stub) => stub,
            None => Stub::start(&self.ca).await,
        };
        let tasks = Tasks::default();
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let dial = Dial::new(Arc::new(SystemClock::default()));
        let means = Means { dial: dial.clone(), clock: Arc::clone(&clock), tasks: tasks.clone() };
        let specs = vec![spec(&issuer, self.mapping)];
        let events = Arc::new(Heard::default());
        let target = Target {
            server: self.server.unwrap_or_else(|| stub.url()),
            roots: Roots::Only(self.ca.pem().as_bytes().to_vec()),
            credential: self.credential.unwrap_or_else(|| Credential::Token("the-proxys-own".into())),
        };
        let settings = Settings {
            issuers: Issuers::new(specs, self.anonymous, &means, None).unwrap(),
            reserved: self.reserved,
            passthrough: self.passthrough.then(|| {
                let audiences = vec!["api".to_owned()];
                Passthrough::new(reviews(&target, &dial), audiences, Arc::clone(&clock))
            }),
            on_behalf: self.on_behalf.then(|| {
                let system: Arc<dyn Clock> = Arc::new(SystemClock::default());
                OnBehalf::new(reviews(&target, &dial), Duration::from_secs(5), system)
            }),
            mode: self.mode,
            trusted_proxies: self.trusted_proxies,
            stream_grace: Some(Duration::from_secs(30)),
            failures_per_second: self.failures_per_second,
            audit: self.audit,
            most_tunnels: self.most_tunnels,
        };
        let world = World {
            clock,
            dial: self.dial.unwrap_or(dial),
            tunnels: tasks.clone(),
            observer: Arc::clone(&events) as Arc<dyn Observer<Event>>,
        };
        let proxy = Arc::new(Proxy::new(settings, target.clone(), world).unwrap());
        let address = listen(Arc::clone(&proxy), &tasks).await;
        Front { address, issuer, stub, clock: self.clock, proxy, means, target, events, tasks }
    }
}

/// An issuer as a configuration has it.
pub(crate) fn spec(issuer: &Issuer, mapping: Mapping) -> IssuerSpec {
    IssuerSpec {
        url: issuer.issuer().into(),
        discovery: None,
        ca_pem: Some(issuer.ca_pem().as_bytes().to_vec()),
        identity: None,
        audiences: vec![CLIENT_ID.into()],
        algs: kubernetes_algs(),
        mapping: Arc::new(mapping),
    }
}

fn reviews(target: &Target, dial: &Dial) -> cluster::Reviews {
    target.reviews(dial).unwrap()
}

async fn listen(proxy: Arc<Proxy>, tasks: &Tasks) -> SocketAddr {
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.address().unwrap();
    let service = tower::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let proxy = Arc::clone(&proxy);
        async move {
            let peer = request.extensions().get::<Peer>().unwrap().address.ip();
            Ok::<_, Infallible>(proxy.answer(request, peer).await)
        }
    });
    let setting = Setting {
        tls: None,
        limits: Limits::default(),
        clock: Arc::new(SystemClock::default()),
        tasks: tasks.clone(),
        observer: Arc::new(Ignore),
    };
    tasks.spawn(listener.serve(service, setting));
    address
}

pub(crate) const CLIENT_ID: &str = "kubernetes";
