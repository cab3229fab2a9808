//! Scalars as YAML 1.1 in Dex's hands (go-yaml v2) reads them. The text and its style are kept, because the reader
//! knows which type is wanted and can say what to write instead.

/// A scalar: its text after unquoting, and what is known of how it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text.
    pub text: String,
    /// Unquoted: may be something else than a string.
    pub plain: bool,
    /// The text came, in part, from environment variables; it is not shown in faults.
    pub expanded: bool,
    /// Environment variables that `text` asked for and that were not set.
    pub unset: Vec<String>,
}

/// What an unquoted text stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolved {
    /// `~`, `null` or nothing at all.
    Null,
    /// `true`, `yes`, `on`, `y` and their opposites, in the spellings of YAML 1.1.
    Bool(bool),
    /// Decimal, `0x`, `0b`, `0o` or octal with a leading zero; underscores are skipped.
    Integer(i128),
    /// A number that is no 64-bit integer.
    Float(f64),
    /// Anything else, and everything that was quoted.
    Text,
}

impl Scalar {
    /// A scalar as written.
    pub fn new(text: impl Into<String>, plain: bool) -> Self {
        Self { text: text.into(), plain, expanded: false, unset: Vec::new() }
    }

    /// The type that the text has by itself.
    pub fn resolve(&self) -> Resolved {
        if self.plain { resolve(&self.text) } else { Resolved::Text }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        self.resolve() == Resolved::Null
    }

    /// What it is, for a sentence.
    pub fn shape(&self) -> &'static str {
        match self.resolve() {
            Resolved::Null => "empty",
            Resolved::Bool(_) => "a boolean",
            Resolved::Integer(_) | Resolved::Float(_) => "a number",
            Resolved::Text => "a string",
        }
    }

    /// The text for a sentence: quoted, shortened, and withheld when it came from the environment.
    pub fn shown(&self) -> String {
        if self.expanded {
            return String::from("the value from the environment");
        }
        let mut short: String = self.text.chars().take(SHOWN).collect();
        if short.len() < self.text.len() {
            short.push('…');
        }
        format!("{short:?}")
    }
}

fn resolve(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
            return Resolved::Bool(true);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
            return Resolved::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) || text.len() > LONGEST
    {
        return Resolved::Text;
    }
    let digits: String = text.chars().filter(|&c| c != '_').collect();
    if let Some(value) = integer(&digits) {
        return Resolved::Integer(value);
    }
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() && is_float(&digits) && separates_digits(text) => {
            Resolved::Float(value)
        }
        _ => Resolved::Text,
    }
}

/// Behind a leading point, underscores stand only between digits; elsewhere anywhere.
fn separates_digits(text: &str) -> bool {
    let digit = |part: Option<char>| part.is_some_and(|c| c.is_ascii_digit());
    let mut pairs = text.split('_').zip(text.split('_').skip(1));
    !text.starts_with('.') || pairs.all(|(a, b)| digit(a.chars().last()) && digit(b.chars().next()))
}

/// As `strconv.ParseInt(text, 0, 64)` and `ParseUint` after it.
fn integer(text: &str) -> Option<i128> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = rest.to_ascii_lowercase();
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (lower.get(2..)?, 16),
        Some("0b") => (lower.get(2..)?, 2),
        Some("0o") => (lower.get(2..)?, 8),
        _ if lower.len() > 1 && lower.starts_with('0') => (lower.get(1..)?, 8),
        _ => (lower.as_str(), 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -value } else { value };
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(value)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    all_digits(whole)
        && all_digits(part)
        && !(whole.is_empty() && part.is_empty())
        && exponent.is_none_or(|e| !e.is_empty() && all_digits(e))
}

/// How much of a value a fault shows.
const SHOWN: usize = 60;
/// No number that anybody writes is longer; bounds the work on hostile input.
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    /// What go-yaml v2.4.0 answered for each of these.
    #[test]
    fn plain_scalars_resolve_as_go_yaml_v2_does() {
        use Resolved::{Bool, Float, Integer, Null, Text};
        let table: &[(&str, Resolved)] = &[
            ("yes", Bool(true)),
            ("Yes", Bool(true)),
            ("yEs", Text),
            ("y", Bool(true)),
            ("N", Bool(false)),
            ("on", Bool(true)),
            ("OFF", Bool(false)),
            ("true", Bool(true)),
            ("TRUE", Bool(true)),
            ("tRUE", Text),
            ("~", Null),
            ("null", Null),
            ("Null", Null),
            ("", Null),
            ("nULL", Text),
            ("010", Integer(8)),
            ("0o17", Integer(15)),
            ("0x1F", Integer(31)),
            ("0X1f", Integer(31)),
            ("0b101", Integer(5)),
            ("-0b101", Integer(-5)),
            ("+12", Integer(12)),
            ("-7", Integer(-7)),
            ("1_000", Integer(1000)),
            ("089", Float(89.0)),
            ("08", Float(8.0)),
            ("1e3", Float(1000.0)),
            ("1E3", Float(1000.0)),
            ("1e+3", Float(1000.0)),
            ("1.", Float(1.0)),
            (".5", Float(0.5)),
            ("1.10", Float(1.1)),
            ("-.5", Float(-0.5)),
            ("+.5", Float(0.5)),
            (".inf", Float(f64::INFINITY)),
            ("-.Inf", Float(f64::NEG_INFINITY)),
            ("1__0", Integer(10)),
            ("_1", Text),
            ("0x", Text),
            ("0x_1F", Integer(31)),
            ("12:30", Text),
            ("2001-01-01", Text),
            ("18446744073709551615", Integer(18_446_744_073_709_551_615)),
            ("18446744073709551616", Float(18_446_744_073_709_551_616.0)),
            ("-9223372036854775808", Integer(-9_223_372_036_854_775_808)),
            ("-9223372036854775809", Float(-9_223_372_036_854_775_808.0)),
            ("1e400", Text),
            ("1.5.2", Text),
            ("0_7", Integer(7)),
            ("+", Text),
            (".", Text),
            ("..", Text),
            (".1.2", Text),
            (".1e3", Float(100.0)),
            ("._5", Text),
            (".e1", Text),
            (".infinity", Text),
            ("1_0.5", Float(10.5)),
            ("0b", Text),
            ("0o", Text),
            ("-0x1F", Integer(-31)),
            ("-010", Integer(-8)),
            ("+0b1", Integer(1)),
            ("0b2", Text),
            ("1e", Text),
            (".5_5", Float(0.55)),
            (".9_", Text),
            (".19__", Text),
            ("=", Text),
        ];
        for (text, want) in table {
            assert_eq!(Scalar::new(*text, true).resolve(), *want, "{text:?}");
            assert_eq!(Scalar::new(*text, false).resolve(), Text, "quoted {text:?}");
        }
    }

    #[test]
    fn a_value_from_the_environment_is_not_shown() {
        let mut scalar = Scalar::new("hunter2", true);
        assert_eq!(scalar.shown(), "\"hunter2\"");
        scalar.expanded = true;
        assert!(!scalar.shown().contains("hunter2"));
    }
}
