//! The function table: one function or operator is one row with its signatures, its cost and its code.

pub(crate) mod compare;
mod convert;
mod lists;
mod numbers;
mod pattern;
mod strings;

use regex::Regex;

use crate::budget::Budget;
use crate::eval::Problem;
use crate::types::Shape;
use crate::value::Value;

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
    /// Every byte of the strings given.
    Reads,
}

#[derive(Debug)]
pub(crate) enum Body {
    Plain(Plain),
    /// The last argument is a regular expression, written out, compiled at load.
    Search(Search),
}

pub(crate) type Answer<'a> = Result<Value<'a>, Problem>;
pub(crate) type Plain = for<'a> fn(&[Value<'a>], &mut Budget) -> Answer<'a>;
pub(crate) type Search = for<'a> fn(&Regex, &[Value<'a>], &mut Budget) -> Answer<'a>;

impl Function {
    pub(crate) fn call<'a>(&self, args: &[Value<'a>], budget: &mut Budget) -> Answer<'a> {
        if matches!(self.cost, Cost::Reads) {
            for text in args.iter().filter_map(Value::as_str) {
                budget.spend_bytes(text.len())?;
            }
        }
        match &self.body {
            Body::Plain(run) => run(args, budget),
            // Its pattern was compiled at load: such a call is planned as a search and does not come here.
            Body::Search(_) => Err(crate::eval::mismatch(args)),
        }
    }
}

/// All rows.
pub(crate) fn all() -> impl Iterator<Item = &'static Function> {
    [compare::TABLE, numbers::TABLE, convert::TABLE, strings::TABLE, lists::TABLE].into_iter().flatten()
}

pub(crate) use pattern::compile as compile_pattern;

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

/// CEL, its extensions and Kubernetes' libraries have these; here they are still to come.
pub(crate) const LATER: &[&str] = &[
    "all",
    "asApproximateFloat",
    "asInteger",
    "base64",
    "bind",
    "bytes",
    "cel",
    "cidr",
    "compareTo",
    "containsCIDR",
    "containsIP",
    "distinct",
    "duration",
    "exists",
    "existsOne",
    "exists_one",
    "family",
    "filter",
    "find",
    "findAll",
    "first",
    "flatten",
    "format",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getEscapedPath",
    "getFullYear",
    "getHost",
    "getHostname",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getPort",
    "getQuery",
    "getScheme",
    "getSeconds",
    "hasValue",
    "ip",
    "isCIDR",
    "isCanonical",
    "isGlobalUnicast",
    "isGreaterThan",
    "isIP",
    "isInteger",
    "isLessThan",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isLoopback",
    "isQuantity",
    "isSemver",
    "isSorted",
    "isURL",
    "isUnspecified",
    "last",
    "major",
    "map",
    "masked",
    "math",
    "max",
    "min",
    "minor",
    "optional",
    "or",
    "orValue",
    "patch",
    "prefixLength",
    "quantity",
    "quote",
    "range",
    "regex",
    "reverse",
    "semver",
    "sets",
    "sign",
    "slice",
    "sort",
    "sortBy",
    "sub",
    "sum",
    "timestamp",
    "transformList",
    "transformMap",
    "type",
    "uint",
    "url",
    "value",
];

/// No row takes more.
pub(crate) const MAX_ARGS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sound() {
        let mut seen = std::collections::BTreeSet::new();
        for function in all() {
            assert!(seen.insert(function.name), "{} has two rows", function.name);
            assert!(!LATER.contains(&function.name), "{} is here and is to come", function.name);
            assert!(!function.overloads.is_empty());
            for overload in function.overloads {
                assert!(overload.args.len() <= MAX_ARGS && !overload.args.is_empty(), "{}", function.name);
            }
        }
        assert!(LATER.is_sorted());
    }
}
