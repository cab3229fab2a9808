//! Lists and maps: size, index, join.

use super::compare::lookup;
use super::{Answer, Cost, Function, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::types::Shape::{A, B, Int, List, Map, String};
use crate::value::{self, Value};

pub(super) const TABLE: &[Function] = &[
    row(
        "size",
        Style::Either,
        &[gives(&[String], Int), gives(&[List(&A)], Int), gives(&[Map(&A, &B)], Int)],
        Cost::Reads,
        |args, _| {
            let size = match args {
                [Value::Str(text)] => text.chars().count(),
                [Value::List(list)] => list.len(),
                [Value::Map(map)] => map.len(),
                _ => return Err(mismatch(args)),
            };
            i64::try_from(size).map(Value::Int).map_err(|_| Problem::Overflow)
        },
    ),
    row("_[_]", Style::Global, &[gives(&[List(&A), Int], A), gives(&[Map(&A, &B), A], B)], Cost::Step, index),
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
        [Value::List(list), Value::Int(at)] => {
            let found = usize::try_from(*at).ok().and_then(|at| list.get(at));
            found.ok_or(Problem::OutOfRange(*at))
        }
        [Value::Map(map), key @ (Value::Str(_) | Value::Int(_) | Value::Bool(_) | Value::Double(_))] => {
            lookup(map, key, budget)?
                .ok_or_else(|| Problem::Absent(key.as_str().map_or_else(|| "such key".to_owned(), shortened)))
        }
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
