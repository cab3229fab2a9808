//! Who it is: a departure to an upstream and the arrival from it, or a password.

use std::borrow::Cow;
use std::sync::Arc;

use ambient::Secret;
use url::Url;
use wire::form::Form;
use wire::oauth::ErrorCode;

use super::attempt::{Person, fresh_id};
use super::request::{Request, usable};
use super::{Answer, Attempt, PasswordPage, Reply, Stop, redirect};
use crate::connector::{Flow, Hints, Opened, PasswordFlow, SignedIn, UpstreamError};
use crate::event::Event;
use crate::records::Kept;
use crate::scope::{GROUPS, OFFLINE};
use crate::{Cx, Living, Peer, Provider};

impl Provider {
    /// `/auth/{connector}`: begins an attempt. Of the attempts that this browser has begun and left, the oldest go.
    ///
    /// # Errors
    /// [`Stop`]
    pub async fn begin_login(
        &self,
        peer: &Peer,
        connector: &str,
        form: &Form<'_>,
        cookies: Option<&str>,
    ) -> Result<Reply, Stop> {
        let mut cx = self.begin(peer, "login");
        let outcome = self.depart(&mut cx, connector, form, cookies).await;
        tell(cx, outcome)
    }

    /// `/auth/{connector}/login` by GET: the form.
    ///
    /// # Errors
    /// [`Stop`]
    pub fn password_page(
        &self,
        peer: &Peer,
        connector: &str,
        state: &str,
        cookies: Option<&str>,
    ) -> Result<Reply, Stop> {
        let mut cx = self.begin(peer, "login");
        let outcome = self.attempt_of(&mut cx, state, cookies).and_then(|attempt| {
            let (opened, flow) = password_flow(&cx.living, &attempt, connector)?;
            Ok(page(&cx, &attempt, opened, flow, "", false))
        });
        tell(cx, outcome)
    }

    /// The same by POST: a try.
    ///
    /// # Errors
    /// [`Stop`]
    pub async fn submit_password(
        &self,
        peer: &Peer,
        connector: &str,
        state: &str,
        cookies: Option<&str>,
        name: &str,
        password: &Secret<String>,
    ) -> Result<Reply, Stop> {
        let mut cx = self.begin(peer, "login");
        let outcome = async {
            let attempt = self.attempt_of(&mut cx, state, cookies)?;
            let living = Arc::clone(&cx.living);
            let (opened, flow) = password_flow(&living, &attempt, connector)?;
            let tried = flow.login(hints(&attempt), name, password).await;
            let Some(signed_in) = tried.map_err(|error| upstream(&mut cx, &error))? else {
                cx.deny("wrong name or password");
                return Ok(page(&cx, &attempt, opened, flow, name, true));
            };
            self.signed_in(&mut cx, attempt, signed_in).await
        };
        let outcome = outcome.await;
        tell(cx, outcome)
    }

    /// `/callback`: back from an upstream.
    ///
    /// # Errors
    /// [`Stop`]
    pub async fn callback(&self, peer: &Peer, form: &Form<'_>, cookies: Option<&str>) -> Result<Reply, Stop> {
        let mut cx = self.begin(peer, "login");
        let outcome = async {
            let state = form
                .get("state")
                .ok_or_else(|| Stop::page(400, "The way back from the upstream lacks its state."))?;
            let attempt = self.attempt_of(&mut cx, state, cookies)?;
            let living = Arc::clone(&cx.living);
            let opened = living.connector(&attempt.connector).ok_or_else(gone)?;
            let Flow::Redirect(flow) = opened.connector.flow() else { return Err(gone()) };
            let callback = callback(&cx)?;
            let arrived = flow.arrive(hints(&attempt), &callback, attempt.kept.expose(), form).await;
            let signed_in = arrived.map_err(|error| upstream(&mut cx, &error))?;
            self.signed_in(&mut cx, attempt, signed_in).await
        };
        let outcome = outcome.await;
        tell(cx, outcome)
    }

