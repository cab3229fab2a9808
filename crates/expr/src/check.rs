//! The static check: a tree of syntax becomes a plan with every name resolved, or is refused before any claim exists.

use regex::Regex;

use crate::ast::{Expr, Kind, Literal};
use crate::fault::Complaint;
use crate::functions::{self, Body, Function, LATER, Search, Style};
use crate::types::{Bound, Env, Type};

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
    Field(Box<Node>, Box<str>),
    Has(Box<Node>, Box<str>),
    /// `&&`, decided by false, or `||`, decided by true.
    Connective(Box<[Node]>, bool),
    If(Box<[Node; 3]>),
    List(Box<[Node]>),
    Map(Box<[(Node, Node)]>),
    Call(&'static Function, Box<[Node]>),
    Search(Search, Box<Regex>, Box<[Node]>),
}

type Typed = Result<(Node, Type), Complaint>;

/// The plan of an expression and its type. Recursion is bounded by the tree's height.
pub(crate) fn check(expr: &Expr, env: &Env) -> Typed {
    let at = expr.at;
    let (op, found) = match &expr.kind {
        Kind::Literal(literal) => (Op::Constant(literal.clone()), type_of(literal)),
        Kind::Ident(name) => (Op::Variable(name.as_str().into()), variable(name, at, env)?),
        Kind::Select(operand, field) => {
            let (operand, found) = check(operand, env)?;
            (Op::Field(Box::new(operand), field.as_str().into()), found.field(field, at)?)
        }
        Kind::Has(operand, field) => {
            let (operand, found) = check(operand, env)?;
            found.field(field, at)?;
            (Op::Has(Box::new(operand), field.as_str().into()), Type::Bool)
        }
        Kind::And(all) => (Op::Connective(conditions(all, "&&", env)?, false), Type::Bool),
        Kind::Or(all) => (Op::Connective(conditions(all, "||", env)?, true), Type::Bool),
        Kind::If(parts) => choice(parts, env)?,
        Kind::List(items) => list(items, env)?,
        Kind::Map(entries) => map(entries, env)?,
        Kind::Call { name, receiver, args } => call(name, receiver.as_deref(), args, at, env)?,
    };
    Ok((Node { op, at }, found))
}

fn type_of(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Double(_) => Type::Double,
        Literal::Str(_) => Type::String,
    }
}

fn variable(name: &str, at: usize, env: &Env) -> Result<Type, Complaint> {
    if let Some(declared) = env.find(name) {
        return Ok(declared.clone());
    }
    let complaint = Complaint::new(at, format!("there is no variable `{name}`"));
    let variables = env.names().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    let complaint = match variables.as_slice() {
        [] => complaint.hint("this expression has no variables; a text stands in quotes"),
        known => complaint.hint(format!("known here: {}; a text stands in quotes", known.join(", "))),
    };
    Err(complaint.near(name, env.names()))
}

fn conditions(all: &[Expr], sign: &str, env: &Env) -> Result<Box<[Node]>, Complaint> {
    let condition = |expr: &Expr| {
        let (node, found) = check(expr, env)?;
        if Type::Bool.takes(&found) {
            return Ok(node);
        }
        Err(Complaint::new(expr.at, format!("`{sign}` needs bool on both sides, this is {found}")))
    };
    all.iter().map(condition).collect()
}

fn choice(parts: &[Expr; 3], env: &Env) -> Result<(Op, Type), Complaint> {
    let [condition, then, otherwise] = parts;
    let (node, found) = check(condition, env)?;
    if !Type::Bool.takes(&found) {
        return Err(Complaint::new(
            condition.at,
            format!("the condition of `?` must be bool, this is {found}"),
        ));
    }
    let (then, yes) = check(then, env)?;
    let (other, no) = check(otherwise, env)?;
    let joined = yes.join(&no).ok_or_else(|| {
        Complaint::new(
            otherwise.at,
            format!("both sides of `:` must be of one type, these are {yes} and {no}"),
        )
    })?;
    Ok((Op::If(Box::new([node, then, other])), joined))
}

/// Lists and maps hold one type, as Kubernetes demands; `dyn` goes with any.
fn list(items: &[Expr], env: &Env) -> Result<(Op, Type), Complaint> {
    let mut item_type = None;
    let mut nodes = Vec::with_capacity(items.len());
    for item in items {
        nodes.push(joined(item, &mut item_type, "list's items", env)?);
    }
    Ok((Op::List(nodes.into()), Type::list(item_type.unwrap_or(Type::Dyn))))
}

fn map(entries: &[(Expr, Expr)], env: &Env) -> Result<(Op, Type), Complaint> {
    let (mut key_type, mut value_type) = (None, None);
    let mut nodes = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let node = joined(key, &mut key_type, "map's keys", env)?;
        if !matches!(key_type, Some(Type::String | Type::Int | Type::Bool | Type::Dyn)) {
            return Err(Complaint::new(key.at, "the keys of a map are string, int or bool"));
        }
        nodes.push((node, joined(value, &mut value_type, "map's values", env)?));
    }
    let found = Type::map(key_type.unwrap_or(Type::Dyn), value_type.unwrap_or(Type::Dyn));
    Ok((Op::Map(nodes.into()), found))
}

