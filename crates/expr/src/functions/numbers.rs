//! Arithmetic and `!`. Overflow is an error, never a wrapped number.

use super::{Answer, Cost, Function, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::shape::Shape::{A, Bool, Bytes, Double, Duration, Int, List, String, Timestamp, Uint};
use crate::value::Value;

pub(super) const TABLE: &[Function] =
    &[
        row(
            "_+_",
            Style::Global,
            &[
                gives(&[Int, Int], Int),
                gives(&[Uint, Uint], Uint),
                gives(&[Double, Double], Double),
                gives(&[String, String], String),
                gives(&[Bytes, Bytes], Bytes),
                gives(&[List(&A), List(&A)], List(&A)),
                gives(&[Timestamp, Duration], Timestamp),
                gives(&[Duration, Timestamp], Timestamp),
                gives(&[Duration, Duration], Duration),
            ],
            Cost::Step,
            add,
        ),
        row(
            "_-_",
            Style::Global,
            &[
                gives(&[Int, Int], Int),
                gives(&[Uint, Uint], Uint),
                gives(&[Double, Double], Double),
                gives(&[Timestamp, Duration], Timestamp),
                gives(&[Timestamp, Timestamp], Duration),
                gives(&[Duration, Duration], Duration),
            ],
            Cost::Step,
            subtract,
        ),
        row("_*_", Style::Global, NUMBERS, Cost::Step, |args, _| {
            arithmetic(args, i64::checked_mul, u64::checked_mul, |a, b| a * b)
        }),
        row("_/_", Style::Global, NUMBERS, Cost::Step, |args, _| {
            not_by_zero(args)?;
            arithmetic(args, i64::checked_div, u64::checked_div, |a, b| a / b)
        }),
        row(
            "_%_",
            Style::Global,
            &[gives(&[Int, Int], Int), gives(&[Uint, Uint], Uint)],
            Cost::Step,
            |args, _| {
                not_by_zero(args)?;
                match args {
                    [Value::Int(a), Value::Int(b)] => {
                        a.checked_rem(*b).map(Value::Int).ok_or(Problem::Overflow)
                    }
                    [Value::Uint(a), Value::Uint(b)] => {
                        a.checked_rem(*b).map(Value::Uint).ok_or(Problem::Overflow)
                    }
                    _ => Err(mismatch(args)),
                }
            },
        ),
        row("-_", Style::Global, &[gives(&[Int], Int), gives(&[Double], Double)], Cost::Step, |args, _| {
            match args {
                [Value::Int(a)] => a.checked_neg().map(Value::Int).ok_or(Problem::Overflow),
                [Value::Double(a)] => Ok(Value::Double(-a)),
                _ => Err(mismatch(args)),
            }
        }),
        row("!_", Style::Global, &[gives(&[Bool], Bool)], Cost::Step, |args, _| match args {
            [Value::Bool(a)] => Ok(Value::Bool(!a)),
            _ => Err(mismatch(args)),
        }),
    ];

const NUMBERS: &[super::Overload] =
    &[gives(&[Int, Int], Int), gives(&[Uint, Uint], Uint), gives(&[Double, Double], Double)];

pub(super) fn add<'a>(args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
    match args {
        [Value::Str(a), Value::Str(b)] => {
            budget.spend_bytes(a.len().saturating_add(b.len()))?;
            Ok(Value::from(format!("{a}{b}")))
        }
        [Value::Bytes(a), Value::Bytes(b)] => {
            budget.spend_bytes(a.len().saturating_add(b.len()))?;
            Ok(Value::from([a.as_ref(), b.as_ref()].concat()))
        }
        // So does Go, and its list stays of the type that it was.
        [Value::List(list), Value::List(none)] | [Value::List(none), Value::List(list)]
            if none.is_empty() =>
        {
            budget.spend(list.len())?;
            Ok(Value::List(list.clone()))
        }
        [Value::List(a), Value::List(b)] => {
            budget.spend(a.len().saturating_add(b.len()))?;
            Ok(Value::from(a.iter().chain(b.iter()).collect::<Vec<_>>()))
        }
        [Value::Timestamp(time), Value::Duration(span)] | [Value::Duration(span), Value::Timestamp(time)] => {
            time.plus(*span).map(Value::Timestamp).ok_or(Problem::TimeRange)
        }
        [Value::Duration(a), Value::Duration(b)] => {
            a.checked_add(*b).map(Value::Duration).ok_or(Problem::TimeRange)
        }
        _ => arithmetic(args, i64::checked_add, u64::checked_add, |a, b| a + b),
    }
}

fn subtract<'a>(args: &[Value<'a>], _: &mut Budget) -> Answer<'a> {
    match args {
        [Value::Timestamp(time), Value::Duration(span)] => {
            let moved = span.checked_neg().and_then(|span| time.plus(span));
            moved.map(Value::Timestamp).ok_or(Problem::TimeRange)
        }
        [Value::Timestamp(a), Value::Timestamp(b)] => {
            a.since(*b).map(Value::Duration).ok_or(Problem::TimeRange)
        }
        [Value::Duration(a), Value::Duration(b)] => {
            a.checked_sub(*b).map(Value::Duration).ok_or(Problem::TimeRange)
        }
        _ => arithmetic(args, i64::checked_sub, u64::checked_sub, |a, b| a - b),
    }
}

fn arithmetic<'a>(
    args: &[Value<'a>],
    ints: fn(i64, i64) -> Option<i64>,
    uints: fn(u64, u64) -> Option<u64>,
    doubles: fn(f64, f64) -> f64,
) -> Answer<'a> {
    match args {
        [Value::Int(a), Value::Int(b)] => ints(*a, *b).map(Value::Int).ok_or(Problem::Overflow),
        [Value::Uint(a), Value::Uint(b)] => uints(*a, *b).map(Value::Uint).ok_or(Problem::Overflow),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(doubles(*a, *b))),
        _ => Err(mismatch(args)),
    }
}

fn not_by_zero(args: &[Value<'_>]) -> Result<(), Problem> {
    if matches!(args, [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)]) {
        Err(Problem::DivisionByZero)
    } else {
        Ok(())
    }
}
