//! Why a token does not pass, and whose fault that is. The texts are for logs and audit events: they show short,
//! escaped excerpts of names, never the token.

use std::fmt;

use wire::claims::BadClaims;
use wire::jose::BadCompact;

use crate::Unavailable;

/// Why a token does not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Not a compact JWS that is read here.
    #[error(transparent)]
    Malformed(#[from] BadCompact),
    /// Its payload is not a claim set.
    #[error(transparent)]
    Claims(#[from] BadClaims),
    /// Signed with an algorithm that this issuer may not use, or that nobody may.
    #[error("the token's algorithm {0} is not allowed for this issuer")]
    Algorithm(Excerpt),
    /// A kind of token that does not serve this purpose.
    #[error("a token of type {0} does not serve as {1}")]
    Kind(Excerpt, &'static str),
    /// `events` where it must not be, or missing where it must be.
    #[error("a logout or event token is not exchangeable with other tokens (purpose {0})")]
    Events(&'static str),
    /// Another issuer, or none.
    #[error("the token's issuer {0} is not the expected one")]
    Issuer(Excerpt),
    /// Meant for somebody else, or for nobody.
    #[error("the token is not meant for this audience (its audience: {0})")]
    Audience(Excerpt),
    /// No `exp`.
    #[error("the token does not say when it expires")]
    NoExpiry,
    /// `exp` is over.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies ahead.
    #[error("the token is not valid yet (its {0} lies in the future)")]
    NotYet(&'static str),
    /// A bound on lifetime or age is set and the token has no `iat`.
    #[error("the token does not say when it was issued")]
    NoIssueTime,
    /// `exp - iat` is above the trust entry's bound.
    #[error("the token was issued for longer than this trust entry accepts")]
    LivesTooLong,
    /// `now - iat` is above the trust entry's bound.
    #[error("the token was issued too long ago for this trust entry")]
    TooOld,
    /// The issuer publishes no such key (for this algorithm).
    #[error("the issuer has no key {0} for this algorithm")]
    UnknownKey(Excerpt),
    /// The signature is not that key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// The issuer's keys cannot be had at the moment: nobody can say whether the token is good.
    #[error("the issuer's keys are not available: {0}")]
    KeysUnavailable(Unavailable),
}

impl Rejected {
    /// Whether the same token may pass later without anybody changing it: an outage, not a bad token.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::KeysUnavailable(_))
    }

    /// A short fixed word for metrics and audit events.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Claims(_) => "claims",
            Self::Algorithm(_) => "algorithm",
            Self::Kind(..) => "kind",
            Self::Events(_) => "events",
            Self::Issuer(_) => "issuer",
            Self::Audience(_) => "audience",
            Self::NoExpiry => "no_expiry",
            Self::Expired => "expired",
            Self::NotYet(_) => "not_yet",
            Self::NoIssueTime => "no_issue_time",
            Self::LivesTooLong => "lives_too_long",
            Self::TooOld => "too_old",
            Self::UnknownKey(_) => "unknown_key",
            Self::Signature => "signature",
            Self::KeysUnavailable(_) => "keys_unavailable",
        }
    }
}

/// A name out of a token, cut and escaped so that it can stand in a log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(Option<String>);

impl Excerpt {
    /// Cuts `raw` to [`EXCERPT`] characters.
    pub fn of(raw: Option<&str>) -> Self {
        Self(raw.map(|text| text.chars().take(EXCERPT).collect()))
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(text) => write!(f, "{text:?}"),
            None => f.write_str("(none)"),
        }
    }
}

/// How many characters of a name are shown. No credential fits in it.
const EXCERPT: usize = 120;
