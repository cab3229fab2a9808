//! When which key signs: a pure state machine, so that every replica reaches the same answer from the same record.
//!
//! A key is published before it signs, for longer than a JWKS may be cached, and stays published after it signed until
//! its last token has expired. Nobody who obeys `Cache-Control` ever meets a token whose key he cannot have.

use std::time::Duration;

use ambient::{Secret, Time};
use serde::{Deserialize, Serialize};
use wire::jose::Jwk;

use crate::Alg;

/// All of Obol's keys. Serialized, it is a store record, whose private halves the provider seals.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RingState {
    /// The keys, oldest first.
    pub keys: Vec<RingKey>,
}

/// One key and where it is in its life.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RingKey {
    /// What it signs with.
    pub alg: Alg,
    /// The public half as published, with its `kid`.
    pub public: Jwk,
    /// The private half as PKCS#8; gone once the key is retired.
    #[serde(with = "private", default)]
    pub private: Option<Secret<Vec<u8>>>,
    /// Taken over from a Dex, whose tokens have no `typ`.
    #[serde(default)]
    pub imported: bool,
    /// Where it is in its life.
    pub stage: Stage,
    /// The longest lifetime, in seconds, that a token was allowed while this key signed.
    #[serde(default)]
    pub longest_token: u64,
}

/// The life of a key. Times are seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "stage")]
pub enum Stage {
    /// In the JWKS, not signing yet.
    Published {
        /// Since when.
        since: i64,
    },
    /// Signing.
    Signing {
        /// Since when.
        since: i64,
    },
    /// In the JWKS for the tokens it signed.
    Retired {
        /// Since when.
        since: i64,
    },
}

/// How keys are rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Which algorithms have a key, the default one first.
    pub algs: Vec<Alg>,
    /// How long a key signs.
    pub rotate_every: Duration,
    /// How long others may cache the JWKS.
    pub jwks_cached_for: Duration,
    /// The longest lifetime of a token that is issued now.
    pub longest_token: Duration,
    /// What replicas need to hear of a change, and how far clocks are apart: added to both waits.
    pub slack: Duration,
}

/// What a step did and what is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// Whether the record must be written.
    pub changed: bool,
    /// Algorithms that need a new key: make it, [`RingState::add`] it, and write the record.
    pub wanted: Vec<Alg>,
    /// The clock stands so far before the newest step that nothing was done.
    pub behind: Option<Duration>,
}

impl Stage {
    const fn since(self) -> i64 {
        match self {
            Self::Published { since } | Self::Signing { since } | Self::Retired { since } => since,
        }
    }
}

impl RingState {
    /// Moves every key on to where it should be at `now`.
    ///
    /// A clock that stands before what was written is wrong, or was wrong when that was written; either way nothing is
    /// moved by it, since a step taken at a wrong time drops keys of living tokens on every replica.
    pub fn advance(&mut self, now: Time, schedule: &Schedule) -> Step {
        if let Some(behind) = self.behind(now, schedule) {
            return Step { behind: Some(behind), ..Step::default() };
        }
        let before = self.keys.len();
        let mut changed = false;
        for key in &mut self.keys {
            changed |= key.settle(now, schedule);
        }
        for alg in &schedule.algs {
            changed |= self.promote(*alg, now, schedule);
        }
        self.keys.retain(|key| !key.is_over(now, schedule));
        let wanted = schedule.algs.iter().copied().filter(|alg| self.lacks(*alg, now, schedule)).collect();
        Step { changed: changed || self.keys.len() != before, wanted, behind: None }
    }

    /// By how much the clock stands before the newest step, if by more than clocks may be apart.
    fn behind(&self, now: Time, schedule: &Schedule) -> Option<Duration> {
        let newest = self.keys.iter().map(|key| key.stage.since()).max().map(Time::from_unix)?;
        let behind = newest.since(now);
        (now < newest && behind > schedule.slack).then_some(behind)
    }

    /// Adds a new key. The first of its algorithm signs at once: there is nothing else to sign with.
    pub fn add(&mut self, alg: Alg, public: Jwk, private: Secret<Vec<u8>>, now: Time, schedule: &Schedule) {
        let since = now.unix();
        let stage =
            if self.signing(alg).is_none() { Stage::Signing { since } } else { Stage::Published { since } };
        let longest_token = schedule.longest_token.as_secs();
        self.keys.push(RingKey {
            alg,
            public,
            private: Some(private),
            imported: false,
            stage,
            longest_token,
        });
    }

