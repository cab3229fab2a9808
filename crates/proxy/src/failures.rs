//! A bound on bad tokens from one address: checking a signature, or asking the API server, costs more than making a token up.
//!
//! Only failures count, and whoever is known already passes all the same: behind one address may sit a whole company, and a
//! pipeline that went wrong there must not lock the others out for longer than a token is remembered.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambient::Clock;

/// Counts failures. `per_second` come back; ten times as many may fail at once.
pub(crate) struct Failures {
    per_second: u32,
    clock: Arc<dyn Clock>,
    counted: Mutex<Counted>,
}

/// Two generations bound the size: when the young one is full, it becomes the old one, which is forgotten.
#[derive(Default)]
struct Counted {
    young: HashMap<u128, Bucket>,
    old: HashMap<u128, Bucket>,
}

#[derive(Clone, Copy)]
struct Bucket {
    /// In thousandths.
    failures: u64,
    at: Duration,
}

impl Failures {
    pub(crate) fn new(per_second: u32, clock: Arc<dyn Clock>) -> Self {
        Self { per_second, clock, counted: Mutex::default() }
    }

    /// Whether this address may bring a token that is not known yet.
    pub(crate) fn may_try(&self, from: IpAddr) -> bool {
        self.per_second == 0 || self.now(from).failures < u64::from(self.per_second) * BURST * 1000
    }

    /// Counts a token that did not pass.
    pub(crate) fn count(&self, from: IpAddr) {
        if self.per_second == 0 {
            return;
        }
        let mut bucket = self.now(from);
        bucket.failures = bucket.failures.saturating_add(1000);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.young.len() >= MOST {
            counted.old = std::mem::take(&mut counted.young);
        }
        counted.young.insert(key(from), bucket);
    }

    /// The bucket as it is now, what has come back since taken off.
    fn now(&self, from: IpAddr) -> Bucket {
        let now = self.clock.monotonic();
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counted.young.get(&key(from)).or_else(|| counted.old.get(&key(from))).copied();
        let Some(Bucket { failures, at }) = known else { return Bucket { failures: 0, at: now } };
        let since = u64::try_from(now.saturating_sub(at).as_millis()).unwrap_or(u64::MAX);
        let back = since.saturating_mul(u64::from(self.per_second));
        Bucket { failures: failures.saturating_sub(back), at: now }
    }
}

/// Of an IPv6 address its network: whoever has one address of it has them all.
fn key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(four) => four.to_ipv6_mapped().to_bits(),
        IpAddr::V6(six) => six.to_bits() >> 64 << 64,
    }
}

const BURST: u64 = 10;

/// Addresses a generation.
const MOST: usize = 8192;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use ambient::{BoxFuture, Time};

    use super::*;

    #[derive(Default)]
    struct Ticks(AtomicU64);

    impl Clock for Ticks {
        fn now(&self) -> Time {
            Time::from_unix(0)
        }
        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Relaxed))
        }
        fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn failures_of_one_address_have_a_bound_and_come_back() {
        let clock = Arc::new(Ticks::default());
        let failures = Failures::new(2, clock.clone());
        let [one, other]: [IpAddr; 2] = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()];
        for _ in 0..20 {
            assert!(failures.may_try(one));
            failures.count(one);
        }
        assert!(!failures.may_try(one) && failures.may_try(other));
        clock.0.store(500, Ordering::Relaxed);
        assert!(failures.may_try(one));
        failures.count(one);
        assert!(!failures.may_try(one));
        let six = |last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        (0..20).for_each(|last| failures.count(six(last)));
        assert!(!failures.may_try(six(99)));
    }

    #[test]
    fn the_size_is_bounded() {
        let failures = Failures::new(1, Arc::new(Ticks::default()));
        for i in 0..u32::try_from(MOST * 3).unwrap() {
            failures.count(IpAddr::from(i.to_be_bytes()));
        }
        let counted = failures.counted.lock().unwrap();
        assert!(counted.young.len() <= MOST && counted.old.len() <= MOST);
    }
}
