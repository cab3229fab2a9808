//! A whole provider in a test's hand: its clock, its store, its connectors, what it says to the audit log, and the way
//! through a sign-in.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ambient::{Observer, Secret, SystemRandom, Tasks};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as URL};
use config::{Environment, Faults, KeyStyle, Section};
use http::HeaderMap;
use provider::connector::{Inbound, Opened};
use provider::error::Error;
use provider::event::{Decision, Event};
use provider::grants::REPEATABLE;
use provider::login::{Answer, Cookies, Reply, Stop};
use provider::records::{Records, Sealing};
use provider::settings::Settings;
use provider::{Around, Living, Peer, Provider};
use serde_json::Value;
use token::{KeyRing, LocalSigner, Signer, SigningPool};
use tokio::sync::OnceCell;
use wire::form::Form;
use wire::oauth::TokenResponse;

use crate::upstream::{Door, Upstream};
use crate::{FakeClock, FaultyStore, MemoryStore};

/// One provider and everything around it.
pub struct Stage {
    /// The provider.
    pub provider: Arc<Provider>,
    /// Its time.
    pub clock: FakeClock,
    /// Where its records really are.
    pub memory: Arc<MemoryStore>,
    /// What stands before them.
    pub store: Arc<FaultyStore>,
    /// The connector `up`, a redirect.
    pub upstream: Arc<Upstream>,
    /// The connector `passwords`, where there is one.
    pub passwords: Arc<Upstream>,
    /// Background work.
    pub tasks: Tasks,
    heard: Arc<Heard>,
}

/// Every event, in order.
#[derive(Default)]
pub struct Heard {
    events: Mutex<Vec<Event>>,
    deaf: AtomicBool,
}

impl Observer<Event> for Heard {
    fn observe(&self, event: &Event) {
        self.events.lock().unwrap().push(event.clone());
    }

    fn listens(&self) -> bool {
        !self.deaf.load(Ordering::Relaxed)
    }
}

impl Stage {
    /// [`CONFIG`] with the connector `up`.
    pub async fn new() -> Self {
        Self::with(CONFIG, |up| vec![up.opened("up", &[])]).await
    }

    /// [`every_grant`] with both connectors.
    pub async fn with_every_grant() -> Self {
        let passwords = Upstream::new("https://passwords.example", Door::Password);
        let opened = passwords.opened("passwords", &[]);
        let stage = Self::with(&every_grant(), |up| vec![up.opened("up", &[]), opened]).await;
        Self { passwords, ..stage }
    }

    /// Both connectors, for a reload.
    pub fn connectors(&self) -> Vec<Opened> {
        vec![self.upstream.opened("up", &[]), self.passwords.opened("passwords", &[])]
    }

    /// Another configuration, other connectors.
    pub async fn with(config: &str, connectors: impl FnOnce(&Arc<Upstream>) -> Vec<Opened>) -> Self {
        let upstream = Upstream::new("https://up.example", Door::Redirect);
        let passwords = Upstream::new("https://passwords.example", Door::Password);
        let (memory, clock, heard) = (MemoryStore::open(), FakeClock::default(), Arc::new(Heard::default()));
        let store = FaultyStore::over(Arc::clone(&memory) as _);
        let around = Around {
            clock: Arc::new(clock.clone()),
            random: Arc::new(SystemRandom),
            tasks: Tasks::default(),
            events: Arc::clone(&heard) as _,
        };
        let material = Secret::new(vec![7; 32]);
        let sealing = Sealing::from_material(&material, "records").unwrap();
        let records = Records::new(Arc::clone(&store) as _, sealing, Arc::clone(&around.random));
        let ring = Arc::new(KeyRing::default());
        ring.install_signers(signers().await, &[]);
        let living = Living { settings: settings(config), connectors: connectors(&upstream) };
        let cookies = Cookies::new(&material).unwrap();
        let tasks = around.tasks.clone();
        let provider = Provider::new(living, records, ring, cookies, around);
        Self { provider, clock, memory, store, upstream, passwords, tasks, heard }
    }

    /// Puts another configuration in the place of the one there is.
    pub fn reload(&self, config: &str, connectors: Vec<Opened>) {
        self.provider.replace(Living { settings: settings(config), connectors });
    }

    /// An audit log that is behind, or no longer.
    pub fn deafen(&self, deaf: bool) {
        self.heard.deaf.store(deaf, Ordering::Relaxed);
    }

