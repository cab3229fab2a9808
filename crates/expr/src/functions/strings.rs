//! Strings, with the semantics of cel-go's `ext.Strings`: positions count code points, never bytes.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Answer, Cost, Function, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::shape::Shape::{Bool, Int, List, String};
use crate::value::{List as Items, Value};

pub(super) const TABLE: &[Function] = &[
    row("contains", Style::Member, &[gives(&[String, String], Bool)], Cost::Reads, |args, _| {
        test(args, |text, part| text.contains(part))
    }),
    row("startsWith", Style::Member, &[gives(&[String, String], Bool)], Cost::Reads, |args, _| {
        test(args, |text, part| text.starts_with(part))
    }),
    row("endsWith", Style::Member, &[gives(&[String, String], Bool)], Cost::Reads, |args, _| {
        test(args, |text, part| text.ends_with(part))
    }),
    row("lowerAscii", Style::Member, &[gives(&[String], String)], Cost::Reads, |args, _| match args {
        [Value::Str(text)] => Ok(Value::from(text.to_ascii_lowercase())),
        _ => Err(mismatch(args)),
    }),
    row("upperAscii", Style::Member, &[gives(&[String], String)], Cost::Reads, |args, _| match args {
        [Value::Str(text)] => Ok(Value::from(text.to_ascii_uppercase())),
        _ => Err(mismatch(args)),
    }),
    row("trim", Style::Member, &[gives(&[String], String)], Cost::Reads, |args, _| match args {
        [Value::Str(text)] => Ok(part(text, str::trim)),
        _ => Err(mismatch(args)),
    }),
    row("charAt", Style::Member, &[gives(&[String, Int], String)], Cost::Reads, char_at),
    row(
        "indexOf",
        Style::Member,
        &[gives(&[String, String], Int), gives(&[String, String, Int], Int)],
        Cost::Reads,
        index_of,
    ),
    row(
        "lastIndexOf",
        Style::Member,
        &[gives(&[String, String], Int), gives(&[String, String, Int], Int)],
        Cost::Reads,
        last_index_of,
    ),
    row(
        "substring",
        Style::Member,
        &[gives(&[String, Int], String), gives(&[String, Int, Int], String)],
        Cost::Reads,
        substring,
    ),
    row(
        "replace",
        Style::Member,
        &[gives(&[String, String, String], String), gives(&[String, String, String, Int], String)],
        Cost::Reads,
        replace,
    ),
    row(
        "split",
        Style::Member,
        &[gives(&[String, String], List(&String)), gives(&[String, String, Int], List(&String))],
        Cost::Reads,
        split,
    ),
];

fn test<'a>(args: &[Value<'a>], holds: fn(&str, &str) -> bool) -> Answer<'a> {
    match args {
        [Value::Str(text), Value::Str(part)] => Ok(Value::Bool(holds(text, part))),
        _ => Err(mismatch(args)),
    }
}

fn char_at<'a>(args: &[Value<'a>], _: &mut Budget) -> Answer<'a> {
    let [Value::Str(text), Value::Int(at)] = args else { return Err(mismatch(args)) };
    let from = offset(text, *at)?;
    Ok(part(text, |text| {
        let rest = text.get(from..).unwrap_or_default();
        rest.get(..rest.chars().next().map_or(0, char::len_utf8)).unwrap_or_default()
    }))
}

fn substring<'a>(args: &[Value<'a>], _: &mut Budget) -> Answer<'a> {
    let (text, from, to) = match args {
        [Value::Str(text), Value::Int(from)] => (text, offset(text, *from)?, text.len()),
        [Value::Str(text), Value::Int(from), Value::Int(to)] => {
            if from > to {
                return Err(Problem::OutOfRange(*from));
            }
            (text, offset(text, *from)?, offset(text, *to)?)
        }
        _ => return Err(mismatch(args)),
    };
    Ok(part(text, |text| text.get(from..to).unwrap_or_default()))
}

