//! Removing what has expired. Of several replicas one sweeps at a time: whoever takes the turn, a record, has it until the
//! next is due. Every removal is conditional on the version that was read, so that two who sweep at once, because a clock is
//! wrong or one of them was slow, do no harm.

use std::sync::Arc;
use std::time::Duration;

use ambient::Time;
use serde::{Deserialize, Serialize};

use crate::Provider;
use crate::event::{Event, Trouble};
use crate::login::Attempt;
use crate::records::Record;
use crate::records::device::Device;
use crate::records::grant::{Grant, RefreshRules};
use crate::records::revoked::Revoked;
use crate::records::used::Used;
use crate::store::{Kind, Outcome, StoreError};

/// Sweeps until the process ends.
pub async fn run(provider: Arc<Provider>) {
    loop {
        provider.around().clock.sleep(PAUSE).await;
        if let Err(error) = provider.sweep_in_turn().await {
            let what = format!("expired records stay for now: {error}");
            let trouble = Trouble { at: provider.around().clock.now(), part: "sweep", what };
            provider.around().events.observe(&Event::Trouble(trouble));
        }
    }
}

/// Whose turn it is to sweep: nobody's before that moment, in milliseconds since the epoch.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Turn {
    next: i64,
}

impl Record for Turn {
    const KIND: Kind = Kind("sweeping");
    const SEALED: bool = false;

    fn due(&self) -> Option<Time> {
        None
    }
}

impl Provider {
    /// One round, unless another replica has done it. Answers whether it was ours.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep_in_turn(&self) -> Result<bool, StoreError> {
        let now = self.around.clock.now();
        let ours = Turn { next: (now + PAUSE).millis() };
        let taken = match self.records.read::<Turn>(TURN).await? {
            None => self.records.create(TURN, &ours).await?,
            // One that is further away than any turn was taken by a clock that went wrong.
            Some(turn) if now.millis() < turn.value.next && turn.value.next <= ours.next => return Ok(false),
            Some(turn) => self.records.put(TURN, turn.stamped(), &ours).await?,
        };
        if taken == Outcome::Lost {
            return Ok(false);
        }
        self.sweep().await?;
        Ok(true)
    }

    /// One round: as many batches as there are.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        let now = self.around.clock.now();
        let rules = self.living().settings.expiry.refresh;
        let longest = self.living().settings.longest_token();
        while self.sweep_plain::<Attempt>(now).await? == BATCH {}
        while self.sweep_plain::<Device>(now).await? == BATCH {}
        while self.sweep_plain::<Revoked>(now).await? == BATCH {}
        while self.sweep_plain::<Used>(now).await? == BATCH {}
        while self.sweep_grants(now, &rules, longest).await? == BATCH {}
        Ok(())
    }

    /// Records that are over when their time has come, also those that cannot be read any more: they would stay at the
    /// front for ever. Says how many are gone; where that is no whole batch, the rest has time until the next round.
    async fn sweep_plain<R: Record>(&self, now: Time) -> Result<usize, StoreError> {
        let mut gone = 0;
        for (key, read) in self.records.over::<R>(now, BATCH).await? {
            gone += usize::from(self.records.remove::<R>(&key, read).await? == Outcome::Done);
        }
        Ok(gone)
    }

    async fn sweep_grants(
        &self,
        now: Time,
        rules: &RefreshRules,
        longest_token: Duration,
    ) -> Result<usize, StoreError> {
        let due = self.records.due::<Grant>(now, BATCH).await?;
        let mut done = 0;
        for (key, grant) in due {
            let read = grant.stamped();
            let outcome = match grant.value.swept(now, rules, longest_token) {
                None => self.records.remove::<Grant>(&key, read).await?,
                Some(kept) => self.records.put(&key, read, &kept).await?,
            };
            done += usize::from(outcome == Outcome::Done);
        }
        Ok(done)
    }
}

/// Between two rounds, of all replicas together.
const PAUSE: Duration = Duration::from_secs(60);
const BATCH: usize = 500;
const TURN: &str = "turn";
