//! What an evaluation may cost, counted: a runaway expression stops in the thread it runs in, at the same step every time.

use crate::eval::Problem;

/// Units left to spend: one a step, one for every ten bytes read or made, as Kubernetes weighs them.
#[derive(Debug, Clone)]
pub struct Budget {
    left: u64,
}

impl Budget {
    /// So many units.
    pub const fn new(units: u64) -> Self {
        Self { left: units }
    }

    /// What is left.
    pub const fn left(&self) -> u64 {
        self.left
    }

    pub(crate) fn spend(&mut self, units: usize) -> Result<(), Problem> {
        let rest = u64::try_from(units).ok().and_then(|units| self.left.checked_sub(units));
        // What could not be paid leaves nothing for something smaller either.
        self.left = rest.unwrap_or(0);
        rest.map(|_| ()).ok_or(Problem::Exhausted)
    }

    pub(crate) fn spend_bytes(&mut self, bytes: usize) -> Result<(), Problem> {
        self.spend(bytes.div_ceil(BYTES_PER_UNIT))
    }
}

impl Default for Budget {
    /// What Kubernetes grants one expression.
    fn default() -> Self {
        Self::new(1_000_000)
    }
}

const BYTES_PER_UNIT: usize = 10;
