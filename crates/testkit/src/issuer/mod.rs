//! An issuer of tokens over TLS with an authority of its own, that can be told to misbehave.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use serde_json::json;
//! use testkit::issuer::{Alg, Behaviour, Issuer, Route};
//!
//! let issuer = Issuer::builder().algorithm(Alg::Es256).start().await;
//! let token = issuer.mint(json!({"sub": "alice", "aud": "obol"})); // iss, iat and exp are filled in
//! issuer.rotate();                                                  // a second key signs, both are published
//! issuer.behave(Route::Keys, Behaviour::Status(503));               // the key set is out of order
//! let none = issuer.token(json!({"sub": "root"})).header("alg", json!("none")).signature(b"");
//! # let _ = (token, none.sign()); }
//! ```
//!
//! It makes its keys and signatures with aws-lc-rs directly and shares no code with what it is there to test.

mod documents;
mod keys;
mod mint;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ambient::{Clock, SystemClock};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use serde_json::{Value, json};
use url::Url;

pub use documents::Behaviour;
pub use keys::{Alg, TestKey};
pub use mint::Mint;

use crate::serve::{Line, Server, TestBody};
use crate::tls::TestCa;

/// A running issuer. Dropping it closes its port.
pub struct Issuer {
    server: Server,
    ca: Option<TestCa>,
    state: Arc<State>,
    clock: Arc<dyn Clock>,
}

/// What the issuer answers on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// `/.well-known/openid-configuration`
    Discovery,
    /// `/keys`, or `/openid/v1/jwks` of a Kubernetes-shaped one.
    Keys,
    /// `/userinfo`
    Userinfo,
}

/// How an issuer is to be made.
pub struct Builder {
    base: String,
    issuer: Option<String>,
    kubernetes: bool,
    plain: bool,
    algorithm: Alg,
    names: Vec<String>,
    bearer: Option<String>,
    clock: Arc<dyn Clock>,
}

pub(crate) struct State {
    base: String,
    kubernetes: bool,
    bearer: Option<String>,
    inner: Mutex<Inner>,
}

struct Inner {
    signing: Arc<TestKey>,
    discovery: Value,
    keys: Vec<Value>,
    key_set: Option<String>,
    made: usize,
    behaviours: HashMap<Route, Behaviour>,
    cache_control: Option<String>,
    userinfo: HashMap<String, Value>,
    answers: HashMap<String, (u16, Value)>,
}

impl Issuer {
    /// TLS, one ES256 key, discovery as an OpenID provider publishes it.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Something more particular.
    pub fn builder() -> Builder {
        Builder {
            base: String::new(),
            issuer: None,
            kubernetes: false,
            plain: false,
            algorithm: Alg::Es256,
            names: Vec::new(),
            bearer: None,
            clock: Arc::new(SystemClock::default()),
        }
    }

    /// The issuer as it stands in tokens.
    pub fn issuer(&self) -> String {
        self.state.inner.lock().unwrap().discovery["issuer"].as_str().unwrap_or_default().to_owned()
    }

    /// The authority to trust, PEM; empty without TLS.
    pub fn ca_pem(&self) -> &str {
        self.ca.as_ref().map_or("", TestCa::pem)
    }

    /// The URL under which the issuer is served; the same as [`Issuer::issuer`] unless that was set.
    pub fn base_url(&self) -> Url {
        self.server.url(&self.state.base)
    }

    /// The URL of a route.
    pub fn url(&self, route: Route) -> Url {
        self.server.url(&self.state.path(route))
    }

    /// The server behind it: addresses, requests that were seen, other host names.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// How many requests a route has received.
    pub fn requests(&self, route: Route) -> usize {
        self.server.requests(&self.state.path(route))
    }

    /// The compact JWS of these claims under the current key; see [`Issuer::token`].
    pub fn mint(&self, claims: Value) -> String {
        self.token(claims).sign()
    }

    /// A token to be made. `iss`, `iat` and `exp` (ten minutes) are filled in; a claim that is `null` is left out.
    pub fn token(&self, claims: Value) -> Mint {
        let now = self.clock.now().unix();
        let mut all = json!({"iss": self.issuer(), "iat": now, "exp": now + 600});
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        for (name, value) in claims {
            all[name] = value;
        }
        all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        Mint::new(all, self.signing_key())
    }

