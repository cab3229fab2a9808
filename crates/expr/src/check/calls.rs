//! Calls: which rows of the function table a name means here, which signature fits, and what to say if none does.

use super::{Checker, Node, Op};
use crate::ast::{Expr, Literal};
use crate::budget::Budget;
use crate::fault::Complaint;
use crate::functions::{self, Body, Function, Overload, Search, Style};
use crate::macros;
use crate::shape::Bound;
use crate::types::Type;
use crate::value::Value;

impl<'e> Checker<'e> {
    pub(super) fn call(
        &mut self,
        name: &str,
        receiver: Option<&'e Expr>,
        args: &'e [Expr],
        at: usize,
    ) -> Result<(Op, Type), Complaint> {
        let (rows, receiver) = self.rows(name, receiver, at)?;
        let mut nodes = Vec::with_capacity(args.len() + 1);
        let mut types = Vec::with_capacity(args.len() + 1);
        let mixes = std::mem::replace(&mut self.mixes, name == "format" && receiver.is_some());
        for arg in receiver.into_iter().chain(args) {
            let (node, found) = self.check(arg)?;
            nodes.push(node);
            types.push(found);
        }
        self.mixes = mixes;
        let (rows, found) = resolve(&rows, &types).ok_or_else(|| no_overload(&rows, &types, at))?;
        let Some(first) = rows.first() else { return Err(Complaint::new(at, "no such function")) };
        let op = match &first.body {
            Body::Plain(_) => {
                refuse_malformed(first, &nodes)?;
                Op::Call(rows.into(), nodes.into())
            }
            Body::Search(run) => search(*run, nodes, at)?,
            Body::Otherwise { value } => {
                let parts = <[Node; 2]>::try_from(nodes);
                Op::Otherwise(
                    Box::new(parts.map_err(|_| Complaint::new(at, "two sides are needed"))?),
                    *value,
                )
            }
        };
        Ok((op, found))
    }

    /// The rows that a name may mean, and the receiver if it is a value and no namespace.
    fn rows(
        &self,
        name: &str,
        receiver: Option<&'e Expr>,
        at: usize,
    ) -> Result<(Vec<&'static Function>, Option<&'e Expr>), Complaint> {
        // `sets.contains(…)`: a name with a dot, not a function of a variable.
        if let Some(namespace) = receiver.and_then(Expr::dotted) {
            let long = format!("{namespace}.{name}");
            let rows = self.known(&long, at)?;
            if !rows.is_empty() {
                return Ok((rows, None));
            }
            let root = receiver.and_then(Expr::root).unwrap_or_default();
            if !self.is_variable(root) && functions::is_namespace(&namespace) {
                let near = functions::all().map(|function| function.name);
                return Err(Complaint::new(at, format!("there is no function `{long}`")).near(&long, near));
            }
        }
        let rows = self.known(name, at)?;
        if rows.is_empty() {
            return Err(self.no_function(name, at));
        }
        let fits = |row: &&'static Function| match row.style {
            Style::Either => true,
            Style::Global => receiver.is_none(),
            Style::Member => receiver.is_some(),
        };
        let rows = rows.into_iter().filter(fits).collect::<Vec<_>>();
        match (rows.is_empty(), receiver) {
            (true, Some(_)) => Err(Complaint::new(at, format!("`{name}` stands before its argument"))
                .hint(format!("write {name}(x)"))),
            (true, None) => Err(Complaint::new(at, format!("`{name}` stands behind its value"))
                .hint(format!("write x.{name}(…)"))),
            _ => Ok((rows, receiver)),
        }
    }

    /// The rows of a name; if only the API server counts, those that it has too.
    fn known(&self, name: &str, at: usize) -> Result<Vec<&'static Function>, Complaint> {
        let rows = functions::named(name).collect::<Vec<_>>();
        if !self.env.is_only_kubernetes() || rows.is_empty() {
            return Ok(rows);
        }
        let in_kubernetes =
            |row: &&Function| functions::library_of(row).is_some_and(|library| library.in_kubernetes);
        let there = rows.iter().copied().filter(|row| in_kubernetes(row)).collect::<Vec<_>>();
        if there.is_empty() {
            let library =
                rows.first().and_then(|row| functions::library_of(row)).map_or("", |library| library.name);
            let message =
                format!("the API server does not know `{name}`, which is of the library \"{library}\"");
            return Err(Complaint::new(at, message));
        }
        Ok(there)
    }

    fn no_function(&self, name: &str, at: usize) -> Complaint {
        if let Some(usage) = macros::usage(name) {
            return Complaint::new(at, format!("`{name}` is written {usage}"));
        }
        if NOT_HERE.contains(&name) {
            return Complaint::new(
                at,
                format!("`{name}` asks the API server's authorizer, which is not here"),
            );
        }
        let names = functions::all().map(|function| function.name).chain(macros::names());
        Complaint::new(at, format!("there is no function `{name}`")).near(name, names)
    }
}

