//! Equality, order and membership. Values of different kinds are unequal; only numbers compare across kinds.

use std::cmp::Ordering;

use super::{Answer, Cost, Function, Overload, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::shape::Shape::{A, B, Bool, Bytes, Double, Duration, Int, List, Map, String, Timestamp, Uint};
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

/// Kubernetes lets numbers of different kinds be ordered against each other.
const ORDERED: &[Overload] = &[
    gives(&[Bool, Bool], Bool),
    gives(&[Int, Int], Bool),
    gives(&[Double, Double], Bool),
    gives(&[Uint, Uint], Bool),
    gives(&[Int, Double], Bool),
    gives(&[Double, Int], Bool),
    gives(&[Int, Uint], Bool),
    gives(&[Uint, Int], Bool),
    gives(&[Uint, Double], Bool),
    gives(&[Double, Uint], Bool),
    gives(&[String, String], Bool),
    gives(&[Bytes, Bytes], Bool),
    gives(&[Timestamp, Timestamp], Bool),
    gives(&[Duration, Duration], Bool),
];

/// Whether two values are equal (CEL specification, "Equality"). Recursion ends where the values do, which are no
/// deeper than JSON may be or the program is high.
pub(crate) fn equal(a: &Value<'_>, b: &Value<'_>, budget: &mut Budget) -> Result<bool, Problem> {
    Ok(match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
        ) => numbers(a, b) == Some(Ordering::Equal),
        (Value::Bytes(a), Value::Bytes(b)) => {
            budget.spend_bytes(a.len().min(b.len()))?;
            a == b
        }
        (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::Type(a), Value::Type(b)) => a == b,
        (Value::Optional(None), Value::Optional(None)) => true,
        (Value::Optional(Some(a)), Value::Optional(Some(b))) => equal(a, b, budget)?,
        (Value::Foreign(x), Value::Foreign(y)) if x.foreign_type() == y.foreign_type() => x == y,
        // For Kubernetes these are an error, not unequal.
        (Value::Foreign(_), _) => return Err(mismatch(&[a.clone(), b.clone()])),
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
    let [a, b] = args else { return Err(mismatch(args)) };
    Ok(Value::Bool(wanted(ordering(a, b)?)))
}

/// How two values of an ordered kind stand to each other. What is not a number has no order, as in the Go
/// implementation.
pub(super) fn ordering(a: &Value<'_>, b: &Value<'_>) -> Result<Ordering, Problem> {
    Ok(match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Str(a), Value::Str(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        (Value::Duration(a), Value::Duration(b)) => a.cmp(b),
        (
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
        ) => numbers(a, b).ok_or(Problem::Impossible("NaN has no order"))?,
        _ => return Err(mismatch(&[a.clone(), b.clone()])),
    })
}

/// Numbers on one line, whatever their kinds; `None` if one is not a number.
fn numbers(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Double(a), b) => whole_double(whole(b)?, *a).map(Ordering::reverse),
        (a, Value::Double(b)) => whole_double(whole(a)?, *b),
        (a, b) => Some(whole(a)?.cmp(&whole(b)?)),
    }
}

const fn whole(value: &Value<'_>) -> Option<i128> {
    match value {
        Value::Int(i) => Some(*i as i128),
        Value::Uint(u) => Some(*u as i128),
        _ => None,
    }
}

/// Exact: a 64-bit integer is never rounded to be compared.
fn whole_double(a: i128, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    if b >= TWO_TO_64 {
        return Some(Ordering::Less);
    }
    if b < -TWO_TO_63 {
        return Some(Ordering::Greater);
    }
    #[expect(clippy::cast_possible_truncation, reason = "in range, and the fraction is looked at next")]
    let whole = b.trunc() as i128;
    Some(a.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&b.fract()).unwrap_or(Ordering::Equal)))
}

/// The first double above every int.
pub(super) const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// The first double above every uint.
pub(super) const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;
