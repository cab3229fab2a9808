//! What can be known of an expression without running it. The policy's index rests on `conjuncts`, so each must be
//! implied by the whole being true.

use crate::ast::{Expr, Kind, Literal};

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
    pub(crate) searches: Vec<Search>,
    pub(crate) conjuncts: Vec<Conjunct>,
    pub(crate) reads: Vec<Vec<String>>,
    pub(crate) literals: Vec<String>,
}

impl Facts {
    pub(crate) fn of(expr: &Expr) -> Self {
        let mut facts = Self::default();
        facts.conjoin(expr);
        facts.walk(expr);
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

    fn walk(&mut self, expr: &Expr) {
        if let Some(path) = expr.path() {
            self.reads.push(owned(&path));
            return;
        }
        match &expr.kind {
            Kind::Literal(Literal::Str(text)) => self.literals.push(text.clone()),
            Kind::Has(operand, field) => {
                if let Some(mut path) = operand.path() {
                    path.push(field);
                    self.reads.push(owned(&path));
                    return;
                }
            }
            Kind::Call { name, args, .. } if SEARCHES.contains(&name.as_str()) => {
                if let Some(literal) = args.last().and_then(Expr::as_text) {
                    self.searches.push(Search { function: name.clone(), literal: literal.to_owned() });
                }
            }
            _ => {}
        }
        expr.kind.children().for_each(|child| self.walk(child));
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|name| (*name).to_owned()).collect()
}

const SEARCHES: [&str; 4] = ["matches", "startsWith", "endsWith", "contains"];
