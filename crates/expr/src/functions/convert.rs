//! Conversions between kinds, as the Go implementation writes and reads them.

use super::{Answer, Cost, Function, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::foreign::Foreign;
use crate::functions::compare::{TWO_TO_63, TWO_TO_64};
use crate::shape::Shape::{
    A, Bool, Bytes, Double, Duration, Dyn, Foreign as Of, Int, String, Timestamp, Type, Uint,
};
use crate::time::{self, write_duration};
use crate::types::ForeignType;
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    row("dyn", Style::Global, &[gives(&[A], Dyn)], Cost::Step, |args, budget| match args {
        [value] => copy(value, budget),
        _ => Err(mismatch(args)),
    }),
    row("type", Style::Global, &[gives(&[A], Type)], Cost::Step, |args, _| match args {
        [value] => Ok(Value::Type(value.type_name())),
        _ => Err(mismatch(args)),
    }),
    row(
        "string",
        Style::Global,
        &[
            gives(&[String], String),
            gives(&[Bool], String),
            gives(&[Int], String),
            gives(&[Uint], String),
            gives(&[Double], String),
            gives(&[Bytes], String),
            gives(&[Timestamp], String),
            gives(&[Duration], String),
            gives(&[Of(ForeignType::Ip)], String),
            gives(&[Of(ForeignType::Cidr)], String),
        ],
        Cost::Step,
        to_string,
    ),
    row(
        "bytes",
        Style::Global,
        &[gives(&[Bytes], Bytes), gives(&[String], Bytes)],
        Cost::Reads,
        |args, _| match args {
            [bytes @ Value::Bytes(_)] => Ok(bytes.clone()),
            [Value::Str(text)] => Ok(Value::from(text.as_bytes().to_vec())),
            _ => Err(mismatch(args)),
        },
    ),
    row(
        "int",
        Style::Global,
        &[
            gives(&[Int], Int),
            gives(&[Uint], Int),
            gives(&[Double], Int),
            gives(&[String], Int),
            gives(&[Timestamp], Int),
            gives(&[Duration], Int),
        ],
        Cost::Reads,
        |args, _| match args {
            [Value::Int(i)] => Ok(Value::Int(*i)),
            [Value::Uint(u)] => i64::try_from(*u).map(Value::Int).map_err(|_| Problem::Overflow),
            [Value::Double(d)] => truncate(*d).map(Value::Int).ok_or(Problem::Overflow),
            [Value::Str(text)] => text.parse().map(Value::Int).map_err(|_| Problem::Malformed("int")),
            [Value::Timestamp(time)] => Ok(Value::Int(time.seconds())),
            [Value::Duration(nanos)] => Ok(Value::Int(*nanos)),
            _ => Err(mismatch(args)),
        },
    ),
    row(
        "uint",
        Style::Global,
        &[gives(&[Uint], Uint), gives(&[Int], Uint), gives(&[Double], Uint), gives(&[String], Uint)],
        Cost::Reads,
        |args, _| match args {
            [Value::Uint(u)] => Ok(Value::Uint(*u)),
            [Value::Int(i)] => u64::try_from(*i).map(Value::Uint).map_err(|_| Problem::Overflow),
            [Value::Double(d)] => truncate_unsigned(*d).map(Value::Uint).ok_or(Problem::Overflow),
            // Rust would take a plus sign, Go does not.
            [Value::Str(text)] => {
                let parsed = text.parse().ok().filter(|_| !text.starts_with('+'));
                parsed.map(Value::Uint).ok_or(Problem::Malformed("uint"))
            }
            _ => Err(mismatch(args)),
        },
    ),
    row(
        "double",
        Style::Global,
        &[gives(&[Double], Double), gives(&[Int], Double), gives(&[Uint], Double), gives(&[String], Double)],
        Cost::Reads,
        to_double,
    ),
    row("bool", Style::Global, &[gives(&[Bool], Bool), gives(&[String], Bool)], Cost::Step, |args, _| {
        match args {
            [Value::Bool(b)] => Ok(Value::Bool(*b)),
            [Value::Str(text)] => match text.as_ref() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
                _ => Err(Problem::Malformed("bool")),
            },
            _ => Err(mismatch(args)),
        }
    }),
    row(
        "timestamp",
        Style::Global,
        &[gives(&[Timestamp], Timestamp), gives(&[String], Timestamp), gives(&[Int], Timestamp)],
        Cost::Reads,
        |args, _| match args {
            [time @ Value::Timestamp(_)] => Ok(time.clone()),
            [Value::Str(text)] => {
                time::Timestamp::parse(text).map(Value::Timestamp).ok_or(Problem::Malformed("timestamp"))
            }
            [Value::Int(seconds)] => {
                time::Timestamp::from_seconds(*seconds).map(Value::Timestamp).ok_or(Problem::TimeRange)
            }
            _ => Err(mismatch(args)),
        },
    ),
    row(
        "duration",
        Style::Global,
        &[gives(&[Duration], Duration), gives(&[String], Duration)],
        Cost::Reads,
        |args, _| match args {
            [span @ Value::Duration(_)] => Ok(span.clone()),
            [Value::Str(text)] => {
                time::parse_duration(text).map(Value::Duration).ok_or(Problem::Malformed("duration"))
            }
            _ => Err(mismatch(args)),
        },
    ),
];

