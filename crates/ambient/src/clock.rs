//! Time as a value.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use crate::BoxFuture;

/// A moment, in milliseconds since 1970-01-01T00:00:00Z. Arithmetic saturates: no input can overflow it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(i64);

impl Time {
    /// The last moment there is; "never" where a time is needed for sorting.
    pub const MAX: Self = Self(i64::MAX);

    /// From whole seconds since the epoch (a JWT's NumericDate).
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// From milliseconds since the epoch.
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn unix(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with whole seconds, as Kubernetes writes it: `2026-01-02T03:04:05Z`.
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_second(self.unix())
            .map_or_else(|_| String::from("9999-12-31T23:59:59Z"), |t| t.to_string())
    }

    /// Reads an RFC 3339 timestamp.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_millisecond()))
    }
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock. It may step backwards.
    fn now(&self) -> Time;
    /// Time since some fixed moment; never steps back. For measuring and for deadlines.
    fn monotonic(&self) -> Duration;
    /// Resolves after `span`.
    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: std::time::Instant,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn default() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Time {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Time::MAX + Duration::from_secs(1), Time::MAX);
        assert_eq!(Time::from_unix(i64::MIN) - Duration::MAX, Time::from_millis(i64::MIN));
        assert_eq!(Time::from_unix(5).since(Time::from_unix(9)), Duration::ZERO);
    }

    #[test]
    fn rfc3339_round_trips_and_never_fails() {
        let t = Time::from_unix(1_767_323_045);
        assert_eq!(t.rfc3339(), "2026-01-02T03:04:05Z");
        assert_eq!(Time::parse_rfc3339(&t.rfc3339()), Some(t));
        assert_eq!(Time::MAX.rfc3339(), "9999-12-31T23:59:59Z");
    }
}
