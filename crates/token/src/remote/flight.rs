//! At most one fetch per issuer at a time, and the memory of what may not cause another one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::pace::Bucket;
use super::{Pace, Shared, Unavailable};
use crate::keyset::Outcome;

/// The state of an issuer's fetches. The lock is held for moments and never over an await.
pub(super) struct Flight(Mutex<State>);

struct State {
    under_way: Option<watch::Receiver<Landed>>,
    failures: u32,
    not_before: Duration,
    last_error: Option<Unavailable>,
    unknown: Bucket,
    wrong: Bucket,
    missing: VecDeque<(Box<str>, Duration)>,
}

type Landed = Option<Result<(), Unavailable>>;

/// A seat on a fetch: under way, or known to be of no use at the moment.
pub(super) enum Boarding {
    Aboard(watch::Receiver<Landed>),
    Paused(Unavailable),
}

impl Boarding {
    /// Waits for the fetch to end.
    pub(super) async fn arrive(self) -> Result<(), Unavailable> {
        match self {
            Self::Paused(why) => Err(why),
            Self::Aboard(mut landed) => match landed.wait_for(Option::is_some).await {
                Ok(result) => result.clone().unwrap_or(Err(Unavailable::Abandoned)),
                Err(_) => Err(Unavailable::Abandoned),
            },
        }
    }
}

impl Flight {
    pub(super) fn new(now: Duration) -> Self {
        Self(Mutex::new(State {
            under_way: None,
            failures: 0,
            not_before: now,
            last_error: None,
            unknown: Bucket::full(now),
            wrong: Bucket::full(now),
            missing: VecDeque::new(),
        }))
    }

    /// Joins the fetch that is under way, or begins one unless the issuer failed a moment ago.
    pub(super) fn board(shared: &Arc<Shared>) -> Boarding {
        let mut state = shared.flight.state();
        if let Some(landed) = state.under_way.as_ref().filter(|landed| landed.has_changed().is_ok()) {
            return Boarding::Aboard(landed.clone());
        }
        if shared.clock.monotonic() < state.not_before {
            return Boarding::Paused(state.last_error.clone().unwrap_or(Unavailable::NotYet));
        }
        let (tell, landed) = watch::channel(None);
        state.under_way = Some(landed.clone());
        drop(state);
        let flying = Arc::clone(shared);
        shared.tasks.spawn_until_stop(async move {
            let result = flying.fly().await;
            flying.flight.land(&flying, &result);
            tell.send_replace(Some(result));
        });
        Boarding::Aboard(landed)
    }

    pub(super) fn last_error(&self) -> Option<Unavailable> {
        self.state().last_error.clone()
    }

    /// Whether a token that did not verify may cause a fetch. Two buckets: forged signatures under a known key cannot
    /// keep a new key from being found.
    pub(super) fn may_force(&self, shared: &Shared, kid: Option<&str>, outcome: Outcome) -> bool {
        let now = shared.clock.monotonic();
        let mut state = self.state();
        state.missing.retain(|(_, until)| *until > now);
        if now < state.not_before {
            // Boarding will say why the issuer is left alone: whether it has a new key, nobody knows at the moment.
            return outcome == Outcome::NoKey;
        }
        match outcome {
            Outcome::Good { .. } => false,
            Outcome::NoKey => {
                let known_missing = state.missing.iter().any(|(missing, _)| Some(&**missing) == kid);
                !known_missing && state.unknown.take(now, shared.pace.forced_every)
            }
            Outcome::Wrong => state.wrong.take(now, shared.pace.forced_every * WRONG_IS_RARER),
        }
    }

    /// Remembers for a while that the issuer has no key of this name. Grows by at most one entry per forced fetch.
    pub(super) fn remember_missing(&self, shared: &Shared, kid: Option<&str>) {
        let until = shared.clock.monotonic() + MISSING_FOR;
        let mut state = self.state();
        if state.missing.len() == MISSING_AT_MOST {
            state.missing.pop_front();
        }
        if let Some(kid) = kid {
            state.missing.push_back((Box::from(kid), until));
        }
    }

    fn land(&self, shared: &Shared, result: &Result<(), Unavailable>) {
        let mut state = self.state();
        state.under_way = None;
        match result {
            Ok(()) => {
                state.failures = 0;
                state.last_error = None;
            }
            Err(why) => {
                state.failures = state.failures.saturating_add(1);
                state.not_before = shared.clock.monotonic() + Pace::pause(state.failures);
                state.last_error = Some(why.clone());
                tracing::warn!(source = ?shared.source, failures = state.failures, "an issuer's keys could not be fetched: {why}");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MISSING_FOR: Duration = Duration::from_secs(30);
const MISSING_AT_MOST: usize = 32;
const WRONG_IS_RARER: u32 = 6;
