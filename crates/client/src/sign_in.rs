//! Signing somebody in: from the cache, by renewal, or by asking a person; of all processes on the machine one asks.
//!
//! # What is checked
//!
//! The ID token is what the cluster will believe, so nothing is kept or printed before it has passed (OpenID Connect
//! Core section 3.1.3.7): signature by the issuer's published keys, `iss`, `aud`, `azp`, `exp`, and the `nonce` of this
//! very sign-in. The code is bound to this process by PKCE S256 (RFC 7636), the answer to this request by `state`, and
//! to this issuer by `iss` (RFC 9207). A renewed token must be of the same person (section 12.2).

mod browser;
mod device;
mod keyboard;
mod landing;
mod opening;
mod page;
mod party;
mod person;
mod renew;
mod tokens;

use std::time::Duration;

use ambient::Secret;
use http::HeaderMap;

use crate::ask::ClientAuth;
use crate::cache::Cache;
use crate::discovery::Discovered;
use crate::error::Error;
use crate::flow::{Exchanger, Lookup};
use crate::issued::{Entry, Issued, Session};
use crate::key::Key;
use crate::lock::Turn;
use crate::note::Note;

pub use landing::{Landing, Pair};
pub use party::{Begun, Tokens};
pub use person::{Person, Place, Question, Unasked, Visit};
use wire::oauth::grant_type;

/// Who is to be signed in where, and how.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The issuer, as its discovery document repeats it.
    pub issuer: String,
    /// The client that the person signs in to.
    pub client: ClientAuth,
    /// Scopes.
    pub scope: Vec<String>,
    /// How.
    pub way: Way,
    /// Which token is handed out.
    pub wanted: Wanted,
    /// Further parameters of the authorization request, or of the token request where there is no other.
    pub extra: Vec<(String, String)>,
    /// Whether the code is bound to this process (RFC 7636).
    pub pkce: bool,
    /// What the exchanger sends with every request; sessions are kept apart by it.
    pub headers: HeaderMap,
    /// For how long a person is waited for.
    pub patience: Duration,
    /// Whom the exchanger believes (PEM), for signing out; `None` for the machine's authorities.
    pub authorities: Option<String>,
}

/// How somebody is signed in.
#[derive(Debug, Clone)]
pub enum Way {
    /// Authorization code, answered to a listener on the loopback interface (RFC 8252 section 7.3).
    Browser(Landing),
    /// Authorization code that the person carries over by hand.
    Keyboard {
        /// Where the provider shows the code.
        redirect_uri: String,
    },
    /// A code that the person types elsewhere (RFC 8628).
    Device,
    /// Name and password (RFC 6749 section 4.3). What is not given is asked for.
    Password {
        /// The name.
        username: Option<String>,
        /// The password.
        password: Option<Secret<String>>,
    },
    /// Nobody: the client as itself (RFC 6749 section 4.4).
    Client,
}

/// Which token is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The ID token, as Kubernetes means it.
    IdToken,
    /// The access token.
    AccessToken,
}

impl Way {
    /// What tells one session from another.
    pub(crate) fn who(&self) -> Vec<&str> {
        match self {
            Self::Browser(_) | Self::Keyboard { .. } | Self::Device => vec!["person"],
            Self::Password { username, .. } => vec!["password", username.as_deref().unwrap_or_default()],
            Self::Client => vec!["client"],
        }
    }
}

impl Exchanger {
    /// A token of somebody who is signed in, or signs in now.
    ///
    /// # Errors
    /// [`Error`]; see there. A broken cache is none: it is noted and done without.
    pub async fn sign_in(
        &self,
        ask: &SignIn,
        person: &dyn Person,
        cache: Option<&Cache>,
        lookup: Lookup,
    ) -> Result<Issued, Error> {
        let Some(cache) = cache else { return Ok(self.begin(ask, None, person).await?.issued) };
        let key = Key::of_sign_in(ask, self.http.believed().as_deref());
        let cached = || cache.load(&key, self.clock.now()).filter(|_| lookup == Lookup::Use);
        if let Some(found) = cached() {
            return Ok(found);
        }
        let mut turn = match self.take_turn(cache, &key, ask.patience + MARGIN).await {
            Turn::Mine(held) => Some(held),
            Turn::Unlocked => None,
            Turn::Late { holder } => return Err(Error::Busy { holder }),
            Turn::Failed(why) => return Err(Error::Elsewhere(why)),
        };
        if let Some(found) = cached() {
            return Ok(found);
        }
        let session = cache.entry(&key).and_then(|entry| entry.session);
        let had_session = session.is_some();
        let outcome = self.begin(ask, session, person).await;
        match outcome {
            Ok(entry) => {
                self.keep(cache, &key, &entry);
                Ok(entry.issued)
            }
            Err(error) => {
                if let Some(held) = &mut turn {
                    held.failed(self.clock.now(), &error.to_string());
                }
                if had_session && error.ends_session() {
                    cache.forget(&key);
                }
                Err(error)
            }
        }
    }

    /// By the session that there is, or else by a new one.
    async fn begin(
        &self,
        ask: &SignIn,
        session: Option<Session>,
        person: &dyn Person,
    ) -> Result<Entry, Error> {
        let found = self.discover(&ask.issuer).await?;
        if let Some(session) = session {
            match self.renew(ask, &found, &session).await {
                Err(error) if error.ends_session() => {
                    self.tell(&Note::SessionOver { reason: error.to_string() });
                }
                renewed => return renewed,
            }
        }
        match &ask.way {
            Way::Browser(landing) => self.by_browser(ask, &found, landing, person).await,
            Way::Keyboard { redirect_uri } => self.by_keyboard(ask, &found, redirect_uri, person).await,
            Way::Device => self.by_device(ask, &found, person).await,
            Way::Password { username, password } => {
                let name = match username {
                    Some(name) => name.clone(),
                    None => person.ask(&Question::Username)?.expose().clone(),
                };
                let password = match password {
                    Some(password) => password.clone(),
                    None => person.ask(&Question::Password { of: &name })?,
                };
                let form = [
                    ("grant_type", grant_type::PASSWORD),
                    ("username", &name),
                    ("password", password.expose()),
                    ("scope", &ask.scope.join(" ")),
                ];
                self.by_form(ask, &found, &form).await
            }
            Way::Client => {
                let form = [("grant_type", grant_type::CLIENT_CREDENTIALS), ("scope", &ask.scope.join(" "))];
                self.by_form(ask, &found, &form).await
            }
        }
    }

    /// A grant that needs nothing but the token endpoint.
    async fn by_form(&self, ask: &SignIn, found: &Discovered, form: &[(&str, &str)]) -> Result<Entry, Error> {
        let extra = ask.extra.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let form = form.iter().copied().chain(extra).collect::<Vec<_>>();
        let url = found.token_endpoint()?;
        let answer = self.post_form(ask, found, &url, &form).await?;
        self.read_tokens(ask, found, &answer, tokens::Bound::default()).await
    }
}

/// What discovery, redemption and verification may take beside the person.
const MARGIN: Duration = Duration::from_secs(60);
