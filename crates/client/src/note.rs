//! What happens on the way to a token and is worth a word on stderr.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Something that a waiting person wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Another process is at it.
    Waiting {
        /// Its process id, if it wrote one down.
        holder: Option<u32>,
    },
    /// It was waited for long enough.
    GaveUpWaiting {
        /// Its process id, if it wrote one down.
        holder: Option<u32>,
    },
    /// A try failed; the next one follows.
    Retrying {
        /// Why.
        reason: String,
        /// When.
        after: Duration,
    },
    /// The kept session is worth nothing any more; somebody must sign in again.
    SessionOver {
        /// Why.
        reason: String,
    },
    /// Something came to the listener that is no answer to this sign-in.
    Stray {
        /// Why not.
        reason: &'static str,
    },
    /// The cache cannot be written or trusted; everything else works.
    NoCache {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let process = |holder: &Option<u32>| {
            holder.map_or_else(|| "another process".to_owned(), |pid| format!("another obol (process {pid})"))
        };
        match self {
            Self::Waiting { holder } => {
                write!(f, "waiting for {} that is fetching the same token", process(holder))
            }
            Self::GaveUpWaiting { holder } => {
                write!(
                    f,
                    "{} did not finish in time; fetching the token without waiting for it",
                    process(holder)
                )
            }
            Self::Retrying { reason, after } => {
                write!(f, "{reason}; trying again in {}.{} s", after.as_secs(), after.subsec_millis() / 100)
            }
            Self::SessionOver { reason } => write!(f, "the session is over ({reason}); signing in again"),
            Self::Stray { reason } => write!(f, "ignored an answer that is not to this sign-in: {reason}"),
            Self::NoCache { path, reason } => {
                write!(f, "the token is not cached: {}: {reason}", path.display())
            }
        }
    }
}
