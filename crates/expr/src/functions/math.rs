//! cel-go's extension of mathematics. The API server does not enable it.

use std::cmp::Ordering;

use super::compare::ordering;
use super::{Answer, Cost, Function, Overload, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::shape::Shape::{Bool, Double, Dyn, Int, List, Uint};
use crate::value::{List as Items, Value};

pub(super) const TABLE: &[Function] = &[
    row("math.greatest", Style::Global, EXTREME, Cost::Step, |args, b| extreme(args, Ordering::Greater, b)),
    row("math.least", Style::Global, EXTREME, Cost::Step, |args, b| extreme(args, Ordering::Less, b)),
    row("math.ceil", Style::Global, ROUNDED, Cost::Step, |args, _| rounded(args, f64::ceil)),
    row("math.floor", Style::Global, ROUNDED, Cost::Step, |args, _| rounded(args, f64::floor)),
    // Halves go away from zero.
    row("math.round", Style::Global, ROUNDED, Cost::Step, |args, _| rounded(args, f64::round)),
    row("math.trunc", Style::Global, ROUNDED, Cost::Step, |args, _| rounded(args, f64::trunc)),
    row("math.isInf", Style::Global, TESTED, Cost::Step, |args, _| tested(args, f64::is_infinite)),
    row("math.isNaN", Style::Global, TESTED, Cost::Step, |args, _| tested(args, f64::is_nan)),
    row("math.isFinite", Style::Global, TESTED, Cost::Step, |args, _| tested(args, f64::is_finite)),
    row("math.abs", Style::Global, NUMBER, Cost::Step, |args, _| match args {
        [Value::Int(i)] => i.checked_abs().map(Value::Int).ok_or(Problem::Overflow),
        [Value::Uint(u)] => Ok(Value::Uint(*u)),
        [Value::Double(d)] => Ok(Value::Double(d.abs())),
        _ => Err(mismatch(args)),
    }),
    row("math.sign", Style::Global, NUMBER, Cost::Step, |args, _| match args {
        [Value::Int(i)] => Ok(Value::Int(i.signum())),
        [Value::Uint(u)] => Ok(Value::Uint(u64::from(*u > 0))),
        [Value::Double(d)] if *d == 0.0 || d.is_nan() => Ok(Value::Double(*d)),
        [Value::Double(d)] => Ok(Value::Double(d.signum())),
        _ => Err(mismatch(args)),
    }),
    row(
        "math.sqrt",
        Style::Global,
        &[gives(&[Double], Double), gives(&[Int], Double), gives(&[Uint], Double)],
        Cost::Step,
        |args, _| {
            #[expect(clippy::cast_precision_loss, reason = "a root is no exact thing")]
            let number = match args {
                [Value::Double(d)] => *d,
                [Value::Int(i)] => *i as f64,
                [Value::Uint(u)] => *u as f64,
                _ => return Err(mismatch(args)),
            };
            Ok(Value::Double(number.sqrt()))
        },
    ),
    row("math.bitAnd", Style::Global, PAIR, Cost::Step, |args, _| bits(args, |a, b| a & b, |a, b| a & b)),
    row("math.bitOr", Style::Global, PAIR, Cost::Step, |args, _| bits(args, |a, b| a | b, |a, b| a | b)),
    row("math.bitXor", Style::Global, PAIR, Cost::Step, |args, _| bits(args, |a, b| a ^ b, |a, b| a ^ b)),
    row("math.bitNot", Style::Global, &[gives(&[Int], Int), gives(&[Uint], Uint)], Cost::Step, |args, _| {
        match args {
            [Value::Int(i)] => Ok(Value::Int(!i)),
            [Value::Uint(u)] => Ok(Value::Uint(!u)),
            _ => Err(mismatch(args)),
        }
    }),
    row("math.bitShiftLeft", Style::Global, SHIFT, Cost::Step, |args, _| shifted(args, u64::checked_shl)),
    row("math.bitShiftRight", Style::Global, SHIFT, Cost::Step, |args, _| shifted(args, u64::checked_shr)),
];

const EXTREME: &[Overload] = &[
    gives(&[Int], Int),
    gives(&[Uint], Uint),
    gives(&[Double], Double),
    gives(&[Int, Int], Int),
    gives(&[Uint, Uint], Uint),
    gives(&[Double, Double], Double),
    gives(&[Int, Uint], Dyn),
    gives(&[Uint, Int], Dyn),
    gives(&[Int, Double], Dyn),
    gives(&[Double, Int], Dyn),
    gives(&[Uint, Double], Dyn),
    gives(&[Double, Uint], Dyn),
    gives(&[List(&Int)], Int),
    gives(&[List(&Uint)], Uint),
    gives(&[List(&Double)], Double),
];
const ROUNDED: &[Overload] = &[gives(&[Double], Double)];
const TESTED: &[Overload] = &[gives(&[Double], Bool)];
const NUMBER: &[Overload] = &[gives(&[Int], Int), gives(&[Uint], Uint), gives(&[Double], Double)];
const PAIR: &[Overload] = &[gives(&[Int, Int], Int), gives(&[Uint, Uint], Uint)];
const SHIFT: &[Overload] = &[gives(&[Int, Int], Int), gives(&[Uint, Int], Uint)];

fn extreme<'a>(args: &[Value<'a>], wanted: Ordering, budget: &mut Budget) -> Answer<'a> {
    let items = match args {
        [Value::List(list)] => list.clone(),
        numbers => Items::from(numbers.to_vec()),
    };
    let mut best: Option<Value<'a>> = None;
    for item in items.iter() {
        budget.spend(1)?;
        if !matches!(item, Value::Int(_) | Value::Uint(_) | Value::Double(_)) {
            return Err(mismatch(&[item]));
        }
        if best.as_ref().map_or(Ok(true), |best| ordering(&item, best).map(|found| found == wanted))? {
            best = Some(item);
        }
    }
    best.ok_or(Problem::Impossible("an empty list has no smallest or largest item"))
}

fn rounded<'a>(args: &[Value<'a>], by: fn(f64) -> f64) -> Answer<'a> {
    let [Value::Double(d)] = args else { return Err(mismatch(args)) };
    Ok(Value::Double(by(*d)))
}

fn tested<'a>(args: &[Value<'a>], by: fn(f64) -> bool) -> Answer<'a> {
    let [Value::Double(d)] = args else { return Err(mismatch(args)) };
    Ok(Value::Bool(by(*d)))
}

fn bits<'a>(args: &[Value<'a>], ints: fn(i64, i64) -> i64, uints: fn(u64, u64) -> u64) -> Answer<'a> {
    match args {
        [Value::Int(a), Value::Int(b)] => Ok(Value::Int(ints(*a, *b))),
        [Value::Uint(a), Value::Uint(b)] => Ok(Value::Uint(uints(*a, *b))),
        _ => Err(mismatch(args)),
    }
}

/// Bits that leave are lost; by 64 and more nothing stays. A negative number is shifted as the bits that it is.
fn shifted<'a>(args: &[Value<'a>], by: fn(u64, u32) -> Option<u64>) -> Answer<'a> {
    let [number, Value::Int(places)] = args else { return Err(mismatch(args)) };
    if *places < 0 {
        return Err(Problem::Impossible("the number of places must not be negative"));
    }
    let places = u32::try_from(*places).unwrap_or(u32::MAX);
    match number {
        Value::Int(i) => Ok(Value::Int(by(i.cast_unsigned(), places).unwrap_or(0).cast_signed())),
        Value::Uint(u) => Ok(Value::Uint(by(*u, places).unwrap_or(0))),
        _ => Err(mismatch(args)),
    }
}
