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

mod arrive;
mod attempt;
mod choose;
mod device;
mod finish;
mod identify;
mod known;
mod notice;
mod redirect;
mod request;
mod shown;
mod way;

use std::borrow::Cow;

use url::Url;
use wire::oauth::ErrorCode;

pub use attempt::{Attempt, Cookies, Step};
pub use device::DeviceAnswer;
pub use notice::Notice;
pub use way::{Mode, Way};

use crate::error::Fault;

/// What the browser gets.
#[derive(Debug)]
pub struct Reply {
    /// The page or redirect.
    pub answer: Answer,
    /// What happens to the attempt's cookie.
    pub cookie: Option<CookieChange>,
    /// What happens to others: those of attempts that were begun and left go, that of a known browser comes.
    pub others: Vec<CookieChange>,
}

impl Reply {
    /// One that changes no cookie.
    const fn asking(answer: Answer) -> Self {
        Self { answer, cookie: None, others: Vec::new() }
    }
}

/// A page or a redirect.
pub enum Answer {
    /// Several connectors: the person chooses.
    Choose(Vec<Choice>),
    /// A form for name and password.
    Password(PasswordPage),
    /// What the client asks for.
    Consent(ConsentPage),
    /// Elsewhere, by GET.
    Redirect(String),
    /// To the client, by a form that the browser sends.
    FormPost(FormPost),
    /// The code, for the person to carry over.
    ByHand(String),
    /// A form for the code that a device shows.
    Device(DevicePage),
    /// The device goes on: the client, for people.
    DeviceDone(String),
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
#[derive(Clone)]
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
    /// Where another way to sign in is chosen, if there is one: a path on this host.
    pub back: Option<String>,
}

/// The form for a device's code.
#[derive(Clone)]
pub struct DevicePage {
    /// Where it is posted: a path on this host.
    pub action: String,
    /// What is filled in.
    pub code: String,
    /// There is no such code.
    pub wrong: bool,
}

/// The consent form.
#[derive(Clone)]
pub struct ConsentPage {
    /// Where it is posted: a path on this host.
    pub action: String,
    /// Must come back with the form.
    pub request: String,
    /// The client, for people.
    pub client: String,
    /// Its image, by https.
    pub logo: Option<Url>,
    /// Who signed in, for people.
    pub person: String,
    /// It is for a device, which shows this code.
    pub device: Option<String>,
    /// What the client will learn or may do.
    pub asks: Vec<Ask>,
}

/// One thing that a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// `profile`
    Profile,
    /// `email`
    Email,
    /// `groups`
    Groups,
    /// `offline_access`
    Offline,
    /// `federated:id`
    Federated,
    /// Tokens that another client accepts: its name.
    Peer(String),
}

/// The answer to a client as a form (OAuth 2.0 Form Post Response Mode section 2).
#[derive(Clone)]
pub struct FormPost {
    /// The client's redirect URI.
    pub action: String,
    /// What is sent.
    pub fields: Vec<(String, String)>,
}

/// What happens to a cookie.
#[derive(Clone)]
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
    #[error("{notice}")]
    Page {
        /// The HTTP status.
        status: u16,
        /// For the person.
        notice: Notice,
        /// The same in the protocol's words, for whoever mends the application.
        detail: Option<Cow<'static, str>>,
    },
    /// Back to the client.
    #[error("{}: {told}", code.as_str())]
    Back {
        /// How it is reached.
        way: Box<Way>,
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
    pub const fn page(status: u16, notice: Notice) -> Self {
        Self::Page { status, notice, detail: None }
    }

    /// A page that says more for the application's maker.
    pub fn detailed(status: u16, notice: Notice, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Page { status, notice, detail: Some(detail.into()) }
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