    /// A token request.
    ///
    /// # Errors
    /// The provider's.
    pub async fn token(&self, authorization: Option<&str>, body: &str) -> Result<TokenResponse, Error> {
        let form = Form::parse(body, &REPEATABLE).unwrap();
        self.provider.token(&peer(), authorization, &form).await
    }

    /// A token request of the client `app`, which must be granted.
    pub async fn granted(&self, body: &str) -> TokenResponse {
        self.token(Some(&app()), body).await.unwrap()
    }

    /// A token request of the client `app`, which must be refused: the code, and what the audit log is told.
    pub async fn refused(&self, body: &str) -> (&'static str, String) {
        match self.token(Some(&app()), body).await {
            Err(Error::Refusal(refusal)) => (refusal.code.as_str(), refusal.reason.into_owned()),
            Err(Error::Fault(fault)) => panic!("a fault of ours: {fault}"),
            Ok(_) => panic!("granted"),
        }
    }

    /// Signs Alice in by the connector `up` for a client, with her consent: the code. Public clients use [`VERIFIER`].
    pub async fn sign_in(&self, client: &str, scope: &str) -> String {
        let request = authorization(client, scope);
        let (cookie, state) = self.depart(&request).await;
        let back = format!("state={state}&code=good");
        let arrived = self.callback(&back, Some(&cookie)).await.unwrap();
        let approval = location(&arrived);
        let attempt = parameter(&approval, "req").unwrap();
        let cookie = held(&arrived);
        let done = self.provider.submit_consent(&peer(), &attempt, true, Some(&cookie)).await.unwrap();
        parameter(&location(&done), "code").unwrap()
    }

    /// A device of a client asks for codes: the device code and the user code.
    pub async fn device(&self, authorization: Option<&str>, body: &str) -> (String, String) {
        let form = Form::parse(body, &[]).unwrap();
        let told = self.provider.authorize_device(&peer(), authorization, &form).await.unwrap();
        (told.device_code, told.user_code)
    }

    /// Alice types the code and signs in by `up`: the attempt that waits for her consent, and its cookie.
    pub async fn identify_for(&self, user_code: &str) -> (String, String) {
        let verified = self.provider.verify_user_code(&peer(), user_code).await.unwrap();
        let request = location(&verified).split_once('?').unwrap().1.to_owned();
        let (cookie, state) = self.depart(&request).await;
        let arrived = self.callback(&format!("state={state}&code=good"), Some(&cookie)).await.unwrap();
        (parameter(&location(&arrived), "req").unwrap(), held(&arrived))
    }

    /// And she decides.
    ///
    /// # Errors
    /// The provider's.
    pub async fn decide_for(&self, user_code: &str, agreed: bool) -> Result<Reply, Stop> {
        let (attempt, cookie) = self.identify_for(user_code).await;
        self.provider.submit_consent(&peer(), &attempt, agreed, Some(&cookie)).await
    }

    /// Begins a sign-in by `up`: the cookie that the browser holds, and the state that the upstream is given.
    pub async fn depart(&self, request: &str) -> (String, String) {
        let form = Form::parse(request, &[]).unwrap();
        let reply = self.provider.begin_login(&peer(), "up", &form, None).await.unwrap();
        (held(&reply), parameter(&location(&reply), "state").unwrap())
    }

    /// Comes back from the upstream.
    ///
    /// # Errors
    /// The provider's.
    pub async fn callback(&self, query: &str, cookies: Option<&str>) -> Result<Reply, Stop> {
        self.arrive("/dex/callback", query, cookies, &HeaderMap::new()).await
    }

