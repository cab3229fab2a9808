//! The connector seam: what an upstream can do, as values.
//!
//! A connector is one configured upstream: a password database, an OpenID provider, a cluster's service-account
//! issuer. What it can do is asked for (`flow`, `refresh`, `subject`), never tried out. Trust is keyed by the
//! connector's id, not by an issuer's name: many clusters call themselves `https://kubernetes.default.svc`.

use std::net::IpAddr;
use std::sync::Arc;

use ambient::{BoxFuture, Secret, Time};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use token::UnverifiedJwt;
use url::Url;
use wire::claims::Claims;
use wire::oauth::TokenType;

/// One configured upstream.
pub trait Connector: Send + Sync + 'static {
    /// How a person signs in through it.
    fn flow(&self) -> Flow<'_>;

    /// Asks the upstream again who somebody is, if it can be asked.
    fn refresh(&self) -> Option<&dyn Refresh> {
        None
    }

    /// Vouches for subject tokens (RFC 8693), if it can.
    fn subject(&self) -> Option<&dyn VouchSubject> {
        None
    }

    /// Whether that user may still be somebody here. Upstreams that can only be asked with the person at hand say yes;
    /// one whose users stand in the living configuration knows better.
    fn knows(&self, _user_id: &str) -> bool {
        true
    }

    /// Whether the configuration itself says who its people are, so that an operator named every group of theirs. Of an
    /// upstream, `system:` names pass only where a policy names them.
    fn is_written_down(&self) -> bool {
        false
    }

    /// Begins to fetch in the background what the first request would wait for. Called once the process serves.
    fn warm(&self) {}
}

/// How a person signs in.
pub enum Flow<'a> {
    /// Nobody does: a workload issuer.
    None,
    /// A form with a name and a password.
    Password(&'a dyn PasswordFlow),
    /// The browser goes away and comes back with a query.
    Redirect(&'a dyn RedirectFlow),
    /// The browser goes to `/callback/{connector}`, which a proxy before us guards and passes on with who it is.
    Proxied(&'a dyn ProxiedFlow),
}

/// Signing in with a password.
pub trait PasswordFlow: Send + Sync {
    /// What the name field is called ("Email Address").
    fn prompt(&self) -> &str;

    /// `Ok(None)` is a wrong name or password; both cost the same time.
    fn login<'a>(
        &'a self,
        scopes: Hints,
        name: &'a str,
        password: &'a Secret<String>,
    ) -> BoxFuture<'a, Result<Option<SignedIn>, UpstreamError>>;
}

/// Signing in by redirect.
pub trait RedirectFlow: Send + Sync {
    /// Where the browser goes. `state` comes back in the callback; what is in `Departure::keep` is kept, sealed.
    fn depart<'a>(
        &'a self,
        scopes: Hints,
        callback: &'a Url,
        state: &'a str,
    ) -> BoxFuture<'a, Result<Departure, UpstreamError>>;

    /// What the upstream calls a hint at who signs in, if it takes one (`login_hint`, OpenID Connect Core section 3.1.2.1).
    fn hint_parameter(&self) -> Option<&'static str> {
        None
    }

    /// Whether the browser comes back to `/callback/{connector}` instead of the `/callback` that all share. Then an answer
    /// that one upstream had sent to another's callback is told apart by its place (RFC 9700 section 4.4.2).
    fn has_own_callback(&self) -> bool {
        false
    }

    /// What came back: the parameters of the callback's query.
    fn arrive<'a>(
        &'a self,
        scopes: Hints,
        callback: &'a Url,
        kept: &'a [u8],
        query: &'a wire::form::Form<'a>,
    ) -> BoxFuture<'a, Result<SignedIn, UpstreamError>>;
}

/// Being told who it is by a proxy that stands before us.
pub trait ProxiedFlow: Send + Sync {
    /// What came. Whether to believe it is the connector's to judge: anybody who reaches us can send headers.
    fn arrive(&self, inbound: &Inbound<'_>) -> Result<SignedIn, UpstreamError>;
}

/// A request, as far as it was not written by who asks.
pub struct Inbound<'a> {
    /// Who is connected to us, whatever a header says about the way before.
    pub connection: Option<IpAddr>,
    /// The headers, as they came.
    pub headers: &'a HeaderMap,
}

/// Where a browser is sent, and what must be remembered until it returns (a PKCE verifier, a nonce).
#[derive(Debug)]
pub struct Departure {
    /// The upstream's authorization endpoint with its parameters.
    pub to: Url,
    /// Kept sealed in the attempt.
    pub keep: Secret<Vec<u8>>,
}

/// A connector's id as a segment of a path, in its one spelling.
pub fn in_path(id: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    encoded.replace('+', "%20")
}

/// Asking again at refresh.
pub trait Refresh: Send + Sync {
    /// `Err(UpstreamError::Denied)` ends the grant; any other error keeps it.
    fn refresh<'a>(
        &'a self,
        scopes: Hints,
        known: &'a Identity,
        kept: &'a [u8],
    ) -> BoxFuture<'a, Result<SignedIn, UpstreamError>>;
}

