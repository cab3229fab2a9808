//! Runs a checked program. Static types are a promise to the operator, not to this code: every kind is looked at again.

use std::sync::Arc;

use crate::budget::Budget;
use crate::check::{Node, Op};
use crate::functions::MAX_ARGS;
use crate::functions::compare;
use crate::value::{Map, Value};

/// The values of the variables of one evaluation.
#[derive(Debug, Clone, Default)]
pub struct Vars<'a> {
    bound: Vec<(&'a str, Value<'a>)>,
}

/// Why an evaluation has no value. It names keys that the expression asks for, never the claims' values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {problem}")]
pub struct EvalError {
    /// Counted from 1.
    pub line: usize,
    /// Counted in characters from 1.
    pub column: usize,
    /// What went wrong there.
    pub problem: Problem,
}

/// What went wrong while running.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The claims lack it.
    #[error("there is no `{0}`")]
    Absent(String),
    /// The claims hold something of another kind.
    #[error("not possible with {0}")]
    Mismatch(String),
    /// A result does not fit in 64 bits.
    #[error("the integer overflows")]
    Overflow,
    /// Division or remainder by integer zero.
    #[error("division by zero")]
    DivisionByZero,
    /// An index outside the list or string.
    #[error("{0} is out of range")]
    OutOfRange(i64),
    /// A string that cannot be converted.
    #[error("the string is no {0}")]
    Malformed(&'static str),
    /// A map literal got one key twice.
    #[error("the map has a key twice")]
    DuplicateKey,
    /// The host did not bind a declared variable.
    #[error("the variable `{0}` has no value")]
    Unbound(String),
    /// The value is not of the kind the place asks for.
    #[error("expected {wanted}, found {found}")]
    Unwanted {
        /// What the place asks for.
        wanted: &'static str,
        /// What the expression made.
        found: &'static str,
    },
    /// The budget is spent.
    #[error("the expression costs too much")]
    Exhausted,
}

/// A problem and the byte offset where it arose.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) at: usize,
    pub(crate) problem: Problem,
}

impl<'a> Vars<'a> {
    /// Nothing bound.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a declared variable its value.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: impl Into<Value<'a>>) -> Self {
        self.bound.retain(|(other, _)| *other != name);
        self.bound.push((name, value.into()));
        self
    }

    fn find(&self, name: &str) -> Option<&Value<'a>> {
        self.bound.iter().find(|(bound, _)| *bound == name).map(|(_, value)| value)
    }
}

type Outcome<'a> = Result<Value<'a>, Failure>;

/// The value of a node. Recursion is bounded by the tree's height.
pub(crate) fn run<'a>(node: &'a Node, vars: &Vars<'a>, budget: &mut Budget) -> Outcome<'a> {
    let fail = |problem| Failure { at: node.at, problem };
    budget.spend(1).map_err(fail)?;
    match &node.op {
        Op::Constant(literal) => Ok(Value::from(literal)),
        Op::Variable(name) => match vars.find(name) {
            Some(value) => Ok(value.clone()),
            None => Err(fail(Problem::Unbound(name.to_string()))),
        },
        Op::Field(operand, name) => {
            let map = run_map(operand, node.at, vars, budget)?;
            map.field(name).ok_or_else(|| fail(Problem::Absent(name.to_string())))
        }
        Op::Has(operand, name) => {
            Ok(Value::Bool(run_map(operand, node.at, vars, budget)?.field(name).is_some()))
        }
        Op::Connective(all, decisive) => connect(all, *decisive, vars, budget),
        Op::If(parts) => {
            let [condition, then, otherwise] = parts.as_ref();
            match run(condition, vars, budget)? {
                Value::Bool(true) => run(then, vars, budget),
                Value::Bool(false) => run(otherwise, vars, budget),
                other => Err(fail(mismatch(&[other]))),
            }
        }
        Op::List(items) => {
            let items = items.iter().map(|item| run(item, vars, budget)).collect::<Result<Vec<_>, _>>()?;
            Ok(Value::from(items))
        }
        Op::Map(entries) => run_entries(node.at, entries, vars, budget),
        Op::Call(function, args) => {
            let mut places = [const { Value::Null }; MAX_ARGS];
            let args = run_args(args, &mut places, vars, budget)?;
            function.call(args, budget).map_err(fail)
        }
        Op::Search(search, regex, args) => {
            let mut places = [const { Value::Null }; MAX_ARGS];
            let args = run_args(args, &mut places, vars, budget)?;
            search(regex, args, budget).map_err(fail)
        }
    }
}

/// `&&` and `||`: one decisive operand decides, whatever went wrong in the others (CEL specification, "Logical
/// Operators"). A spent budget is no operand's error and ends everything.
fn connect<'a>(all: &'a [Node], decisive: bool, vars: &Vars<'a>, budget: &mut Budget) -> Outcome<'a> {
    let mut failure = None;
    for operand in all {
        let failed = match run(operand, vars, budget) {
            Ok(Value::Bool(b)) if b == decisive => return Ok(Value::Bool(decisive)),
            Ok(Value::Bool(_)) => continue,
            Ok(other) => Failure { at: operand.at, problem: mismatch(&[other]) },
            Err(exhausted) if exhausted.problem == Problem::Exhausted => return Err(exhausted),
            Err(failed) => failed,
        };
        failure.get_or_insert(failed);
    }
    failure.map_or(Ok(Value::Bool(!decisive)), Err)
}

fn run_map<'a>(
    operand: &'a Node,
    at: usize,
    vars: &Vars<'a>,
    budget: &mut Budget,
) -> Result<Map<'a>, Failure> {
    match run(operand, vars, budget)? {
        Value::Map(map) => {
            let searched = if let Map::Built(entries) = &map { entries.len() / SEARCHED_PER_UNIT } else { 0 };
            budget.spend(searched).map_err(|problem| Failure { at, problem })?;
            Ok(map)
        }
        other => Err(Failure { at, problem: mismatch(&[other]) }),
    }
}

fn run_args<'a, 'p>(
    nodes: &'a [Node],
    places: &'p mut [Value<'a>; MAX_ARGS],
    vars: &Vars<'a>,
    budget: &mut Budget,
) -> Result<&'p [Value<'a>], Failure> {
    for (place, node) in places.iter_mut().zip(nodes) {
        *place = run(node, vars, budget)?;
    }
    Ok(places.get(..nodes.len()).unwrap_or_default())
}

fn run_entries<'a>(
    at: usize,
    nodes: &'a [(Node, Node)],
    vars: &Vars<'a>,
    budget: &mut Budget,
) -> Outcome<'a> {
    let fail = |problem| Failure { at, problem };
    let mut entries = Vec::with_capacity(nodes.len());
    for (key, value) in nodes {
        let key = run(key, vars, budget)?;
        if !matches!(key, Value::Str(_) | Value::Int(_) | Value::Bool(_)) {
            return Err(fail(mismatch(&[key])));
        }
        for (other, _) in &entries {
            budget.spend(1).map_err(fail)?;
            if compare::equal(&key, other, budget).map_err(fail)? {
                return Err(fail(Problem::DuplicateKey));
            }
        }
        entries.push((key, run(value, vars, budget)?));
    }
    Ok(Value::Map(Map::Built(Arc::new(entries))))
}

/// The problem of a function or operator that got these.
pub(crate) fn mismatch(args: &[Value<'_>]) -> Problem {
    Problem::Mismatch(args.iter().map(Value::kind).collect::<Vec<_>>().join(", "))
}

/// Entries of a built map that one unit pays to look through.
const SEARCHED_PER_UNIT: usize = 8;