    /// The key that signs now.
    pub fn signing_key(&self) -> Arc<TestKey> {
        Arc::clone(&self.state.inner.lock().unwrap().signing)
    }

    /// Makes and publishes another key of the same algorithm and signs with it. The old ones stay published.
    pub fn rotate(&self) -> Arc<TestKey> {
        let algorithm = self.signing_key().algorithm();
        self.rotate_to(algorithm)
    }

    /// The same with another algorithm.
    pub fn rotate_to(&self, algorithm: Alg) -> Arc<TestKey> {
        let mut inner = self.state.inner.lock().unwrap();
        inner.made += 1;
        let key = Arc::new(TestKey::generate(algorithm, &format!("key-{}", inner.made)));
        inner.keys.push(key.jwk());
        inner.signing = Arc::clone(&key);
        key
    }

    /// Signs with this key from now on, whether it is published or not.
    pub fn sign_with(&self, key: Arc<TestKey>) {
        self.state.inner.lock().unwrap().signing = key;
    }

    /// Takes every key with this `kid` out of the key set.
    pub fn remove_key(&self, kid: &str) {
        self.state.inner.lock().unwrap().keys.retain(|key| key["kid"] != kid);
    }

    /// Publishes one more key as it is written here: a private one, an `oct` one, one without `kid`, a twin.
    pub fn publish(&self, jwk: Value) {
        self.state.inner.lock().unwrap().keys.push(jwk);
    }

    /// Changes the published keys as a whole.
    pub fn edit_keys(&self, edit: impl FnOnce(&mut Vec<Value>)) {
        edit(&mut self.state.inner.lock().unwrap().keys);
    }

    /// Publishes this text in the place of the key set, until the next call with `None`.
    pub fn set_key_set(&self, text: Option<&str>) {
        self.state.inner.lock().unwrap().key_set = text.map(str::to_owned);
    }

    /// Sets a member of the discovery document; `null` removes it. Setting `issuer` changes what tokens say too.
    pub fn set_discovery(&self, member: &str, value: Value) {
        let mut inner = self.state.inner.lock().unwrap();
        match value {
            Value::Null => drop(inner.discovery.as_object_mut().unwrap().remove(member)),
            value => inner.discovery[member] = value,
        }
    }

    /// The `Cache-Control` of both documents; Kubernetes-shaped ones begin with `public, max-age=3600`.
    pub fn set_cache_control(&self, value: Option<&str>) {
        self.state.inner.lock().unwrap().cache_control = value.map(str::to_owned);
    }

    /// Lets a route misbehave, or behave again.
    pub fn behave(&self, route: Route, behaviour: Behaviour) {
        self.state.inner.lock().unwrap().behaviours.insert(route, behaviour);
    }

    /// Takes the whole issuer off the line, or puts it back.
    pub async fn set_line(&self, line: Line) {
        self.server.set_line(line).await;
    }

    /// Answers this at `path` (`/token`, `/introspect`) from now on; what was asked is in [`Issuer::server`].
    pub fn set_answer(&self, path: &str, status: u16, document: Value) {
        let path = format!("{}{path}", self.state.base);
        self.state.inner.lock().unwrap().answers.insert(path, (status, document));
    }

    /// UserInfo answers these claims to this access token.
    pub fn set_userinfo(&self, access_token: &str, claims: Value) {
        self.state.inner.lock().unwrap().userinfo.insert(access_token.to_owned(), claims);
    }
}

