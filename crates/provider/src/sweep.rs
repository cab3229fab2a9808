//! Removing what has expired. Every removal is conditional on the version that was read, so that several replicas
//! sweeping at once do no harm.

use std::sync::Arc;
use std::time::Duration;

use ambient::Time;

use crate::Provider;
use crate::event::{Event, Trouble};
use crate::login::Attempt;
use crate::records::grant::{Grant, RefreshRules};
use crate::records::used::Used;
use crate::store::StoreError;

/// Sweeps until the process ends.
pub async fn run(provider: Arc<Provider>) {
    loop {
        provider.around().clock.sleep(PAUSE).await;
        if let Err(error) = provider.sweep().await {
            let what = format!("expired records stay for now: {error}");
            let trouble = Trouble { at: provider.around().clock.now(), part: "sweep", what };
            provider.around().events.observe(&Event::Trouble(trouble));
        }
    }
}

impl Provider {
    /// One round: as many batches as there are.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        let now = self.around.clock.now();
        let rules = self.living().settings.expiry.refresh;
        while self.sweep_attempts(now).await? == BATCH {}
        while self.sweep_used(now).await? == BATCH {}
        while self.sweep_grants(now, &rules).await? == BATCH {}
        Ok(())
    }

    async fn sweep_attempts(&self, now: Time) -> Result<usize, StoreError> {
        let due = self.records.due::<Attempt>(now, BATCH).await?;
        let found = due.len();
        for (key, attempt) in due {
            self.records.remove::<Attempt>(&key, attempt.stamped()).await?;
        }
        Ok(found)
    }

    async fn sweep_used(&self, now: Time) -> Result<usize, StoreError> {
        let due = self.records.due::<Used>(now, BATCH).await?;
        let found = due.len();
        for (key, used) in due {
            self.records.remove::<Used>(&key, used.stamped()).await?;
        }
        Ok(found)
    }

    async fn sweep_grants(&self, now: Time, rules: &RefreshRules) -> Result<usize, StoreError> {
        let due = self.records.due::<Grant>(now, BATCH).await?;
        let found = due.len();
        for (key, grant) in due {
            let read = grant.stamped();
            match grant.value.swept(now, rules) {
                None => self.records.remove::<Grant>(&key, read).await?,
                Some(kept) => self.records.put(&key, read, &kept).await?,
            };
        }
        Ok(found)
    }
}

const PAUSE: Duration = Duration::from_secs(60);
const BATCH: usize = 500;