fn joined(expr: &Expr, known: &mut Option<Type>, whose: &str, env: &Env) -> Result<Node, Complaint> {
    let (node, found) = check(expr, env)?;
    let both = known.as_ref().map_or_else(|| Some(found.clone()), |known| known.join(&found));
    if let (None, Some(known)) = (&both, &known) {
        let message = format!("the {whose} must be of one type, these are {known} and {found}");
        return Err(Complaint::new(expr.at, message));
    }
    *known = both;
    Ok(node)
}

fn call(
    name: &str,
    receiver: Option<&Expr>,
    args: &[Expr],
    at: usize,
    env: &Env,
) -> Result<(Op, Type), Complaint> {
    let function = find(name, receiver, at, env)?;
    let given = receiver.into_iter().chain(args).map(|arg| check(arg, env));
    let (mut nodes, types): (Vec<_>, Vec<_>) = given.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    let found = resolve(function, &types).ok_or_else(|| no_overload(function, &types, at))?;
    let op = match &function.body {
        Body::Plain(_) => Op::Call(function, nodes.into()),
        Body::Search(search) => {
            let pattern = nodes.pop().and_then(|node| {
                if let Op::Constant(Literal::Str(text)) = node.op { Some((text, node.at)) } else { None }
            });
            let Some((text, at)) = pattern else {
                return Err(Complaint::new(
                    at,
                    format!("`{name}` takes its pattern as a string literal only"),
                ));
            };
            let regex = functions::compile_pattern(&text).map_err(|message| Complaint::new(at, message))?;
            Op::Search(*search, Box::new(regex), nodes.into())
        }
    };
    Ok((op, found))
}

fn find(name: &str, receiver: Option<&Expr>, at: usize, env: &Env) -> Result<&'static Function, Complaint> {
    // `math.greatest(…)`: a name with a dot, not a function of a variable.
    if let Some(Expr { kind: Kind::Ident(namespace), at, .. }) = receiver
        && env.find(namespace).is_none()
        && LATER.contains(&namespace.as_str())
    {
        return Err(Complaint::new(*at, format!("`{namespace}.{name}` is not supported yet")));
    }
    let Some(function) = functions::all().find(|function| function.name == name) else {
        if LATER.contains(&name) {
            return Err(Complaint::new(at, format!("`{name}` is not supported yet")));
        }
        let names = functions::all().map(|function| function.name).chain(["has"]);
        return Err(Complaint::new(at, format!("there is no function `{name}`")).near(name, names));
    };
    match (function.style, receiver) {
        (Style::Global, Some(_)) => Err(Complaint::new(at, format!("`{name}` stands before its argument"))
            .hint(format!("write {name}(x)"))),
        (Style::Member, None) => Err(Complaint::new(at, format!("`{name}` stands behind its value"))
            .hint(format!("write x.{name}(…)"))),
        _ => Ok(function),
    }
}

/// The type of a call: of all signatures that may apply, since an argument may be `dyn`.
fn resolve(function: &Function, types: &[Type]) -> Option<Type> {
    let mut found: Option<Type> = None;
    for overload in function.overloads.iter().filter(|overload| overload.args.len() == types.len()) {
        let mut bound = Bound::default();
        if overload.args.iter().zip(types).all(|(shape, arg)| shape.fits(arg, &mut bound)) {
            let gives = overload.gives.filled(&bound);
            found = Some(match found {
                Some(known) if known != gives => Type::Dyn,
                _ => gives,
            });
        }
    }
    found
}

fn no_overload(function: &Function, types: &[Type], at: usize) -> Complaint {
    let shown = types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    let name = function.name.replace(['_', '@'], "");
    let complaint = match types.len() {
        0 => Complaint::new(at, format!("`{name}` of nothing")),
        _ => Complaint::new(at, format!("`{name}` is not possible with {shown}")),
    };
    let operator = !function.name.starts_with(|c: char| c.is_ascii_alphabetic());
    match types {
        [Type::Int, Type::Double] | [Type::Double, Type::Int] => {
            complaint.hint("convert one side with double(…)")
        }
        [Type::String, Type::Int | Type::Double | Type::Bool]
        | [Type::Int | Type::Double | Type::Bool, Type::String]
            if operator =>
        {
            complaint.hint("put the other side in quotes or convert it with string(…)")
        }
        _ => complaint.hint(format!("it takes {}", signatures(function, operator))),
    }
}

fn signatures(function: &Function, operator: bool) -> String {
    let shown = |overload: &functions::Overload| {
        let mut args = overload.args.iter().map(|shape| shape.filled(&Bound::default()).to_string());
        if operator {
            return args.collect::<Vec<_>>().join(" and ");
        }
        let receiver = args.next().filter(|_| function.style != Style::Global);
        let args = match &receiver {
            Some(_) => args.collect::<Vec<_>>(),
            None => overload.args.iter().map(|shape| shape.filled(&Bound::default()).to_string()).collect(),
        };
        let receiver = receiver.map(|receiver| format!("{receiver}.")).unwrap_or_default();
        format!("{receiver}{}({})", function.name, args.join(", "))
    };
    function.overloads.iter().map(shown).collect::<Vec<_>>().join(", or ")
}
