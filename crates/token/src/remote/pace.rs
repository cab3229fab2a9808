//! How often an issuer is asked.

use std::time::Duration;

/// Bounds on freshness and on requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// Keys are kept at least so long, whatever `Cache-Control` says: an issuer cannot make us ask all the time.
    pub floor: Duration,
    /// Keys are kept at most so long: a key that its issuer withdrew stops verifying within this time.
    pub ceiling: Duration,
    /// For how long keys serve that cannot be refreshed, counted from when they were fetched. Then nothing verifies.
    pub stale_for: Duration,
    /// A token that names an unknown key may cause a fetch so often, after a burst of three.
    pub forced_every: Duration,
    /// A fetch that takes longer has failed.
    pub deadline: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            floor: Duration::from_mins(5),
            ceiling: Duration::from_hours(1),
            stale_for: Duration::from_hours(24),
            forced_every: Duration::from_secs(10),
            deadline: Duration::from_secs(10),
        }
    }
}

impl Pace {
    /// How long a document with this `max-age` is fresh; a quarter of an hour if nothing was said.
    pub(super) fn fresh_for(&self, said: Option<Duration>) -> Duration {
        said.unwrap_or(Duration::from_mins(15)).max(self.floor).min(self.ceiling)
    }

    /// How long to leave an issuer alone after so many failures in a row.
    pub(super) fn pause(failures: u32) -> Duration {
        Duration::from_secs(1 << failures.clamp(1, 6).saturating_sub(1)).min(Duration::from_secs(30))
    }
}

/// A bucket of permissions that fills up again with time.
#[derive(Debug)]
pub(super) struct Bucket {
    left: u32,
    filled: Duration,
}

impl Bucket {
    pub(super) const fn full(now: Duration) -> Self {
        Self { left: BURST, filled: now }
    }

    /// Takes one permission, if there is one.
    pub(super) fn take(&mut self, now: Duration, every: Duration) -> bool {
        while self.left < BURST && now.saturating_sub(self.filled) >= every {
            self.filled += every;
            self.left += 1;
        }
        if self.left == BURST {
            self.filled = now;
        }
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        true
    }
}

/// So many forced fetches may follow each other at once.
pub(super) const BURST: u32 = 3;