    /// The attempt of this browser. `state` only names it.
    pub(super) fn attempt_of(
        &self,
        cx: &mut Cx<'_>,
        state: &str,
        cookies: Option<&str>,
    ) -> Result<Attempt, Stop> {
        let attempt = self.cookies.find(cookies, state, cx.now).ok_or_else(|| {
            Stop::page(400, "This sign-in is already finished, has expired, was begun in another browser, or cookies are blocked. Please begin again at the application.")
        })?;
        cx.is_about(&attempt);
        still_allowed(&cx.living, &attempt)?;
        Ok(attempt)
    }

    async fn depart(
        &self,
        cx: &mut Cx<'_>,
        connector: &str,
        form: &Form<'_>,
        cookies: Option<&str>,
    ) -> Result<Reply, Stop> {
        let request = Request::read(cx, form)?;
        let living = Arc::clone(&cx.living);
        let opened = usable(&living, &request.client).find(|opened| *opened.id == *connector);
        let opened = opened.ok_or_else(|| Stop::page(400, "There is no such way to sign in."))?;
        let random = &*self.around.random;
        let mut attempt = Attempt {
            id: fresh_id(random),
            client: request.client.id.to_string(),
            redirect_uri: request.redirect_uri,
            scopes: request.scopes.iter().collect(),
            state: request.state,
            nonce: request.nonce,
            challenge: request.challenge,
            force_consent: request.force_consent,
            connector: opened.id.to_string(),
            kept: Kept::default(),
            expires: (cx.now + cx.settings().expiry.auth_requests).unix(),
            person: None,
            agreed: false,
        };
        cx.is_about(&attempt);
        let to = match opened.connector.flow() {
            Flow::Password(_) => password_path(cx, &attempt),
            Flow::Proxied(_) => proxied_path(cx, &attempt),
            Flow::Redirect(flow) => {
                let departure = flow.depart(hints(&attempt), &callback(cx)?, &attempt.id).await;
                let departure = departure.map_err(|error| upstream(cx, &error))?;
                attempt.kept = departure.keep.into();
                departure.to.into()
            }
            Flow::None => return Err(Stop::page(400, "Nobody can sign in this way.")),
        };
        let cookie = self.cookies.keep(random, cx.settings(), cx.now, &attempt);
        let stale = self.cookies.stale(cookies, cx.settings(), cx.now);
        Ok(Reply { answer: Answer::Redirect(to), cookie: Some(cookie.ok_or_else(too_large)?), stale })
    }

    pub(super) async fn signed_in(
        &self,
        cx: &mut Cx<'_>,
        mut attempt: Attempt,
        signed_in: SignedIn,
    ) -> Result<Reply, Stop> {
        cx.must_be_heard()?;
        attempt.person =
            Some(Person { identity: signed_in.identity, kept: signed_in.kept.into(), at: cx.now.unix() });
        cx.is_about(&attempt);
        let reply = self.go_on(&Arc::clone(&cx.living), cx.now, attempt, false).await?;
        cx.decision.allowed = true;
        Ok(reply)
    }
}

impl Cx<'_> {
    /// Whose sign-in this is, for the audit log.
    pub(super) fn is_about(&mut self, attempt: &Attempt) {
        self.decision.client = Some(attempt.client.as_str().into());
        self.decision.connector = Some(attempt.connector.as_str().into());
        self.decision.upstream_subject =
            attempt.person.as_ref().map(|person| person.identity.user_id.clone());
    }

    /// Nobody signed in, or nobody agreed.
    pub(super) fn deny(&mut self, reason: impl Into<Cow<'static, str>>) {
        self.decision.error = Some(ErrorCode::AccessDenied.as_str());
        self.decision.reason = Some(reason.into());
    }
}

