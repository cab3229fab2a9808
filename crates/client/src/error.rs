//! Why there is no token, in sentences that say what to do next.

use std::path::PathBuf;
use std::time::Duration;

use ambient::FetchError;
use token::Rejected;
use url::Url;

use crate::discovery::NoKeys;
use crate::sign_in::Unasked;

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
    /// What the issuer publishes to check tokens by.
    #[error("{0}")]
    Keys(Box<NoKeys>),
    /// The token that the provider issued does not pass.
    #[error("the provider's token does not verify: {0}; is this machine's clock right?")]
    Unverified(Rejected),
    /// The token passes and is not the one that was asked for.
    #[error("the provider's token cannot be used: {0}")]
    Unbound(&'static str),
    /// The person or the provider said no.
    #[error("signing in was refused: {code}{description}")]
    Denied {
        /// The error code.
        code: String,
        /// `: ` and the provider's own words, if it had any.
        description: String,
    },
    /// The answer came from another issuer than was asked (RFC 9207).
    #[error(
        "the answer is from the issuer {iss:?}, and {issuer:?} was asked: somebody may be mixing them up"
    )]
    Foreign {
        /// Who answered.
        iss: String,
        /// Who was asked.
        issuer: String,
    },
    /// What somebody copied is not the answer to this sign-in.
    #[error("this is not the answer that is waited for: {0}")]
    Stray(&'static str),
    /// Nobody came back.
    #[error("nobody finished signing in within {} s; run the command again", .within.as_secs())]
    Unfinished {
        /// For how long it was waited.
        within: Duration,
    },
    /// The device's code has ended (RFC 8628 section 3.5).
    #[error("the code has expired before anybody used it; run the command again")]
    CodeExpired,
    /// The device endpoint's answer.
    #[error("the device authorization endpoint's answer cannot be used: {0}")]
    Device(String),
    /// No port to be answered on.
    #[error("{0}; name another address with --listen-address")]
    Listen(String),
    /// A person is needed.
    #[error(transparent)]
    Unasked(#[from] Unasked),
    /// Another process has been signing in for too long.
    #[error("another obol{} is still signing in; finish there, or end it and try again", process(.holder.as_ref()))]
    Busy {
        /// Its process id, if it wrote one down.
        holder: Option<u32>,
    },
    /// Another process that was waited for has failed.
    #[error("another obol tried the same meanwhile: {0}")]
    Elsewhere(String),
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

impl From<NoKeys> for Error {
    fn from(error: NoKeys) -> Self {
        match error {
            NoKeys::Fetch(error) => error,
            NoKeys::Set(_) => Self::Keys(Box::new(error)),
        }
    }
}

impl Error {
    /// What the authorization endpoint says, cut to what fits on a line.
    pub(crate) fn denied(code: &str, description: Option<&str>) -> Self {
        let description = description.filter(|text| !text.is_empty());
        Self::Denied {
            code: excerpt(code),
            description: description.map(|text| format!(": {}", excerpt(text))).unwrap_or_default(),
        }
    }

    pub(crate) fn no_id_token() -> Self {
        Self::Answer("it has no id_token; ask for the scope openid, or use --oidc-use-access-token".into())
    }

    /// Whether a session is worth nothing any more after this answer to its renewal.
    pub(crate) fn ends_session(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code == "invalid_grant",
            Self::Answer(_) | Self::Unverified(_) | Self::Unbound(_) => true,
            _ => false,
        }
    }

    /// Whether the network may be better in a moment.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(self, Self::Fetch(FetchError::Unreachable { .. } | FetchError::Late { .. }))
    }
}

/// A server's words on one line.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(400).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn process(holder: Option<&u32>) -> String {
    holder.map_or_else(String::new, |pid| format!(" (process {pid})"))
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
