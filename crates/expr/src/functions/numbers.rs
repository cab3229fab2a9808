//! Arithmetic and `!`. Integer overflow is an error, never a wrapped number.

use super::{Answer, Cost, Function, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::types::Shape::{A, Bool, Double, Int, List, String};
use crate::value::Value;

pub(super) const TABLE: &[Function] =
    &[
        row(
            "_+_",
            Style::Global,
            &[
                gives(&[Int, Int], Int),
                gives(&[Double, Double], Double),
                gives(&[String, String], String),
                gives(&[List(&A), List(&A)], List(&A)),
            ],
            Cost::Step,
            add,
        ),
        row(
            "_-_",
            Style::Global,
            &[gives(&[Int, Int], Int), gives(&[Double, Double], Double)],
            Cost::Step,
            |args, _| arithmetic(args, i64::checked_sub, |a, b| a - b),
        ),
        row(
            "_*_",
            Style::Global,
            &[gives(&[Int, Int], Int), gives(&[Double, Double], Double)],
            Cost::Step,
            |args, _| arithmetic(args, i64::checked_mul, |a, b| a * b),
        ),
        row(
            "_/_",
            Style::Global,
            &[gives(&[Int, Int], Int), gives(&[Double, Double], Double)],
            Cost::Step,
            |args, _| {
                not_by_zero(args)?;
                arithmetic(args, i64::checked_div, |a, b| a / b)
            },
        ),
        row("_%_", Style::Global, &[gives(&[Int, Int], Int)], Cost::Step, |args, _| {
            not_by_zero(args)?;
            match args {
                [Value::Int(a), Value::Int(b)] => a.checked_rem(*b).map(Value::Int).ok_or(Problem::Overflow),
                _ => Err(mismatch(args)),
            }
        }),
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

fn add<'a>(args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
    match args {
        [Value::Str(a), Value::Str(b)] => {
            budget.spend_bytes(a.len().saturating_add(b.len()))?;
            Ok(Value::from(format!("{a}{b}")))
        }
        [Value::List(a), Value::List(b)] => {
            budget.spend(a.len().saturating_add(b.len()))?;
            Ok(Value::from(a.iter().chain(b.iter()).collect::<Vec<_>>()))
        }
        _ => arithmetic(args, i64::checked_add, |a, b| a + b),
    }
}

fn arithmetic<'a>(
    args: &[Value<'a>],
    ints: fn(i64, i64) -> Option<i64>,
    doubles: fn(f64, f64) -> f64,
) -> Answer<'a> {
    match args {
        [Value::Int(a), Value::Int(b)] => ints(*a, *b).map(Value::Int).ok_or(Problem::Overflow),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(doubles(*a, *b))),
        _ => Err(mismatch(args)),
    }
}

fn not_by_zero(args: &[Value<'_>]) -> Result<(), Problem> {
    if matches!(args, [Value::Int(_), Value::Int(0)]) { Err(Problem::DivisionByZero) } else { Ok(()) }
}