    /// Comes back to this path, with these headers.
    ///
    /// # Errors
    /// The provider's.
    pub async fn arrive(
        &self,
        path: &str,
        query: &str,
        cookies: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Reply, Stop> {
        let (form, inbound) = (Form::parse(query, &[]).unwrap(), Inbound { connection: None, headers });
        self.provider.arrive(&peer(), path, &form, cookies, &inbound).await
    }

    /// The decisions since the last call.
    pub fn decisions(&self) -> Vec<Decision> {
        let events = std::mem::take(&mut *self.heard.events.lock().unwrap());
        events
            .into_iter()
            .filter_map(|event| {
                if let Event::Decision(decision) = event { Some(Decision::clone(&decision)) } else { None }
            })
            .collect()
    }
}

/// The provider's part of a configuration; panics with its faults.
pub fn settings(config: &str) -> Settings {
    let faults = Faults::new();
    let root = section(config);
    let settings = Settings::read(&mut root.fields(KeyStyle::Dex, &faults), &Environment::default());
    assert!(!faults.has_errors(), "{faults}");
    settings.unwrap()
}

/// A configuration, parsed.
pub fn section(config: &str) -> Section {
    let faults = Faults::new();
    config::parse(config, &faults).unwrap_or_else(|| panic!("{faults}"))
}

/// Keys of both algorithms, made once a process: RSA takes its time.
pub async fn signers() -> Vec<Arc<dyn Signer>> {
    static MADE: OnceCell<Vec<Arc<dyn Signer>>> = OnceCell::const_new();
    let make = || async {
        let pool = SigningPool::start(1, 64).unwrap();
        let mut made: Vec<Arc<dyn Signer>> = Vec::new();
        for alg in [token::Alg::Rs256, token::Alg::Es256] {
            let private = LocalSigner::generate(alg, &pool).await.unwrap();
            made.push(Arc::new(LocalSigner::from_pkcs8(alg, &private, &pool).unwrap()));
        }
        made
    };
    MADE.get_or_init(make).await.clone()
}

/// Whoever asks in tests.
pub fn peer() -> Peer {
    Peer { request_id: "request-1".into(), address: None }
}

/// The authorization request of a client of [`CONFIG`], as a query.
pub fn authorization(client: &str, scope: &str) -> String {
    let redirect = if client == "native" { "http://127.0.0.1:1/cb" } else { "https://app.example/cb" };
    let challenge = if client == "native" {
        format!("&code_challenge={CHALLENGE}&code_challenge_method=S256")
    } else {
        String::new()
    };
    format!(
        "client_id={client}&redirect_uri={redirect}&response_type=code&scope={}&state=xyz&nonce=n-1{challenge}",
        scope.replace(' ', "+")
    )
}

/// The Basic header of a client.
pub fn basic(client: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{client}:{secret}")))
}

/// The Basic header of the client `app`.
pub fn app() -> String {
    basic("app", APP_SECRET)
}

/// The cookie of an attempt that a browser is given.
pub fn held(reply: &Reply) -> String {
    let cookie = reply.cookie.as_ref().unwrap();
    format!("{}={}", cookie.name, cookie.value.as_deref().unwrap())
}

/// Where a reply leads.
pub fn location(reply: &Reply) -> String {
    match &reply.answer {
        Answer::Redirect(to) => to.clone(),
        other => panic!("no redirect but {other:?}"),
    }
}

/// A parameter of a URL's query.
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1;
    let all: HashMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    all.get(name).cloned()
}

/// A token's payload as it stands there.
pub fn payload(token: &str) -> String {
    part(token, 1)
}

/// A token's claims.
pub fn claims(token: &str) -> Value {
    serde_json::from_str(&payload(token)).unwrap()
}

/// A token's header.
pub fn header(token: &str) -> Value {
    serde_json::from_str(&part(token, 0)).unwrap()
}

fn part(token: &str, at: usize) -> String {
    String::from_utf8(URL.decode(token.split('.').nth(at).unwrap()).unwrap()).unwrap()
}

/// The issuer of [`CONFIG`].
pub const ISSUER: &str = "https://obol.example/dex";
/// The secret of `app`.
pub const APP_SECRET: &str = "canary-secret-of-app";
/// The PKCE verifier of [`CHALLENGE`] (RFC 7636 appendix B).
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Its challenge.
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Signs with ES256, which needs no other thread: what a test counts is then always the same.
pub const CONFIG: &str = "\
issuer: https://obol.example/dex
web: {http: '127.0.0.1:0'}
oauth2:
  grantTypes: [authorization_code, refresh_token, client_credentials, 'urn:ietf:params:oauth:grant-type:token-exchange']
signer: {type: local, config: {keysRotationPeriod: 6h, algorithm: ES256}}
staticClients:
- {id: app, secret: canary-secret-of-app, name: App, redirectURIs: ['https://app.example/cb']}
- {id: other, secret: canary-secret-of-other, name: Other, redirectURIs: ['https://app.example/cb']}
- {id: native, name: Native, public: true}
- {id: peer, secret: canary-secret-of-peer, name: Peer, trustedPeers: [app]}
";

/// [`CONFIG`] with every grant switched on; passwords are taken by the connector `passwords`.
pub fn every_grant() -> String {
    let grants = "password, 'urn:ietf:params:oauth:grant-type:device_code', \
                  'urn:ietf:params:oauth:grant-type:token-exchange']\n  passwordConnector: passwords";
    CONFIG.replace("'urn:ietf:params:oauth:grant-type:token-exchange']", grants)
}
