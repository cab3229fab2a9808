//! What needs the order of a list's items: Kubernetes' `isSorted`, `min`, `max` and `sum`, and `sort`.

use std::cmp::Ordering;

use super::compare::ordering;
use super::numbers::add;
use super::{Answer, Cost, Function, Overload, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::shape::Shape::{Bool, Bytes, Double, Duration, Int, List, String, Timestamp, Uint};
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    row("isSorted", Style::Member, IS_SORTED, Cost::Step, |args, budget| match args {
        [Value::List(list)] => {
            let mut before: Option<Value<'_>> = None;
            for item in list.iter() {
                pay(&item, budget)?;
                if let Some(before) = &before
                    && ordering(before, &item)?.is_gt()
                {
                    return Ok(Value::Bool(false));
                }
                before = Some(item);
            }
            Ok(Value::Bool(true))
        }
        _ => Err(mismatch(args)),
    }),
    row("min", Style::Member, ITEMS, Cost::Step, |args, budget| extreme(args, Ordering::Less, budget)),
    row("max", Style::Member, ITEMS, Cost::Step, |args, budget| extreme(args, Ordering::Greater, budget)),
    row("sum", Style::Member, SUMMED, Cost::Step, sum),
    row("sort", Style::Member, SORTED, Cost::Step, |args, budget| match args {
        [Value::List(list)] => {
            budget.spend(list.len())?;
            let keyed = list.iter().map(|item| (item.clone(), item)).collect();
            sorted(keyed, budget).map(Value::from)
        }
        _ => Err(mismatch(args)),
    }),
];

const IS_SORTED: &[Overload] = &[
    gives(&[List(&Int)], Bool),
    gives(&[List(&Uint)], Bool),
    gives(&[List(&Double)], Bool),
    gives(&[List(&Bool)], Bool),
    gives(&[List(&String)], Bool),
    gives(&[List(&Bytes)], Bool),
    gives(&[List(&Timestamp)], Bool),
    gives(&[List(&Duration)], Bool),
];
const ITEMS: &[Overload] = &[
    gives(&[List(&Int)], Int),
    gives(&[List(&Uint)], Uint),
    gives(&[List(&Double)], Double),
    gives(&[List(&Bool)], Bool),
    gives(&[List(&String)], String),
    gives(&[List(&Bytes)], Bytes),
    gives(&[List(&Timestamp)], Timestamp),
    gives(&[List(&Duration)], Duration),
];
const SORTED: &[Overload] = &[
    gives(&[List(&Int)], List(&Int)),
    gives(&[List(&Uint)], List(&Uint)),
    gives(&[List(&Double)], List(&Double)),
    gives(&[List(&Bool)], List(&Bool)),
    gives(&[List(&String)], List(&String)),
    gives(&[List(&Bytes)], List(&Bytes)),
    gives(&[List(&Timestamp)], List(&Timestamp)),
    gives(&[List(&Duration)], List(&Duration)),
];
const SUMMED: &[Overload] = &[
    gives(&[List(&Int)], Int),
    gives(&[List(&Uint)], Uint),
    gives(&[List(&Double)], Double),
    gives(&[List(&Duration)], Duration),
];

/// The items in the order of their keys; equal ones keep theirs. Keys are of one kind.
pub(crate) fn sorted<'a>(
    mut keyed: Vec<(Value<'a>, Value<'a>)>,
    budget: &mut Budget,
) -> Result<Vec<Value<'a>>, Problem> {
    // Merging looks at every item once a level.
    let levels = usize::try_from(keyed.len().checked_ilog2().unwrap_or(0) + 1).unwrap_or(usize::MAX);
    for (key, _) in &keyed {
        budget.spend(levels)?;
        pay(key, budget)?;
    }
    if let Some((first, _)) = keyed.first() {
        let odd = keyed.iter().find(|(key, _)| key.kind() != first.kind());
        if let Some((odd, _)) = odd {
            return Err(mismatch(&[first.clone(), odd.clone()]));
        }
        ordering(first, first)?;
    }
    keyed.sort_by(|(a, _), (b, _)| ordering(a, b).unwrap_or(Ordering::Equal));
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

fn extreme<'a>(args: &[Value<'a>], wanted: Ordering, budget: &mut Budget) -> Answer<'a> {
    let [Value::List(list)] = args else { return Err(mismatch(args)) };
    let mut best: Option<Value<'a>> = None;
    for item in list.iter() {
        pay(&item, budget)?;
        match &best {
            Some(known) if ordering(&item, known)? != wanted => {}
            _ => {
                ordering(&item, &item)?;
                best = Some(item);
            }
        }
    }
    best.ok_or(Problem::Impossible("an empty list has no smallest or largest item"))
}

fn sum<'a>(args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
    let [Value::List(list)] = args else { return Err(mismatch(args)) };
    let mut total: Option<Value<'a>> = None;
    for item in list.iter() {
        budget.spend(1)?;
        if !matches!(item, Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Duration(_)) {
            return Err(mismatch(&[item]));
        }
        total = Some(match total {
            Some(total) => add(&[total, item], budget)?,
            None => item,
        });
    }
    Ok(total.unwrap_or(Value::Int(0)))
}

fn pay(item: &Value<'_>, budget: &mut Budget) -> Result<(), Problem> {
    budget.spend(1)?;
    match item {
        Value::Str(text) => budget.spend_bytes(text.len()),
        Value::Bytes(bytes) => budget.spend_bytes(bytes.len()),
        _ => Ok(()),
    }
}
