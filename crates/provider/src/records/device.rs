//! A device that waits for its person (RFC 8628): what it asked for, how it proves that it is the one, how far it got. It
//! stands under the keyed hash of its user code, which is short enough to be guessed by whoever reads the store.

use ambient::Time;
use serde::{Deserialize, Serialize};

use super::grant::{Challenge, Hash};
use super::{Change, Record};
use crate::store::Kind;

/// See the module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Device {
    /// Who asked, and who alone gets the tokens.
    pub client: String,
    /// What for.
    pub scopes: Vec<String>,
    /// PKCE, if the client uses it here.
    pub challenge: Option<Challenge>,
    /// Of the device code.
    pub secret: Hash,
    /// Seconds since the epoch.
    pub expires: i64,
    /// Seconds between two polls.
    pub interval: i64,
    /// When it was last told to wait, in milliseconds since the epoch.
    pub asked: i64,
    /// How far it got.
    pub state: State,
}

/// How far a device got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Nobody has decided.
    Waits,
    /// Somebody allowed it: the grant of that id holds what the device gets, and gives it once.
    Allowed(String),
    /// Somebody refused.
    Refused,
}

/// What a poll comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Polled {
    /// Nobody has decided.
    Waits,
    /// Too soon after the last.
    TooSoon,
    /// Nobody decided in time.
    Expired,
    /// Somebody refused.
    Refused,
    /// The grant of that id.
    Allowed(String),
    /// It is none of the asker's; the text is for the audit log.
    Unknown(&'static str),
}

impl Record for Device {
    const KIND: Kind = Kind("device");
    const SEALED: bool = true;

    /// Later than it expires, so that the device is told that it has.
    fn due(&self) -> Option<Time> {
        Some(Time::from_unix(self.expires.saturating_add(TELL_FOR)))
    }
}

impl Device {
    /// Whether somebody may still decide.
    pub fn waits(&self, now: Time) -> bool {
        self.state == State::Waits && !self.is_over(now)
    }

    const fn is_over(&self, now: Time) -> bool {
        now.unix() >= self.expires
    }

    /// The device asks. Whoever asks too soon has to wait longer from then on (section 3.5).
    pub fn poll(mut self, now: Time, client: &str, secret: &str) -> Change<Self, Polled> {
        if !self.secret.is_of(secret) {
            return Change::Keep(Polled::Unknown("unknown device code"));
        }
        if self.client != client {
            return Change::Keep(Polled::Unknown("the device code belongs to another client"));
        }
        if self.is_over(now) {
            return Change::Keep(Polled::Expired);
        }
        match &self.state {
            State::Refused => Change::Keep(Polled::Refused),
            State::Allowed(grant) => Change::Keep(Polled::Allowed(grant.clone())),
            State::Waits if now.millis() < self.due_again() => {
                if self.interval >= MOST_INTERVAL {
                    return Change::Keep(Polled::TooSoon);
                }
                self.interval += INTERVAL;
                Change::Put(self, Polled::TooSoon)
            }
            State::Waits => {
                self.asked = now.millis();
                Change::Put(self, Polled::Waits)
            }
        }
    }

    /// A second early is on time: the way here takes not always the same.
    const fn due_again(&self) -> i64 {
        self.asked.saturating_add(self.interval.saturating_sub(1).saturating_mul(1000))
    }
}

/// Seconds between two polls unless the device is too fast, as in Dex.
pub const INTERVAL: i64 = 5;
const MOST_INTERVAL: i64 = 60;
/// Seconds.
const TELL_FOR: i64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_unix(1_000_000);

    fn device() -> Device {
        Device {
            client: "cli".into(),
            scopes: vec![],
            challenge: None,
            secret: Hash::of("secret"),
            expires: NOW.unix() + 300,
            interval: INTERVAL,
            asked: 0,
            state: State::Waits,
        }
    }

    fn told(change: Change<Device, Polled>) -> (Polled, Option<Device>) {
        match change {
            Change::Put(next, polled) => (polled, Some(next)),
            Change::Keep(polled) => (polled, None),
        }
    }

    fn after(millis: i64) -> Time {
        Time::from_millis(NOW.millis() + millis)
    }

    #[test]
    fn who_asks_too_soon_waits_longer() {
        let (first, next) = told(device().poll(NOW, "cli", "secret"));
        assert_eq!(first, Polled::Waits);
        let (early, next) = told(next.unwrap().poll(after(3_999), "cli", "secret"));
        assert_eq!(early, Polled::TooSoon);
        let next = next.unwrap();
        assert_eq!((next.interval, next.asked), (10, NOW.millis()));
        assert_eq!(told(next.clone().poll(after(8_999), "cli", "secret")).0, Polled::TooSoon);
        assert_eq!(told(next.poll(after(9_000), "cli", "secret")).0, Polled::Waits);
        let slow = Device { interval: 60, asked: NOW.millis(), ..device() };
        assert!(
            matches!(slow.poll(NOW, "cli", "secret"), Change::Keep(Polled::TooSoon)),
            "it writes no more"
        );
    }

    #[test]
    fn attack_20_a_device_code_is_bound_and_ends() {
        for state in [State::Waits, State::Refused, State::Allowed("grant".into())] {
            let device = Device { state, ..device() };
            for (client, secret) in [("evil", "secret"), ("cli", "other"), ("cli", "")] {
                let (polled, next) = told(device.clone().poll(NOW, client, secret));
                assert!(matches!(polled, Polled::Unknown(_)) && next.is_none(), "{client} {secret}");
            }
            assert_eq!(told(device.poll(after(300_000), "cli", "secret")).0, Polled::Expired);
        }
        let allowed = Device { state: State::Allowed("grant".into()), ..device() };
        assert_eq!(told(allowed.poll(NOW, "cli", "secret")).0, Polled::Allowed("grant".into()));
    }
}
