//! One request as audit sees it, from before its caller is known until its answer has ended, whichever way it ends: what is
//! not told otherwise is told when the recording is dropped.

use std::borrow::Cow;
use std::sync::Arc;

use ambient::{BoxFuture, RandomExt as _};
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body as _;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::event::{Event, ObjectRef, Status, TRUNCATED, User};
use super::object::{Capture, Missing, compact, complete_ref};
use super::policy::{Level, Says, Stage};
use super::request_info::RequestInfo;
use super::streams::Served;
use super::{Audit, query};
use crate::authenticate::{Caller, Way};
use crate::bearer::Bearer;
use crate::body::Body;
use crate::identity::KubeUser;
use crate::refusal::Refusal;
use crate::upstream::Source;

/// One request as audit sees it.
pub(crate) struct Recording {
    audit: Arc<Audit>,
    info: RequestInfo,
    event: Event,
    /// What the policy says, once it was asked.
    says: Option<Says>,
    /// Never recorded, wherever in the request it stands.
    bearer: Option<Bearer>,
    /// What was tried, for who is not let in.
    attempted: &'static str,
    sent: Option<Capture>,
    answer: Option<Capture>,
    tunnel: Option<oneshot::Sender<Box<Self>>>,
    answered: bool,
    done: bool,
}

impl Recording {
    /// Begins, and gives the request its `Audit-ID` if it has none that can be used.
    pub(crate) fn begin<B>(audit: &Arc<Audit>, request: &Request<B>, source: Source) -> Box<Self> {
        let (headers, uri) = (request.headers(), request.uri());
        let bearer = Bearer::read(headers).ok();
        let (path, raw_query) = (uri.path(), uri.query().unwrap_or_default());
        let info = RequestInfo::read(request.method().as_str(), path, raw_query);
        let target = uri.path_and_query().map_or(path, http::uri::PathAndQuery::as_str);
        let id = given_id(headers, bearer.as_ref()).unwrap_or_else(|| audit.random.uuid());
        let mut event =
            Event::new(id, without_credentials(target, bearer.as_ref()), &info, audit.clock.now());
        if let Some(object) = &mut event.object_ref {
            for text in
                [&mut object.name, &mut object.namespace, &mut object.resource, &mut object.subresource]
            {
                clear(text, bearer.as_ref());
            }
        }
        event.user_agent = agent(headers, bearer.as_ref());
        event.sources = match (source.client, source.peer) {
            (client, peer) if client == peer => vec![peer.to_string()],
            (client, peer) => vec![client.to_string(), peer.to_string()],
        };
        let attempted = attempted(headers, raw_query);
        Box::new(Self {
            audit: Arc::clone(audit),
            info,
            event,
            says: None,
            bearer,
            attempted,
            sent: None,
            answer: None,
            tunnel: None,
            answered: false,
            done: false,
        })
    }

    /// The caller is known: asks the policy, and tells the first stage.
    pub(crate) async fn received(&mut self, caller: &Caller) -> Result<(), Refusal> {
        let groups = groups(caller);
        self.ask(Some((&caller.user.name, &groups)));
        self.event.user = User::of(&caller.user, groups);
        let Some(stored) = self.tell(Stage::RequestReceived) else { return Ok(()) };
        if stored.await {
            return Ok(());
        }
        self.audit.count_rejected();
        self.done = true;
        Err(Refusal::Unaudited)
    }

    /// The request goes on as somebody else, which was asked for and is allowed.
    pub(crate) fn impersonated(&mut self, user: &KubeUser) {
        self.event.impersonated_user = Some(User::of(user, user.groups.clone()));
    }

    /// Makes the headers that go on: both logs name the request alike, and an answer that is recorded can be read.
    pub(crate) fn prepare(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::try_from(&self.event.id) {
            headers.insert(AUDIT_ID, id);
        }
        if self.wants_answer() {
            headers.remove(ACCEPT_ENCODING);
        }
    }

