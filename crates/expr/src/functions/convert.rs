//! Conversions between kinds, as the Go implementation writes and reads numbers.

use super::{Answer, Cost, Function, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::functions::compare::TWO_TO_63;
use crate::types::Shape;
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    row("dyn", Style::Global, &[gives(&[Shape::A], Shape::Dyn)], Cost::Step, |args, budget| match args {
        [value] => copy(value, budget),
        _ => Err(mismatch(args)),
    }),
    row(
        "string",
        Style::Global,
        &[
            gives(&[Shape::String], Shape::String),
            gives(&[Shape::Bool], Shape::String),
            gives(&[Shape::Int], Shape::String),
            gives(&[Shape::Double], Shape::String),
        ],
        Cost::Step,
        |args, budget| match args {
            [text @ Value::Str(_)] => copy(text, budget),
            [Value::Bool(b)] => Ok(Value::from(if *b { "true" } else { "false" })),
            [Value::Int(i)] => Ok(Value::from(i.to_string())),
            [Value::Double(d)] => Ok(Value::from(write_double(*d))),
            _ => Err(mismatch(args)),
        },
    ),
    row(
        "int",
        Style::Global,
        &[
            gives(&[Shape::Int], Shape::Int),
            gives(&[Shape::Double], Shape::Int),
            gives(&[Shape::String], Shape::Int),
        ],
        Cost::Reads,
        |args, _| match args {
            [Value::Int(i)] => Ok(Value::Int(*i)),
            [Value::Double(d)] => truncate(*d).map(Value::Int).ok_or(Problem::Overflow),
            [Value::Str(text)] => text.parse().map(Value::Int).map_err(|_| Problem::Malformed("int")),
            _ => Err(mismatch(args)),
        },
    ),
    row(
        "double",
        Style::Global,
        &[
            gives(&[Shape::Double], Shape::Double),
            gives(&[Shape::Int], Shape::Double),
            gives(&[Shape::String], Shape::Double),
        ],
        Cost::Reads,
        |args, _| match args {
            [Value::Double(d)] => Ok(Value::Double(*d)),
            #[expect(clippy::cast_precision_loss, reason = "the nearest double is what double() is for")]
            [Value::Int(i)] => Ok(Value::Double(*i as f64)),
            [Value::Str(text)] => text.parse().map(Value::Double).map_err(|_| Problem::Malformed("double")),
            _ => Err(mismatch(args)),
        },
    ),
    row(
        "bool",
        Style::Global,
        &[gives(&[Shape::Bool], Shape::Bool), gives(&[Shape::String], Shape::Bool)],
        Cost::Step,
        |args, _| match args {
            [Value::Bool(b)] => Ok(Value::Bool(*b)),
            [Value::Str(text)] => match text.as_ref() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
                _ => Err(Problem::Malformed("bool")),
            },
            _ => Err(mismatch(args)),
        },
    ),
];

/// The value itself; a string that was built is paid for, since it is copied.
fn copy<'a>(value: &Value<'a>, budget: &mut Budget) -> Answer<'a> {
    budget.spend_bytes(value.as_str().map_or(0, str::len))?;
    Ok(value.clone())
}

/// Towards zero; the two ends are refused, as a double so large is not exact.
fn truncate(d: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "in range, and int() cuts the fraction off")]
    let whole = d as i64;
    (d > -TWO_TO_63 && d < TWO_TO_63).then_some(whole)
}

/// Shortest digits that read back, with an exponent below 1e-4 and from 1e6 on: Go's `%g`.
fn write_double(d: f64) -> String {
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
