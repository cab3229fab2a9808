//! Further functions of strings: quoting, and turning around.

use super::{Cost, Function, Style, gives, row};
use crate::eval::mismatch;
use crate::shape::Shape::String;
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[row(
    "strings.quote",
    Style::Global,
    &[gives(&[String], String)],
    Cost::Reads,
    |args, budget| match args {
        [Value::Str(text)] => {
            budget.spend_bytes(text.len())?;
            Ok(Value::from(quoted(text)))
        }
        _ => Err(mismatch(args)),
    },
)];

/// Of a later version of the library than the API server's.
pub(super) const BEYOND: &[Function] =
    &[row("reverse", Style::Member, &[gives(&[String], String)], Cost::Reads, |args, _| match args {
        [Value::Str(text)] => Ok(Value::from(text.chars().rev().collect::<std::string::String>())),
        _ => Err(mismatch(args)),
    })];

fn quoted(text: &str) -> std::string::String {
    let mut out = std::string::String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match ESCAPES.iter().find(|(plain, _)| *plain == c) {
            Some((_, letter)) => out.extend(['\\', *letter]),
            None => out.push(c),
        }
    }
    out.push('"');
    out
}

const ESCAPES: [(char, char); 9] = [
    ('\u{7}', 'a'),
    ('\u{8}', 'b'),
    ('\u{c}', 'f'),
    ('\n', 'n'),
    ('\r', 'r'),
    ('\t', 't'),
    ('\u{b}', 'v'),
    ('\\', '\\'),
    ('"', '"'),
];
