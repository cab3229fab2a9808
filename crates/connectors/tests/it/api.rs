//! A stub of an upstream with OAuth 2.0 and an API: documents by path, a token endpoint that checks what it is shown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest;
use bytes::Bytes;
use http::{Request, Response};
use provider::connector::{Flow, Hints, Identity, Opened, SignedIn, UpstreamError};
use serde_json::{Value, json};
use testkit::conformance::connector::entrance::{Entrance, Way};
use testkit::serve::{TestBody, json as document, text};
use testkit::{FakeClock, Server, TestCa};
use url::Url;
use wire::b64;
use wire::form::Form;

use crate::{OUR_ISSUER, open};

pub(crate) const ALL: Hints = Hints { offline: true, groups: true };
pub(crate) const NOTHING: Hints = Hints { offline: false, groups: false };

/// The stub and a connector in front of it.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) ca: TestCa,
    pub(crate) clock: FakeClock,
    state: Arc<Mutex<State>>,
    opened: Option<Opened>,
    /// Who signed in last: whom a refresh asks about.
    known: Mutex<Identity>,
}

struct State {
    /// What a path (with its query, if that stands here) answers.
    documents: HashMap<String, (u16, Value)>,
    /// What anybody may read.
    published: HashMap<String, Value>,
    token_path: &'static str,
    token: String,
    granted: Value,
    codes: HashMap<String, (String, String)>,
}

impl Site {
    pub(crate) async fn start(token_path: &'static str) -> Self {
        Self::serve(token_path, true).await
    }

    /// For kinds that know no authority but the machine's.
    pub(crate) async fn plain(token_path: &'static str) -> Self {
        Self::serve(token_path, false).await
    }

    async fn serve(token_path: &'static str, tls: bool) -> Self {
        let ca = TestCa::new();
        let state = Arc::new(Mutex::new(State {
            documents: HashMap::new(),
            published: HashMap::new(),
            token_path,
            token: "canary-access-token".into(),
            granted: json!({}),
            codes: HashMap::new(),
        }));
        let shared = Arc::clone(&state);
        let handler = move |request: Request<Bytes>| {
            let answer = shared.lock().unwrap().answer(&request);
            async { answer }
        };
        let server = if tls { Server::tls(&ca, handler).await } else { Server::plain(handler).await };
        Self { server, ca, clock: FakeClock::default(), state, opened: None, known: Mutex::default() }
    }

    /// Opens a connector of this kind in front of it; these keys and a registration.
    pub(crate) fn opened(mut self, kind: &str, config: &Value) -> Self {
        self.opened = Some(open(kind, &registered(config), &self.clock));
        self
    }

    pub(crate) fn set(&self, path: &str, document: Value) {
        self.answers(path, 200, document);
    }

    pub(crate) fn answers(&self, path: &str, status: u16, document: Value) {
        self.state.lock().unwrap().documents.insert(path.to_owned(), (status, document));
    }

    /// A document that anybody may read.
    pub(crate) fn publish(&self, path: &str, document: Value) {
        self.state.lock().unwrap().published.insert(path.to_owned(), document);
    }

    /// What the token endpoint grants besides an access token.
    pub(crate) fn grants(&self, granted: Value) {
        self.state.lock().unwrap().granted = granted;
    }

    pub(crate) async fn depart(&self, scopes: Hints) -> Url {
        let Flow::Redirect(flow) = self.connector().connector.flow() else { panic!("no redirect") };
        flow.depart(scopes, &callback(), "the-state").await.unwrap().to
    }

    pub(crate) async fn login(&self, scopes: Hints) -> Result<SignedIn, UpstreamError> {
        self.login_with(scopes, "").await
    }

    /// The same, and the upstream says this besides.
    pub(crate) async fn login_with(&self, scopes: Hints, more: &str) -> Result<SignedIn, UpstreamError> {
        let Flow::Redirect(flow) = self.connector().connector.flow() else { panic!("no redirect") };
        let departure = flow.depart(scopes, &callback(), "the-state").await?;
        let query = format!("state=the-state&code={}{more}", self.code(&departure.to));
        let form = Form::parse(&query, &[]).unwrap();
        let said = flow.arrive(scopes, &callback(), departure.keep.expose(), &form).await;
        if let Ok(signed_in) = &said {
            *self.known.lock().unwrap() = signed_in.identity.clone();
        }
        said
    }

