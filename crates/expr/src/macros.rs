//! Macros: calls whose arguments are names and expressions instead of values. They are told apart by name and number of
//! arguments, as CEL's parser does, before anything is known of types.

use crate::ast::{Expr, Form, Kind, Loop};
use crate::fault::Complaint;

/// One macro of the form `range.name(…)`.
struct Macro {
    name: &'static str,
    args: usize,
    names: usize,
    form: Form,
}

/// What a call stands for, if it is a macro, or the call itself.
pub(crate) fn expand(
    name: String,
    receiver: Option<Expr>,
    args: Vec<Expr>,
    at: usize,
) -> Result<Kind, Complaint> {
    let Some(receiver) = receiver else {
        return if name == "has" { has(args, at) } else { Ok(Kind::Call { name, receiver: None, args }) };
    };
    if matches!(&receiver.kind, Kind::Ident(namespace) if namespace == "cel") && name == "bind" {
        return bind(args, at);
    }
    if let Some(found) = MACROS.iter().find(|m| m.name == name && m.args == args.len()) {
        return repeat(found, receiver, args);
    }
    if matches!(&receiver.kind, Kind::Ident(namespace) if namespace == "math")
        && matches!(name.as_str(), "greatest" | "least")
        && args.len() > 2
    {
        let all = Expr::new(Kind::List(args), at);
        return Ok(Kind::Call { name, receiver: Some(Box::new(receiver)), args: vec![all] });
    }
    Ok(Kind::Call { name, receiver: Some(Box::new(receiver)), args })
}

/// Whether there is a macro of that name, for faults.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    MACROS.iter().map(|m| m.name).chain(["has"])
}

/// How a macro of that name is written, if there is one.
pub(crate) fn usage(name: &str) -> Option<String> {
    let found = MACROS.iter().filter(|m| m.name == name).map(Macro::usage).collect::<Vec<_>>();
    (!found.is_empty()).then(|| found.join(", or "))
}

/// All macros as they are written, for the documentation.
#[cfg(test)]
pub(crate) fn usages() -> Vec<String> {
    let fixed = ["has(e.field)".to_owned(), "cel.bind(x, value, e)".to_owned()];
    fixed.into_iter().chain(MACROS.iter().map(Macro::usage)).collect()
}

impl Macro {
    fn usage(&self) -> String {
        let names = ["x", "y"].iter().take(self.names);
        let parts: &[&str] = match self.args - self.names {
            1 => &["e"],
            _ => &["condition", "e"],
        };
        format!("e.{}({})", self.name, names.chain(parts).copied().collect::<Vec<_>>().join(", "))
    }
}

/// `has(e.f)` asks for the field instead of reading it, so it is no function.
fn has(args: Vec<Expr>, at: usize) -> Result<Kind, Complaint> {
    let form = || Complaint::new(at, "has() takes one field such as has(claims.email)");
    let [arg] = <[Expr; 1]>::try_from(args).map_err(|_| form())?;
    match arg.kind {
        Kind::Select(operand, field) => Ok(Kind::Has(operand, field)),
        Kind::Call { name, .. } if name == "_[_]" => Err(form().hint("for an index write \"a-b\" in claims")),
        _ => Err(form()),
    }
}

fn bind(args: Vec<Expr>, at: usize) -> Result<Kind, Complaint> {
    let form = || Complaint::new(at, "cel.bind takes a name, its value and an expression");
    let [name, value, body] = <[Expr; 3]>::try_from(args).map_err(|_| form())?;
    Ok(Kind::Bind(simple_name(name)?, Box::new([value, body])))
}

fn repeat(found: &Macro, range: Expr, args: Vec<Expr>) -> Result<Kind, Complaint> {
    let mut args = args.into_iter();
    let names = args.by_ref().take(found.names).map(simple_name).collect::<Result<Vec<_>, _>>()?;
    let parts = args.collect();
    Ok(Kind::Loop(Box::new(Loop { form: found.form, range, names, parts })))
}

fn simple_name(expr: Expr) -> Result<String, Complaint> {
    if let Kind::Ident(name) = expr.kind {
        return Ok(name);
    }
    Err(Complaint::new(expr.at, "expected a new name for the item")
        .hint("write list.exists(item, item == …)"))
}

const fn item(name: &'static str, args: usize, names: usize, form: Form) -> Macro {
    Macro { name, args, names, form }
}

const MACROS: &[Macro] = &[
    item("all", 2, 1, Form::All),
    item("all", 3, 2, Form::All),
    item("exists", 2, 1, Form::Exists),
    item("exists", 3, 2, Form::Exists),
    item("exists_one", 2, 1, Form::ExistsOne),
    item("exists_one", 3, 2, Form::ExistsOne),
    item("existsOne", 2, 1, Form::ExistsOne),
    item("existsOne", 3, 2, Form::ExistsOne),
    item("filter", 2, 1, Form::Filter),
    item("map", 2, 1, Form::Collect),
    item("map", 3, 1, Form::Collect),
    item("transformList", 3, 2, Form::Collect),
    item("transformList", 4, 2, Form::Collect),
    item("transformMap", 3, 2, Form::TransformMap),
    item("transformMap", 4, 2, Form::TransformMap),
    item("transformMapEntry", 3, 2, Form::TransformMapEntry),
    item("transformMapEntry", 4, 2, Form::TransformMapEntry),
    item("sortBy", 2, 1, Form::SortBy),
    item("optMap", 2, 1, Form::OptMap),
    item("optFlatMap", 2, 1, Form::OptFlatMap),
];
