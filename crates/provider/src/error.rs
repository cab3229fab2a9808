//! Why a request is not granted: the asker's fault ([`Refusal`]) or ours ([`Fault`]). HTTP is made of them in `web`,
//! in one place.

use std::borrow::Cow;
use std::time::Duration;

use wire::oauth::ErrorCode;

use crate::store::StoreError;

/// Either of the two.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is refused; the same request would be refused again.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// Something of ours, or upstream, did not work.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A request that is refused, in the protocol's own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {told}", code = self.code.as_str())]
pub struct Refusal {
    /// The protocol's code.
    pub code: ErrorCode,
    /// What the asker is told. Never repeats what was sent, never says what a policy looks like.
    pub told: Cow<'static, str>,
    /// What the audit log is told beyond that.
    pub reason: Cow<'static, str>,
    /// Whether a Basic challenge belongs to the answer (RFC 6749 section 5.2).
    pub challenge: bool,
    /// Dex's own answer to the same mistake, for callers that were written against it.
    pub dex: Option<DexAnswer>,
}

/// The code and status that Dex gives where it departs from the specifications (dex.md 1.18).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DexAnswer {
    /// The code.
    pub code: ErrorCode,
    /// The HTTP status.
    pub status: u16,
}

/// Something that is not the asker's fault.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No capacity right now: the answer says when to come again.
    #[error("no capacity; try again in {} s", .retry_after.as_secs())]
    Busy {
        /// For `Retry-After`.
        retry_after: Duration,
    },
    /// Too often wrong: the answer says when to come again.
    #[error("too many failed tries; try again in {} s", .retry_after.as_secs())]
    TooMany {
        /// For `Retry-After`.
        retry_after: Duration,
    },
    /// An upstream is out of reach.
    #[error("an upstream is unavailable: {0}")]
    Upstream(String),
    /// A rule of our own was broken.
    #[error("internal: {0}")]
    Internal(String),
}

impl Fault {
    /// The protocol's code for it: whether the same request may be granted later.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Store(StoreError::Unavailable(_))
            | Self::Busy { .. }
            | Self::TooMany { .. }
            | Self::Upstream(_) => ErrorCode::TemporarilyUnavailable,
            Self::Store(StoreError::Broken(_)) | Self::Internal(_) => ErrorCode::ServerError,
        }
    }
}

impl Refusal {
    /// A refusal whose reason is what the asker is told.
    pub fn new(code: ErrorCode, told: impl Into<Cow<'static, str>>) -> Self {
        let told = told.into();
        Self { code, reason: told.clone(), told, challenge: false, dex: None }
    }

    /// `invalid_request`
    pub fn request(told: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest, told)
    }

    /// `invalid_grant`
    pub fn grant(told: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidGrant, told)
    }

    /// `invalid_target`
    pub fn target(told: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidTarget, told)
    }

    /// The same, with more for the audit log than for the asker.
    #[must_use]
    pub fn because(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.reason = reason.into();
        self
    }

    /// The same, with the answer Dex would give.
    #[must_use]
    pub const fn as_dex(mut self, code: ErrorCode, status: u16) -> Self {
        self.dex = Some(DexAnswer { code, status });
        self
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Fault(Fault::Store(error))
    }
}

impl From<ambient::Lost> for Error {
    fn from(lost: ambient::Lost) -> Self {
        Self::Fault(Fault::Internal(lost.to_string()))
    }
}
