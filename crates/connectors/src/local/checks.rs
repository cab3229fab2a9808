//! Password checks, a few at a time and fairly: whoever storms one name waits alone.
//!
//! bcrypt takes too long for the threads that serve, and tokio's blocking pool is shared with everything else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ambient::Secret;
use provider::connector::UpstreamError;
use token::{SignError, SigningPool};

/// Threads that check passwords, and who stands before them.
#[derive(Default)]
pub(super) struct Checks {
    /// Started at the first try: most processes check no passwords.
    pool: Mutex<Option<SigningPool>>,
    waiting: Waiting,
}

/// How many checks of each name wait or run.
type Waiting = Arc<Mutex<HashMap<String, usize>>>;

impl Checks {
    /// Runs `work` for somebody of that name.
    pub(super) async fn run(
        &self,
        name: String,
        work: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<bool, UpstreamError> {
        let slot = Slot::take(&self.waiting, name).ok_or(UpstreamError::Busy)?;
        let job = move || {
            // Until the job is over, not until its asker has gone: hanging up makes no room for another try.
            let _slot = slot;
            work()
        };
        self.pool()?.run(job).await.map_err(|error| match error {
            SignError::Busy => UpstreamError::Busy,
            other => UpstreamError::Unavailable(other.to_string()),
        })
    }

    fn pool(&self) -> Result<SigningPool, UpstreamError> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*pool {
            return Ok(running.clone());
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let started = SigningPool::start(threads(cores), QUEUED)
            .map_err(|error| UpstreamError::Unavailable(format!("no thread for passwords: {error}")))?;
        Ok(pool.insert(started).clone())
    }
}

/// Whether a password is that of a row with `hash` of `cost`. Whoever fails has cost as much as a hash of `most`, the
/// costliest there is, so that time does not tell a name with a cheap hash from one that nobody has.
pub(super) fn compare(
    password: &Secret<String>,
    hash: &Secret<String>,
    (cost, most): (u32, u32),
    mut bcrypt: impl FnMut(&str, &str) -> bool,
) -> bool {
    if bcrypt(password.expose(), hash.expose()) {
        return true;
    }
    // Each step of cost doubles the work: 2^c + 2^c + 2^(c+1) + … + 2^(most-1) = 2^most.
    for cost in cost..most {
        bcrypt(password.expose(), nobody(cost).expose());
    }
    false
}

/// A well-formed hash that nothing hashes to.
pub(super) fn nobody(cost: u32) -> Secret<String> {
    Secret::new(format!("$2a${cost:02}${}", ".".repeat(53)))
}

/// One place among the checks of a name.
struct Slot {
    waiting: Waiting,
    name: String,
}

impl Slot {
    fn take(waiting: &Waiting, name: String) -> Option<Self> {
        let mut counts = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(name.clone()).or_default();
        if *count >= EACH {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Self { waiting: Arc::clone(waiting), name })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.name) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.name)),
        }
    }
}

/// Half the machine: the rest serves those who have signed in.
fn threads(cores: usize) -> usize {
    (cores / 2).clamp(1, 4)
}

/// More tries than that at once are nobody's forgetfulness.
const EACH: usize = 4;
/// At a tenth of a second each, whoever stands further back is not waiting any more.
const QUEUED: usize = 32;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Checks whose only thread is held until the sender is dropped.
    fn held() -> (Arc<Checks>, mpsc::Sender<()>) {
        let checks = Checks::default();
        let pool = SigningPool::start(1, QUEUED).unwrap();
        *checks.pool.lock().unwrap() = Some(pool.clone());
        let (hold, until) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let job = move || {
            begin.send(()).unwrap();
            until.recv().is_err()
        };
        let mut holding = Box::pin(async move { pool.run(job).await });
        assert!(once(holding.as_mut()).is_none());
        begun.recv().unwrap();
        // The job is skipped once its asker has gone.
        drop(std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(holding)
        }));
        (Arc::new(checks), hold)
    }

    fn once<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(done) => Some(done),
            std::task::Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn attack_25_one_name_has_few_places_and_hanging_up_frees_none() {
        let (checks, hold) = held();
        let check = |name: &str| {
            let (checks, name) = (Arc::clone(&checks), name.to_owned());
            Box::pin(async move { checks.run(name, || true).await })
        };
        let mut stormers: Vec<_> = (0..EACH).map(|_| check("ana")).collect();
        for stormer in &mut stormers {
            assert!(once(stormer.as_mut()).is_none(), "it waits");
        }
        assert!(matches!(once(check("ana").as_mut()), Some(Err(UpstreamError::Busy))));
        drop(stormers);
        for _ in 0..100 {
            assert!(matches!(once(check("ana").as_mut()), Some(Err(UpstreamError::Busy))), "they hung up");
        }
        let mut other = check("ben");
        assert!(once(other.as_mut()).is_none(), "there is room for others");
        drop(hold);
        assert!(other.await.unwrap());
        // The queue is served in order, so the storm is over.
        assert!(check("ana").await.unwrap());
        assert!(checks.waiting.lock().unwrap().len() <= 1, "names are forgotten");
    }

    #[tokio::test]
    async fn attack_25_many_names_are_bounded_too() {
        let (checks, hold) = held();
        let mut waiting = Vec::new();
        for n in 0..200 {
            let (checks, name) = (Arc::clone(&checks), n.to_string());
            let mut one = Box::pin(async move { checks.run(name, || true).await });
            match once(one.as_mut()) {
                None => waiting.push(one),
                Some(said) => assert!(matches!(said, Err(UpstreamError::Busy))),
            }
        }
        assert_eq!(waiting.len(), QUEUED);
        assert_eq!(checks.waiting.lock().unwrap().len(), waiting.len(), "who was turned away is forgotten");
        drop(hold);
        for one in waiting {
            assert!(one.await.unwrap());
        }
    }

    /// Time is not measured: what is hashed is counted, in units of the cheapest.
    #[test]
    fn dex_l8_every_failure_costs_the_same() {
        let spent = |cost: u32| {
            let mut units = 0_u64;
            let count = |_: &str, hash: &str| {
                let cost: u32 = hash.split('$').nth(2).unwrap().parse().unwrap();
                units += 1 << cost;
                false
            };
            assert!(!compare(&Secret::from("x"), &nobody(cost), (cost, 14), count));
            units
        };
        assert_eq!(spent(14), 1 << 14);
        assert_eq!([spent(10), spent(11), spent(13)], [spent(14); 3]);
        let mut hashes = 0;
        assert!(compare(&Secret::from("x"), &nobody(10), (10, 14), |_, _| {
            hashes += 1;
            true
        }));
        assert_eq!(hashes, 1);
    }

    #[test]
    fn half_the_cores_check_passwords() {
        assert_eq!([0, 1, 2, 3, 4, 6, 8, 9, 64].map(threads), [1, 1, 1, 1, 2, 3, 4, 4, 4]);
    }
}