/// Writes down how a step ended: whatever was refused, and what somebody decided. A page that only asks is no decision.
pub(super) fn tell(mut cx: Cx<'_>, outcome: Result<Reply, Stop>) -> Result<Reply, Stop> {
    let refused = match &outcome {
        Ok(_) => None,
        Err(Stop::Page { told, .. }) => Some((ErrorCode::InvalidRequest, told.clone())),
        Err(Stop::Back { code, told, .. }) => Some((*code, told.clone())),
        Err(Stop::Fault(fault)) => Some((ErrorCode::ServerError, fault.to_string().into())),
    };
    if let Some((code, reason)) = refused {
        cx.decision.error.get_or_insert(code.as_str());
        cx.decision.reason.get_or_insert(reason);
    }
    if cx.decision.allowed || cx.decision.error.is_some() {
        cx.provider.around.events.observe(&Event::Decision(Arc::new(cx.decision)));
    }
    outcome
}

/// The attempt was checked when it began; the configuration may be another one by now.
fn still_allowed(living: &Living, attempt: &Attempt) -> Result<(), Stop> {
    let client = living.settings.clients.find(&attempt.client);
    let client = client.ok_or_else(|| Stop::page(400, "The application is no longer registered here."))?;
    if redirect::check(client, &attempt.redirect_uri).is_none() {
        return Err(Stop::page(400, "The application's return address is no longer registered."));
    }
    if usable(living, client).all(|opened| *opened.id != *attempt.connector) {
        return Err(gone());
    }
    Ok(())
}

fn password_flow<'l>(
    living: &'l Living,
    attempt: &Attempt,
    connector: &str,
) -> Result<(&'l Opened, &'l dyn PasswordFlow), Stop> {
    let opened =
        living.connector(&attempt.connector).filter(|opened| *opened.id == *connector).ok_or_else(gone)?;
    match opened.connector.flow() {
        Flow::Password(flow) => Ok((opened, flow)),
        Flow::Redirect(_) | Flow::Proxied(_) | Flow::None => Err(gone()),
    }
}

fn page(
    cx: &Cx<'_>,
    attempt: &Attempt,
    opened: &Opened,
    flow: &dyn PasswordFlow,
    name: &str,
    wrong: bool,
) -> Reply {
    let page = PasswordPage {
        action: password_path(cx, attempt),
        connector: opened.name.to_string(),
        prompt: flow.prompt().to_owned(),
        name: name.to_owned(),
        wrong,
    };
    Reply::asking(Answer::Password(page))
}

fn password_path(cx: &Cx<'_>, attempt: &Attempt) -> String {
    let (base, connector) = (cx.settings().issuer.path(), in_path(&attempt.connector));
    format!("{base}/auth/{connector}/login?state={}", attempt.id)
}

fn proxied_path(cx: &Cx<'_>, attempt: &Attempt) -> String {
    let (base, connector) = (cx.settings().issuer.path(), in_path(&attempt.connector));
    format!("{base}/callback/{connector}?state={}", attempt.id)
}

fn in_path(id: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    encoded.replace('+', "%20")
}

fn callback(cx: &Cx<'_>) -> Result<Url, Stop> {
    let internal = |e: url::ParseError| Stop::Fault(crate::error::Fault::Internal(e.to_string()));
    Url::parse(&cx.settings().issuer.endpoint("/callback")).map_err(internal)
}

fn hints(attempt: &Attempt) -> Hints {
    let asks = |scope| attempt.scopes.iter().any(|known| known == scope);
    Hints { offline: asks(OFFLINE), groups: asks(GROUPS) }
}

/// What a person may know of an upstream's failure (nothing of its words: they may be the attacker's).
pub(super) fn upstream(cx: &mut Cx<'_>, error: &UpstreamError) -> Stop {
    cx.deny(error.to_string());
    match error {
        UpstreamError::Denied(_) => Stop::page(403, "You are not allowed to sign in here."),
        UpstreamError::Invalid(_) => {
            Stop::page(502, "The sign-in service gave an answer that cannot be trusted.")
        }
        UpstreamError::Unavailable(_) => {
            Stop::page(503, "The sign-in service cannot be reached. Please try again in a moment.")
        }
        UpstreamError::Busy => {
            Stop::page(503, "Too many people are signing in. Please try again in a moment.")
        }
    }
}

pub(super) fn gone() -> Stop {
    Stop::page(400, "This way to sign in is no longer there. Please begin again at the application.")
}

fn too_large() -> Stop {
    Stop::page(400, "The application's request is too large.")
}
