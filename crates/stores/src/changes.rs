//! Wakes those who watch a kind of record. Shared by all backends whose writes pass through this process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use provider::store::Kind;
use tokio::sync::watch;

/// One wake-up line per watched kind.
#[derive(Default)]
pub(crate) struct Changes {
    lines: Mutex<HashMap<Kind, watch::Sender<()>>>,
}

impl Changes {
    /// Records of `kind` changed.
    pub(crate) fn tell(&self, kind: Kind) {
        if let Some(line) = self.lock().get(&kind) {
            line.send_replace(());
        }
    }

    /// Something changed, nobody knows what.
    pub(crate) fn tell_all(&self) {
        for line in self.lock().values() {
            line.send_replace(());
        }
    }

    /// From now on no change of `kind` is missed.
    pub(crate) fn subscribe(&self, kind: Kind) -> watch::Receiver<()> {
        self.lock().entry(kind).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, watch::Sender<()>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
