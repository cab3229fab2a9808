//! Lists as sets: order and repetition do not count.

use super::compare::equal;
use super::{Answer, Cost, Function, Overload, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::shape::Shape::{A, Bool, List};
use crate::value::{List as Items, Value};

pub(super) const TABLE: &[Function] = &[
    row("sets.contains", Style::Global, BOTH, Cost::Step, |args, budget| {
        compared(args, |a, b| holds_all(a, b, budget))
    }),
    row("sets.equivalent", Style::Global, BOTH, Cost::Step, |args, budget| {
        compared(args, |a, b| Ok(holds_all(a, b, budget)? && holds_all(b, a, budget)?))
    }),
    row("sets.intersects", Style::Global, BOTH, Cost::Step, |args, budget| {
        compared(args, |a, b| {
            for item in a.iter() {
                if holds(b, &item, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }),
];

const BOTH: &[Overload] = &[gives(&[List(&A), List(&A)], Bool)];

fn compared<'a>(
    args: &[Value<'a>],
    by: impl FnOnce(&Items<'a>, &Items<'a>) -> Result<bool, Problem>,
) -> Answer<'a> {
    let [Value::List(a), Value::List(b)] = args else { return Err(mismatch(args)) };
    by(a, b).map(Value::Bool)
}

fn holds_all(all: &Items<'_>, some: &Items<'_>, budget: &mut Budget) -> Result<bool, Problem> {
    for item in some.iter() {
        if !holds(all, &item, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn holds(list: &Items<'_>, wanted: &Value<'_>, budget: &mut Budget) -> Result<bool, Problem> {
    for item in list.iter() {
        budget.spend(1)?;
        if equal(&item, wanted, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}
