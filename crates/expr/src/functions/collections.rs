//! cel-go's extension of lists, as Kubernetes enables it, and Kubernetes' own search in lists.

use super::compare::equal;
use super::{Answer, Cost, Function, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::shape::Shape::{A, Dyn, Int, List};
use crate::value::{List as Items, Value};

pub(super) const TABLE: &[Function] = &[
    row("indexOf", Style::Member, &[gives(&[List(&A), A], Int)], Cost::Step, |args, budget| match args {
        [Value::List(list), wanted] => position(list.iter().enumerate(), wanted, budget),
        _ => Err(mismatch(args)),
    }),
    row("lastIndexOf", Style::Member, &[gives(&[List(&A), A], Int)], Cost::Step, |args, budget| match args {
        [Value::List(list), wanted] => {
            let backwards = (0..list.len()).rev().filter_map(|at| Some((at, list.get(at)?)));
            position(backwards, wanted, budget)
        }
        _ => Err(mismatch(args)),
    }),
    row("slice", Style::Member, &[gives(&[List(&A), Int, Int], List(&A))], Cost::Step, slice),
    row(
        "flatten",
        Style::Member,
        &[gives(&[List(&List(&A))], List(&A)), gives(&[List(&Dyn), Int], List(&Dyn))],
        Cost::Step,
        |args, budget| {
            let (list, depth) = match args {
                [Value::List(list)] => (list, 1),
                [Value::List(list), Value::Int(depth)] => (list, *depth),
                _ => return Err(mismatch(args)),
            };
            if depth < 0 {
                return Err(Problem::Impossible("the depth must not be negative"));
            }
            let mut out = Vec::new();
            flatten(list, depth, &mut out, budget)?;
            Ok(Value::from(out))
        },
    ),
    row("lists.range", Style::Global, &[gives(&[Int], List(&Int))], Cost::Step, |args, budget| match args {
        [Value::Int(end)] if *end < 0 => Err(Problem::Impossible("a range does not end below zero")),
        [Value::Int(end)] => {
            budget.spend(usize::try_from(*end).unwrap_or(0))?;
            Ok(Value::from((0..*end).map(Value::Int).collect::<Vec<_>>()))
        }
        _ => Err(mismatch(args)),
    }),
    row("reverse", Style::Member, &[gives(&[List(&A)], List(&A))], Cost::Step, |args, budget| match args {
        [Value::List(list)] => {
            budget.spend(list.len())?;
            Ok(Value::from((0..list.len()).rev().filter_map(|at| list.get(at)).collect::<Vec<_>>()))
        }
        _ => Err(mismatch(args)),
    }),
    row("distinct", Style::Member, &[gives(&[List(&A)], List(&A))], Cost::Step, distinct),
];

fn position<'a>(
    items: impl Iterator<Item = (usize, Value<'a>)>,
    wanted: &Value<'a>,
    budget: &mut Budget,
) -> Answer<'a> {
    for (at, item) in items {
        budget.spend(1)?;
        if equal(&item, wanted, budget)? {
            return i64::try_from(at).map(Value::Int).map_err(|_| Problem::Overflow);
        }
    }
    Ok(Value::Int(-1))
}

fn slice<'a>(args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
    let [Value::List(list), Value::Int(from), Value::Int(to)] = args else { return Err(mismatch(args)) };
    let (Ok(start), Ok(end)) = (usize::try_from(*from), usize::try_from(*to)) else {
        return Err(Problem::OutOfRange((*from).min(*to)));
    };
    if start > end {
        return Err(Problem::OutOfRange(*from));
    }
    if end > list.len() {
        return Err(Problem::OutOfRange(*to));
    }
    budget.spend(end - start)?;
    Ok(Value::from((start..end).filter_map(|at| list.get(at)).collect::<Vec<_>>()))
}

/// Recursion ends where the lists do, which are no deeper than JSON may be or the program is high.
fn flatten<'a>(
    list: &Items<'a>,
    depth: i64,
    out: &mut Vec<Value<'a>>,
    budget: &mut Budget,
) -> Result<(), Problem> {
    for item in list.iter() {
        budget.spend(1)?;
        match item {
            Value::List(inner) if depth > 0 => flatten(&inner, depth - 1, out, budget)?,
            other => out.push(other),
        }
    }
    Ok(())
}

fn distinct<'a>(args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
    let [Value::List(list)] = args else { return Err(mismatch(args)) };
    let mut out: Vec<Value<'a>> = Vec::new();
    for item in list.iter() {
        let mut known = false;
        for other in &out {
            budget.spend(1)?;
            if equal(&item, other, budget)? {
                known = true;
                break;
            }
        }
        if !known {
            budget.spend(1)?;
            out.push(item);
        }
    }
    Ok(Value::from(out))
}
