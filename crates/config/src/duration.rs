//! Durations as Go writes them: `1h30m`, `300ms`, `1.5h`. No days.

use std::time::Duration;

/// Why a text is no duration that a configuration may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Empty, or not numbers with units.
    #[error("is not a duration")]
    Malformed,
    /// A number without its unit.
    #[error("is a number without a unit")]
    NoUnit,
    /// A unit that Go has not.
    #[error("has a unit other than ns, us, ms, s, m, h")]
    UnknownUnit,
    /// Below zero.
    #[error("is negative")]
    Negative,
    /// More than 292 years, as much as Go can hold.
    #[error("is too long")]
    TooLong,
}

/// Reads a duration as Go's `time.ParseDuration` does, but refuses what is below zero.
///
/// # Errors
/// [`DurationError`] says what is wrong with the text.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(DurationError::Malformed);
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (nanoseconds, after) = leading_amount(rest)?;
        total = total.saturating_add(nanoseconds);
        rest = after;
    }
    if total > i64::MAX.unsigned_abs().into() {
        return Err(DurationError::TooLong);
    }
    if negative && total > 0 {
        return Err(DurationError::Negative);
    }
    Ok(Duration::from_nanos(u64::try_from(total).unwrap_or(u64::MAX)))
}

/// Writes a duration so that a person sees the same units that he would write: `15m`, `1h30m`, `1.5s`.
pub fn format_duration(span: Duration) -> String {
    let nanoseconds = span.as_nanos();
    if nanoseconds == 0 {
        return String::from("0s");
    }
    if nanoseconds < SECOND {
        let (unit, name) = if nanoseconds >= MILLISECOND {
            (MILLISECOND, "ms")
        } else if nanoseconds >= MICROSECOND {
            (MICROSECOND, "us")
        } else {
            (1, "ns")
        };
        return format!("{}{name}", decimal(nanoseconds, unit));
    }
    let (hours, minutes) = (nanoseconds / HOUR, nanoseconds % HOUR / MINUTE);
    let seconds = decimal(nanoseconds % MINUTE, SECOND);
    let mut out = String::new();
    for (amount, unit) in [(hours.to_string(), "h"), (minutes.to_string(), "m"), (seconds, "s")] {
        if amount != "0" {
            out.push_str(&amount);
            out.push_str(unit);
        }
    }
    out
}

/// One `number unit` in nanoseconds, and what follows it.
fn leading_amount(text: &str) -> Result<(u128, &str), DurationError> {
    let (whole, rest) = leading_digits(text);
    let (part, rest) = match rest.strip_prefix('.') {
        Some(rest) => leading_digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && part.is_empty() {
        return Err(DurationError::Malformed);
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (name, rest) = rest.split_at_checked(end).ok_or(DurationError::Malformed)?;
    let unit = match name {
        "" => return Err(DurationError::NoUnit),
        "ns" => 1,
        "us" | "µs" | "μs" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return Err(DurationError::UnknownUnit),
    };
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| DurationError::TooLong)? };
    // Eighteen digits after the point are more than a nanosecond of any unit can show.
    let (part, scale) = part.chars().take(18).fold((0_u128, 1_u128), |(value, scale), digit| {
        (value * 10 + u128::from(digit.to_digit(10).unwrap_or(0)), scale * 10)
    });
    Ok((whole.saturating_mul(unit).saturating_add(part * unit / scale), rest))
}

fn leading_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn decimal(amount: u128, unit: u128) -> String {
    let width = unit.ilog10() as usize;
    let part = format!("{:0width$}", amount % unit);
    let part = part.trim_end_matches('0');
    if part.is_empty() { (amount / unit).to_string() } else { format!("{}.{part}", amount / unit) }
}

const MICROSECOND: u128 = 1_000;
const MILLISECOND: u128 = 1_000_000;
const SECOND: u128 = 1_000_000_000;
const MINUTE: u128 = 60 * SECOND;
const HOUR: u128 = 60 * MINUTE;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Go 1.26's `time.ParseDuration` answered, in nanoseconds.
    #[test]
    fn durations_read_as_go_reads_them() {
        use DurationError::{Malformed, Negative, NoUnit, TooLong, UnknownUnit};
        let table: &[(&str, Result<u64, DurationError>)] = &[
            ("1h30m", Ok(5_400_000_000_000)),
            ("300ms", Ok(300_000_000)),
            ("1.5h", Ok(5_400_000_000_000)),
            ("0", Ok(0)),
            ("0s", Ok(0)),
            ("-0s", Ok(0)),
            ("-1h", Err(Negative)),
            ("+5s", Ok(5_000_000_000)),
            ("1d", Err(UnknownUnit)),
            ("", Err(Malformed)),
            ("+", Err(Malformed)),
            ("-", Err(Malformed)),
            (".s", Err(Malformed)),
            ("5", Err(NoUnit)),
            ("1.5.5s", Err(NoUnit)),
            ("1h 30m", Err(UnknownUnit)),
            ("1e3s", Err(UnknownUnit)),
            (".5s", Ok(500_000_000)),
            ("1.s", Ok(1_000_000_000)),
            ("1us", Ok(1_000)),
            ("1µs", Ok(1_000)),
            ("1μs", Ok(1_000)),
            ("1ns", Ok(1)),
            ("2540400h10m10s", Ok(9_145_440_610_000_000_000)),
            ("9223372036854775807ns", Ok(9_223_372_036_854_775_807)),
            ("9223372036854775808ns", Err(TooLong)),
            ("100000000000000000000s", Err(TooLong)),
            ("3000000h", Err(TooLong)),
            ("1s1h", Ok(3_601_000_000_000)),
            ("1.0000000001s", Ok(1_000_000_000)),
            ("72h3m0.5s", Ok(259_380_500_000_000)),
        ];
        for (text, want) in table {
            assert_eq!(parse_duration(text), want.map(Duration::from_nanos), "{text:?}");
        }
    }

    #[test]
    fn durations_are_shown_as_written() {
        for text in ["15m", "1h30m", "24h", "1.5s", "300ms", "1h0.5s", "5us", "0s", "7ns"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }

    proptest! {
        #[test]
        fn shown_durations_read_back(nanoseconds in 0..i64::MAX as u64) {
            let span = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse_duration(&format_duration(span)), Ok(span));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.hmsnuµd ]{0,40}") {
            let _ = parse_duration(&text);
        }
    }
}
