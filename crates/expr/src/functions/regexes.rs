//! Searching with regular expressions. What a search costs is the product of text and pattern, its worst case.

use std::sync::Arc;

use regex::Regex;

use super::strings::part;
use super::{Answer, Body, Cost, Function, Overload, Search, Style, gives};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::shape::Shape::{Bool, Int, List, String};
use crate::value::{List as Items, Value};

pub(super) const TABLE: &[Function] = &[
    searching("matches", Style::Either, &[gives(&[String, String], Bool)], matches),
    searching("find", Style::Member, &[gives(&[String, String], String)], find),
    searching(
        "findAll",
        Style::Member,
        &[gives(&[String, String], List(&String)), gives(&[String, String, Int], List(&String))],
        find_all,
    ),
];

const fn searching(
    name: &'static str,
    style: Style,
    overloads: &'static [Overload],
    search: Search,
) -> Function {
    Function { name, style, overloads, cost: Cost::Step, body: Body::Search(search) }
}

/// Unanchored, as RE2's partial match.
fn matches<'a>(pattern: &Regex, args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
    let [Value::Str(text)] = args else { return Err(mismatch(args)) };
    pay(pattern, text, budget)?;
    Ok(Value::Bool(pattern.is_match(text)))
}

/// The first match, or an empty string.
fn find<'a>(pattern: &Regex, args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
    let [Value::Str(text)] = args else { return Err(mismatch(args)) };
    pay(pattern, text, budget)?;
    let range = pattern.find(text).map_or(0..0, |found| found.range());
    Ok(part(text, |text| text.get(range.clone()).unwrap_or_default()))
}

fn find_all<'a>(pattern: &Regex, args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
    let (text, limit) = match args {
        [Value::Str(text)] => (text, -1),
        [Value::Str(text), Value::Int(limit)] => (text, *limit),
        _ => return Err(mismatch(args)),
    };
    pay(pattern, text, budget)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    for range in pattern.find_iter(text).take(limit).map(|found| found.range()) {
        budget.spend(1)?;
        found.push(part(text, |text| text.get(range.clone()).unwrap_or_default()));
    }
    Ok(Value::List(Items::Parts(Arc::new(found))))
}

fn pay(pattern: &Regex, text: &str, budget: &mut Budget) -> Result<(), Problem> {
    budget.spend_bytes((text.len() + 1).saturating_mul(1 + pattern.as_str().len() / 4))
}