    /// Where the request's body leaves what an event needs of it.
    pub(super) fn keep_sent(&mut self) -> Option<Capture> {
        let named_by_body = self.info.verb == "create" && self.level() >= Level::Metadata;
        if named_by_body && self.info.is_resource && !self.info.is_long_running()
            || self.wants_objects(Level::Request)
        {
            self.sent = Some(Capture::new(self.audit.most_body, &self.audit.memory));
        }
        self.sent.clone()
    }

    /// For an upgraded connection, which outlives its answer: the recording ends with what this gives.
    pub(crate) fn tunnelled(&mut self) -> oneshot::Receiver<Box<Self>> {
        let (give, held) = oneshot::channel();
        self.tunnel = Some(give);
        held
    }

    /// The answer's head is there. `refused`: why it is ours and not the API server's.
    pub(crate) async fn answered(
        mut self: Box<Self>,
        mut response: Response<Body>,
        refused: Option<&'static str>,
    ) -> Response<Served> {
        if let Ok(id) = HeaderValue::try_from(&self.event.id) {
            response.headers_mut().entry(AUDIT_ID).or_insert(id);
        }
        if let Some(code) = refused {
            self.event.annotations.insert(REFUSED, code.to_owned());
        }
        let status = response.status();
        self.event.response_status = Some(Status { code: status.as_u16(), ..Status::default() });
        self.answered = true;
        if self.says.is_none() {
            self.not_let_in(status).await;
            return response.map(Served::plain);
        }
        if self.level() == Level::None || self.done {
            return response.map(Served::plain);
        }
        if self.info.is_long_running() {
            wait(self.tell(Stage::ResponseStarted)).await;
        }
        match self.tunnel.take() {
            Some(tunnel) if status == StatusCode::SWITCHING_PROTOCOLS => {
                // If the tunnel has ended already, the recording comes back, and ends here.
                drop(tunnel.send(self));
                return response.map(Served::plain);
            }
            _ => {}
        }
        if self.wants_answer() {
            self.answer = Some(Capture::new(self.audit.most_body, &self.audit.memory));
        } else if status.is_client_error() || status.is_server_error() {
            self.answer = Some(Capture::new(MOST_STATUS, &self.audit.memory));
        }
        if response.body().is_end_stream() {
            wait(self.complete()).await;
            return response.map(Served::plain);
        }
        response.map(|body| Served::recorded(body, self))
    }

    /// A part of the answer's body.
    pub(super) fn keep(&self, data: &[u8]) {
        if let Some(answer) = &self.answer {
            answer.add(data);
        }
    }