    /// The same as the contract of the seam wants it.
    pub(crate) fn entrance(mut self, person: Identity) -> Entrance {
        let (opened, clock) = (self.opened.take().unwrap(), self.clock.clone());
        let back = move |to: &Url| format!("code={}", self.code(to));
        let refused = vec!["", "error=access_denied", "error=access_denied&code=c", "code=", "state=x"];
        Entrance { opened, clock, way: Way::Redirect { back: Box::new(back), refused }, person }
    }

    pub(crate) async fn refresh(&self, kept: &[u8]) -> Result<SignedIn, UpstreamError> {
        let seam = self.connector().connector.refresh().unwrap();
        let known = self.known.lock().unwrap().clone();
        seam.refresh(ALL, &known, kept).await
    }

    pub(crate) fn connector(&self) -> &Opened {
        self.opened.as_ref().unwrap()
    }

    fn code(&self, url: &Url) -> String {
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let mut state = self.state.lock().unwrap();
        let code = format!("code-{}", state.codes.len());
        state.codes.insert(code.clone(), (query["code_challenge"].clone(), query["redirect_uri"].clone()));
        code
    }
}

impl State {
    fn answer(&mut self, request: &Request<Bytes>) -> Response<TestBody> {
        let path = request.uri().path();
        if path == self.token_path {
            return self.grant(request);
        }
        if let Some(found) = self.published.get(path) {
            return document(found);
        }
        let bearer = format!("Bearer {}", self.token);
        if request.headers().get("authorization").and_then(|value| value.to_str().ok()) != Some(&bearer) {
            return text(401, "{}");
        }
        let whole = request.uri().path_and_query().unwrap().as_str();
        let Some((status, found)) = self.documents.get(whole).or_else(|| self.documents.get(path)) else {
            return text(404, "{}");
        };
        let mut answer = document(found);
        *answer.status_mut() = (*status).try_into().unwrap();
        answer
    }

    fn grant(&mut self, request: &Request<Bytes>) -> Response<TestBody> {
        let form: HashMap<String, String> =
            url::form_urlencoded::parse(request.body()).into_owned().collect();
        let said = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let refused = |error: &str| {
            let mut answer = document(&json!({"error": error}));
            *answer.status_mut() = http::StatusCode::BAD_REQUEST;
            answer
        };
        let asserted = form.contains_key("client_assertion");
        if said("client_id") != "obol" || said("client_secret") != "s&cret" && !asserted {
            return refused("invalid_client");
        }
        let good = match said("grant_type") {
            "authorization_code" => {
                let verifier = b64::encode(digest::digest(&digest::SHA256, said("code_verifier").as_bytes()));
                self.codes
                    .remove(said("code"))
                    .is_some_and(|known| known == (verifier, said("redirect_uri").to_owned()))
            }
            "refresh_token" => said("refresh_token") == self.granted["refresh_token"],
            _ => false,
        };
        if !good {
            return refused("invalid_grant");
        }
        let mut granted = json!({"access_token": self.token, "token_type": "Bearer"});
        granted.as_object_mut().unwrap().extend(self.granted.as_object().unwrap().clone());
        document(&granted)
    }
}

/// These keys and a client that the stub knows.
pub(crate) fn registered(more: &Value) -> Value {
    let redirect = format!("{OUR_ISSUER}/callback");
    let mut config = json!({"clientID": "obol", "clientSecret": "s&cret", "redirectURI": redirect});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

fn callback() -> Url {
    Url::parse(&format!("{OUR_ISSUER}/callback")).unwrap()
}

pub(crate) fn denied<T: std::fmt::Debug>(said: &Result<T, UpstreamError>) -> bool {
    matches!(said, Err(UpstreamError::Denied(_)))
}

/// A parameter of a URL.
pub(crate) fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}
