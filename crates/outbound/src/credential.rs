//! Credentials of our own, and the one place they go to.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambient::{Clock, Secret};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use url::Url;

/// What is sent along to one origin and to nobody else.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Scheme, host and port that may see it; the rest of the URL does not count.
    pub origin: Url,
    /// `Authorization: Bearer …`
    pub bearer: Option<Bearer>,
    /// Further headers; they may be secrets, so they obey the same rule.
    pub headers: HeaderMap,
}

/// Where a bearer token comes from.
#[derive(Debug, Clone)]
pub enum Bearer {
    /// Written down.
    Fixed(Secret<String>),
    /// In a file that somebody replaces.
    File(Arc<TokenFile>),
}

/// A token in a file that is replaced while we run, as projected service-account tokens are. Read again after ten
/// seconds; while it cannot be read, the last token is kept, which its issuer ends soon enough.
pub struct TokenFile {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    last: Mutex<Option<(Duration, Secret<String>)>>,
}

/// There is no token in the file; the operator's or the platform's fault.
#[derive(Debug, thiserror::Error)]
#[error("no token can be read from {}: {reason}", path.display())]
pub struct TokenFileError {
    path: PathBuf,
    reason: String,
}

impl Credential {
    /// Whether `url` is of the origin.
    pub(crate) fn is_for(&self, url: &Url) -> bool {
        self.origin.origin() == url.origin()
    }

    /// Adds itself to a request's headers; what the caller set stays.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) -> Result<(), String> {
        for (name, value) in &self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        let Some(bearer) = &self.bearer else { return Ok(()) };
        if headers.contains_key(AUTHORIZATION) {
            return Ok(());
        }
        let token = match bearer {
            Bearer::Fixed(token) => token.clone(),
            Bearer::File(file) => file.current().map_err(|e| e.to_string())?,
        };
        let value =
            bearer_value(token.expose()).ok_or("the configured bearer token is not printable ASCII")?;
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }
}

impl TokenFile {
    /// Reads nothing yet.
    pub fn new(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self { path: path.into(), clock, last: Mutex::new(None) }
    }

    /// Where the token is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The token as it is now, at most ten seconds old.
    ///
    /// # Errors
    /// The file was never readable, or is empty.
    pub fn current(&self) -> Result<Secret<String>, TokenFileError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.monotonic();
        if let Some((read_at, token)) = &*last
            && now.saturating_sub(*read_at) < READ_AGAIN
        {
            return Ok(token.clone());
        }
        match (self.read(), &mut *last) {
            (Ok(token), _) => {
                *last = Some((now, token.clone()));
                Ok(token)
            }
            (Err(error), Some((read_at, token))) => {
                tracing::warn!(%error, "keeping the token that was read before");
                *read_at = now;
                Ok(token.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    fn read(&self) -> Result<Secret<String>, TokenFileError> {
        let failed = |reason: String| TokenFileError { path: self.path.clone(), reason };
        let raw = Secret::new(std::fs::read_to_string(&self.path).map_err(|e| failed(e.to_string()))?);
        match raw.expose().trim() {
            "" => Err(failed("the file is empty".into())),
            token => Ok(Secret::from(token)),
        }
    }
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// `Bearer <token>`, marked so that it is not logged and not put into HTTP/2's compression tables.
pub(crate) fn bearer_value(token: &str) -> Option<http::HeaderValue> {
    let mut value = http::HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

const READ_AGAIN: Duration = Duration::from_secs(10);
