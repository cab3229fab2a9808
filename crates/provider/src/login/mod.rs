//! Signing people in: one attempt with a state, and one function that says what comes next.
//!
//! **Steps never call each other.** Every endpoint reads the attempt, does its one thing to it (choose a connector,
//! prove who it is, agree) and asks [`Attempt::next_step`] where to go. What is not answered there cannot happen.
//!
//! **The attempt belongs to one browser.** Before anybody has proved anything it lives nowhere but in a sealed cookie,
//! so that strangers cannot fill the store and a link from another browser leads nowhere (Dex weaknesses L6, L7). Once
//! somebody has signed in it becomes a record, since groups do not fit into a cookie; the cookie still says whose it
//! is. Nothing but that cookie is believed: the `state` that an upstream brings back only names it.
//!
//! **Errors go to the client only when the client is known.** Until client and redirect URI are checked, an error is a
//! page (RFC 6749 section 4.1.2.1); afterwards it goes back with `state` and `iss` (RFC 9207).

mod attempt;
mod finish;
mod identify;
mod proxied;
mod redirect;
mod request;

use std::borrow::Cow;

use url::Url;
use wire::oauth::ErrorCode;

pub use attempt::{Attempt, Cookies, Step};

use crate::error::Fault;

/// What the browser gets.
#[derive(Debug)]
pub struct Reply {
    /// The page or redirect.
    pub answer: Answer,
    /// What happens to the attempt's cookie.
    pub cookie: Option<CookieChange>,
    /// Cookies of attempts that were begun and left.
    pub stale: Vec<CookieChange>,
}

impl Reply {
    /// One that changes no cookie.
    const fn asking(answer: Answer) -> Self {
        Self { answer, cookie: None, stale: Vec::new() }
    }
}

/// A page or a redirect.
#[derive(Debug)]
pub enum Answer {
    /// Several connectors: the person chooses.
    Choose(Vec<Choice>),
    /// A form for name and password.
    Password(PasswordPage),
    /// What the client asks for.
    Consent(ConsentPage),
    /// Elsewhere, by GET.
    Redirect(String),
}

/// One connector to choose.
#[derive(Debug, Clone)]
pub struct Choice {
    /// For people.
    pub name: String,
    /// Its kind, for an icon.
    pub kind: &'static str,
    /// Where it leads: a path on this host.
    pub path: String,
}

/// The form for name and password.
#[derive(Debug, Clone)]
pub struct PasswordPage {
    /// Where it is posted: a path on this host.
    pub action: String,
    /// The connector, for people.
    pub connector: String,
    /// What the name is called.
    pub prompt: String,
    /// What was typed as name.
    pub name: String,
    /// The last try was wrong.
    pub wrong: bool,
}

/// The consent form.
#[derive(Debug, Clone)]
pub struct ConsentPage {
    /// Where it is posted: a path on this host.
    pub action: String,
    /// Must come back with the form.
    pub request: String,
    /// The client, for people.
    pub client: String,
    /// Who signed in, for people.
    pub person: String,
    /// What the client will learn or may do, in words.
    pub asks: Vec<Cow<'static, str>>,
}

/// What happens to a cookie.
#[derive(Debug, Clone)]
pub struct CookieChange {
    /// Its name.
    pub name: String,
    /// Its value; `None` removes it.
    pub value: Option<String>,
    /// Seconds.
    pub max_age: i64,
    /// Its path.
    pub path: String,
    /// Only over TLS.
    pub secure: bool,
}

/// Why a sign-in does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// A page for the person: there is no client to tell.
    #[error("{told}")]
    Page {
        /// The HTTP status.
        status: u16,
        /// For the person.
        told: Cow<'static, str>,
    },
    /// Back to the client.
    #[error("{}: {told}", code.as_str())]
    Back {
        /// Its redirect URI.
        to: Box<Url>,
        /// `state` as it came.
        state: String,
        /// The code.
        code: ErrorCode,
        /// For the client.
        told: Cow<'static, str>,
    },
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Stop {
    /// A page.
    pub fn page(status: u16, told: impl Into<Cow<'static, str>>) -> Self {
        Self::Page { status, told: told.into() }
    }
}

impl From<crate::store::StoreError> for Stop {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Fault(Fault::Store(error))
    }
}

impl From<ambient::Lost> for Stop {
    fn from(lost: ambient::Lost) -> Self {
        Self::Fault(Fault::Internal(lost.to_string()))
    }
}

/// The client's redirect URI with the error in its query (RFC 6749 section 4.1.2.1).
pub fn error_location(mut to: Url, state: &str, code: ErrorCode, told: &str, issuer: &str) -> String {
    answer(&mut to, &[("error", code.as_str()), ("error_description", told)], state, issuer);
    to.into()
}

/// Adds an answer with `state` if there was one (RFC 6749 section 4.1.2; clients that sent none refuse an empty one)
/// and `iss` (RFC 9207 section 2).
fn answer(to: &mut Url, what: &[(&str, &str)], state: &str, issuer: &str) {
    let state = Some(("state", state)).filter(|(_, state)| !state.is_empty());
    to.query_pairs_mut().extend_pairs(what).extend_pairs(state).append_pair("iss", issuer);
}
