//! Equality, order and membership. Values of different kinds are unequal; only numbers compare across kinds.

use std::cmp::Ordering;

use super::{Answer, Cost, Function, Overload, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::types::Shape::{A, B, Bool, Double, Int, List, Map, String};
use crate::value::{self, Value};

pub(super) const TABLE: &[Function] = &[
    row("_==_", Style::Global, &[gives(&[A, A], Bool)], Cost::Step, |args, budget| match args {
        [a, b] => Ok(Value::Bool(equal(a, b, budget)?)),
        _ => Err(mismatch(args)),
    }),
    row("_!=_", Style::Global, &[gives(&[A, A], Bool)], Cost::Step, |args, budget| match args {
        [a, b] => Ok(Value::Bool(!equal(a, b, budget)?)),
        _ => Err(mismatch(args)),
    }),
    row("_<_", Style::Global, ORDERED, Cost::Reads, |args, _| order(args, Ordering::is_lt)),
    row("_<=_", Style::Global, ORDERED, Cost::Reads, |args, _| order(args, Ordering::is_le)),
    row("_>_", Style::Global, ORDERED, Cost::Reads, |args, _| order(args, Ordering::is_gt)),
    row("_>=_", Style::Global, ORDERED, Cost::Reads, |args, _| order(args, Ordering::is_ge)),
    row(
        "@in",
        Style::Global,
        &[gives(&[A, List(&A)], Bool), gives(&[A, Map(&A, &B)], Bool)],
        Cost::Step,
        contains,
    ),
];

/// Kubernetes lets ints and doubles be ordered against each other.
const ORDERED: &[Overload] = &[
    gives(&[Bool, Bool], Bool),
    gives(&[Int, Int], Bool),
    gives(&[Double, Double], Bool),
    gives(&[Int, Double], Bool),
    gives(&[Double, Int], Bool),
    gives(&[String, String], Bool),
];

/// Whether two values are equal (CEL specification, "Equality"). Recursion ends where the values do, which are no
/// deeper than JSON may be or the program is high.
pub(crate) fn equal(a: &Value<'_>, b: &Value<'_>, budget: &mut Budget) -> Result<bool, Problem> {
    Ok(match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(_) | Value::Double(_), Value::Int(_) | Value::Double(_)) => {
            numbers(a, b) == Some(Ordering::Equal)
        }
        (Value::Str(a), Value::Str(b)) => {
            budget.spend_bytes(a.len().min(b.len()))?;
            a == b
        }
        (Value::List(a), Value::List(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b.iter()) {
                budget.spend(1)?;
                if !equal(&a, &b, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (key, value) in a.iter() {
                budget.spend(1)?;
                match lookup(b, &key, budget)? {
                    Some(other) if equal(&value, &other, budget)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        _ => false,
    })
}

/// The entry of that key.
pub(super) fn lookup<'a>(
    map: &value::Map<'a>,
    key: &Value<'_>,
    budget: &mut Budget,
) -> Result<Option<Value<'a>>, Problem> {
    let entries = match map {
        value::Map::Json(_) => return Ok(key.as_str().and_then(|name| map.field(name))),
        value::Map::Built(entries) => entries,
    };
    for (candidate, value) in entries.iter() {
        budget.spend(1)?;
        if equal(candidate, key, budget)? {
            return Ok(Some(value.clone()));
        }
    }
    Ok(None)
}

fn contains<'a>(args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
    match args {
        [wanted, Value::List(list)] => {
            for item in list.iter() {
                budget.spend(1)?;
                if equal(wanted, &item, budget)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        [key, Value::Map(map)] => Ok(Value::Bool(lookup(map, key, budget)?.is_some())),
        _ => Err(mismatch(args)),
    }
}

fn order<'a>(args: &[Value<'a>], wanted: fn(Ordering) -> bool) -> Answer<'a> {
    let ordering = match args {
        [Value::Bool(a), Value::Bool(b)] => Some(a.cmp(b)),
        [Value::Str(a), Value::Str(b)] => Some(a.cmp(b)),
        [a @ (Value::Int(_) | Value::Double(_)), b @ (Value::Int(_) | Value::Double(_))] => numbers(a, b),
        _ => return Err(mismatch(args)),
    };
    Ok(Value::Bool(ordering.is_some_and(wanted)))
}

/// Numbers on one line, whatever their kinds; `None` if one is not a number.
fn numbers(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Double(b)) => int_double(*a, *b),
        (Value::Double(a), Value::Int(b)) => int_double(*b, *a).map(Ordering::reverse),
        _ => None,
    }
}

/// Exact: a 64-bit integer is never rounded to be compared.
fn int_double(a: i64, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    if b >= TWO_TO_63 {
        return Some(Ordering::Less);
    }
    if b < -TWO_TO_63 {
        return Some(Ordering::Greater);
    }
    #[expect(clippy::cast_possible_truncation, reason = "in range, and the fraction is looked at next")]
    let whole = b.trunc() as i64;
    Some(a.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&b.fract()).unwrap_or(Ordering::Equal)))
}

/// The first double above every int.
pub(super) const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
