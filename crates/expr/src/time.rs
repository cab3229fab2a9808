//! Points and spans of time, as CEL reads and writes them (CEL specification, "Abstract Types").
//!
//! A timestamp lies in the years 1 to 9999. A duration is a number of nanoseconds in 64 bits, as in the Go
//! implementation; what does not fit is an error.

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{DateTime, Weekday, date};
use jiff::tz::{Offset, TimeZone};

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

impl Timestamp {
    /// So many seconds after the first second of 1970.
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        Self::checked(SignedDuration::from_secs(seconds))
    }

    /// Reads RFC 3339, strictly.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let shape = text.bytes().enumerate().all(|(at, b)| match at {
            4 | 7 => b == b'-',
            10 => b == b'T',
            13 | 16 => b == b':',
            0..19 => b.is_ascii_digit(),
            _ => matches!(b, b'0'..=b'9' | b'.' | b'+' | b'-' | b':' | b'Z'),
        });
        let (clock, rest) = text.split_at_checked(19)?;
        let fraction =
            rest.strip_prefix('.').map_or(0, |rest| 1 + rest.bytes().take_while(u8::is_ascii_digit).count());
        let (digits, zone) = rest.split_at_checked(fraction)?;
        // A leap second would be moved to its neighbour; Go refuses it.
        let leap = text.get(17..19) == Some("60");
        if !shape || fraction == 1 || leap {
            return None;
        }
        let offset = match zone {
            "Z" => 0,
            zone if zone.len() == 6 && zone.starts_with(['+', '-']) => {
                let offset = fixed(zone)?.seconds();
                Some(offset).filter(|offset| offset.abs() < 86_400)?
            }
            _ => return None,
        };
        let clock = clock.parse::<DateTime>().ok()?.duration_since(EPOCH);
        // Exact to the nanosecond; further digits are cut off.
        let nanos = format!("{:0<9}", digits.trim_start_matches('.')).get(..9)?.parse::<i64>().ok()?;
        let part = SignedDuration::from_nanos(nanos) - SignedDuration::from_secs(offset.into());
        Self::checked(clock.checked_add(part)?)
    }

    pub(crate) const fn seconds(self) -> i64 {
        self.seconds
    }

    pub(crate) fn plus(self, nanos: i64) -> Option<Self> {
        Self::checked(self.since_epoch().checked_add(SignedDuration::from_nanos(nanos))?)
    }

    /// The nanoseconds from another one to this, if they fit.
    pub(crate) fn since(self, other: Self) -> Option<i64> {
        i64::try_from(self.since_epoch().checked_sub(other.since_epoch())?.as_nanos()).ok()
    }

    /// What calendar and clock show in a time zone: UTC, an offset such as `+02:00`, or a name of the IANA database.
    pub(crate) fn at(self, zone: Option<&str>) -> Option<DateTime> {
        let offset = match zone {
            None | Some("" | "UTC") => Offset::UTC,
            Some(text) if text.contains(':') => fixed(text)?,
            Some(name) => {
                // The library's own range ends some hours before the last day that CEL knows.
                let second = self.seconds.min(jiff::Timestamp::MAX.as_second());
                TimeZone::get(name).ok()?.to_offset(jiff::Timestamp::from_second(second).ok()?)
            }
        };
        EPOCH
            .checked_add(self.since_epoch())
            .ok()?
            .checked_add(SignedDuration::from_secs(offset.seconds().into()))
            .ok()
    }

    const fn since_epoch(self) -> SignedDuration {
        SignedDuration::new(self.seconds, self.nanos.cast_signed())
    }

    fn checked(since_epoch: SignedDuration) -> Option<Self> {
        let (mut seconds, mut nanos) = (since_epoch.as_secs(), since_epoch.subsec_nanos());
        if nanos < 0 {
            seconds = seconds.checked_sub(1)?;
            nanos += 1_000_000_000;
        }
        (FIRST..=LAST).contains(&seconds).then_some(Self { seconds, nanos: nanos.cast_unsigned() })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match EPOCH.checked_add(self.since_epoch()) {
            Ok(clock) => write!(f, "{clock}Z"),
            Err(_) => Err(fmt::Error),
        }
    }
}

/// `±HH:MM` or `HH:MM`.
fn fixed(text: &str) -> Option<Offset> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = digits.split_once(':')?;
    let number = |text: &str| text.parse::<i32>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|minutes| *minutes < 60)?);
    Offset::from_seconds(sign * (hours.checked_mul(3_600)? + minutes * 60)).ok()
}

/// Days since Sunday.
pub(crate) fn weekday(day: Weekday) -> i64 {
    i64::from(day.to_sunday_zero_offset())
}

/// Reads a duration: numbers with units from `h` to `ns`, as Go does.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: i128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(digits)?;
        let (unit, scale) = UNITS.iter().find(|(unit, _)| after.starts_with(unit))?;
        total = total.checked_add(scaled(number, *scale)?)?;
        rest = after.get(unit.len()..)?;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

fn scaled(number: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()? };
    let mut part = 0_i128;
    let mut unit = scale;
    // Exact to the nanosecond; further digits are cut off.
    for digit in fraction.bytes().take(18) {
        part = part * 10 + i128::from(digit - b'0');
        unit *= 10;
    }
    let nanos = if unit == scale { 0 } else { part * scale / (unit / scale) };
    i128::from(whole).checked_mul(scale)?.checked_add(nanos)
}

/// Writes a duration in seconds, as CEL does.
pub(crate) fn write_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (whole, part) = (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    if part == 0 {
        return format!("{sign}{whole}s");
    }
    let digits = format!("{part:09}");
    format!("{sign}{whole}.{}s", digits.trim_end_matches('0'))
}

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);
/// 0001-01-01T00:00:00Z
const FIRST: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z
const LAST: i64 = 253_402_300_799;
/// Longer names before those they begin with.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, nanos) in [
            ("0", Some(0)),
            ("1h", Some(3_600_000_000_000)),
            ("-1.5s", Some(-1_500_000_000)),
            ("1h30m5s", Some(5_405_000_000_000)),
            (".5ms", Some(500_000)),
            ("1us2ns", Some(1_002)),
            ("+3m", Some(180_000_000_000)),
            ("", None),
            ("1", None),
            ("1d", None),
            (".s", None),
            ("1.2.3s", None),
            ("-", None),
            ("1 s", None),
            ("9999999999h", None),
        ] {
            assert_eq!(parse_duration(text), nanos, "{text}");
        }
        for (nanos, text) in
            [(0, "0s"), (1_500_000_000, "1.5s"), (-1, "-0.000000001s"), (3_600_000_000_000, "3600s")]
        {
            assert_eq!(write_duration(nanos), text);
        }
    }

    #[test]
    fn timestamps() {
        for good in [
            "2024-02-29T00:00:00Z",
            "2024-01-01T00:00:00.5+02:00",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999999Z",
        ] {
            assert!(Timestamp::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "2024-02-30T00:00:00Z",
            "2024-01-01 00:00:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:60Z",
            "2024-01-01T00:00:00.Z",
            "0000-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "2024-01-01T00:00:00+0200",
            "2024-01-01T24:00:00Z",
            "2024-01-01t00:00:00z",
            "2024-01-01T00:00:00Z[UTC]",
            "9999-12-31T23:59:59-01:00",
        ] {
            assert!(Timestamp::parse(bad).is_none(), "{bad}");
        }
    }
}
