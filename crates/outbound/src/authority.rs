//! A CA bundle in a file that is replaced while we run, as that of a pod's API server is when its authority is rotated.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambient::Clock;

use crate::tls::{Authorities, BadTrust};

/// Read again after ten seconds, when somebody shows a certificate; while it cannot be used, what was read before is believed.
pub struct AuthorityFile {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    last: Mutex<Last>,
}

struct Last {
    looked: Duration,
    pem: Vec<u8>,
    authorities: Arc<Authorities>,
}

/// There are no authorities in the file; the operator's or the platform's fault.
#[derive(Debug, thiserror::Error)]
pub enum BadAuthorityFile {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What it holds.
    #[error("{}: {source}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: BadTrust,
    },
}

impl AuthorityFile {
    /// Reads it for the first time.
    ///
    /// # Errors
    /// [`BadAuthorityFile`]; see there.
    pub fn open(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Result<Self, BadAuthorityFile> {
        let path = path.into();
        let pem = match std::fs::read(&path) {
            Ok(pem) => pem,
            Err(source) => return Err(BadAuthorityFile::Unreadable { path, source }),
        };
        let authorities = match Authorities::read(&pem) {
            Ok(authorities) => Arc::new(authorities),
            Err(source) => return Err(BadAuthorityFile::Unusable { path, source }),
        };
        let last = Mutex::new(Last { looked: clock.monotonic(), pem, authorities });
        Ok(Self { path, clock, last })
    }

    /// Those of the file as it is now, at most ten seconds old.
    pub(crate) fn current(&self) -> Arc<Authorities> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.monotonic();
        if now.saturating_sub(last.looked) >= READ_AGAIN {
            last.looked = now;
            self.look(&mut last);
        }
        Arc::clone(&last.authorities)
    }

    fn look(&self, last: &mut Last) {
        let path = self.path.display();
        match std::fs::read(&self.path) {
            Ok(pem) if pem == last.pem => {}
            Ok(pem) => {
                match Authorities::read(&pem) {
                    Ok(authorities) => {
                        tracing::info!(%path, "the new authorities are believed");
                        last.authorities = Arc::new(authorities);
                    }
                    Err(error) => {
                        tracing::error!(%path, %error, "believing the authorities that were read before");
                    }
                }
                // A fault that stays is told once.
                last.pem = pem;
            }
            Err(error) => tracing::warn!(%path, %error, "believing the authorities that were read before"),
        }
    }
}

impl fmt::Debug for AuthorityFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityFile").field("path", &self.path).finish_non_exhaustive()
    }
}

const READ_AGAIN: Duration = Duration::from_secs(10);
