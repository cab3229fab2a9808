//! Removing what has expired. Every removal is conditional on the version that was read, so that several replicas
//! sweeping at once do no harm.

use std::sync::Arc;
use std::time::Duration;

use crate::Provider;
use crate::event::{Event, Trouble};
use crate::login::Attempt;
use crate::records::grant::Grant;
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
    /// One round.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        let now = self.around.clock.now();
        for (key, attempt) in self.records.due::<Attempt>(now, BATCH).await? {
            self.records.remove::<Attempt>(&key, attempt.stamped()).await?;
        }
        for (key, used) in self.records.due::<Used>(now, BATCH).await? {
            self.records.remove::<Used>(&key, used.stamped()).await?;
        }
        let rules = self.living().settings.expiry.refresh;
        for (key, grant) in self.records.due::<Grant>(now, BATCH).await? {
            let read = grant.stamped();
            match grant.value.swept(now, &rules) {
                None => self.records.remove::<Grant>(&key, read).await?,
                Some(kept) => self.records.put(&key, read, &kept).await?,
            };
        }
        Ok(())
    }
}

const PAUSE: Duration = Duration::from_secs(60);
const BATCH: usize = 500;
