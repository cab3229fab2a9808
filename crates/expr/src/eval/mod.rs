//! Runs a checked program. Static types are a promise to the operator, not to this code: every kind is looked at again.

mod loops;
mod problem;

pub use problem::{EvalError, Problem};
pub(crate) use problem::{Failure, mismatch};

use crate::budget::Budget;
use crate::check::{Node, Op};
use crate::functions::{MAX_ARGS, compare, compile_computed, optional};
use crate::value::{List, Map, Value};

/// The values of the variables of one evaluation.
#[derive(Debug, Clone, Default)]
pub struct Vars<'a> {
    bound: Vec<(&'a str, Value<'a>)>,
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

/// The value of a plan.
pub(crate) fn run<'a>(plan: &'a Node, vars: &Vars<'a>, budget: &mut Budget) -> Outcome<'a> {
    Machine { vars, locals: Vec::new(), budget }.run(plan)
}

/// One evaluation under way.
struct Machine<'a, 'r> {
    vars: &'r Vars<'a>,
    /// What macros around the present node have named; their places were counted by the check.
    locals: Vec<Value<'a>>,
    budget: &'r mut Budget,
}

impl<'a> Machine<'a, '_> {
    /// Recursion is bounded by the tree's height.
    fn run(&mut self, node: &'a Node) -> Outcome<'a> {
        let fail = |problem| Failure { at: node.at, problem };
        self.budget.spend(1).map_err(fail)?;
        match &node.op {
            Op::Constant(literal) => Ok(Value::from(literal)),
            Op::Variable(name) => match self.vars.find(name) {
                Some(value) => Ok(value.clone()),
                None => Err(fail(Problem::Unbound(name.to_string()))),
            },
            Op::Local(place) => Ok(self.locals.get(*place).cloned().unwrap_or_default()),
            Op::Field(operand, name) => self.field(operand, name, node.at),
            Op::FieldMaybe(operand, name) => self.field_maybe(operand, name, node.at),
            Op::Has(operand, name) => match self.run(operand)? {
                Value::Optional(None) => Ok(Value::Bool(false)),
                Value::Optional(Some(value)) => self.has(value.as_ref().clone(), name, node.at),
                value => self.has(value, name, node.at),
            },
            Op::Connective(all, decisive) => self.connect(all, *decisive),
            Op::If(parts) => {
                let [condition, then, otherwise] = parts.as_ref();
                match self.run(condition)? {
                    Value::Bool(true) => self.run(then),
                    Value::Bool(false) => self.run(otherwise),
                    other => Err(fail(mismatch(&[other]))),
                }
            }
            Op::List(items) => self.list(items),
            Op::Map(entries) => self.map(node.at, entries),
            Op::Maybe(inner) => self.run(inner),
            Op::Loop(parts) => self.repeat(parts, node.at),
            Op::Bind(parts) => {
                let [value, body] = parts.as_ref();
                let value = self.run(value)?;
                self.within([value], |machine| machine.run(body))
            }
            Op::Otherwise(parts, takes_value) => self.otherwise(parts, *takes_value),
            Op::Call(..) | Op::Search(..) | Op::SearchFor(..) => self.call(node),
        }
    }

    fn call(&mut self, node: &'a Node) -> Outcome<'a> {
        let fail = |problem| Failure { at: node.at, problem };
        let mut places = [const { Value::Null }; MAX_ARGS];
        match &node.op {
            Op::Call(rows, args) => {
                let args = self.args(args, &mut places)?;
                // One row, nearly always; it looks at the kinds itself.
                let row = match rows.as_ref() {
                    [row] => Some(row),
                    rows => rows.iter().find(|row| row.holds(args)),
                };
                row.ok_or_else(|| mismatch(args)).and_then(|row| row.call(args, self.budget)).map_err(fail)
            }
            Op::Search(search, regex, args) => {
                let args = self.args(args, &mut places)?;
                search(regex, args, self.budget).map_err(fail)
            }
            Op::SearchFor(search, args) => {
                let args = self.args(args, &mut places)?;
                let [text, Value::Str(pattern), rest @ ..] = args else { return Err(fail(mismatch(args))) };
                let price = pattern.len().saturating_mul(PATTERN_BYTE).saturating_add(PATTERN);
                self.budget.spend(price).map_err(fail)?;
                let regex = compile_computed(pattern).map_err(|why| fail(Problem::BadPattern(why)))?;
                let args = std::iter::once(text).chain(rest).cloned().collect::<Vec<_>>();
                search(&regex, &args, self.budget).map_err(fail)
            }
            _ => Ok(Value::Null),
        }
    }

    /// Runs something in which more names are known; afterwards they are not, also if it failed.
    fn within<const N: usize, T>(
        &mut self,
        named: [Value<'a>; N],
        run: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let around = self.locals.len();
        self.locals.extend(named);
        let outcome = run(self);
        self.locals.truncate(around);
        outcome
    }

    /// `a.b`. Whatever is asked of an optional is asked of its value.
    fn field(&mut self, operand: &'a Node, name: &str, at: usize) -> Outcome<'a> {
        match self.run(operand)? {
            Value::Optional(None) => Ok(Value::NONE),
            Value::Optional(Some(value)) => {
                let map = self.as_map(value.as_ref().clone(), at)?;
                Ok(map.field(name).map_or(Value::NONE, optional::wrap))
            }
            value => {
                let map = self.as_map(value, at)?;
                let absent = || Failure { at, problem: Problem::Absent(name.to_owned()) };
                map.field(name).ok_or_else(absent)
            }
        }
    }

    fn field_maybe(&mut self, operand: &'a Node, name: &str, at: usize) -> Outcome<'a> {
        let value = match self.run(operand)? {
            Value::Optional(None) => return Ok(Value::NONE),
            Value::Optional(Some(value)) => value.as_ref().clone(),
            value => value,
        };
        let map = self.as_map(value, at)?;
        Ok(map.field(name).map_or(Value::NONE, optional::wrap))
    }

    fn has(&mut self, value: Value<'a>, name: &str, at: usize) -> Outcome<'a> {
        Ok(Value::Bool(self.as_map(value, at)?.field(name).is_some()))
    }

    fn as_map(&mut self, value: Value<'a>, at: usize) -> Result<Map<'a>, Failure> {
        let fail = |problem| Failure { at, problem };
        let Value::Map(map) = value else { return Err(fail(mismatch(&[value]))) };
        let searched = if let Map::Built(entries) = &map { entries.len() / SEARCHED_PER_UNIT } else { 0 };
        self.budget.spend(searched).map_err(fail)?;
        Ok(map)
    }

    /// `&&` and `||`: one decisive operand decides, whatever went wrong in the others (CEL specification, "Logical
    /// Operators"). A spent budget is no operand's error and ends everything.
    fn connect(&mut self, all: &'a [Node], decisive: bool) -> Outcome<'a> {
        let mut failure = None;
        for operand in all {
            let failed = match self.run(operand) {
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

    fn otherwise(&mut self, parts: &'a [Node; 2], takes_value: bool) -> Outcome<'a> {
        let [first, second] = parts;
        match self.run(first)? {
            Value::Optional(Some(value)) if takes_value => Ok(value.as_ref().clone()),
            value @ Value::Optional(Some(_)) => Ok(value),
            Value::Optional(None) => self.run(second),
            other => Err(Failure { at: first.at, problem: mismatch(&[other]) }),
        }
    }

    fn args<'p>(
        &mut self,
        nodes: &'a [Node],
        places: &'p mut [Value<'a>; MAX_ARGS],
    ) -> Result<&'p [Value<'a>], Failure> {
        for (place, node) in places.iter_mut().zip(nodes) {
            *place = self.run(node)?;
        }
        Ok(places.get(..nodes.len()).unwrap_or_default())
    }

    fn list(&mut self, nodes: &'a [Node]) -> Outcome<'a> {
        let mut items = Vec::with_capacity(nodes.len());
        for node in nodes {
            match (&node.op, self.run(node)?) {
                (Op::Maybe(_), Value::Optional(None)) => {}
                (Op::Maybe(_), Value::Optional(Some(value))) => items.push(value.as_ref().clone()),
                (Op::Maybe(_), other) => return Err(Failure { at: node.at, problem: mismatch(&[other]) }),
                (_, value) => items.push(value),
            }
        }
        Ok(Value::List(List::from(items)))
    }

    fn map(&mut self, at: usize, nodes: &'a [(Node, Node)]) -> Outcome<'a> {
        let mut entries = Vec::with_capacity(nodes.len());
        for (key, value) in nodes {
            let key = self.run(key)?;
            let value = match (&value.op, self.run(value)?) {
                (Op::Maybe(_), Value::Optional(None)) => continue,
                (Op::Maybe(_), Value::Optional(Some(value))) => value.as_ref().clone(),
                (Op::Maybe(_), other) => return Err(Failure { at: value.at, problem: mismatch(&[other]) }),
                (_, value) => value,
            };
            self.insert(&mut entries, key, value).map_err(|problem| Failure { at, problem })?;
        }
        Ok(Value::from(entries))
    }

    /// One more entry of a map; its key is new.
    fn insert(
        &mut self,
        entries: &mut Vec<(Value<'a>, Value<'a>)>,
        key: Value<'a>,
        value: Value<'a>,
    ) -> Result<(), Problem> {
        if !matches!(key, Value::Str(_) | Value::Int(_) | Value::Uint(_) | Value::Bool(_)) {
            return Err(mismatch(&[key]));
        }
        for (other, _) in entries.iter() {
            self.budget.spend(1)?;
            if compare::equal(&key, other, self.budget)? {
                return Err(Problem::DuplicateKey);
            }
        }
        entries.push((key, value));
        Ok(())
    }
}

/// Entries of a built map that one unit pays to look through.
const SEARCHED_PER_UNIT: usize = 8;
/// What compiling a pattern costs.
const PATTERN: usize = 1_000;
/// And for each of its bytes.
const PATTERN_BYTE: usize = 100;