/// Vouching for a subject token.
pub trait VouchSubject: Send + Sync {
    /// Whether a token that says it is of this issuer could be this connector's. A routing hint: two connectors may
    /// both say yes, and then the request must name one.
    fn may_own(&self, unverified: &UnverifiedJwt<'_>) -> bool;

    /// Checks the token.
    fn vouch<'a>(&'a self, token: Presented<'a>, now: Time) -> BoxFuture<'a, Result<Vouched, VouchError>>;
}

/// A subject token as it was presented.
pub struct Presented<'a> {
    /// What the request says it is.
    pub kind: TokenType,
    /// The text.
    pub raw: &'a str,
    /// The same, taken apart, if it has the form of a JWT.
    pub unverified: Option<UnverifiedJwt<'a>>,
}

/// A subject token that a connector answers for. Only made from a check.
#[derive(Debug)]
pub struct Vouched {
    /// What the token says, for policies.
    pub claims: Claims,
    /// Who that is, by the connector's own mapping (Dex's claims); workload connectors map only the user id.
    pub identity: Identity,
    /// Whom the token was meant for.
    pub audience: SubjectAudience,
    /// When it ends; `None` only for opaque tokens that an upstream answered for.
    pub expires: Option<Time>,
    /// The token is bound to a key (`cnf`): exchanged only with a proof of it, and none is understood yet.
    pub bound: bool,
}

/// Whom a subject token was meant for, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectAudience {
    /// The `aud` of a verified token; may be empty.
    InToken(Vec<String>),
    /// An introspection answer said so.
    Introspected(Vec<String>),
    /// Nothing says so: UserInfo accepted the token, whomever it was issued for.
    Unknown,
}

/// Somebody, as an upstream knows them (dex.md 1.6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Stable and unique within the connector.
    pub user_id: String,
    /// The `name` claim.
    pub username: String,
    /// The `preferred_username` claim.
    pub preferred_username: String,
    /// May be empty.
    pub email: String,
    /// Whether the upstream says that it checked the address.
    pub email_verified: bool,
    /// Groups, if asked for.
    pub groups: Vec<String>,
}

/// A person who has signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub identity: Identity,
    /// What the connector needs to ask again (an upstream refresh token).
    pub kept: Secret<Vec<u8>>,
}

impl SignedIn {
    /// The answer of a refresh, if it is about that person.
    ///
    /// # Errors
    /// [`UpstreamError::Denied`]
    pub fn about(self, known: &Identity) -> Result<Self, UpstreamError> {
        if self.identity.user_id == known.user_id {
            return Ok(self);
        }
        Err(UpstreamError::Denied("its answer is about somebody else".into()))
    }
}

/// The scopes that matter to an upstream (dex.md 3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hints {
    /// `offline_access`
    pub offline: bool,
    /// `groups`
    pub groups: bool,
}

/// Why nobody is signed in. Texts are for logs.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The upstream, or a rule of the connector, says no.
    #[error("the upstream refused: {0}")]
    Denied(String),
    /// What came back cannot be trusted or is incomplete.
    #[error("the upstream's answer is not acceptable: {0}")]
    Invalid(String),
    /// It cannot be reached.
    #[error("the upstream is unavailable: {0}")]
    Unavailable(String),
    /// More password checks wait than are ever worth waiting for.
    #[error("too many password checks are waiting")]
    Busy,
}

/// Why a subject token is not vouched for. Texts are for the audit log; the one who asks learns `invalid_request`.
#[derive(Debug, thiserror::Error)]
pub enum VouchError {
    /// The token is not good: signature, time, kind, claims.
    #[error("{0}")]
    Rejected(String),
    /// This connector does not check tokens of that type.
    #[error("the connector does not take {0}")]
    Unsupported(&'static str),
    /// Keys or the upstream are out of reach; nothing is known about the token.
    #[error("the issuer cannot be asked: {0}")]
    Unavailable(String),
}

/// A connector as it is configured and opened.
#[derive(Clone)]
pub struct Opened {
    /// Unique in the configuration; part of every `sub`.
    pub id: Arc<str>,
    /// `oidc`, `kubernetes`, …
    pub kind: &'static str,
    /// For people.
    pub name: Arc<str>,
    /// The grant types it may be used for; empty: all (dex.md 2.2).
    pub grant_types: Arc<[String]>,
    /// What a subject token may be meant for besides our issuer (`clientID`, `audiences`); see DESIGN section 6.
    pub audiences: SubjectAudiences,
    /// The thing itself.
    pub connector: Arc<dyn Connector>,
}

/// Which audiences a connector accepts when no policy names any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectAudiences {
    /// One of these, or our issuer.
    AnyOf(Arc<[String]>),
    /// A Dex connector without `clientID`: any, warned of at start and audited as `unrestricted`.
    Unrestricted,
}

impl Opened {
    /// Whether the connector may be used with a grant type.
    pub fn allows(&self, grant_type: &str) -> bool {
        self.grant_types.is_empty() || self.grant_types.iter().any(|known| known == grant_type)
    }
}
