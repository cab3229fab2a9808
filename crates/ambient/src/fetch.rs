//! Documents from afar: key sets and discovery documents are asked for through this seam.
//!
//! It stands here, and not in `token` that needs it, so that `outbound` can implement it without knowing tokens
//! and so that provider, proxy and client share the one implementation.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use url::Url;

use crate::BoxFuture;

/// What to fetch.
#[derive(Clone)]
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
#[derive(Clone)]
pub struct Fetched {
    /// The body, whole.
    pub body: Bytes,
    /// `Cache-Control: max-age`; `None` if the server said nothing, zero for `no-store` and `no-cache`.
    pub fresh_for: Option<Duration>,
}

// The bearer token is a secret, and a UserInfo document speaks of somebody.
impl fmt::Debug for Want<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, path) = (self.url.host_str(), self.url.path());
        f.debug_struct("Want").field("host", &host).field("path", &path).finish_non_exhaustive()
    }
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("bytes", &self.body.len())
            .field("fresh_for", &self.fresh_for)
            .finish_non_exhaustive()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_26_what_is_fetched_and_with_which_token_is_not_shown() {
        let url = Url::parse("https://u:canary@a.example/userinfo?x=canary").unwrap();
        let want = Want { url: &url, named_by: None, accept: "*/*", bearer: Some("canary"), cap: 1 };
        let fetched = Fetched { body: Bytes::from_static(b"canary"), fresh_for: None };
        let shown = format!("{want:?} {fetched:?}");
        assert!(shown.contains("/userinfo") && !shown.contains("canary"), "{shown}");
    }
}
