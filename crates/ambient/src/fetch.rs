//! Documents from afar: key sets and discovery documents are asked for through this seam.
//!
//! It stands here, and not in `token` that needs it, so that `outbound` can implement it without knowing tokens
//! and so that provider, proxy and client share the one implementation.

use std::time::Duration;

use bytes::Bytes;
use url::Url;

use crate::BoxFuture;

/// What to fetch.
#[derive(Debug, Clone)]
pub struct Want<'a> {
    /// Where from. Only `https`, or `http` where the configuration itself says so.
    pub url: &'a Url,
    /// The configured URL whose document named `url`; `None` when `url` itself is configured. A named host may be
    /// private only if the configured one is.
    pub named_by: Option<&'a Url>,
    /// The `Accept` header.
    pub accept: &'static str,
    /// Sent as a bearer token: only ever an upstream token to its own issuer (UserInfo).
    pub bearer: Option<&'a str>,
    /// A body longer than this is refused unread.
    pub cap: usize,
}

/// A document and how long it may be kept.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The body, whole.
    pub body: Bytes,
    /// `Cache-Control: max-age`; `None` if the server said nothing, zero for `no-store` and `no-cache`.
    pub fresh_for: Option<Duration>,
}

/// Why there is no document. The texts are for logs, never for the one who sent a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The address or URL may not be asked (metadata service, private range, downgrade, redirect).
    #[error("{url} may not be fetched: {reason}")]
    Forbidden {
        /// What was asked for.
        url: String,
        /// Which rule forbids it.
        reason: String,
    },
    /// No connection, no TLS, or the connection broke.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// An answer that is not 200.
    #[error("{url} answered {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// More than [`Want::cap`] bytes.
    #[error("{url} answered more than {cap} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The bound.
        cap: usize,
    },
    /// Not done within the deadline.
    #[error("{url} did not answer in time")]
    Late {
        /// What was asked for.
        url: String,
    },
}

/// Fetches documents under the rules of the one who configured it (roots, address guard, deadline).
pub trait Fetch: Send + Sync + 'static {
    /// One GET, no redirects, whole body.
    fn fetch<'a>(&'a self, want: Want<'a>) -> BoxFuture<'a, Result<Fetched, FetchError>>;
}
