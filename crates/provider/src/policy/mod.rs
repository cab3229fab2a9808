//! Which exchange is granted, as whom, for whom and for how long.
//!
//! Every exchange passes here, Obol's own tokens too. With `tokenExchange` in the configuration the written policies
//! decide and nothing else ([`written`]); without it the one implicit policy of a Dex configuration does
//! ([`implicit`]). Absence never widens: no policy, no match, an error on the way mean refuse.

mod implicit;
pub mod written;

use std::sync::Arc;
use std::time::Duration;

use ambient::Time;
use token::Alg;
use wire::form::Form;
use wire::json::Value;

use crate::clients::{Client, Clients};
use crate::connector::{Opened, Vouched};
use crate::error::Refusal;
use crate::event::Shadow;
use crate::issue::Profile;
use crate::records::used::Once;
use crate::scope::Scopes;
use crate::settings::Settings;

/// What is asked of a policy. Everything in it is authenticated or verified, except what is asked for.
pub struct Question<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// All clients, for `trustedPeers`.
    pub clients: &'a Clients,
    /// Who vouches.
    pub connector: &'a Opened,
    /// For what.
    pub vouched: &'a Vouched,
    /// Which audiences are asked for.
    pub targets: &'a Targets,
    /// Which scopes are asked for.
    pub scopes: &'a Scopes,
    /// Our issuer.
    pub issuer: &'a str,
    /// One moment for the whole request.
    pub now: Time,
}

/// What a policy allows.
#[derive(Debug, Clone, PartialEq)]
pub struct Granted {
    /// The policy's name.
    pub policy: Arc<str>,
    /// Whether somebody wrote it: the implicit one of a Dex configuration leaves no trace in tokens.
    pub written: bool,
    /// `sub`
    pub subject: String,
    /// The identity claims.
    pub profile: Profile,
    /// Claims besides those that Obol itself emits.
    pub free: Vec<(String, Value)>,
    /// `aud`, never empty.
    pub audience: Vec<Arc<str>>,
    /// The scopes that are granted.
    pub scopes: Scopes,
    /// How long the token lives.
    pub lifetime: Duration,
    /// It ends no later than this: what the subject token has left, where that binds.
    pub not_after: Option<Time>,
    /// Signed with this algorithm; `None`: the client's or the default.
    pub alg: Option<Alg>,
    /// The subject token may be used once, and this is what its use is remembered by.
    pub once: Option<Once>,
    /// Nobody checked whom the subject token was meant for; worth an audit line.
    pub unrestricted: bool,
    /// The upstream said `system:` names that no policy allows; worth an audit line too.
    pub withheld: bool,
}

/// A decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// Allowed, or refused with what the asker may know and what the audit log is told.
    pub outcome: Result<Granted, Denied>,
    /// What shadow policies would have done.
    pub shadows: Vec<Shadow>,
}

/// Refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The policy that denied; `None` if none matched.
    pub policy: Option<Arc<str>>,
    /// For the asker: it learns a code and no rule.
    pub refusal: Refusal,
}

/// The audiences that a request names (`audience` and `resource`; RFC 8693 section 2.1, RFC 8707 section 2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets(Vec<String>);

impl Targets {
    /// Reads them from the form. They are honoured or refused, never ignored (Dex weakness T4).
    ///
    /// # Errors
    /// `invalid_target` for a `resource` that is no absolute URI or has a fragment, or for too many.
    pub fn read(form: &Form<'_>) -> Result<Self, Refusal> {
        let mut targets: Vec<String> = Vec::new();
        for resource in form.all("resource") {
            let url =
                url::Url::parse(resource).map_err(|_| Refusal::target("resource must be an absolute URI"))?;
            if url.fragment().is_some() {
                return Err(Refusal::target("resource must have no fragment"));
            }
        }
        for target in form.all("audience").chain(form.all("resource")) {
            if !targets.iter().any(|known| known == target) {
                targets.push(target.to_owned());
            }
        }
        if targets.len() > MOST_TARGETS {
            return Err(Refusal::target("too many audiences are asked for"));
        }
        Ok(Self(targets))
    }

    /// From a list, by the same rules.
    ///
    /// # Errors
    /// `invalid_target` for too many.
    pub fn of(names: Vec<String>) -> Result<Self, Refusal> {
        let mut targets: Vec<String> = Vec::new();
        for name in names {
            if !targets.contains(&name) {
                targets.push(name);
            }
        }
        if targets.len() > MOST_TARGETS {
            return Err(Refusal::target("too many audiences are asked for"));
        }
        Ok(Self(targets))
    }

    /// In order of asking, each once.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl Denied {
    /// Denied by a policy, or by none.
    pub fn new(policy: Option<Arc<str>>, refusal: Refusal) -> Self {
        Self { policy, refusal }
    }
}

/// Asks the policies of the living configuration.
pub fn decide(settings: &Settings, question: &Question<'_>) -> Decided {
    match &settings.exchange {
        Some(policies) => policies.decide(question),
        None => Decided { outcome: implicit::decide(settings, question), shadows: Vec::new() },
    }
}

/// More than this is no request but a probe.
const MOST_TARGETS: usize = 8;
