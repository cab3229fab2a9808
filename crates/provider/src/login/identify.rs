//! Who it is: a departure to an upstream, or a password.

use std::borrow::Cow;
use std::sync::Arc;

use ambient::Secret;
use wire::form::Form;
use wire::oauth::ErrorCode;

use super::arrive::place_of;
use super::attempt::{Person, fresh_id};
use super::choose::usable;
use super::request::Request;
use super::{Answer, Attempt, Notice, PasswordPage, Reply, Stop, Way, redirect};
use crate::connector::{Flow, Hints, Opened, PasswordFlow, SignedIn, UpstreamError, in_path};
use crate::error::Fault;
use crate::event::Event;
use crate::limits::{Door, Try};
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
            let hint = attempt.hint.as_deref().unwrap_or_default();
            Ok(page(&cx, &attempt, opened, flow, hint, false))
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
            let charged = self.charge(&cx, &attempt, name, cookies)?;
            let tried = flow.login(hints(&attempt), name, password).await;
            if !matches!(tried, Ok(None) | Err(UpstreamError::Denied(_))) {
                charged.give_back();
            }
            let Some(signed_in) = tried.map_err(|error| upstream(&mut cx, &error))? else {
                cx.deny("wrong name or password");
                return Ok(page(&cx, &attempt, opened, flow, name, true));
            };
            let mut reply = self.signed_in(&mut cx, attempt, signed_in).await?;
            let random = &*self.around.random;
            reply.others.extend(self.cookies.remember(random, cx.settings(), cookies, (&opened.id, name)));
            Ok(reply)
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
        let attempt = self.cookies.find(cookies, state, cx.now).ok_or(Stop::page(400, Notice::NotHeld))?;
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
        let request = if form.mentions("user_code") {
            Request::of_device(cx, form).await?
        } else {
            Request::read(cx, form)?
        };
        let living = Arc::clone(&cx.living);
        let opened =
            usable(&living, &request.client, &request.needs()).find(|opened| *opened.id == *connector);
        let opened = opened.ok_or_else(|| Stop::page(400, Notice::UnknownConnector))?;
        let random = &*self.around.random;
        let mut attempt = Attempt {
            id: fresh_id(random),
            client: request.client.id.to_string(),
            way: request.way,
            response: request.response,
            scopes: request.scopes.iter().collect(),
            nonce: request.nonce,
            challenge: request.challenge,
            hint: request.hint,
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
            Flow::Proxied(_) => format!("{}?state={}", place_of(cx, opened)?.path(), attempt.id),
            Flow::Redirect(flow) => {
                let departure = flow.depart(hints(&attempt), &place_of(cx, opened)?, &attempt.id).await;
                let mut departure = departure.map_err(|error| upstream(cx, &error))?;
                if let (Some(name), Some(hint)) = (flow.hint_parameter(), &attempt.hint) {
                    departure.to.query_pairs_mut().append_pair(name, hint);
                }
                attempt.kept = departure.keep.into();
                departure.to.into()
            }
            Flow::None => return Err(Stop::page(400, Notice::UnknownConnector)),
        };
        let cookie = self.cookies.keep(random, cx.settings(), cx.now, &attempt);
        let others = self.cookies.stale(cookies, cx.settings(), cx.now);
        Ok(Reply { answer: Answer::Redirect(to), cookie: Some(cookie.ok_or_else(too_large)?), others })
    }

    /// Charges a try at a password: to the browser, if it is known for that name, else to name and address.
    fn charge(
        &self,
        cx: &Cx<'_>,
        attempt: &Attempt,
        name: &str,
        cookies: Option<&str>,
    ) -> Result<Try<'_>, Fault> {
        let now = self.around.clock.monotonic();
        match self.cookies.known(cookies, (&attempt.connector, name)) {
            Some(browser) => self.limits.admit(now, Door::KnownBrowser(&browser), None, name),
            None => self.limits.admit(now, Door::Password, cx.decision.address, name),
        }
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
        let reply = self.go_on(cx, attempt, false).await?;
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
        Err(Stop::Page { notice, detail, .. }) => {
            let reason = detail.clone().unwrap_or_else(|| notice.to_string().into());
            Some((ErrorCode::InvalidRequest, reason))
        }
        Err(Stop::Back { code, told, .. }) => Some((*code, told.clone())),
        Err(Stop::Fault(fault)) => Some((fault.code(), fault.to_string().into())),
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
    let client = client.ok_or_else(|| Stop::page(400, Notice::ClientGone))?;
    let device = matches!(attempt.way, Way::Device { .. });
    if !device && !redirect::allows(client, attempt.way.redirect_uri()) {
        return Err(Stop::page(400, Notice::ReturnGone));
    }
    let needs = attempt.way.grant_types(attempt.response);
    if !needs.iter().all(|kind| living.settings.oauth2.grants(kind))
        || usable(living, client, &needs).all(|opened| *opened.id != *attempt.connector)
    {
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
        back: others(cx, attempt)
            .then(|| format!("{}/auth?{}", cx.settings().issuer.path(), attempt.request())),
    };
    Reply::asking(Answer::Password(page))
}

/// Whether there was, or would be, a choice.
fn others(cx: &Cx<'_>, attempt: &Attempt) -> bool {
    let needs = attempt.way.grant_types(attempt.response);
    let client = cx.settings().clients.find(&attempt.client);
    let choices = client.map_or(0, |client| usable(&cx.living, client, &needs).count());
    choices > 1 || cx.settings().oauth2.always_show_login
}

fn password_path(cx: &Cx<'_>, attempt: &Attempt) -> String {
    let (base, connector) = (cx.settings().issuer.path(), in_path(&attempt.connector));
    format!("{base}/auth/{connector}/login?state={}", attempt.id)
}

pub(super) fn hints(attempt: &Attempt) -> Hints {
    let asks = |scope| attempt.scopes.iter().any(|known| known == scope);
    Hints { offline: asks(OFFLINE), groups: asks(GROUPS) }
}

/// What a person may know of an upstream's failure (nothing of its words: they may be the attacker's).
pub(super) fn upstream(cx: &mut Cx<'_>, error: &UpstreamError) -> Stop {
    cx.deny(error.to_string());
    match error {
        UpstreamError::Denied(_) => Stop::page(403, Notice::Denied),
        UpstreamError::Invalid(_) => Stop::page(502, Notice::Untrusted),
        UpstreamError::Unavailable(_) => Stop::page(503, Notice::Unreachable),
        UpstreamError::Busy => Stop::page(503, Notice::Crowded),
    }
}

pub(super) const fn gone() -> Stop {
    Stop::page(400, Notice::ConnectorGone)
}

pub(super) const fn too_large() -> Stop {
    Stop::page(400, Notice::TooLarge)
}
