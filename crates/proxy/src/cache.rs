//! What was found out of a token a moment ago: kubectl sends the same one with every request.
//!
//! An entry lives for at most ten seconds, as in the API server, and never past its token. Tokens are kept under a digest, and
//! bad ones only where asking again would cost the API server something. Two generations bound the size without bookkeeping:
//! when the young one is full or old, it becomes the old one, which is forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambient::{Clock, Time};
use aws_lc_rs::digest;

pub(crate) struct Cache<V> {
    clock: Arc<dyn Clock>,
    generations: Mutex<Generations<V>>,
}

struct Generations<V> {
    young: HashMap<Digest, Entry<V>>,
    old: HashMap<Digest, Entry<V>>,
    born: Duration,
}

struct Entry<V> {
    value: Arc<V>,
    ends: Time,
    verified: Duration,
}

/// What a token is remembered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }
}

impl<V> Cache<V> {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let none = Generations { young: HashMap::new(), old: HashMap::new(), born: Duration::ZERO };
        Self { clock, generations: Mutex::new(none) }
    }

    /// What is known of this token, if that was found out less than [`KEEP`] ago and the token has not ended since.
    pub(crate) fn find(&self, token: &Digest) -> Option<Arc<V>> {
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = generations.young.get(token).or_else(|| generations.old.get(token))?;
        let fresh = now < entry.ends && monotonic.saturating_sub(entry.verified) < KEEP;
        fresh.then(|| Arc::clone(&entry.value))
    }

    /// Remembers what is known of a token that ends at `ends`.
    pub(crate) fn keep(&self, token: Digest, value: &Arc<V>, ends: Time) {
        let verified = self.clock.monotonic();
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= MOST || verified.saturating_sub(generations.born) >= KEEP {
            generations.old = std::mem::take(&mut generations.young);
            generations.born = verified;
        }
        generations.young.insert(token, Entry { value: Arc::clone(value), ends, verified });
    }
}

/// How long a verified caller is believed without another look.
const KEEP: Duration = Duration::from_secs(10);

/// Callers a generation; twice that is the most that is held.
const MOST: usize = 4096;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use ambient::BoxFuture;

    use super::*;
    use crate::authenticate::{Caller, Way};
    use crate::identity::KubeUser;

    #[derive(Default)]
    struct Ticks(AtomicU64);

    impl Ticks {
        fn pass(&self, seconds: u64) {
            self.0.fetch_add(seconds, Ordering::Relaxed);
        }
    }

    impl Clock for Ticks {
        fn now(&self) -> Time {
            Time::from_unix(1_000_000) + self.monotonic()
        }
        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }
        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    fn caller(name: &str) -> Arc<Caller> {
        Arc::new(Caller {
            user: KubeUser { name: name.into(), ..KubeUser::default() },
            token_id: None,
            issuer: "test".into(),
            way: Way::Token,
            ends: Time::MAX,
        })
    }

    #[test]
    fn a_caller_is_kept_for_ten_seconds_and_not_longer() {
        let clock = Arc::new(Ticks::default());
        let cache = Cache::new(clock.clone());
        cache.keep(Digest::of("token"), &caller("jane"), Time::MAX);
        assert_eq!(cache.find(&Digest::of("token")).unwrap().user.name, "jane");
        assert!(cache.find(&Digest::of("token2")).is_none());
        clock.pass(9);
        assert!(cache.find(&Digest::of("token")).is_some());
        clock.pass(1);
        assert!(cache.find(&Digest::of("token")).is_none());
    }

    #[test]
    fn a_caller_is_never_kept_past_its_token() {
        let clock = Arc::new(Ticks::default());
        let cache = Cache::new(clock.clone());
        cache.keep(Digest::of("token"), &caller("jane"), clock.now() + Duration::from_secs(3));
        clock.pass(2);
        assert!(cache.find(&Digest::of("token")).is_some());
        clock.pass(1);
        assert!(cache.find(&Digest::of("token")).is_none());
    }

    #[test]
    fn the_size_is_bounded() {
        let cache = Cache::new(Arc::new(Ticks::default()));
        for i in 0..MOST * 3 {
            cache.keep(Digest::of(&format!("token {i}")), &caller("jane"), Time::MAX);
        }
        let generations = cache.generations.lock().unwrap();
        assert!(generations.young.len() <= MOST && generations.old.len() <= MOST);
        drop(generations);
        assert!(cache.find(&Digest::of(&format!("token {}", MOST * 3 - 1))).is_some());
        assert!(cache.find(&Digest::of("token 0")).is_none());
    }
}
