//! The application: who begins, who came back, what they may see. One cookie tells browsers apart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ambient::{Clock as _, Random, RandomExt as _, SystemClock};
use bytes::Bytes;
use client::{Begun, Exchanger, Inspection, SignIn, Tokens};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use url::Url;
use wire::form::Form;

use super::page::{self, Shown};

pub(super) struct App {
    exchanger: Exchanger,
    ask: SignIn,
    redirect_uri: Url,
    random: Arc<dyn Random>,
    sessions: Mutex<HashMap<String, Session>>,
}

/// One browser.
#[derive(Default)]
struct Session {
    ask: Option<SignIn>,
    begun: Option<Begun>,
    tokens: Option<Tokens>,
}

type Answer = Response<Full<Bytes>>;

impl App {
    pub(super) fn new(exchanger: Exchanger, ask: SignIn, redirect_uri: Url, random: Arc<dyn Random>) -> Self {
        Self { exchanger, ask, redirect_uri, random, sessions: Mutex::default() }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let cookie =
            head.headers.get(header::COOKIE).and_then(|value| value.to_str().ok()).and_then(session_of);
        let id = cookie.unwrap_or_default().to_owned();
        match (&head.method, path) {
            (&Method::GET, "/") => {
                page::start(self.ask.client.id.as_deref().unwrap_or_default(), &self.ask.issuer)
            }
            // A form of another site comes without the cookie, and there is nothing to end or renew then.
            (&Method::POST, "/login") => match Limited::new(body, MOST_ASKED).collect().await {
                Ok(body) => self.begin(&body.to_bytes()).await,
                Err(_) => page::problem(StatusCode::BAD_REQUEST, "the form is too long"),
            },
            (&Method::GET, path) if path == self.redirect_uri.path() => {
                self.arrive(&id, head.uri.query().unwrap_or_default()).await
            }
            (&Method::GET, "/tokens") => self.tokens(&id).await,
            (&Method::POST, "/refresh") => self.refresh(&id).await,
            (&Method::GET, "/userinfo") => self.userinfo(&id).await,
            (&Method::POST, "/logout") => {
                self.sessions().remove(&id);
                page::to("/", None)
            }
            _ => page::problem(StatusCode::NOT_FOUND, "there is no such page"),
        }
    }

    async fn begin(&self, raw: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(raw);
        let Ok(form) = Form::parse(&text, &[]) else {
            return page::problem(StatusCode::BAD_REQUEST, "the form is not correctly encoded");
        };
        let words = |name: &str| {
            let words = form.get(name).unwrap_or_default().split([' ', ',', '\n', '\r']);
            words.filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut ask = self.ask.clone();
        ask.scope = vec!["openid".to_owned()];
        ask.scope.extend(words("scopes"));
        ask.scope
            .extend(words("clients").into_iter().map(|client| format!("audience:server:client_id:{client}")));
        if form.get("offline").is_some() {
            ask.scope.push("offline_access".to_owned());
        }
        ask.extra.extend(form.get("connector").map(|id| ("connector_id".to_owned(), id.to_owned())));
        match self.exchanger.begin_at(&ask, self.redirect_uri.as_str()).await {
            Ok(begun) => {
                let (id, url) = (self.random.hex(32), begun.url().to_string());
                let mut sessions = self.sessions();
                if sessions.len() >= MOST_SESSIONS {
                    sessions.clear();
                }
                sessions.insert(id.clone(), Session { ask: Some(ask), begun: Some(begun), tokens: None });
                page::to(&url, Some(&id))
            }
            Err(error) => page::problem(StatusCode::BAD_GATEWAY, &error.to_string()),
        }
    }

    async fn arrive(&self, id: &str, query: &str) -> Answer {
        let taken = self
            .sessions()
            .get_mut(id)
            .and_then(|session| Some((session.ask.clone()?, session.begun.take()?)));
        let Some((ask, begun)) = taken else {
            return page::problem(
                StatusCode::BAD_REQUEST,
                "nobody began to sign in from this browser; start again",
            );
        };
        match self.exchanger.finish(&ask, begun, query).await {
            Ok(tokens) => {
                self.keep(id, tokens);
                page::to("/tokens", None)
            }
            Err(error) => page::problem(StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }

    async fn tokens(&self, id: &str) -> Answer {
        let Some((ask, tokens)) = self.signed_in(id) else { return page::to("/", None) };
        let now = SystemClock::default().now();
        let mut shown = Vec::new();
        let access = tokens.access_token.as_ref().map(|token| ("Access token", token));
        for (title, token) in [Some(("ID token", &tokens.id_token)), access].into_iter().flatten() {
            let raw = token.expose().as_str();
            let verified = client::verify(&self.exchanger, &ask.issuer, raw).await;
            let text = Inspection::of(raw, now).map(|inspected| inspected.text());
            shown.push(Shown {
                title,
                verified: verified.map_err(|error| error.to_string()),
                text: text.unwrap_or_else(|_| "not a JWT: for its issuer's eyes alone\n".to_owned()),
                raw,
            });
        }
        page::tokens(&shown, tokens.refresh_token.is_some())
    }

    async fn refresh(&self, id: &str) -> Answer {
        let Some((ask, tokens)) = self.signed_in(id) else { return page::to("/", None) };
        match self.exchanger.next(&ask, &tokens).await {
            Ok(next) => {
                self.keep(id, next);
                page::to("/tokens", None)
            }
            Err(error) => page::problem(StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }

    async fn userinfo(&self, id: &str) -> Answer {
        let Some((ask, tokens)) = self.signed_in(id) else { return page::to("/", None) };
        match self.exchanger.userinfo(&ask, &tokens).await {
            Ok(claims) => page::userinfo(&serde_json::to_string_pretty(&claims).unwrap_or_default()),
            Err(error) => page::problem(StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }

    fn signed_in(&self, id: &str) -> Option<(SignIn, Tokens)> {
        let sessions = self.sessions();
        let session = sessions.get(id)?;
        Some((session.ask.clone()?, session.tokens.clone()?))
    }

    fn keep(&self, id: &str, tokens: Tokens) {
        if let Some(session) = self.sessions().get_mut(id) {
            session.tokens = Some(tokens);
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn session_of(cookies: &str) -> Option<&str> {
    cookies.split("; ").find_map(|cookie| cookie.strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Sets the cookie that tells browsers apart.
pub(super) fn remember(answer: &mut Answer, id: &str) {
    if let Ok(value) = HeaderValue::try_from(format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Lax")) {
        answer.headers_mut().insert(header::SET_COOKIE, value);
    }
}

const COOKIE: &str = "obol_example_app";
const MOST_SESSIONS: usize = 256;
const MOST_ASKED: usize = 16 * 1024;