impl Builder {
    /// Serves under this path (`/realms/x`), which is part of the issuer.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.base);
        self
    }

    /// Calls itself this, wherever it is served (`https://kubernetes.default.svc`).
    #[must_use]
    pub fn issuer(mut self, issuer: &str) -> Self {
        self.issuer = Some(issuer.to_owned());
        self
    }

    /// Publishes discovery as an API server does for its service accounts: no endpoints, keys at `/openid/v1/jwks`.
    #[must_use]
    pub const fn kubernetes(mut self) -> Self {
        self.kubernetes = true;
        self
    }

    /// Serves `http`.
    #[must_use]
    pub const fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// The algorithm of the first key.
    #[must_use]
    pub const fn algorithm(mut self, algorithm: Alg) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// The names on its certificate, instead of `127.0.0.1` and `localhost`.
    #[must_use]
    pub fn names(mut self, names: &[&str]) -> Self {
        self.names = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Answers 401 to documents asked for without this bearer token, as API servers do by default.
    #[must_use]
    pub fn require_bearer(mut self, token: &str) -> Self {
        self.bearer = Some(token.to_owned());
        self
    }

    /// The clock that `iat` and `exp` come from.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Starts it on a free port.
    pub async fn start(self) -> Issuer {
        let key = Arc::new(TestKey::generate(self.algorithm, "key-1"));
        let inner = Inner {
            keys: vec![key.jwk()],
            signing: key,
            discovery: Value::Null,
            key_set: None,
            made: 1,
            behaviours: HashMap::new(),
            cache_control: self.kubernetes.then(|| "public, max-age=3600".to_owned()),
            userinfo: HashMap::new(),
            answers: HashMap::new(),
        };
        let (base, kubernetes, bearer) = (self.base, self.kubernetes, self.bearer);
        let state = Arc::new(State { base, kubernetes, bearer, inner: Mutex::new(inner) });
        let answering = Arc::clone(&state);
        let handler = move |request| {
            let state = Arc::clone(&answering);
            async move { state.answer(&request).await }
        };
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let ca = (!self.plain).then(TestCa::new);
        let server = match &ca {
            Some(ca) => Server::tls_for(ca, &names, handler).await,
            None => Server::plain(handler).await,
        };
        let base = server.url(&state.base).to_string();
        let base = base.trim_end_matches('/');
        let issuer = self.issuer.unwrap_or_else(|| base.to_owned());
        state.inner.lock().unwrap().discovery =
            documents::discovery(&issuer, base, kubernetes, self.algorithm);
        Issuer { server, ca, state, clock: self.clock }
    }
}

impl State {
    fn path(&self, route: Route) -> String {
        let end = match route {
            Route::Discovery => "/.well-known/openid-configuration",
            Route::Keys if self.kubernetes => "/openid/v1/jwks",
            Route::Keys => "/keys",
            Route::Userinfo => "/userinfo",
        };
        format!("{}{end}", self.base)
    }

    async fn answer(&self, request: &Request<Bytes>) -> Response<TestBody> {
        let path = request.uri().path();
        let routes = [Route::Discovery, Route::Keys, Route::Userinfo];
        let Some(route) = routes.into_iter().find(|route| self.path(*route) == path) else {
            let canned = self.inner.lock().unwrap().answers.get(path).cloned();
            let Some((status, document)) = canned else { return crate::serve::text(404, "no such page") };
            let mut answer = crate::serve::json(&document);
            *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
            return answer;
        };
        let behaviour = self.inner.lock().unwrap().behaviours.get(&route).cloned().unwrap_or_default();
        let normal = self.document(route, request.headers());
        behaviour.applied_to(normal).await
    }

    fn document(&self, route: Route, headers: &HeaderMap) -> Response<TestBody> {
        let inner = self.inner.lock().unwrap();
        let sent = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        if route == Route::Userinfo {
            return match sent.and_then(|token| inner.userinfo.get(token)) {
                Some(claims) => crate::serve::json(claims),
                None => crate::serve::text(401, "unknown access token"),
            };
        }
        if self.bearer.is_some() && sent != self.bearer.as_deref() {
            return crate::serve::text(401, "Unauthorized");
        }
        let body = match route {
            Route::Discovery => inner.discovery.to_string(),
            _ => inner.key_set.clone().unwrap_or_else(|| json!({"keys": inner.keys}).to_string()),
        };
        let kind = if route == Route::Keys { "application/jwk-set+json" } else { "application/json" };
        let mut answer = Response::builder().header("content-type", kind);
        if let Some(value) = &inner.cache_control {
            answer = answer.header("cache-control", value);
        }
        answer.body(TestBody::Whole(body.into())).unwrap()
    }
}