    /// The key that signs with `alg`.
    pub fn signing(&self, alg: Alg) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.alg == alg && matches!(key.stage, Stage::Signing { .. }))
    }

    /// When [`RingState::advance`] has something to do next.
    pub fn next_due(&self, now: Time, schedule: &Schedule) -> Time {
        let due = |key: &RingKey| match key.stage {
            Stage::Published { since } => Time::from_unix(since) + schedule.lead(),
            Stage::Signing { since } => {
                Time::from_unix(since) + schedule.rotate_every.saturating_sub(schedule.lead())
            }
            Stage::Retired { since } => Time::from_unix(since) + key.outlives(schedule),
        };
        let next = self.keys.iter().map(due).min().unwrap_or(now);
        // A key that is due and waits for another one is looked at again after a lead, not at once.
        if next > now { next } else { now + schedule.lead().max(Duration::from_secs(1)) }
    }

    fn promote(&mut self, alg: Alg, now: Time, schedule: &Schedule) -> bool {
        let over = match self.signing(alg).map(|key| key.stage) {
            Some(Stage::Signing { since }) => now >= Time::from_unix(since) + schedule.rotate_every,
            _ => true,
        };
        let none_signs = self.signing(alg).is_none();
        // Nothing signs: the oldest published key must, ready or not.
        let ready = |key: &RingKey| match key.stage {
            Stage::Published { since } => {
                key.alg == alg && (none_signs || now >= Time::from_unix(since) + schedule.lead())
            }
            _ => false,
        };
        let Some(next) = over.then(|| self.keys.iter().position(ready)).flatten() else { return false };
        for (at, key) in self.keys.iter_mut().enumerate().filter(|(_, key)| key.alg == alg) {
            match key.stage {
                _ if at == next => key.stage = Stage::Signing { since: now.unix() },
                Stage::Signing { .. } => key.retire(now),
                _ => {}
            }
        }
        true
    }

    /// Whether a key of `alg` must be made now: the next one is published a lead before it is to sign.
    fn lacks(&self, alg: Alg, now: Time, schedule: &Schedule) -> bool {
        let waiting =
            self.keys.iter().any(|key| key.alg == alg && matches!(key.stage, Stage::Published { .. }));
        match self.signing(alg).map(|key| key.stage) {
            Some(Stage::Signing { since }) => {
                !waiting && now + schedule.lead() >= Time::from_unix(since) + schedule.rotate_every
            }
            _ => !waiting,
        }
    }
}

impl RingKey {
    /// Follows the schedule's changes.
    fn settle(&mut self, now: Time, schedule: &Schedule) -> bool {
        let (stage, longest) = (self.stage, self.longest_token);
        if matches!(self.stage, Stage::Signing { .. }) {
            self.longest_token = self.longest_token.max(schedule.longest_token.as_secs());
        }
        if !matches!(self.stage, Stage::Retired { .. }) && !schedule.algs.contains(&self.alg) {
            self.retire(now);
        }
        self.stage != stage || self.longest_token != longest
    }

    fn retire(&mut self, now: Time) {
        self.stage = Stage::Retired { since: now.unix() };
        self.private = None;
    }

    fn is_over(&self, now: Time, schedule: &Schedule) -> bool {
        match self.stage {
            Stage::Retired { since } => now >= Time::from_unix(since) + self.outlives(schedule),
            _ => false,
        }
    }

    fn outlives(&self, schedule: &Schedule) -> Duration {
        Duration::from_secs(self.longest_token).saturating_add(schedule.slack)
    }
}

impl Schedule {
    /// How long a key is published before it signs.
    fn lead(&self) -> Duration {
        self.jwks_cached_for.saturating_add(self.slack)
    }
}

/// The private half as base64url text.
mod private {
    use ambient::Secret;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use wire::b64;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(key: &Option<Secret<Vec<u8>>>, to: S) -> Result<S::Ok, S::Error> {
        key.as_ref().map(|key| b64::encode(key.expose())).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Secret<Vec<u8>>>, D::Error> {
        match Option::<String>::deserialize(from)?.map(Secret::new) {
            None => Ok(None),
            Some(text) => b64::decode(text.expose())
                .map(|raw| Some(Secret::new(raw)))
                .ok_or_else(|| D::Error::custom("a key is not base64url")),
        }
    }
}
