//! The function table: one function or operator is one row with its signatures, its cost and its code. A name may have
//! several rows, of different families; the kinds of the arguments decide between them.

mod bytes;
pub(crate) mod cidr;
mod collections;
pub(crate) mod compare;
mod convert;
pub(crate) mod format;
mod ip;
mod lists;
mod math;
mod numbers;
pub(crate) mod optional;
pub(crate) mod ordered;
mod pattern;
mod printf;
pub(crate) mod quantity;
mod regexes;
pub(crate) mod semver;
mod sets;
mod strings;
mod text;
mod times;
pub(crate) mod url;

use regex::Regex;

use crate::budget::Budget;
use crate::eval::Problem;
use crate::shape::Shape;
use crate::value::Value;

/// Rows that belong together.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) name: &'static str,
    pub(crate) rows: &'static [Function],
    /// Whether the Kubernetes API server has it too.
    pub(crate) in_kubernetes: bool,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Function {
    /// As it is called; operators under CEL's names for them.
    pub(crate) name: &'static str,
    pub(crate) style: Style,
    pub(crate) overloads: &'static [Overload],
    pub(crate) cost: Cost,
    pub(crate) body: Body,
}

/// How it may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `f(a, b)`, or an operator.
    Global,
    /// `a.f(b)`
    Member,
    /// Both.
    Either,
}

/// One signature; the receiver is the first argument.
#[derive(Debug)]
pub(crate) struct Overload {
    pub(crate) args: &'static [Shape],
    pub(crate) gives: Shape,
}

/// What a call costs before it starts, besides its one step. What it makes is paid for while making it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cost {
    Step,
    /// Every byte of the strings and bytes given.
    Reads,
}

#[derive(Debug)]
pub(crate) enum Body {
    Plain(Plain),
    /// The second argument is a regular expression; it is compiled at load if it is written out.
    Search(Search),
    /// The second argument is looked at only if the first one is none; `value`: what stands in it is taken out.
    Otherwise {
        value: bool,
    },
}

pub(crate) type Answer<'a> = Result<Value<'a>, Problem>;
pub(crate) type Plain = for<'a> fn(&[Value<'a>], &mut Budget) -> Answer<'a>;
pub(crate) type Search = for<'a> fn(&Regex, &[Value<'a>], &mut Budget) -> Answer<'a>;

impl Function {
    pub(crate) fn call<'a>(&self, args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
        if matches!(self.cost, Cost::Reads) {
            for arg in args {
                match arg {
                    Value::Str(text) => budget.spend_bytes(text.len())?,
                    Value::Bytes(bytes) => budget.spend_bytes(bytes.len())?,
                    _ => {}
                }
            }
        }
        match &self.body {
            Body::Plain(run) => run(args, budget),
            // Calls of these are planned otherwise and do not come here.
            Body::Search(_) | Body::Otherwise { .. } => Err(crate::eval::mismatch(args)),
        }
    }

    /// Whether one of its signatures fits these values.
    pub(crate) fn holds(&self, args: &[Value<'_>]) -> bool {
        self.overloads.iter().any(|overload| {
            overload.args.len() == args.len()
                && overload.args.iter().zip(args).all(|(shape, arg)| shape.holds(arg))
        })
    }
}

/// All rows.
pub(crate) fn all() -> impl Iterator<Item = &'static Function> {
    LIBRARIES.iter().flat_map(|library| library.rows)
}

/// The rows of a name.
pub(crate) fn named(name: &str) -> impl Iterator<Item = &'static Function> {
    all().filter(move |row| row.name == name)
}

/// Whether names begin with it and a dot.
pub(crate) fn is_namespace(name: &str) -> bool {
    all().any(|row| row.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// Where a row stands.
pub(crate) fn library_of(row: &Function) -> Option<&'static Library> {
    LIBRARIES.iter().find(|library| library.rows.iter().any(|known| std::ptr::eq(known, row)))
}

pub(crate) use pattern::{compile as compile_pattern, compile_computed};

const fn gives(args: &'static [Shape], gives: Shape) -> Overload {
    Overload { args, gives }
}

const fn row(
    name: &'static str,
    style: Style,
    overloads: &'static [Overload],
    cost: Cost,
    run: Plain,
) -> Function {
    Function { name, style, overloads, cost, body: Body::Plain(run) }
}

const fn library(name: &'static str, rows: &'static [Function]) -> Library {
    Library { name, rows, in_kubernetes: true }
}

const fn beyond(name: &'static str, rows: &'static [Function]) -> Library {
    Library { name, rows, in_kubernetes: false }
}

/// All of them, in the order of the documentation.
pub(crate) const LIBRARIES: &[Library] = &[
    library("comparison", compare::TABLE),
    library("arithmetic", numbers::TABLE),
    library("conversion", convert::TABLE),
    library("time", times::TABLE),
    library("strings", strings::TABLE),
    library("text", text::TABLE),
    library("formatted strings", printf::TABLE),
    library("regular expressions", regexes::TABLE),
    library("lists and maps", lists::TABLE),
    library("order", ordered::TABLE),
    library("collections", collections::TABLE),
    library("sets", sets::TABLE),
    library("optionals", optional::TABLE),
    library("url", url::TABLE),
    library("ip", ip::TABLE),
    library("cidr", cidr::TABLE),
    library("quantity", quantity::TABLE),
    library("semver", semver::TABLE),
    library("format", format::TABLE),
    beyond("math", math::TABLE),
    beyond("encoders", bytes::TABLE),
    beyond("further text", text::BEYOND),
];

/// No row takes more.
pub(crate) const MAX_ARGS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sound() {
        for library in LIBRARIES {
            let mut seen = std::collections::BTreeSet::new();
            for row in library.rows {
                let new = seen.insert((row.name, row.style == Style::Global));
                assert!(new, "{} has two rows in {}", row.name, library.name);
                assert!(!row.overloads.is_empty());
                for overload in row.overloads {
                    assert!(overload.args.len() <= MAX_ARGS, "{}", row.name);
                    assert!(!overload.args.is_empty() || row.style == Style::Global, "{}", row.name);
                }
            }
        }
    }
}
