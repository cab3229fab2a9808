//! Who it is: a departure to an upstream and the arrival from it, or a password.

use std::sync::Arc;

use ambient::Secret;
use url::Url;
use wire::form::Form;
use wire::oauth::ErrorCode;

use super::attempt::{Person, fresh_id};
use super::request::{Request, usable};
use super::{Answer, Attempt, PasswordPage, Reply, Stop};
use crate::connector::{Flow, Hints, Opened, PasswordFlow, SignedIn, UpstreamError};
use crate::error::Refusal;
use crate::scope::{GROUPS, OFFLINE};
use crate::{Cx, Peer, Provider};

impl Provider {
    /// `/auth/{connector}`: begins an attempt.
    ///
    /// # Errors
    /// [`Stop`]
    pub async fn begin_login(&self, peer: &Peer, connector: &str, form: &Form<'_>) -> Result<Reply, Stop> {
        let cx = self.begin(peer, "login");
        let request = Request::read(&cx, form)?;
        let opened = usable(&cx.living, &request.client).find(|opened| *opened.id == *connector);
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
            kept: Vec::new(),
            expires: (cx.now + cx.settings().expiry.auth_requests).unix(),
            person: None,
            agreed: false,
        };
        let to = match opened.connector.flow() {
            Flow::Password(_) => password_path(&cx, &attempt),
            Flow::Redirect(flow) => {
                let departure = flow
                    .depart(hints(&attempt), &callback(&cx)?, &attempt.id)
                    .await
                    .map_err(|e| upstream(&e))?;
                attempt.kept.clone_from(departure.keep.expose());
                departure.to.into()
            }
            Flow::None => return Err(Stop::page(400, "Nobody can sign in this way.")),
        };
        let cookie = self.cookies.keep(random, cx.settings(), cx.now, &attempt);
        Ok(Reply { answer: Answer::Redirect(to), cookie: Some(cookie.ok_or_else(too_large)?) })
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
        let cx = self.begin(peer, "login");
        let attempt = self.attempt_of(&cx, state, cookies)?;
        let (opened, flow) = password_flow(&cx, &attempt, connector)?;
        Ok(page(&cx, &attempt, opened, flow, "", false))
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
        let cx = self.begin(peer, "login");
        let attempt = self.attempt_of(&cx, state, cookies)?;
        let (opened, flow) = password_flow(&cx, &attempt, connector)?;
        match flow.login(hints(&attempt), name, password).await {
            Ok(Some(signed_in)) => self.signed_in(cx, attempt, signed_in).await,
            Ok(None) => {
                let reply = page(&cx, &attempt, opened, flow, name, true);
                tell_denied(cx, &attempt, "wrong name or password");
                Ok(reply)
            }
            Err(error) => {
                tell_denied(cx, &attempt, &error.to_string());
                Err(upstream(&error))
            }
        }
    }

    /// `/callback`: back from an upstream.
    ///
    /// # Errors
    /// [`Stop`]
    pub async fn callback(&self, peer: &Peer, form: &Form<'_>, cookies: Option<&str>) -> Result<Reply, Stop> {
        let cx = self.begin(peer, "login");
        let state = form
            .get("state")
            .ok_or_else(|| Stop::page(400, "The way back from the upstream lacks its state."))?;
        let attempt = self.attempt_of(&cx, state, cookies)?;
        let living = Arc::clone(&cx.living);
        let opened = living.connector(&attempt.connector).ok_or_else(gone)?;
        let Flow::Redirect(flow) = opened.connector.flow() else { return Err(gone()) };
        match flow.arrive(hints(&attempt), &callback(&cx)?, &attempt.kept, form).await {
            Ok(signed_in) => self.signed_in(cx, attempt, signed_in).await,
            Err(error) => {
                tell_denied(cx, &attempt, &error.to_string());
                Err(upstream(&error))
            }
        }
    }

    /// The attempt of this browser. `state` only names it.
    pub(super) fn attempt_of(
        &self,
        cx: &Cx<'_>,
        state: &str,
        cookies: Option<&str>,
    ) -> Result<Attempt, Stop> {
        self.cookies.find(cookies, state, cx.now).ok_or_else(|| {
            Stop::page(400, "This sign-in is already finished, has expired, was begun in another browser, or cookies are blocked. Please begin again at the application.")
        })
    }

    async fn signed_in(
        &self,
        mut cx: Cx<'_>,
        mut attempt: Attempt,
        signed_in: SignedIn,
    ) -> Result<Reply, Stop> {
        cx.must_be_heard()?;
        cx.decision.client = Some(attempt.client.as_str().into());
        cx.decision.connector = Some(attempt.connector.as_str().into());
        cx.decision.upstream_subject = Some(signed_in.identity.user_id.clone());
        attempt.person = Some(Person {
            identity: signed_in.identity,
            kept: signed_in.kept.expose().clone(),
            at: cx.now.unix(),
        });
        let living = Arc::clone(&cx.living);
        let now = cx.now;
        cx.close(&Ok(()));
        self.go_on(&living, now, attempt, false).await
    }
}

/// Nobody signed in, or nobody agreed.
pub(super) fn tell_denied(mut cx: Cx<'_>, attempt: &Attempt, reason: &str) {
    cx.decision.client = Some(attempt.client.as_str().into());
    cx.decision.connector = Some(attempt.connector.as_str().into());
    cx.decision.upstream_subject = attempt.person.as_ref().map(|person| person.identity.user_id.clone());
    let refusal = Refusal::new(ErrorCode::AccessDenied, "not signed in").because(reason.to_owned());
    cx.close::<()>(&Err(refusal.into()));
}

fn password_flow<'c>(
    cx: &'c Cx<'_>,
    attempt: &Attempt,
    connector: &str,
) -> Result<(&'c Opened, &'c dyn PasswordFlow), Stop> {
    let opened =
        cx.living.connector(&attempt.connector).filter(|opened| *opened.id == *connector).ok_or_else(gone)?;
    match opened.connector.flow() {
        Flow::Password(flow) => Ok((opened, flow)),
        Flow::Redirect(_) | Flow::None => Err(gone()),
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
    Reply { answer: Answer::Password(page), cookie: None }
}

fn password_path(cx: &Cx<'_>, attempt: &Attempt) -> String {
    let id: String = url::form_urlencoded::byte_serialize(attempt.connector.as_bytes()).collect();
    format!("{}/auth/{}/login?state={}", cx.settings().issuer.path(), id.replace('+', "%20"), attempt.id)
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
fn upstream(error: &UpstreamError) -> Stop {
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

fn gone() -> Stop {
    Stop::page(400, "This way to sign in is no longer there. Please begin again at the application.")
}

fn too_large() -> Stop {
    Stop::page(400, "The application's request is too large.")
}