    /// The answer has ended. The future resolves when that is stored, where anybody waits for it.
    pub(super) fn complete(&mut self) -> Option<BoxFuture<'static, bool>> {
        if self.done || self.says.is_none() {
            return None;
        }
        self.done = true;
        if !self.answered {
            self.event.response_status = Some(Status {
                status: "Success".into(),
                message: "Connection closed early".into(),
                code: StatusCode::OK.as_u16(),
                ..Status::default()
            });
            if self.info.is_long_running() {
                drop(self.tell(Stage::ResponseStarted));
            }
        }
        self.read_objects();
        self.tell(Stage::ResponseComplete)
    }

    fn ask(&mut self, user: Option<(&str, &[String])>) {
        let says = self.audit.judge(user, &self.info);
        self.event.level = says.level;
        self.says = Some(says);
    }

    /// Who is not let in has one event, when that is answered.
    async fn not_let_in(&mut self, status: StatusCode) {
        self.ask(None);
        if let Some(told) = &mut self.event.response_status
            && status == StatusCode::UNAUTHORIZED
        {
            self.attempted.clone_into(&mut told.message);
        }
        wait(self.tell(Stage::ResponseStarted)).await;
        self.done = true;
    }

    fn tell(&mut self, stage: Stage) -> Option<BoxFuture<'static, bool>> {
        let says = self.says.filter(|says| says.level != Level::None && !says.omit_stages.has(stage))?;
        self.event.level = says.level;
        self.event.stage = stage;
        if stage != Stage::RequestReceived {
            self.event.at = self.audit.clock.now();
        }
        self.audit.process(&self.event)
    }

    fn level(&self) -> Level {
        self.says.map_or(Level::None, |says| says.level)
    }

    fn wants_answer(&self) -> bool {
        self.wants_objects(Level::RequestResponse)
    }

    /// Objects are recorded of requests about resources that end by themselves, and never where they are credentials.
    fn wants_objects(&self, from: Level) -> bool {
        self.level() >= from
            && self.info.is_resource
            && !self.info.is_long_running()
            && !holds_credentials(&self.info)
    }

    fn read_objects(&mut self) {
        if let (Some(sent), Some(object)) = (&self.sent, &mut self.event.object_ref) {
            let _ = sent.with(|body| complete_ref(object, body));
            clear_ref(object, self.bearer.as_ref());
        }
        let failed =
            self.event.response_status.as_ref().map(|status| status.code).filter(|code| *code >= 400);
        if let (Some(code), Some(answer)) = (failed, &self.answer)
            && let Ok(Ok(mut status)) = answer.with(|body| serde_json::from_slice::<Status>(body))
        {
            let bearer = self.bearer.as_ref();
            for text in [&mut status.message, &mut status.reason, &mut status.status] {
                clear(text, bearer);
            }
            // Whoever answers writes them: a line of the log stays one.
            status.details = status.details.and_then(|details| {
                let mut text = compact(details.get());
                clear(&mut text, bearer);
                RawValue::from_string(text).ok()
            });
            self.event.response_status = Some(Status { code, ..status });
        }
        if self.wants_objects(Level::Request) {
            self.event.request_object = self.object(self.sent.clone(), REQUEST_OBJECT);
        } else if self.level() >= Level::Request && holds_credentials(&self.info) {
            self.event.annotations.insert(REQUEST_OBJECT, "left out: it holds credentials".into());
        }
        if self.wants_answer() {
            self.event.response_object = self.object(self.answer.clone(), RESPONSE_OBJECT);
        }
    }

    fn object(&mut self, from: Option<Capture>, annotation: &'static str) -> Option<Box<RawValue>> {
        let omit = self.says.is_some_and(|says| says.omit_managed_fields);
        match from?.object(omit) {
            Ok(mut text) => {
                clear(&mut text, self.bearer.as_ref());
                RawValue::from_string(text).ok()
            }
            Err(Missing::Empty) => None,
            Err(Missing::TooLarge) => {
                self.event.annotations.insert(TRUNCATED, "true".into());
                None
            }
            Err(Missing::Other) => {
                self.event.annotations.insert(annotation, "left out: it is not JSON".into());
                None
            }
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.done && self.says.is_some() {
            self.done = true;
            self.event.response_status = Some(Status {
                status: "Failure".into(),
                reason: "InternalError".into(),
                message: "the proxy panicked".into(),
                code: StatusCode::INTERNAL_SERVER_ERROR.as_u16(),
                ..Status::default()
            });
            drop(self.tell(Stage::Panic));
        }
        // Nobody is there any more who could wait.
        drop(self.complete());
    }
}

async fn wait(stored: Option<BoxFuture<'static, bool>>) {
    if let Some(stored) = stored {
        stored.await;
    }
}

/// The API server puts everybody in one of two groups, and policies rely on it.
fn groups(caller: &Caller) -> Vec<String> {
    let by_itself = match caller.way {
        Way::Anonymous => "system:unauthenticated",
        Way::Token | Way::Review => "system:authenticated",
    };
    let mut groups = caller.user.groups.clone();
    if !groups.iter().any(|group| group == by_itself) {
        groups.push(by_itself.to_owned());
    }
    groups
}

/// The client's own id, as the API server takes it, unless no log could hold it.
fn given_id(headers: &HeaderMap, bearer: Option<&Bearer>) -> Option<String> {
    let id = headers.get(AUDIT_ID)?.to_str().ok()?;
    let fit = !id.is_empty() && id.len() <= MOST_ID && matches!(scrubbed(id, bearer), Cow::Borrowed(_));
    fit.then(|| id.to_owned())
}

