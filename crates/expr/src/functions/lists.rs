//! Lists and maps: size, index, join.

use super::compare::lookup;
use super::convert::truncate;
use super::optional::wrap;
use super::{Answer, Cost, Function, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::shape::Shape::{A, B, Bytes, Int, List, Map, Optional, String};
use crate::value::{self, Value};

pub(super) const TABLE: &[Function] = &[
    row(
        "size",
        Style::Either,
        &[gives(&[String], Int), gives(&[Bytes], Int), gives(&[List(&A)], Int), gives(&[Map(&A, &B)], Int)],
        Cost::Reads,
        |args, _| {
            let size = match args {
                [Value::Str(text)] => text.chars().count(),
                [Value::Bytes(bytes)] => bytes.len(),
                [Value::List(list)] => list.len(),
                [Value::Map(map)] => map.len(),
                _ => return Err(mismatch(args)),
            };
            i64::try_from(size).map(Value::Int).map_err(|_| Problem::Overflow)
        },
    ),
    row(
        "_[_]",
        Style::Global,
        &[
            gives(&[List(&A), Int], A),
            gives(&[Map(&A, &B), A], B),
            gives(&[Optional(&List(&A)), Int], Optional(&A)),
            gives(&[Optional(&Map(&A, &B)), A], Optional(&B)),
        ],
        Cost::Step,
        index,
    ),
    row(
        "_[?_]",
        Style::Global,
        &[
            gives(&[List(&A), Int], Optional(&A)),
            gives(&[Map(&A, &B), A], Optional(&B)),
            gives(&[Optional(&List(&A)), Int], Optional(&A)),
            gives(&[Optional(&Map(&A, &B)), A], Optional(&B)),
        ],
        Cost::Step,
        index_maybe,
    ),
    row(
        "join",
        Style::Member,
        &[gives(&[List(&String)], String), gives(&[List(&String), String], String)],
        Cost::Step,
        |args, budget| match args {
            [Value::List(list)] => join(list, "", budget),
            [Value::List(list), Value::Str(separator)] => join(list, separator, budget),
            _ => Err(mismatch(args)),
        },
    ),
];

fn index<'a>(args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
    match args {
        [Value::Optional(_), _] => index_maybe(args, budget),
        [Value::List(_), at] => {
            let place = position(at).ok_or_else(|| mismatch(args))?;
            find(args, budget)?.ok_or(Problem::OutOfRange(place))
        }
        [Value::Map(_), key] => find(args, budget)?
            .ok_or_else(|| Problem::Absent(key.as_str().map_or_else(|| "such key".to_owned(), shortened))),
        _ => Err(mismatch(args)),
    }
}

/// Nothing there is none; whatever is asked of an optional is asked of its value.
fn index_maybe<'a>(args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
    match args {
        [Value::Optional(None), _] => Ok(Value::NONE),
        [Value::Optional(Some(value)), key] => {
            Ok(find(&[value.as_ref().clone(), key.clone()], budget)?.map_or(Value::NONE, wrap))
        }
        _ => Ok(find(args, budget)?.map_or(Value::NONE, wrap)),
    }
}

/// A whole number, of whatever kind: a claim's `1.0` is one.
fn position(at: &Value<'_>) -> Option<i64> {
    match at {
        Value::Int(at) => Some(*at),
        Value::Uint(at) => i64::try_from(*at).ok(),
        Value::Double(at) => truncate(*at).filter(|_| at.fract() == 0.0),
        _ => None,
    }
}

fn find<'a>(args: &[Value<'a>], budget: &mut Budget) -> Result<Option<Value<'a>>, Problem> {
    match args {
        [Value::List(list), at] => {
            let place = position(at).ok_or_else(|| mismatch(args))?;
            Ok(usize::try_from(place).ok().and_then(|at| list.get(at)))
        }
        [
            Value::Map(map),
            key @ (Value::Str(_) | Value::Int(_) | Value::Uint(_) | Value::Bool(_) | Value::Double(_)),
        ] => lookup(map, key, budget),
        _ => Err(mismatch(args)),
    }
}

fn join<'a>(list: &value::List<'a>, separator: &str, budget: &mut Budget) -> Answer<'a> {
    let mut joined = std::string::String::new();
    for (at, item) in list.iter().enumerate() {
        let Value::Str(text) = &item else { return Err(mismatch(&[item])) };
        budget.spend(1)?;
        budget.spend_bytes(text.len().saturating_add(separator.len()))?;
        if at > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text);
    }
    Ok(Value::from(joined))
}

/// A key may come from a claim, whose length nobody has bounded.
fn shortened(key: &str) -> std::string::String {
    key.chars().take(100).collect()
}
