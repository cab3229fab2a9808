//! The static check: a tree of syntax becomes a plan with every name resolved, or is refused before any claim exists.

mod calls;
mod loops;

#[cfg(test)]
pub(crate) use calls::signature;

use regex::Regex;

use crate::ast::{Expr, Form, Kind, Literal};
use crate::fault::Complaint;
use crate::functions::{Function, Search};
use crate::types::{Env, Type};

/// A step of the plan.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) op: Op,
    pub(crate) at: usize,
}

#[derive(Debug)]
pub(crate) enum Op {
    Constant(Literal),
    Variable(Box<str>),
    /// A name that a macro gave, by its place among those around it.
    Local(usize),
    Field(Box<Node>, Box<str>),
    FieldMaybe(Box<Node>, Box<str>),
    Has(Box<Node>, Box<str>),
    /// `&&`, decided by false, or `||`, decided by true.
    Connective(Box<[Node]>, bool),
    If(Box<[Node; 3]>),
    List(Box<[Node]>),
    Map(Box<[(Node, Node)]>),
    /// Within a list or map: left out if it is none.
    Maybe(Box<Node>),
    Loop(Box<Loop>),
    /// A value that gets a name, and what is made of it.
    Bind(Box<[Node; 2]>),
    /// `a.or(b)`, or `a.orValue(b)`, which takes the value out.
    Otherwise(Box<[Node; 2]>, bool),
    /// Rows of one name: the first one that fits the values runs.
    Call(Box<[&'static Function]>, Box<[Node]>),
    /// The pattern was written out and is compiled; the arguments are the others.
    Search(Search, Box<Regex>, Box<[Node]>),
    /// The pattern is the second argument.
    SearchFor(Search, Box<[Node]>),
}

#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) form: Form,
    pub(crate) range: Node,
    /// Whether index and item, or key and value, have names.
    pub(crate) pairs: bool,
    pub(crate) filter: Option<Node>,
    pub(crate) body: Node,
}

type Typed = Result<(Node, Type), Complaint>;

/// The plan of an expression and its type.
pub(crate) fn check(expr: &Expr, env: &Env) -> Typed {
    Checker { env, locals: Vec::new(), loops: 0, mixes: false }.check(expr)
}

struct Checker<'e> {
    env: &'e Env,
    /// Names that macros around the present node gave, the innermost last.
    locals: Vec<(&'e str, Type)>,
    loops: usize,
    /// Within the arguments of `format`, whose list Kubernetes lets be of any types.
    mixes: bool,
}

impl<'e> Checker<'e> {
    /// Recursion is bounded by the tree's height.
    fn check(&mut self, expr: &'e Expr) -> Typed {
        let at = expr.at;
        let (op, found) = match &expr.kind {
            Kind::Literal(literal) => (Op::Constant(literal.clone()), type_of(literal)),
            Kind::Ident(name) => self.name(name, at)?,
            Kind::Select(operand, field) => {
                if let Some(name) = self.type_name(expr) {
                    return Ok((Node { op: Op::Constant(Literal::Type(name)), at }, Type::Type));
                }
                let (operand, found) = self.check(operand)?;
                (Op::Field(Box::new(operand), field.as_str().into()), found.field(field, at)?)
            }
            Kind::SelectMaybe(operand, field) => {
                let (operand, found) = self.check(operand)?;
                let found = match found.field(field, at)? {
                    already @ Type::Optional(_) => already,
                    found => Type::optional(found),
                };
                (Op::FieldMaybe(Box::new(operand), field.as_str().into()), found)
            }
            Kind::Has(operand, field) => {
                let (operand, found) = self.check(operand)?;
                found.field(field, at)?;
                (Op::Has(Box::new(operand), field.as_str().into()), Type::Bool)
            }
            Kind::And(all) => (Op::Connective(self.conditions(all, "&&")?, false), Type::Bool),
            Kind::Or(all) => (Op::Connective(self.conditions(all, "||")?, true), Type::Bool),
            Kind::If(parts) => self.choice(parts)?,
            Kind::List(items) => self.list(items)?,
            Kind::Map(entries) => self.map(entries)?,
            Kind::Maybe(_) => return Err(Complaint::new(at, "`?` does not belong here")),
            Kind::Loop(parts) => self.repeat(parts, at)?,
            Kind::Bind(name, parts) => self.bind(name, parts, at)?,
            Kind::Call { name, receiver, args } => self.call(name, receiver.as_deref(), args, at)?,
        };
        Ok((Node { op, at }, found))
    }

    fn name(&self, name: &str, at: usize) -> Result<(Op, Type), Complaint> {
        if let Some(place) = self.locals.iter().rposition(|(local, _)| *local == name) {
            let found = self.locals.get(place).map_or(Type::Dyn, |(_, found)| found.clone());
            return Ok((Op::Local(place), found));
        }
        if let Some(declared) = self.env.find(name) {
            return Ok((Op::Variable(name.into()), declared.clone()));
        }
        if let Some(name) = TYPE_NAMES.iter().find(|known| **known == name) {
            return Ok((Op::Constant(Literal::Type(name)), Type::Type));
        }
        let complaint = Complaint::new(at, format!("there is no variable `{name}`"));
        let known = || self.env.names().chain(self.locals.iter().map(|(name, _)| *name));
        let variables = known().map(|name| format!("`{name}`")).collect::<Vec<_>>();
        let complaint = match variables.as_slice() {
            [] => complaint.hint("this expression has no variables; a text stands in quotes"),
            known => complaint.hint(format!("known here: {}; a text stands in quotes", known.join(", "))),
        };
        Err(complaint.near(name, known()))
    }

