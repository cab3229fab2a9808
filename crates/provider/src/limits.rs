//! How often somebody may be wrong. A try is charged before it is judged, so that many at once are not judged for free,
//! and given back if it was right: who knows the password is never held up by having used it often.
//!
//! Charges stand under who is asked about *and* where from, and under the address alone; under the account alone they run
//! dry only if many addresses try at once, since one address is held up long before. A browser that was right about a name
//! before has tries of its own. An address of IPv6 is charged to its network, and to the site that this is one of: whoever has
//! a /48 has 65,536 networks. So nobody locks anybody else out: it takes a crowd, or an address that is shared with
//! somebody who signs in there for the first time, and ends within seconds of their stopping.
//!
//! Counted in memory, by each replica for itself. The number of things counted is bounded; the least charged are
//! forgotten first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use crate::error::Fault;
use crate::likeness::likeness;

/// What is guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door<'b> {
    /// A password, in a form or in a grant.
    Password,
    /// A password, in this browser, which was right about it before.
    KnownBrowser(&'b str),
    /// A client's secret.
    ClientSecret,
    /// The code that a person types for a device.
    UserCode,
    /// A device asking for codes: what is charged is never given back.
    DeviceCode,
}

/// So many at once, and then one each so often.
#[derive(Debug, Clone, Copy)]
struct Rule {
    at_once: u32,
    every: Duration,
}

/// The charges.
#[derive(Debug, Default)]
pub(crate) struct Limits(Mutex<HashMap<Key, Duration>>);

/// A try that was let in.
pub(crate) struct Try<'a> {
    limits: &'a Limits,
    charged: Vec<(Key, Rule)>,
}

type Key = [u8; 16];

impl Limits {
    /// Charges a try, or says how long to wait.
    ///
    /// # Errors
    /// [`Fault::TooMany`]
    pub(crate) fn admit(
        &self,
        now: Duration,
        door: Door<'_>,
        address: Option<IpAddr>,
        account: &str,
    ) -> Result<Try<'_>, Fault> {
        let charged = rules(door, address, account);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = charged.iter().map(|(key, rule)| {
            let owed = paid_at(&seen, key, now).saturating_sub(now);
            owed.saturating_sub(rule.every * rule.at_once.saturating_sub(1))
        });
        let wait = wait.max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(Fault::TooMany { retry_after: wait });
        }
        for (key, rule) in &charged {
            let next = paid_at(&seen, key, now) + rule.every;
            seen.insert(*key, next);
        }
        if seen.len() > MOST {
            forget(&mut seen, now);
        }
        drop(seen);
        Ok(Try { limits: self, charged })
    }
}

impl Try<'_> {
    /// It was right, or nobody judged it.
    pub(crate) fn give_back(self) {
        let mut seen = self.limits.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, rule) in self.charged {
            if let Some(charge) = seen.get_mut(&key) {
                *charge = charge.saturating_sub(rule.every);
            }
        }
    }
}

/// When everything that is charged is paid off.
fn paid_at(seen: &HashMap<Key, Duration>, key: &Key, now: Duration) -> Duration {
    seen.get(key).copied().unwrap_or_default().max(now)
}

