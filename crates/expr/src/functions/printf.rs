//! `"…".format([…])`: `%s %d %f %e %b %x %X %o %%`, with a precision for `%f` and `%e`.

use super::convert::to_string;
use super::{Answer, Cost, Function, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::shape::Shape::{Dyn, List, String as Text};
use crate::value::{List as Items, Value};

pub(super) const TABLE: &[Function] = &[row(
    "format",
    Style::Member,
    &[gives(&[Text, List(&Dyn)], Text)],
    Cost::Reads,
    |args, budget| match args {
        [Value::Str(template), Value::List(items)] => format(template, items, budget),
        _ => Err(mismatch(args)),
    },
)];

fn format<'a>(template: &str, items: &Items<'a>, budget: &mut Budget) -> Answer<'a> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    let mut next = 0;
    while let Some((plain, after)) = rest.split_once('%') {
        out.push_str(plain);
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let (clause, left) = clause(after)?;
        let item =
            items.get(next).ok_or(Problem::Impossible("the list has fewer items than the text asks for"))?;
        next += 1;
        let before = out.len();
        write(&clause, &item, &mut out, budget)?;
        budget.spend_bytes(out.len() - before)?;
        rest = left;
    }
    out.push_str(rest);
    Ok(Value::from(out))
}

struct Clause {
    verb: char,
    precision: usize,
}

fn clause(text: &str) -> Result<(Clause, &str), Problem> {
    let bad = Problem::Impossible("what follows `%` is one of s, d, f, e, b, x, X, o and `%`");
    let (precision, rest) = match text.strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (digits, rest) = rest.split_at_checked(end).ok_or(bad.clone())?;
            let precision = digits.parse::<usize>().ok().filter(|precision| *precision <= MAX_PRECISION);
            (precision.ok_or(Problem::Impossible("the precision is a number up to 100"))?, rest)
        }
        None => (6, text),
    };
    let verb = rest.chars().next().filter(|verb| "sdfebxXo".contains(*verb)).ok_or(bad)?;
    Ok((Clause { verb, precision }, rest.get(1..).unwrap_or_default()))
}

fn write(clause: &Clause, item: &Value<'_>, out: &mut String, budget: &mut Budget) -> Result<(), Problem> {
    let wrong = || mismatch(std::slice::from_ref(item));
    let text = match (clause.verb, item) {
        ('s', item) => return write_value(item, out, budget),
        ('d', Value::Int(_) | Value::Uint(_)) => return write_value(item, out, budget),
        ('d' | 'f' | 'e', Value::Double(d)) if !d.is_finite() => not_finite(*d),
        ('d', Value::Double(_)) => return write_value(item, out, budget),
        ('d' | 'f' | 'e', Value::Str(text)) if NOT_FINITE.contains(&text.as_ref()) => {
            text.as_ref().to_owned()
        }
        ('f', Value::Double(d)) => format!("{d:.*}", clause.precision),
        ('f', Value::Int(_) | Value::Uint(_)) => format!("{:.*}", clause.precision, as_double(item)),
        ('e', Value::Double(_) | Value::Int(_) | Value::Uint(_)) => {
            scientific(as_double(item), clause.precision)
        }
        ('b', Value::Bool(b)) => u8::from(*b).to_string(),
        ('b', Value::Int(i)) => signed(*i, format!("{:b}", i.unsigned_abs())),
        ('b', Value::Uint(u)) => format!("{u:b}"),
        ('o', Value::Int(i)) => signed(*i, format!("{:o}", i.unsigned_abs())),
        ('o', Value::Uint(u)) => format!("{u:o}"),
        ('x', Value::Int(i)) => signed(*i, format!("{:x}", i.unsigned_abs())),
        ('X', Value::Int(i)) => signed(*i, format!("{:X}", i.unsigned_abs())),
        ('x', Value::Uint(u)) => format!("{u:x}"),
        ('X', Value::Uint(u)) => format!("{u:X}"),
        ('x', Value::Str(text)) => hex(text.as_bytes()),
        ('X', Value::Str(text)) => hex(text.as_bytes()).to_uppercase(),
        ('x', Value::Bytes(bytes)) => hex(bytes),
        ('X', Value::Bytes(bytes)) => hex(bytes).to_uppercase(),
        _ => return Err(wrong()),
    };
    out.push_str(&text);
    Ok(())
}

/// As `string()` writes it; lists and maps in brackets, the entries of a map by key.
fn write_value(value: &Value<'_>, out: &mut String, budget: &mut Budget) -> Result<(), Problem> {
    budget.spend(1)?;
    match value {
        Value::Null => out.push_str("null"),
        Value::Type(name) => out.push_str(name),
        Value::Double(d) if !d.is_finite() => out.push_str(&not_finite(*d)),
        Value::List(list) => {
            out.push('[');
            for (at, item) in list.iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                write_value(&item, out, budget)?;
            }
            out.push(']');
        }
        Value::Map(map) => {
            let mut entries = Vec::new();
            for (key, value) in map.iter() {
                let mut shown = String::new();
                write_value(&key, &mut shown, budget)?;
                entries.push((shown, value));
            }
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            out.push('{');
            for (at, (key, value)) in entries.into_iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                out.push_str(&key);
                out.push_str(": ");
                write_value(&value, out, budget)?;
            }
            out.push('}');
        }
        Value::Optional(_) | Value::Foreign(_) => return Err(mismatch(std::slice::from_ref(value))),
        simple => {
            let text = to_string(std::slice::from_ref(simple), budget)?;
            budget.spend_bytes(text.as_str().map_or(0, str::len))?;
            out.push_str(text.as_str().unwrap_or_default());
        }
    }
    Ok(())
}

fn not_finite(d: f64) -> String {
    let name = if d.is_nan() {
        "NaN"
    } else if d > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    name.to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with a fixed number of digits")]
const fn as_double(item: &Value<'_>) -> f64 {
    match item {
        Value::Int(i) => *i as f64,
        Value::Uint(u) => *u as f64,
        Value::Double(d) => *d,
        _ => 0.0,
    }
}

/// At least two digits of exponent, with its sign.
fn scientific(d: f64, precision: usize) -> String {
    let text = format!("{d:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}e{sign}{exponent:0>2}")
}

fn signed(i: i64, digits: String) -> String {
    if i < 0 { format!("-{digits}") } else { digits }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

const NOT_FINITE: [&str; 3] = ["NaN", "Infinity", "-Infinity"];
const MAX_PRECISION: usize = 100;