    /// Whether a name is that of a variable or of something that a macro named.
    fn is_variable(&self, name: &str) -> bool {
        self.locals.iter().any(|(local, _)| *local == name) || self.env.find(name).is_some()
    }

    /// `google.protobuf.Timestamp` and its like.
    fn type_name(&self, expr: &Expr) -> Option<&'static str> {
        let root = expr.root().filter(|root| !self.is_variable(root))?;
        let mut known = TYPE_NAMES.iter().filter(|name| name.starts_with(root)).peekable();
        known.peek()?;
        let dotted = expr.dotted()?;
        known.find(|name| **name == dotted).copied()
    }

    fn conditions(&mut self, all: &'e [Expr], sign: &str) -> Result<Box<[Node]>, Complaint> {
        let mut nodes = Vec::with_capacity(all.len());
        for expr in all {
            nodes.push(
                self.condition(expr, |found| format!("`{sign}` needs bool on both sides, this is {found}"))?,
            );
        }
        Ok(nodes.into())
    }

    fn condition(&mut self, expr: &'e Expr, wrong: impl Fn(&Type) -> String) -> Result<Node, Complaint> {
        let (node, found) = self.check(expr)?;
        if Type::Bool.takes(&found) { Ok(node) } else { Err(Complaint::new(expr.at, wrong(&found))) }
    }

    fn choice(&mut self, parts: &'e [Expr; 3]) -> Result<(Op, Type), Complaint> {
        let [condition, then, otherwise] = parts;
        let node =
            self.condition(condition, |found| format!("the condition of `?` must be bool, this is {found}"))?;
        let (then, yes) = self.check(then)?;
        let (other, no) = self.check(otherwise)?;
        let joined = yes.join(&no).ok_or_else(|| {
            Complaint::new(
                otherwise.at,
                format!("both sides of `:` must be of one type, these are {yes} and {no}"),
            )
        })?;
        Ok((Op::If(Box::new([node, then, other])), joined))
    }

    /// Lists and maps hold one type, as Kubernetes demands; `dyn` goes with any here, not there.
    fn list(&mut self, items: &'e [Expr]) -> Result<(Op, Type), Complaint> {
        let mut item_type = None;
        let mut nodes = Vec::with_capacity(items.len());
        for item in items {
            nodes.push(self.joined(item, &mut item_type, "list's items")?);
        }
        Ok((Op::List(nodes.into()), Type::list(item_type.unwrap_or(Type::Dyn))))
    }

    fn map(&mut self, entries: &'e [(Expr, Expr)]) -> Result<(Op, Type), Complaint> {
        let (mut key_type, mut value_type) = (None, None);
        let mut nodes = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let node = self.joined(key, &mut key_type, "map's keys")?;
            if !key_type.as_ref().is_some_and(is_key) {
                return Err(Complaint::new(key.at, "the keys of a map are string, int, uint or bool"));
            }
            nodes.push((node, self.joined(value, &mut value_type, "map's values")?));
        }
        let found = Type::map(key_type.unwrap_or(Type::Dyn), value_type.unwrap_or(Type::Dyn));
        Ok((Op::Map(nodes.into()), found))
    }

    fn joined(&mut self, expr: &'e Expr, known: &mut Option<Type>, whose: &str) -> Result<Node, Complaint> {
        let (node, found) = match &expr.kind {
            Kind::Maybe(inner) => {
                let (node, found) = self.check(inner)?;
                let found = match found {
                    Type::Optional(value) => value.as_ref().clone(),
                    Type::Dyn | Type::Any => Type::Dyn,
                    other => {
                        let message = format!("`?` needs an optional, this is {other}");
                        return Err(Complaint::new(expr.at, message).hint("write optional.of(…) or a.?b"));
                    }
                };
                (Node { op: Op::Maybe(Box::new(node)), at: expr.at }, found)
            }
            _ => self.check(expr)?,
        };
        let both = known.as_ref().map_or_else(|| Some(found.clone()), |known| known.join(&found));
        if let (None, Some(known)) = (&both, &known) {
            let message = format!("the {whose} must be of one type, these are {known} and {found}");
            return Err(Complaint::new(expr.at, message));
        }
        if let (true, false, Some(known)) = (self.env.is_only_kubernetes(), self.mixes, &known)
            && *known != found
        {
            let message =
                format!("the API server wants the {whose} of one type, these are {known} and {found}");
            return Err(Complaint::new(expr.at, message).hint("put all of them into dyn(…)"));
        }
        *known = both;
        Ok(node)
    }
}

fn type_of(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::Str(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
        Literal::Type(_) => Type::Type,
    }
}

const fn is_key(found: &Type) -> bool {
    matches!(found, Type::String | Type::Int | Type::Uint | Type::Bool | Type::Dyn | Type::Any)
}

const TYPE_NAMES: [&str; 19] = [
    "bool",
    "bytes",
    "double",
    "google.protobuf.Duration",
    "google.protobuf.Timestamp",
    "int",
    "kubernetes.NamedFormat",
    "kubernetes.Quantity",
    "kubernetes.Semver",
    "kubernetes.URL",
    "list",
    "map",
    "net.CIDR",
    "net.IP",
    "null_type",
    "optional_type",
    "string",
    "type",
    "uint",
];