/// What a try is charged to.
fn rules(door: Door<'_>, address: Option<IpAddr>, account: &str) -> Vec<(Key, Rule)> {
    let rule = |at_once, millis| Rule { at_once, every: Duration::from_millis(millis) };
    let folded = likeness(account);
    let network = address.map(network).unwrap_or_default();
    let both = key(door, "both", &network, &folded);
    let there = key(door, "address", &network, "");
    let who = key(door, "account", "", &folded);
    let site = address.and_then(site);
    let of_site = |rule: Rule, times: u32| {
        let at = site.as_deref().map(|site| key(door, "site", site, ""));
        at.map(|key| (key, rule.times(times)))
    };
    let both_of_site = |rule: Rule, times: u32| {
        let at = site.as_deref().map(|site| key(door, "both of site", site, &folded));
        at.map(|key| (key, rule.times(times)))
    };
    match door {
        Door::Password => {
            // Behind a proxy that nobody told us of, many people have one address, and it is a private one.
            let of_address = if address.is_none_or(is_private) { rule(100, 200) } else { rule(50, 2_000) };
            let of_both = rule(10, 10_000);
            // Half of what an account bears: one site alone locks nobody out.
            let sites = both_of_site(of_both, 5).into_iter().chain(of_site(of_address, SITE));
            let all = [(both, of_both), (there, of_address), (who, rule(100, 1_000))];
            all.into_iter().chain(sites).collect()
        }
        Door::KnownBrowser(browser) => {
            // Who has an account whose name is alike has as many browsers as they like that are known for it.
            let own = key(door, "browser", browser, "");
            vec![(own, rule(10, 10_000)), (who, rule(100, 1_000))]
        }
        // Secrets are long: what is guarded is the work, and the log.
        Door::ClientSecret => {
            let (of_both, of_address) = (rule(60, 1_000), rule(300, 200));
            let sites = both_of_site(of_both, SITE).into_iter().chain(of_site(of_address, SITE));
            [(both, of_both), (there, of_address)].into_iter().chain(sites).collect()
        }
        Door::UserCode | Door::DeviceCode => {
            let of_address = if door == Door::UserCode { rule(10, 10_000) } else { rule(30, 10_000) };
            let all = [(there, of_address), (key(door, "all", "", ""), rule(1_000, 100))];
            all.into_iter().chain(of_site(of_address, SITE)).collect()
        }
    }
}

impl Rule {
    /// For that many times as many.
    fn times(self, times: u32) -> Self {
        Self { at_once: self.at_once * times, every: self.every / times }
    }
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// One person has one IPv4 address, or a whole network of IPv6 ones.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6.segments().into_iter().take(4).map(|part| format!("{part:x}:")).collect(),
    }
}

/// The /48 of an IPv6 address: what a site is given (RFC 6177 section 2), and what anybody can have for little.
fn site(address: IpAddr) -> Option<String> {
    match address.to_canonical() {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some(v6.segments().into_iter().take(3).map(|part| format!("{part:x}:")).collect()),
    }
}

fn key(door: Door<'_>, kind: &str, network: &str, account: &str) -> Key {
    let door = match door {
        Door::Password => "password",
        Door::KnownBrowser(_) => "known browser",
        Door::ClientSecret => "client secret",
        Door::UserCode => "user code",
        Door::DeviceCode => "device code",
    };
    let named = format!("{door}\0{kind}\0{network}\0{account}");
    let mut key = [0; 16];
    for (place, byte) in key.iter_mut().zip(digest(&SHA256, named.as_bytes()).as_ref()) {
        *place = *byte;
    }
    key
}

/// Whatever is paid off goes, and then the less charged half.
fn forget(seen: &mut HashMap<Key, Duration>, now: Duration) {
    seen.retain(|_, charge| *charge > now);
    if seen.len() <= MOST / 2 {
        return;
    }
    let mut charges: Vec<_> = seen.values().copied().collect();
    let middle = charges.len() / 2;
    let (_, median, _) = charges.select_nth_unstable(middle);
    let median = *median;
    seen.retain(|_, charge| *charge > median);
}

/// What a site may, in times of what a network may.
const SITE: u32 = 10;

