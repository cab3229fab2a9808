//! Kubernetes' library of semantic versions (semver.org 2.0.0). What is built from is no part of the order.

use std::cmp::Ordering;

use super::{Answer, Cost, Function, Overload, Style, gives, row};
use crate::budget::Budget;
use crate::eval::{Problem, mismatch};
use crate::foreign::Foreign;
use crate::shape::Shape::{Bool, Foreign as Of, Int, String as Text};
use crate::types::ForeignType::Semver as Version;
use crate::value::Value;

/// A version without its build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Semver {
    numbers: [u64; 3],
    release: Release,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Release {
    Pre(Vec<Part>),
    Final,
}

/// Numbers stand before words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

impl Semver {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
        let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
        if !build.is_none_or(|build| build.split('.').all(is_word)) {
            return None;
        }
        let mut numbers = [0; 3];
        let mut parts = core.split('.');
        for number in &mut numbers {
            *number = number_of(parts.next()?)?;
        }
        if parts.next().is_some() {
            return None;
        }
        let release = match pre {
            Some(pre) => Release::Pre(pre.split('.').map(part_of).collect::<Option<_>>()?),
            None => Release::Final,
        };
        Some(Self { numbers, release })
    }

    /// Forgives a leading `v`, missing numbers and leading zeros.
    fn parse_loosely(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let end = text.find(['-', '+']).unwrap_or(text.len());
        let (core, rest) = text.split_at_checked(end)?;
        let mut numbers = core.split('.').map(without_zeros).collect::<Vec<_>>();
        if numbers.len() < 3 {
            // Only a whole version has a pre-release.
            if !rest.is_empty() {
                return None;
            }
            numbers.resize(3, "0");
        }
        Self::parse(&format!("{}{rest}", numbers.join(".")))
    }
}

pub(super) const TABLE: &[Function] = &[
    row("semver", Style::Global, MADE, Cost::Reads, |args, _| {
        let parsed = read(args)?.ok_or(Problem::Malformed("semantic version"))?;
        Ok(Value::from(Foreign::Semver(parsed)))
    }),
    row("isSemver", Style::Global, TESTED, Cost::Reads, |args, _| Ok(Value::Bool(read(args)?.is_some()))),
    row("major", Style::Member, NUMBER, Cost::Step, |args, _| number(args, |[n, _, _]| n)),
    row("minor", Style::Member, NUMBER, Cost::Step, |args, _| number(args, |[_, n, _]| n)),
    row("patch", Style::Member, NUMBER, Cost::Step, |args, _| number(args, |[_, _, n]| n)),
    row("isGreaterThan", Style::Member, COMPARED, Cost::Step, |args, budget| {
        compare(args, budget).map(|found| Value::Bool(found.is_gt()))
    }),
    row("isLessThan", Style::Member, COMPARED, Cost::Step, |args, budget| {
        compare(args, budget).map(|found| Value::Bool(found.is_lt()))
    }),
    row(
        "compareTo",
        Style::Member,
        &[gives(&[Of(Version), Of(Version)], Int)],
        Cost::Step,
        |args, budget| compare(args, budget).map(|found| Value::Int(found as i64)),
    ),
];

const MADE: &[Overload] = &[gives(&[Text], Of(Version)), gives(&[Text, Bool], Of(Version))];
const TESTED: &[Overload] = &[gives(&[Text], Bool), gives(&[Text, Bool], Bool)];
const NUMBER: &[Overload] = &[gives(&[Of(Version)], Int)];
const COMPARED: &[Overload] = &[gives(&[Of(Version), Of(Version)], Bool)];

fn read(args: &[Value<'_>]) -> Result<Option<Semver>, Problem> {
    match args {
        [Value::Str(text)] | [Value::Str(text), Value::Bool(false)] => Ok(Semver::parse(text)),
        [Value::Str(text), Value::Bool(true)] => Ok(Semver::parse_loosely(text)),
        _ => Err(mismatch(args)),
    }
}

fn version<'v>(value: &'v Value<'_>) -> Result<&'v Semver, Problem> {
    match value {
        Value::Foreign(foreign) => match foreign.as_ref() {
            Foreign::Semver(version) => Ok(version),
            _ => Err(mismatch(std::slice::from_ref(value))),
        },
        _ => Err(mismatch(std::slice::from_ref(value))),
    }
}

fn number<'a>(args: &[Value<'a>], which: fn([u64; 3]) -> u64) -> Answer<'a> {
    let [value] = args else { return Err(mismatch(args)) };
    i64::try_from(which(version(value)?.numbers)).map(Value::Int).map_err(|_| Problem::Overflow)
}

fn compare(args: &[Value<'_>], _: &mut Budget) -> Result<Ordering, Problem> {
    let [a, b] = args else { return Err(mismatch(args)) };
    Ok(version(a)?.cmp(version(b)?))
}

fn number_of(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn part_of(text: &str) -> Option<Part> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return number_of(text).map(Part::Number);
    }
    is_word(text).then(|| Part::Word(text.to_owned()))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn without_zeros(number: &str) -> &str {
    let stripped = number.trim_start_matches('0');
    if stripped.is_empty() && !number.is_empty() { "0" } else { stripped }
}
