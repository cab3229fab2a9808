//! CEL: parsed, checked, metered. Policies and Kubernetes' AuthenticationConfiguration rest on it.
//!
//! This is the Common Expression Language as Kubernetes runs it, and what Kubernetes leaves out of it besides (`math`,
//! `cel.bind`, `base64`), which [`Env::only_kubernetes`] refuses. What is not known is refused at load, never misread.
//! docs/cel.md lists every function and every difference from the Go implementation; tests hold it to that. Left out are
//! protobuf's messages and Kubernetes' authorizer.
//!
//! Claims are read where they lie. Every list has an end, every tree a height, every evaluation a [`Budget`].

mod ast;
mod budget;
mod check;
mod eval;
mod fault;
mod foreign;
mod functions;
mod inspect;
mod lex;
mod macros;
mod parse;
mod quoted;
#[cfg(test)]
mod reference;
mod shape;
mod time;
mod types;
mod value;

use std::borrow::Cow;

pub use budget::Budget;
pub use eval::{EvalError, Problem, Vars};
pub use fault::Fault;
pub use foreign::Foreign;
pub use inspect::{Conjunct, Search};
pub use time::Timestamp;
pub use types::{Env, ForeignType, Record, Type};
pub use value::{List, Map, NoJson, Value};

use check::Node;
use eval::Failure;
use fault::Complaint;

/// A checked expression, ready to run any number of times.
#[derive(Debug)]
pub struct Program {
    source: String,
    plan: Node,
    result: Type,
    want: Want,
    facts: inspect::Facts,
}

/// What the place where the expression stands asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Anything.
    Any,
    /// Statically bool, as Kubernetes demands of every rule.
    Bool,
    /// A string.
    String,
    /// A list of strings.
    StringList,
    /// A string, a list of strings, or null: what Kubernetes takes for groups.
    Strings,
}

impl Program {
    /// Parses and checks an expression.
    ///
    /// # Errors
    /// Whatever is malformed, unknown, ill-typed or too large.
    pub fn compile(source: &str, env: &Env, want: Want) -> Result<Self, Fault> {
        let checked = || {
            let tree = parse::parse(source)?;
            let (plan, result) = check::check(&tree, env)?;
            want.accept(&result, tree.at)?;
            let facts = inspect::Facts::of(&tree, env);
            Ok(Self { source: source.to_owned(), plan, result, want, facts })
        };
        checked().map_err(|complaint: Complaint| complaint.into_fault(source))
    }

    /// Runs it. The value is of the kind that was wanted.
    ///
    /// # Errors
    /// An absent claim, one of another kind, or a spent budget.
    pub fn eval<'a>(&'a self, vars: &Vars<'a>, budget: &mut Budget) -> Result<Value<'a>, EvalError> {
        let value = eval::run(&self.plan, vars, budget).and_then(|value| {
            let Some(found) = self.want.missed(&value) else { return Ok(value) };
            Err(Failure { at: 0, problem: Problem::Unwanted { wanted: self.want.name(), found } })
        });
        value.map_err(|Failure { at, problem }| {
            let (line, column) = fault::position(&self.source, at);
            EvalError { line, column, problem }
        })
    }

    /// Runs it and takes the bool. A program made for another want has none to give.
    ///
    /// # Errors
    /// As [`Self::eval`].
    pub fn eval_bool(&self, vars: &Vars<'_>, budget: &mut Budget) -> Result<bool, EvalError> {
        match self.eval(vars, budget)? {
            Value::Bool(b) => Ok(b),
            other => Err(self.unwanted("bool", &other)),
        }
    }

