//! The person, as the flows see them: somebody who can be shown a page and, perhaps, asked something.

use std::time::Duration;

use ambient::Secret;
use url::Url;

/// Somebody at a terminal, with a browser or without.
pub trait Person: Send + Sync {
    /// Shows where to go. Returns at once; what a browser does is its own business.
    fn show(&self, visit: &Visit<'_>);

    /// Asks for something that is typed. Waits, but not for ever.
    ///
    /// # Errors
    /// [`Unasked`]: nobody is there.
    fn ask(&self, question: &Question<'_>) -> Result<Secret<String>, Unasked>;
}

/// Where to go.
#[derive(Debug, Clone)]
pub struct Visit<'a> {
    /// The page.
    pub url: &'a Url,
    /// What happens there.
    pub place: Place<'a>,
    /// For how long the answer is waited for.
    pub within: Duration,
}

/// What happens at a page.
#[derive(Debug, Clone)]
pub enum Place<'a> {
    /// Signing in, and the answer comes to a port of this machine.
    Landing {
        /// Which.
        port: u16,
    },
    /// Signing in, and the answer is carried over by hand.
    ByHand,
    /// A code is compared or typed.
    Device {
        /// It.
        code: &'a str,
        /// Whether the page knows it already.
        filled_in: bool,
    },
}

/// What somebody is asked.
#[derive(Debug, Clone, Copy)]
pub enum Question<'a> {
    /// Their name.
    Username,
    /// Their password; it is not shown.
    Password {
        /// Whose.
        of: &'a str,
    },
    /// The code that their browser shows; it is not shown.
    Code,
}

/// Why nobody was asked, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unasked(pub String);
