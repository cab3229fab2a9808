//! Why there is no token, in sentences that say what to do next.

use std::path::PathBuf;

use ambient::FetchError;
use url::Url;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL would show tokens to everybody on the way.
    #[error("{url} is not https: a token may not travel in the clear (plain http is for loopback only)")]
    Insecure {
        /// The URL, without its query.
        url: String,
    },
    /// The network, or what stands at the other end of it.
    #[error("{0}{hint}", hint = hint(.0))]
    Fetch(FetchError),
    /// The CA bundle.
    #[error("{0}; check --certificate-authority")]
    Trust(outbound::BadTrust),
    /// The discovery document is not one.
    #[error("{url} is no discovery document: {reason}; check the issuer, or name the token endpoint itself")]
    Discovery {
        /// Where it was read.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The token endpoint refused (RFC 6749 section 5.2).
    #[error("the token endpoint refused: {code}{description}{hint}")]
    Refused {
        /// The error code.
        code: String,
        /// `: ` and the endpoint's own words, if it had any.
        description: String,
        /// What to look at.
        hint: &'static str,
    },
    /// An error status without an OAuth error in it.
    #[error("{url} answered {status}; is it a token endpoint?")]
    Status {
        /// Where.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// An answer 200 that is not what was asked for.
    #[error("the token endpoint's answer cannot be used: {0}")]
    Answer(String),
    /// The disk.
    #[error("the token cache {path} cannot be used: {reason}", path = .path.display())]
    Cache {
        /// What was tried.
        path: PathBuf,
        /// What the disk said.
        reason: String,
    },
}

// Both say in their own words what is beneath them: as a source besides, it would be said twice.
impl From<FetchError> for Error {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

impl From<outbound::BadTrust> for Error {
    fn from(error: outbound::BadTrust) -> Self {
        Self::Trust(error)
    }
}

/// A URL without the parts that secrets hide in.
pub(crate) fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    let _ = (shown.set_username(""), shown.set_password(None));
    shown.into()
}

fn hint(error: &FetchError) -> &'static str {
    match error {
        FetchError::Unreachable { reason, .. } if reason.contains("certificate") => {
            "; if its CA is a private one, name it with --certificate-authority"
        }
        FetchError::Forbidden { .. } => "; check the URL",
        _ => "",
    }
}