    /// Runs it and takes the string.
    ///
    /// # Errors
    /// As [`Self::eval`].
    pub fn eval_string<'a>(
        &'a self,
        vars: &Vars<'a>,
        budget: &mut Budget,
    ) -> Result<Cow<'a, str>, EvalError> {
        match self.eval(vars, budget)? {
            Value::Str(text) => Ok(text),
            other => Err(self.unwanted("string", &other)),
        }
    }

    /// Runs it and takes the strings: those of a list, a single one, or none of null.
    ///
    /// # Errors
    /// As [`Self::eval`].
    pub fn eval_strings<'a>(
        &'a self,
        vars: &Vars<'a>,
        budget: &mut Budget,
    ) -> Result<Vec<Cow<'a, str>>, EvalError> {
        match self.eval(vars, budget)? {
            Value::Null => Ok(Vec::new()),
            Value::Str(text) => Ok(vec![text]),
            Value::List(list) => list
                .iter()
                .map(|item| match item {
                    Value::Str(text) => Ok(text),
                    other => Err(self.unwanted("string", &other)),
                })
                .collect(),
            other => Err(self.unwanted("strings", &other)),
        }
    }

    /// The text it was made from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its static type.
    pub const fn result(&self) -> &Type {
        &self.result
    }

    /// Whether it reads no variable: its value is known without any claim.
    pub fn is_constant(&self) -> bool {
        self.facts.reads.is_empty()
    }

    /// The paths it reads, such as `["claims", "email"]`; up to the first index that is computed.
    pub fn reads(&self) -> &[Vec<String>] {
        &self.facts.reads
    }

    /// The string literals it contains.
    pub fn literals(&self) -> &[String] {
        &self.facts.literals
    }

    /// Whether `name.field` is selected somewhere, `has` and `.?` included and `name["field"]` not: how the API server tells
    /// which claims an expression uses.
    pub fn selects(&self, name: &str, field: &str) -> bool {
        self.facts.selects.iter().any(|(root, below)| root == name && below == field)
    }

    /// Whether it loops over this variable as a whole.
    pub fn loops_over(&self, name: &str) -> bool {
        self.facts.ranges.contains(name)
    }

    /// What must hold for it to be true: `path == "literal"` of its outermost `&&`.
    pub fn literal_conjuncts(&self) -> &[Conjunct] {
        &self.facts.conjuncts
    }

    /// Where it searches strings for literals.
    pub fn searches(&self) -> &[Search] {
        &self.facts.searches
    }

    fn unwanted(&self, wanted: &'static str, found: &Value<'_>) -> EvalError {
        let (line, column) = fault::position(&self.source, self.plan.at);
        EvalError { line, column, problem: Problem::Unwanted { wanted, found: found.kind() } }
    }
}

impl Want {
    fn accept(self, found: &Type, at: usize) -> Result<(), Complaint> {
        let strings = || Type::list(Type::String);
        let fits = match self {
            Self::Any => true,
            Self::Bool => *found == Type::Bool,
            Self::String => Type::String.takes(found),
            Self::StringList => strings().takes(found),
            Self::Strings => [Type::String, strings(), Type::Null].iter().any(|t| t.takes(found)),
        };
        if fits {
            return Ok(());
        }
        let complaint = Complaint::new(at, format!("expected {}, this is {found}", self.name()));
        Err(if matches!(found, Type::Dyn | Type::Any) {
            complaint.hint("write `… == true`")
        } else {
            complaint
        })
    }

    /// The kind of a value that is not what is wanted.
    fn missed(self, value: &Value<'_>) -> Option<&'static str> {
        let fits = match (self, value) {
            (Self::Any, _) | (Self::Bool, Value::Bool(_)) | (Self::String | Self::Strings, Value::Str(_)) => {
                true
            }
            (Self::Strings, Value::Null) => true,
            (Self::StringList | Self::Strings, Value::List(list)) => {
                let odd = list.iter().find(|item| item.as_str().is_none());
                return odd.map(|item| item.kind());
            }
            _ => false,
        };
        (!fits).then(|| value.kind())
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::Bool => "bool",
            Self::String => "string",
            Self::StringList => "a list of strings",
            Self::Strings => "a string or a list of strings",
        }
    }
}
