//! What can be known of an expression without running it. The policy's index rests on `conjuncts`, so each must be
//! implied by the whole being true.

use std::collections::BTreeSet;

use crate::ast::{Expr, Kind, Literal};
use crate::types::Env;

/// `path == "value"` must hold for the program to be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conjunct {
    /// The variable and the fields below it, such as `["claims", "sub"]`.
    pub path: Vec<String>,
    /// What must be found there.
    pub value: String,
}

/// A string is searched for a literal: `x.matches("…")`, `x.startsWith("…")`, `x.endsWith("…")`, `x.contains("…")`. For
/// warnings about patterns that are open at one end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// The function.
    pub function: String,
    /// What is searched for.
    pub literal: String,
}

#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Of the environment: any other name is that of a type or of a function's family.
    variables: BTreeSet<String>,
    pub(crate) searches: Vec<Search>,
    pub(crate) conjuncts: Vec<Conjunct>,
    pub(crate) reads: Vec<Vec<String>>,
    pub(crate) literals: Vec<String>,
    pub(crate) selects: BTreeSet<(String, String)>,
    pub(crate) ranges: BTreeSet<String>,
}

impl Facts {
    pub(crate) fn of(expr: &Expr, env: &Env) -> Self {
        let variables = env.names().map(str::to_owned).collect();
        let mut facts = Self { variables, ..Self::default() };
        facts.conjoin(expr);
        facts.walk(expr, &mut Vec::new());
        facts.select(expr);
        facts.reads.sort();
        facts.reads.dedup();
        facts.literals.sort();
        facts.literals.dedup();
        facts
    }

    /// `a && b` is true only if both are, errors or not; nothing below any other node may be collected.
    fn conjoin(&mut self, expr: &Expr) {
        match &expr.kind {
            Kind::And(all) => all.iter().for_each(|operand| self.conjoin(operand)),
            Kind::Call { name, receiver: None, args } if name == "_==_" => {
                let [left, right] = args.as_slice() else { return };
                let sides = [(left, right), (right, left)];
                let pair = sides.into_iter().find_map(|(path, value)| Some((path.path()?, value.as_text()?)));
                if let Some((path, value)) = pair {
                    self.conjuncts.push(Conjunct { path: owned(&path), value: value.to_owned() });
                }
            }
            _ => {}
        }
    }

    /// `named`: names that macros around the node gave; a path that begins with one is none of the claims'.
    fn walk<'e>(&mut self, expr: &'e Expr, named: &mut Vec<&'e str>) {
        if let Some(path) = expr.path() {
            self.read(&path, named);
            return;
        }
        match &expr.kind {
            Kind::Literal(Literal::Str(text)) => self.literals.push(text.clone()),
            Kind::Has(operand, field) | Kind::SelectMaybe(operand, field) => {
                if let Some(mut path) = operand.path() {
                    path.push(field);
                    self.read(&path, named);
                    return;
                }
            }
            Kind::Call { name, receiver: None, args } if name == "_[?_]" => {
                if let [operand, key] = args.as_slice()
                    && let (Some(mut path), Some(key)) = (operand.path(), key.as_text())
                {
                    path.push(key);
                    self.read(&path, named);
                    return;
                }
            }
            Kind::Call { name, args, .. } if SEARCHES.contains(&name.as_str()) => {
                if let Some(literal) = args.last().and_then(Expr::as_text) {
                    self.searches.push(Search { function: name.clone(), literal: literal.to_owned() });
                }
            }
            Kind::Loop(parts) => {
                self.walk(&parts.range, named);
                self.within(parts.names.iter().map(String::as_str), &parts.parts, named);
                return;
            }
            Kind::Bind(name, parts) => {
                let [value, body] = parts.as_ref();
                self.walk(value, named);
                self.within(std::iter::once(name.as_str()), std::slice::from_ref(body), named);
                return;
            }
            _ => {}
        }
        expr.kind.children().for_each(|child| self.walk(child, named));
    }

    /// `name.field`, `has(name.field)`, `name.?field` wherever they stand, as the API server looks for them: no index, and
    /// no regard to what a macro has named.
    fn select(&mut self, expr: &Expr) {
        if let Kind::Select(operand, field) | Kind::Has(operand, field) | Kind::SelectMaybe(operand, field) =
            &expr.kind
            && let Kind::Ident(name) = &operand.kind
        {
            self.selects.insert((name.clone(), field.clone()));
        }
        if let Kind::Loop(parts) = &expr.kind
            && let Some(name) = ranged(&parts.range)
        {
            self.ranges.insert(name.to_owned());
        }
        expr.kind.children().for_each(|child| self.select(child));
    }

    fn within<'e>(
        &mut self,
        names: impl Iterator<Item = &'e str>,
        parts: &'e [Expr],
        named: &mut Vec<&'e str>,
    ) {
        let around = named.len();
        named.extend(names);
        parts.iter().for_each(|part| self.walk(part, named));
        named.truncate(around);
    }

    fn read(&mut self, path: &[&str], named: &[&str]) {
        let known = path.first().is_some_and(|root| named.contains(root) || !self.variables.contains(*root));
        if !known {
            self.reads.push(owned(path));
        }
    }
}

/// `name`, or `dyn(name)`.
fn ranged(range: &Expr) -> Option<&str> {
    match &range.kind {
        Kind::Ident(name) => Some(name),
        Kind::Call { name, receiver: None, args } if name == "dyn" => args.first().and_then(ranged),
        _ => None,
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|name| (*name).to_owned()).collect()
}

const SEARCHES: [&str; 4] = ["matches", "startsWith", "endsWith", "contains"];
