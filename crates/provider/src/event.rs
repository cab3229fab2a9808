//! What happened, for the audit log and the metrics: one event per decision, allow and deny alike. No event holds a
//! token, a code or a secret.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ambient::Time;

/// Something worth keeping.
#[derive(Debug, Clone)]
pub enum Event {
    /// The token endpoint, the authorization endpoint or UserInfo decided.
    Decision(Arc<Decision>),
    /// The signing keys changed.
    Keys(KeysChanged),
    /// A changed configuration is in use.
    Reloaded(Reloaded),
    /// Something that only an operator can mend.
    Trouble(Trouble),
}

/// One decision.
#[derive(Debug, Clone)]
pub struct Decision {
    /// When.
    pub at: Time,
    /// The request's id, the same as in logs and in the answer's header.
    pub request_id: Arc<str>,
    /// Where the request came from, as far as trusted proxies tell.
    pub address: Option<IpAddr>,
    /// What was asked for: a grant type, `login`, `userinfo`.
    pub action: Cow<'static, str>,
    /// Granted?
    pub allowed: bool,
    /// Why not; for an allow, what is worth knowing (`unrestricted`).
    pub reason: Option<Cow<'static, str>>,
    /// The error code the asker saw.
    pub error: Option<&'static str>,
    /// The client, if it is a registered one.
    pub client: Option<Arc<str>>,
    /// The connector.
    pub connector: Option<Arc<str>>,
    /// Who vouched: the subject token's issuer, verified.
    pub issuer: Option<String>,
    /// Who, at the upstream: verified.
    pub upstream_subject: Option<String>,
    /// The `jti` of the token that was handed in.
    pub upstream_token_id: Option<String>,
    /// The policy that decided.
    pub policy: Option<Arc<str>>,
    /// The `sub` that was issued.
    pub subject: Option<String>,
    /// The audience that was issued.
    pub audience: Vec<Arc<str>>,
    /// The `jti` that was issued.
    pub token_id: Option<String>,
    /// How long the issued token lives.
    pub lifetime: Option<Duration>,
    /// What shadow policies would have done; they never change an answer.
    pub shadows: Vec<Shadow>,
}

/// What one `shadow: true` policy would have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The policy.
    pub policy: Arc<str>,
    /// Whether it would have allowed.
    pub allowed: bool,
}

/// A step of key rotation.
#[derive(Debug, Clone)]
pub struct KeysChanged {
    /// When.
    pub at: Time,
    /// What happened, with key ids.
    pub what: String,
}

/// A configuration that was taken over without a restart.
#[derive(Debug, Clone)]
pub struct Reloaded {
    /// When.
    pub at: Time,
    /// What to know about it.
    pub what: String,
}

/// Trouble that does not belong to one request.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// When.
    pub at: Time,
    /// Which part.
    pub part: &'static str,
    /// What, and what to do.
    pub what: String,
}

impl Decision {
    /// A decision with nothing known yet.
    pub fn new(
        at: Time,
        request_id: Arc<str>,
        address: Option<IpAddr>,
        action: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            at,
            request_id,
            address,
            action: action.into(),
            allowed: false,
            reason: None,
            error: None,
            client: None,
            connector: None,
            issuer: None,
            upstream_subject: None,
            upstream_token_id: None,
            policy: None,
            subject: None,
            audience: Vec::new(),
            token_id: None,
            lifetime: None,
            shadows: Vec::new(),
        }
    }
}