fn index_of<'a>(args: &[Value<'a>], _: &mut Budget) -> Answer<'a> {
    let (text, wanted, start) = match args {
        [Value::Str(text), Value::Str(wanted)] => (text, wanted, 0),
        [Value::Str(text), Value::Str(wanted), Value::Int(start)] => (text, wanted, *start),
        _ => return Err(mismatch(args)),
    };
    // A start behind the end finds nothing; one before the beginning is a mistake.
    let Ok(from) = offset(text, start) else {
        return if start < 0 { Err(Problem::OutOfRange(start)) } else { Ok(Value::Int(-1)) };
    };
    let found = text.get(from..).and_then(|rest| rest.find(wanted.as_ref()));
    Ok(Value::Int(found.map_or(-1, |at| count(text.get(..from + at).unwrap_or_default()))))
}

fn last_index_of<'a>(args: &[Value<'a>], _: &mut Budget) -> Answer<'a> {
    let (text, wanted, last) = match args {
        [Value::Str(text), Value::Str(wanted)] => (text, wanted, i64::MAX),
        [Value::Str(text), Value::Str(wanted), Value::Int(last)] => (text, wanted, *last),
        _ => return Err(mismatch(args)),
    };
    if last < 0 {
        return Err(Problem::OutOfRange(last));
    }
    // Behind the end: cel-go finds nothing, unless no place was given.
    if args.len() == 3 && (last > count(text) || (last == count(text) && !wanted.is_empty())) {
        return Ok(Value::Int(-1));
    }
    let end = offset(text, last.saturating_add(count(wanted))).unwrap_or(text.len());
    let found = text.get(..end).and_then(|head| head.rfind(wanted.as_ref()));
    Ok(Value::Int(found.map_or(-1, |at| count(text.get(..at).unwrap_or_default()))))
}

fn replace<'a>(args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
    let (text, old, new, limit) = match args {
        [Value::Str(text), Value::Str(old), Value::Str(new)] => (text, old, new, -1),
        [Value::Str(text), Value::Str(old), Value::Str(new), Value::Int(limit)] => (text, old, new, *limit),
        _ => return Err(mismatch(args)),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let places = text.matches(old.as_ref()).count().min(limit);
    budget.spend_bytes(text.len().saturating_add(places.saturating_mul(new.len())))?;
    Ok(Value::from(text.replacen(old.as_ref(), new, places)))
}

fn split<'a>(args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
    let (text, separator, limit) = match args {
        [Value::Str(text), Value::Str(separator)] => (text, separator, -1),
        [Value::Str(text), Value::Str(separator), Value::Int(limit)] => (text, separator, *limit),
        _ => return Err(mismatch(args)),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut at = 0;
    while parts.len() < limit {
        budget.spend(1)?;
        let rest = text.get(at..).unwrap_or_default();
        let last = parts.len() + 1 == limit;
        let cut = if last { None } else { next_cut(rest, separator) };
        // An empty separator parts every two characters and makes nothing of an empty string.
        if cut.is_none() && rest.is_empty() && separator.is_empty() {
            break;
        }
        let end = at + cut.unwrap_or(rest.len());
        parts.push(part(text, |text| text.get(at..end).unwrap_or_default()));
        if cut.is_none() {
            break;
        }
        at = end + separator.len();
    }
    Ok(Value::List(Items::Parts(Arc::new(parts))))
}

/// Where the first part of `rest` ends, if another follows.
fn next_cut(rest: &str, separator: &str) -> Option<usize> {
    if separator.is_empty() {
        return rest.char_indices().nth(1).map(|(at, _)| at);
    }
    rest.find(separator)
}

/// Part of a text, borrowed if the text is.
pub(super) fn part<'a>(text: &Cow<'a, str>, cut: impl for<'t> Fn(&'t str) -> &'t str) -> Value<'a> {
    match text {
        Cow::Borrowed(text) => Value::from(cut(text)),
        Cow::Owned(text) => Value::from(cut(text).to_owned()),
    }
}

/// The byte offset of the n-th character; the end counts as one.
fn offset(text: &str, n: i64) -> Result<usize, Problem> {
    let places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    usize::try_from(n).ok().and_then(|n| { places }.nth(n)).ok_or(Problem::OutOfRange(n))
}

fn count(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(i64::MAX)
}