/// A call that searches for a pattern: compiled now if it is written out.
fn search(run: Search, mut nodes: Vec<Node>, at: usize) -> Result<Op, Complaint> {
    let written = match nodes.get(1) {
        Some(Node { op: Op::Constant(Literal::Str(text)), at }) => {
            let regex = functions::compile_pattern(text).map_err(|message| Complaint::new(*at, message))?;
            Some(regex)
        }
        Some(_) => None,
        None => return Err(Complaint::new(at, "the pattern is missing")),
    };
    Ok(match written {
        Some(regex) => {
            nodes.remove(1);
            Op::Search(run, Box::new(regex), nodes.into())
        }
        None => Op::SearchFor(run, nodes.into()),
    })
}

/// A conversion of something written out is tried at load, as Kubernetes does.
fn refuse_malformed(row: &Function, nodes: &[Node]) -> Result<(), Complaint> {
    let [Node { op: Op::Constant(literal), at }] = nodes else { return Ok(()) };
    if !CONVERSIONS.contains(&row.name) || row.call(&[Value::from(literal)], &mut Budget::default()).is_ok() {
        return Ok(());
    }
    let complaint = Complaint::new(*at, format!("`{}` cannot be made of this", row.name));
    Err(match row.name {
        "timestamp" => complaint.hint("write \"2006-01-02T15:04:05Z\""),
        "duration" => complaint.hint("write \"1h30m\" or \"5.5s\""),
        _ => complaint,
    })
}

/// The rows that may apply and the type of the call: of all signatures that fit, since an argument may be `dyn`.
fn resolve(rows: &[&'static Function], types: &[Type]) -> Option<(Vec<&'static Function>, Type)> {
    let mut found: Option<Type> = None;
    let mut fitting: Vec<&'static Function> = Vec::new();
    for &row in rows {
        for overload in row.overloads.iter().filter(|overload| overload.args.len() == types.len()) {
            let mut bound = Bound::default();
            if !overload.args.iter().zip(types).all(|(shape, arg)| shape.fits(arg, &mut bound)) {
                continue;
            }
            let gives = overload.gives.filled(&bound);
            found = Some(match found {
                Some(known) if known != gives => Type::Dyn,
                _ => gives,
            });
            if fitting.last().is_none_or(|last| !std::ptr::eq(*last, row)) {
                fitting.push(row);
            }
        }
    }
    Some((fitting, found?))
}

fn no_overload(rows: &[&'static Function], types: &[Type], at: usize) -> Complaint {
    let shown = types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    let raw = rows.first().map_or("", |row| row.name);
    let operator = !raw.starts_with(|c: char| c.is_ascii_alphabetic());
    let name = if operator { raw.replace(['_', '@', '?'], "") } else { raw.to_owned() };
    let complaint = match types.len() {
        0 => Complaint::new(at, format!("`{name}` of nothing")),
        _ => Complaint::new(at, format!("`{name}` is not possible with {shown}")),
    };
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
        _ => complaint.hint(format!("it takes {}", signatures(rows, operator))),
    }
}

fn signatures(rows: &[&'static Function], operator: bool) -> String {
    let mut shown = Vec::new();
    for row in rows {
        shown.extend(row.overloads.iter().map(|overload| signature(row, overload, operator)));
    }
    let left = shown.len().saturating_sub(MAX_SHOWN);
    shown.truncate(MAX_SHOWN);
    let more = if left > 0 { format!(", or {left} others") } else { String::new() };
    format!("{}{more}", shown.join(", or "))
}

/// One signature as it is called; of an operator its sides.
pub(crate) fn signature(row: &Function, overload: &Overload, operator: bool) -> String {
    let mut args = overload.args.iter().map(|shape| shape.filled(&Bound::default()).to_string());
    if operator {
        return args.collect::<Vec<_>>().join(" and ");
    }
    let receiver = if row.style == Style::Global { None } else { args.next() };
    let receiver = receiver.map(|receiver| format!("{receiver}.")).unwrap_or_default();
    format!("{receiver}{}({})", row.name, args.collect::<Vec<_>>().join(", "))
}

const CONVERSIONS: [&str; 8] = ["bool", "bytes", "double", "duration", "int", "string", "timestamp", "uint"];
/// Signatures that a fault lists.
const MAX_SHOWN: usize = 6;
/// Kubernetes' functions that need its authorizer.
const NOT_HERE: [&str; 7] =
    ["allowed", "authorizer", "check", "group", "path", "requestResource", "serviceAccount"];
