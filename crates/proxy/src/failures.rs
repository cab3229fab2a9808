//! A bound on bad tokens from one address: checking a signature, or asking the API server, costs more than making a token up.
//!
//! Only failures count, and whoever was let in before passes all the same: behind one address may sit a whole company, and a
//! pipeline that went wrong there must not lock the others out. A try takes its place before it is made and gets it back when it
//! was a good one: otherwise as many as come at once would all be let try.

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

/// A try that counts as a failure unless it is said to be none; so does one whose maker went away.
#[must_use]
pub(crate) struct Try<'a> {
    failures: &'a Failures,
    from: IpAddr,
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

    /// A place for one try of this address; `None`: as many failed, or are being tried, as may.
    pub(crate) fn begin(&self, from: IpAddr) -> Option<Try<'_>> {
        let most = u64::from(self.per_second) * BURST * ONE;
        let more = |failures: u64| failures.checked_add(ONE).filter(|more| *more <= most);
        let may = self.per_second == 0 || self.change(from, more);
        may.then_some(Try { failures: self, from })
    }

    /// Changes the bucket as it is now, what has come back since taken off.
    fn change(&self, from: IpAddr, change: impl FnOnce(u64) -> Option<u64>) -> bool {
        let (key, now) = (key(from), self.clock.monotonic());
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counted.young.get(&key).or_else(|| counted.old.get(&key)).copied();
        let failures = known.map_or(0, |Bucket { failures, at }| {
            let since = u64::try_from(now.saturating_sub(at).as_millis()).unwrap_or(u64::MAX);
            failures.saturating_sub(since.saturating_mul(u64::from(self.per_second)))
        });
        let Some(failures) = change(failures) else { return false };
        if counted.young.len() >= MOST && !counted.young.contains_key(&key) {
            counted.old = std::mem::take(&mut counted.young);
        }
        counted.young.insert(key, Bucket { failures, at: now });
        true
    }
}

impl Try<'_> {
    /// Gives the place back.
    pub(crate) fn was_no_failure(self) {
        let Self { failures, from } = self;
        if failures.per_second != 0 {
            failures.change(from, |failures| Some(failures.saturating_sub(ONE)));
        }
    }
}

/// Of an IPv6 address its network: whoever has one address of it has them all.
fn key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(four) => four.to_ipv6_mapped().to_bits(),
        IpAddr::V6(six) => six.to_bits() >> 64 << 64,
    }
}

const ONE: u64 = 1000;

const BURST: u64 = 10;

/// Addresses a generation.
const MOST: usize = 8192;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
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

    const ADDRESSES: [IpAddr; 2] =
        [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2))];

    #[test]
    fn failures_of_one_address_have_a_bound_and_come_back() {
        let clock = Arc::new(Ticks::default());
        let failures = Failures::new(2, clock.clone());
        let [one, other] = ADDRESSES;
        let fails = |from| failures.begin(from).is_some();
        assert!((0..20).all(|_| fails(one)));
        assert!(!fails(one) && fails(other));
        clock.0.store(500, Ordering::Relaxed);
        assert!(fails(one) && !fails(one));
        let six = |last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        assert!((0..20).all(|last| fails(six(last))));
        assert!(!fails(six(99)));
    }

    #[test]
    fn attack_25_tries_at_once_have_the_same_bound_and_good_ones_give_their_place_back() {
        let failures = Failures::new(1, Arc::new(Ticks::default()));
        let [one, _] = ADDRESSES;
        let mut tries: Vec<_> = (0..30).filter_map(|_| failures.begin(one)).collect();
        assert_eq!(tries.len(), 10, "none of them has failed yet");
        tries.pop().unwrap().was_no_failure();
        assert!(failures.begin(one).is_some());
        drop(tries);
        assert!(failures.begin(one).is_none(), "whoever went away counts");
    }

    #[test]
    fn the_size_is_bounded() {
        let failures = Failures::new(1, Arc::new(Ticks::default()));
        for i in 0..u32::try_from(MOST * 3).unwrap() {
            let _ = failures.begin(IpAddr::from(i.to_be_bytes()));
        }
        let counted = failures.counted.lock().unwrap();
        assert!(counted.young.len() <= MOST && counted.old.len() <= MOST);
    }
}
