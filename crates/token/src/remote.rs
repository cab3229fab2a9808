//! The keys that an issuer publishes, kept up to date without ever making one issuer's trouble another's.
//!
//! Reading is lock-free. Fetches of one issuer are joined into one flight, which runs as a task of its own: a caller that
//! goes away does not stop it for the others. What may cause a fetch, and how often, is decided in `pace`.

mod flight;
mod pace;
mod source;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ambient::{Clock, Fetch, FetchError, Tasks};
use arc_swap::ArcSwapOption;

pub use pace::Pace;
pub use source::{Source, discover};

use crate::keyset::{BadKeySet, Outcome, Signed};
use crate::{KeySet, remote::flight::Flight};

/// Keys that are fetched from their issuer.
pub struct RemoteKeys(Arc<Shared>);

struct Shared {
    source: Source,
    pace: Pace,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    current: ArcSwapOption<Snapshot>,
    flight: Flight,
}

/// Keys as they were fetched. Times are the clock's monotonic ones.
struct Snapshot {
    keys: Arc<KeySet>,
    fetched: Duration,
    fresh_for: Duration,
    sequence: Option<i64>,
}

/// Why an issuer's keys cannot be had. For logs and audit events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// They were not fetched yet.
    #[error("they were not fetched yet")]
    NotYet,
    /// The fetch failed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The key set is malformed.
    #[error(transparent)]
    KeySet(#[from] BadKeySet),
    /// The discovery document is malformed.
    #[error("the discovery document is malformed: {0}")]
    Discovery(String),
    /// The discovery document speaks for another issuer (OpenID Connect Discovery section 4.3).
    #[error("the discovery document says that it is of {said:?} and not of {expected:?}")]
    Issuer {
        /// What it says.
        said: String,
        /// What is configured.
        expected: String,
    },
    /// `jwks_uri` is not a URL, or less protected than the document that names it.
    #[error("the discovery document names keys at {0:?}, which is not an https URL")]
    JwksUri(String),
    /// A SPIFFE bundle older than the one that is known.
    #[error("the bundle's sequence number went back from {0} to {1}")]
    Sequence(i64, i64),
    /// Nothing came within the deadline.
    #[error("they did not come in time")]
    Late,
    /// The fetching task broke or the process is shutting down.
    #[error("the fetch was abandoned")]
    Abandoned,
}

/// How an issuer's keys are, for status pages and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// How long ago the keys were fetched; `None` if they never were.
    pub age: Option<Duration>,
    /// How many keys are in use.
    pub keys: usize,
    /// Why the last fetch failed, if it did.
    pub last_error: Option<Unavailable>,
}

impl RemoteKeys {
    /// Names a source. Nothing is fetched until a token needs it or [`RemoteKeys::warm`] is called.
    pub fn new(
        source: Source,
        pace: Pace,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Self {
        let flight = Flight::new(clock.monotonic());
        Self(Arc::new(Shared { source, pace, fetch, clock, tasks, current: ArcSwapOption::empty(), flight }))
    }

    /// Begins to fetch in the background, so that the first token need not wait.
    pub fn warm(&self) {
        drop(Flight::board(&self.0));
    }

    /// How the keys are.
    pub fn health(&self) -> Health {
        let current = self.0.current.load();
        Health {
            age: current.as_ref().map(|snapshot| self.0.age(snapshot)),
            keys: current.as_ref().map_or(0, |snapshot| snapshot.keys.keys().len()),
            last_error: self.0.flight.last_error(),
        }
    }

    /// The keys that are at hand and not too old to be used.
    pub(crate) fn at_hand(&self) -> Option<Arc<KeySet>> {
        self.0.usable().map(|snapshot| Arc::clone(&snapshot.keys))
    }

    /// Checks a signature with keys as fresh as they have to be.
    pub(crate) async fn check(&self, signed: Signed<'_>) -> Result<Outcome, Unavailable> {
        let shared = &self.0;
        let snapshot = match shared.usable() {
            Some(snapshot) if shared.age(&snapshot) <= snapshot.fresh_for => {
                if shared.age(&snapshot) > snapshot.fresh_for / 5 * 4 {
                    self.warm();
                }
                snapshot
            }
            _ => shared.refresh().await?,
        };
        let outcome = snapshot.keys.check(signed);
        if matches!(outcome, Outcome::Good { .. }) || !shared.flight.may_force(shared, signed.kid, outcome) {
            return Ok(outcome);
        }
        let renewed = shared.forced(&snapshot).await?;
        let outcome = renewed.keys.check(signed);
        if outcome == Outcome::NoKey {
            shared.flight.remember_missing(shared, signed.kid);
        }
        Ok(outcome)
    }
}

impl Shared {
    fn age(&self, snapshot: &Snapshot) -> Duration {
        self.clock.monotonic().saturating_sub(snapshot.fetched)
    }

    /// What is known, unless it is older than anybody may rely on.
    fn usable(&self) -> Option<Arc<Snapshot>> {
        self.current.load_full().filter(|snapshot| self.age(snapshot) <= self.pace.stale_for)
    }

    /// Waits for fresh keys; what is known serves on while the issuer is in trouble, within its bound.
    async fn refresh(self: &Arc<Self>) -> Result<Arc<Snapshot>, Unavailable> {
        let arrived = Flight::board(self).arrive().await;
        match (arrived, self.usable()) {
            (_, Some(snapshot)) => Ok(snapshot),
            (Err(why), None) => Err(why),
            (Ok(()), None) => Err(Unavailable::NotYet),
        }
    }

    /// Waits for keys newer than `known`; if they cannot be had, nobody can say whether the token is good.
    async fn forced(self: &Arc<Self>, known: &Snapshot) -> Result<Arc<Snapshot>, Unavailable> {
        Flight::board(self).arrive().await?;
        self.usable().filter(|snapshot| snapshot.fetched >= known.fetched).ok_or(Unavailable::NotYet)
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteKeys").field(&self.0.source).finish()
    }
}
