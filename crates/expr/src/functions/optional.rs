//! Optionals: a value or none.

use super::{Body, Cost, Function, Style, gives, row};
use crate::eval::{Problem, mismatch};
use crate::shape::Shape::{A, Bool, List, Optional};
use crate::value::{List as Items, Value};

pub(super) const TABLE: &[Function] = &[
    row("optional.of", Style::Global, &[gives(&[A], Optional(&A))], Cost::Step, |args, _| match args {
        [value] => Ok(Value::some(value.clone())),
        _ => Err(mismatch(args)),
    }),
    row("optional.none", Style::Global, &[gives(&[], Optional(&A))], Cost::Step, |_, _| Ok(Value::NONE)),
    row("optional.ofNonZeroValue", Style::Global, &[gives(&[A], Optional(&A))], Cost::Step, |args, _| {
        match args {
            [value] => Ok(if is_zero(value) { Value::NONE } else { Value::some(value.clone()) }),
            _ => Err(mismatch(args)),
        }
    }),
    row("hasValue", Style::Member, &[gives(&[Optional(&A)], Bool)], Cost::Step, |args, _| match args {
        [Value::Optional(value)] => Ok(Value::Bool(value.is_some())),
        _ => Err(mismatch(args)),
    }),
    row("value", Style::Member, &[gives(&[Optional(&A)], A)], Cost::Step, |args, _| match args {
        [Value::Optional(Some(value))] => Ok(value.as_ref().clone()),
        [Value::Optional(None)] => Err(Problem::NoValue),
        _ => Err(mismatch(args)),
    }),
    Function {
        name: "or",
        style: Style::Member,
        overloads: &[gives(&[Optional(&A), Optional(&A)], Optional(&A))],
        cost: Cost::Step,
        body: Body::Otherwise { value: false },
    },
    Function {
        name: "orValue",
        style: Style::Member,
        overloads: &[gives(&[Optional(&A), A], A)],
        cost: Cost::Step,
        body: Body::Otherwise { value: true },
    },
    row("first", Style::Member, &[gives(&[List(&A)], Optional(&A))], Cost::Step, |args, _| match args {
        [Value::List(list)] => Ok(list.get(0).map_or(Value::NONE, Value::some)),
        _ => Err(mismatch(args)),
    }),
    row("last", Style::Member, &[gives(&[List(&A)], Optional(&A))], Cost::Step, |args, _| match args {
        [Value::List(list)] => {
            let last = list.len().checked_sub(1).and_then(|at| list.get(at));
            Ok(last.map_or(Value::NONE, Value::some))
        }
        _ => Err(mismatch(args)),
    }),
    row("optional.unwrap", Style::Global, UNWRAP, Cost::Step, unwrap),
    row("unwrapOpt", Style::Member, UNWRAP, Cost::Step, unwrap),
];

const UNWRAP: &[super::Overload] = &[gives(&[List(&Optional(&A))], List(&A))];

/// The value as an optional, if it is none already.
pub(crate) fn wrap(value: Value<'_>) -> Value<'_> {
    if matches!(value, Value::Optional(_)) { value } else { Value::some(value) }
}

/// The values of a list's optionals that have one.
fn unwrap<'a>(args: &[Value<'a>], budget: &mut crate::budget::Budget) -> super::Answer<'a> {
    let [Value::List(list)] = args else { return Err(mismatch(args)) };
    budget.spend(list.len())?;
    let mut found = Vec::new();
    for item in list.iter() {
        match item {
            Value::Optional(None) => {}
            Value::Optional(Some(value)) => found.push(value.as_ref().clone()),
            other => return Err(mismatch(&[other])),
        }
    }
    Ok(Value::from(found))
}

fn is_zero(value: &Value<'_>) -> bool {
    match value {
        Value::Null | Value::Bool(false) | Value::Int(0) | Value::Uint(0) | Value::Duration(0) => true,
        Value::Double(d) => *d == 0.0,
        Value::Str(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(list) => Items::is_empty(list),
        Value::Map(map) => map.is_empty(),
        Value::Optional(value) => value.is_none(),
        _ => false,
    }
}
