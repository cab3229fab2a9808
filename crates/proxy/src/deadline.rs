//! When a request, its answer and its tunnel end although nobody ended them: soon after their caller's token.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ambient::{BoxFuture, Clock};

/// A moment, by a clock that never steps back.
#[derive(Clone)]
pub(crate) struct Deadline {
    at: Duration,
    clock: Arc<dyn Clock>,
}

impl Deadline {
    pub(crate) fn after(left: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { at: clock.monotonic().saturating_add(left), clock }
    }

    pub(crate) fn has_passed(&self) -> bool {
        self.clock.monotonic() >= self.at
    }

    /// Resolves when it has passed.
    pub(crate) fn passed(&self) -> BoxFuture<'static, ()> {
        self.clock.sleep(self.at.saturating_sub(self.clock.monotonic()))
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deadline").field(&self.at).finish()
    }
}