/// Things counted at once: some megabytes.
const MOST: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(limits: &Limits, now: u64, door: Door<'_>, address: &str, account: &str) -> bool {
        limits.admit(Duration::from_secs(now), door, address.parse().ok(), account).is_ok()
    }

    fn tries(limits: &Limits, now: u64, address: &str, account: &str, count: usize) -> usize {
        (0..count).filter(|_| at(limits, now, Door::Password, address, account)).count()
    }

    #[test]
    fn dex_l5_wrong_tries_are_held_up_and_right_ones_are_not() {
        let limits = Limits::default();
        assert_eq!(tries(&limits, 100, "192.0.2.1", "ana", 50), 10);
        assert_eq!(tries(&limits, 109, "192.0.2.1", "ANA", 50), 0, "case makes no difference");
        assert_eq!(tries(&limits, 110, "192.0.2.1", "ana", 50), 1);
        assert_eq!(tries(&limits, 100_000, "192.0.2.1", "ana", 50), 10, "it is forgotten");
        for _ in 0..1_000 {
            let now = Duration::from_secs(200_000);
            limits.admit(now, Door::Password, None, "ben").unwrap_or_else(|_| panic!("held up")).give_back();
        }
    }

    #[test]
    fn dex_l5_an_address_is_held_up_whomever_it_tries() {
        let limits = Limits::default();
        let all: usize = (0..100).map(|n| tries(&limits, 0, "2001:db8::1", &format!("a{n}"), 1)).sum();
        assert_eq!(all, 50);
        assert_eq!(tries(&limits, 0, "2001:db8::ffff", "x", 1), 0, "one network is one address");
        assert_eq!(tries(&limits, 0, "2001:db8:0:1::1", "x", 1), 1);
    }

    #[test]
    fn dex_l5_other_spellings_are_no_other_account() {
        let limits = Limits::default();
        let spellings =
            ["ana", "ANA", " ana", "a\u{200b}na", "\u{ff41}na", "\u{e1}na", "ana\0", "ana\u{3000}"];
        let all: usize = spellings.iter().map(|name| tries(&limits, 0, "192.0.2.1", name, 10)).sum();
        assert_eq!(all, 10);
        assert_eq!(tries(&limits, 0, "192.0.2.1", "anna", 1), 1);
    }

    /// Who has a site has 65,536 networks.
    #[test]
    fn dex_l5_a_site_is_held_up_whichever_of_its_networks_it_comes_from() {
        let limits = Limits::default();
        let from = |network: u32| format!("2001:db8:7:{network:x}::1");
        let one: usize = (0..1_000).map(|n| tries(&limits, 0, &from(n), "ana", 1)).sum();
        assert_eq!(one, 50, "at one account");
        assert_eq!(tries(&limits, 0, "192.0.2.1", "ana", 1), 1, "and nobody is locked out by it");
        let all: usize = (0..1_000).map(|n| tries(&limits, 0, &from(n), &format!("a{n}"), 1)).sum();
        assert_eq!(all, 450, "at all of them");
        assert_eq!(tries(&limits, 0, "2001:db8:8::1", "ben", 1), 1, "the neighbours are not");
        for (door, most) in [(Door::ClientSecret, 3_000), (Door::UserCode, 100), (Door::DeviceCode, 300)] {
            let limits = Limits::default();
            let tried = (0..4_000).filter(|n| at(&limits, 0, door, &from(*n), &format!("a{n}")));
            assert_eq!(tried.count(), most, "{door:?}");
        }
    }

    /// Who may make accounts may have one whose name is alike, and sign in to it as often as they like.
    #[test]
    fn dex_l5_however_many_browsers_are_known_an_account_is_one() {
        let limits = Limits::default();
        let browsers = (0..50).map(|n| format!("browser-{n}"));
        let tried = browsers.map(|browser| {
            (0..10).filter(|_| at(&limits, 0, Door::KnownBrowser(&browser), "x", "ana")).count()
        });
        assert_eq!(tried.sum::<usize>(), 100);
        assert_eq!((0..50).filter(|_| at(&limits, 0, Door::KnownBrowser("b"), "x", "ben")).count(), 10);
    }

    /// However long one address tries, its victim signs in from elsewhere.
    #[test]
    fn dex_l5_nobody_locks_anybody_else_out() {
        let limits = Limits::default();
        for now in 0..5_000 {
            tries(&limits, now, "192.0.2.66", "ana", 5);
            assert!(at(&limits, now, Door::Password, "192.0.2.1", &format!("other{now}")) || now > 40);
        }
        assert_eq!(tries(&limits, 5_000, "198.51.100.1", "ana", 1), 1);
        // A crowd can, and only as long as it goes on.
        for n in 0..=255 {
            tries(&limits, 10_000, &format!("203.0.113.{n}"), "ben", 10);
        }
        assert_eq!(tries(&limits, 10_000, "198.51.100.1", "ben", 1), 0);
        assert_eq!(tries(&limits, 10_001, "198.51.100.1", "ben", 1), 1);
    }

    #[test]
    fn attack_25_what_is_counted_is_bounded_and_the_worst_are_kept() {
        let limits = Limits::default();
        assert_eq!(tries(&limits, 0, "192.0.2.1", "ana", 20), 10);
        for n in 0..100_000_u32 {
            at(&limits, 0, Door::ClientSecret, &IpAddr::from(n.to_be_bytes()).to_string(), "x");
        }
        assert!(limits.0.lock().unwrap().len() <= MOST);
        assert_eq!(tries(&limits, 0, "192.0.2.1", "ana", 1), 0);
    }
}