pub(super) fn to_string<'a>(args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
    match args {
        [text @ Value::Str(_)] => copy(text, budget),
        [Value::Bool(b)] => Ok(Value::from(if *b { "true" } else { "false" })),
        [Value::Int(i)] => Ok(Value::from(i.to_string())),
        [Value::Uint(u)] => Ok(Value::from(u.to_string())),
        [Value::Double(d)] => Ok(Value::from(write_double(*d))),
        [Value::Bytes(bytes)] => {
            budget.spend_bytes(bytes.len())?;
            let text = std::str::from_utf8(bytes).map_err(|_| Problem::Malformed("UTF-8"))?;
            Ok(Value::from(text.to_owned()))
        }
        [Value::Timestamp(time)] => Ok(Value::from(time.to_string())),
        [Value::Duration(nanos)] => Ok(Value::from(write_duration(*nanos))),
        [Value::Foreign(foreign)] => match foreign.as_ref() {
            Foreign::Ip(address) => Ok(Value::from(address.to_string())),
            Foreign::Cidr(range) => Ok(Value::from(range.to_string())),
            _ => Err(mismatch(args)),
        },
        _ => Err(mismatch(args)),
    }
}

fn to_double<'a>(args: &[Value<'a>], _: &mut Budget) -> Answer<'a> {
    match args {
        [Value::Double(d)] => Ok(Value::Double(*d)),
        #[expect(clippy::cast_precision_loss, reason = "the nearest double is what double() is for")]
        [Value::Int(i)] => Ok(Value::Double(*i as f64)),
        #[expect(clippy::cast_precision_loss, reason = "the nearest double is what double() is for")]
        [Value::Uint(u)] => Ok(Value::Double(*u as f64)),
        [Value::Str(text)] => {
            // Go refuses what is too large instead of calling it infinite.
            let named = text.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
            let parsed = text.parse().ok().filter(|d: &f64| d.is_finite() || d.is_nan() || named);
            parsed.map(Value::Double).ok_or(Problem::Malformed("double"))
        }
        _ => Err(mismatch(args)),
    }
}

/// The value itself; a string that was built is paid for, since it is copied.
fn copy<'a>(value: &Value<'a>, budget: &mut Budget) -> Answer<'a> {
    budget.spend_bytes(value.as_str().map_or(0, str::len))?;
    Ok(value.clone())
}

/// Towards zero; the two ends are refused, as a double so large is not exact.
pub(super) fn truncate(d: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "in range, and int() cuts the fraction off")]
    let whole = d as i64;
    (d > -TWO_TO_63 && d < TWO_TO_63).then_some(whole)
}

/// As [`truncate`], from zero on.
fn truncate_unsigned(d: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in range, and uint() cuts the fraction off"
    )]
    let whole = d as u64;
    (0.0..TWO_TO_64).contains(&d).then_some(whole)
}

/// Shortest digits that read back, with an exponent below 1e-4 and from 1e6 on: Go's `%g`.
pub(super) fn write_double(d: f64) -> std::string::String {
    if d.is_nan() {
        return "NaN".into();
    }
    if d.is_infinite() {
        return if d > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let scientific = format!("{d:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent = exponent.parse::<i32>().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return d.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}