fn agent(headers: &HeaderMap, bearer: Option<&Bearer>) -> String {
    let raw = headers.get(USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(raw);
    let mut agent = scrubbed(&text, bearer).into_owned();
    if agent.len() > MOST_AGENT {
        agent.truncate(agent.floor_char_boundary(MOST_AGENT));
        agent.push_str("...TRUNCATED");
    }
    agent
}

fn attempted(headers: &HeaderMap, raw_query: &str) -> &'static str {
    let line = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let scheme = line.trim().split_once(' ').map(|(scheme, _)| scheme.to_ascii_lowercase());
    match (scheme.as_deref(), query::names(raw_query, "access_token")) {
        (Some("basic"), _) => "Authentication failed, attempted: basic",
        (Some("bearer"), true) => "Authentication failed, attempted: bearer, access_token",
        (Some("bearer"), false) => "Authentication failed, attempted: bearer",
        (_, true) => "Authentication failed, attempted: access_token",
        (_, false) => "Authentication failed, no credentials provided",
    }
}

/// Objects that are made of tokens, passwords and keys.
fn holds_credentials(info: &RequestInfo) -> bool {
    matches!(
        (&*info.api_group, &*info.resource, &*info.subresource),
        ("", "secrets", _) | ("authentication.k8s.io", "tokenreviews", _) | ("", "serviceaccounts", "token")
    )
}

/// A target whose query says no token, be it the request's own or one under a name that tokens go by.
fn without_credentials(target: &str, bearer: Option<&Bearer>) -> String {
    let clean = match target.split_once('?') {
        Some((path, raw_query)) if raw_query.contains("token") || raw_query.contains('%') => {
            let pairs = raw_query.split('&').map(|pair| match pair.split_once('=') {
                Some((name, _)) if query::unescaped(name, true).is_some_and(|name| is_token(&name)) => {
                    Cow::Owned(format!("{name}={REDACTED}"))
                }
                _ => Cow::Borrowed(pair),
            });
            Cow::Owned(format!("{path}?{}", pairs.collect::<Vec<_>>().join("&")))
        }
        _ => Cow::Borrowed(target),
    };
    scrubbed(&clean, bearer).into_owned()
}

fn is_token(name: &str) -> bool {
    ["token", "access_token", "id_token", "refresh_token"].contains(&name)
}

fn clear_ref(object: &mut ObjectRef, bearer: Option<&Bearer>) {
    let ObjectRef { resource, namespace, name, uid, api_group, api_version, resource_version, subresource } =
        object;
    for text in [resource, namespace, name, uid, api_group, api_version, resource_version, subresource] {
        clear(text, bearer);
    }
}

fn clear(text: &mut String, bearer: Option<&Bearer>) {
    if let Cow::Owned(clean) = scrubbed(text, bearer) {
        *text = clean;
    }
}

/// The text without the request's own token. A short one is no token that is worth it, and could be any word.
fn scrubbed<'t>(text: &'t str, bearer: Option<&Bearer>) -> Cow<'t, str> {
    match bearer.map(Bearer::token).filter(|token| token.len() >= SHORTEST_TOKEN) {
        Some(token) if text.contains(token) => Cow::Owned(text.replace(token, REDACTED)),
        _ => Cow::Borrowed(text),
    }
}

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
const REDACTED: &str = "REDACTED";

/// Why the proxy refused the request: the word that metrics and the log of requests have for it.
const REFUSED: &str = "proxy.obol/refused";
/// Why an object is not there although its level asks for it.
const REQUEST_OBJECT: &str = "proxy.obol/request-object";
const RESPONSE_OBJECT: &str = "proxy.obol/response-object";

/// The API server takes ids of any length, and keeps them in every event.
const MOST_ID: usize = 256;
/// As in the API server.
const MOST_AGENT: usize = 1024;
/// A `Status` is shorter.
const MOST_STATUS: usize = 64 * 1024;
const SHORTEST_TOKEN: usize = 16;
