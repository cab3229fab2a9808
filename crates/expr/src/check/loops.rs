//! Macros that give names to items: what they range over, and what they make.

use super::{Checker, Loop, Node, Op, is_key};
use crate::ast::{self, Expr, Form};
use crate::fault::Complaint;
use crate::types::{Env, Type};

impl<'e> Checker<'e> {
    pub(super) fn repeat(&mut self, parts: &'e ast::Loop, at: usize) -> Result<(Op, Type), Complaint> {
        self.loops += 1;
        if self.loops > MAX_LOOPS {
            return Err(Complaint::new(
                at,
                format!("macros over lists are nested more than {MAX_LOOPS} deep"),
            ));
        }
        let (range, ranged) = self.check(&parts.range)?;
        let (key, value) = items(parts.form, &ranged, parts.range.at)?;
        let around = self.locals.len();
        match parts.names.as_slice() {
            [item] => {
                let found = if matches!(ranged, Type::Map(..)) { &key } else { &value };
                self.introduce(item, found, at)?;
            }
            [first, second] => {
                if first == second {
                    return Err(Complaint::new(at, format!("`{first}` is named twice")));
                }
                self.introduce(first, &key, at)?;
                self.introduce(second, &value, at)?;
            }
            _ => return Err(Complaint::new(at, "one or two names are possible")),
        }
        let (filter, body) = match parts.parts.as_slice() {
            [body] => (None, body),
            [filter, body] => {
                let wrong = |found: &Type| format!("the condition must be bool, this is {found}");
                (Some(self.condition(filter, wrong)?), body)
            }
            _ => return Err(Complaint::new(at, "one or two expressions are possible")),
        };
        let (body, made) = self.check(body)?;
        self.locals.truncate(around);
        self.loops -= 1;
        let item =
            if parts.names.len() == 1 && matches!(ranged, Type::Map(..)) { key.clone() } else { value };
        let found = result(parts.form, &item, key, &made, &body)?;
        let pairs = parts.names.len() == 2;
        Ok((Op::Loop(Box::new(Loop { form: parts.form, range, pairs, filter, body })), found))
    }

    pub(super) fn bind(
        &mut self,
        name: &'e str,
        parts: &'e [Expr; 2],
        at: usize,
    ) -> Result<(Op, Type), Complaint> {
        if self.env.is_only_kubernetes() {
            return Err(Complaint::new(at, "the API server does not know `cel.bind`"));
        }
        let [value, body] = parts;
        let (value, found) = self.check(value)?;
        self.introduce(name, &found, at)?;
        let (body, made) = self.check(body)?;
        self.locals.pop();
        Ok((Op::Bind(Box::new([value, body])), made))
    }

    /// A name that would hide another one is refused by nobody but misread by everybody; CEL lets the inner one win.
    fn introduce(&mut self, name: &'e str, found: &Type, at: usize) -> Result<(), Complaint> {
        if hides(self.env, name) {
            return Err(Complaint::new(
                at,
                format!("`{name}` is the name of a variable; choose another one"),
            ));
        }
        self.locals.push((name, found.clone()));
        Ok(())
    }
}

/// A policy in which `claims` suddenly means something else is not worth its brevity.
fn hides(env: &Env, name: &str) -> bool {
    env.find(name).is_some()
}

/// Key or index, and value or item.
fn items(form: Form, ranged: &Type, at: usize) -> Result<(Type, Type), Complaint> {
    let over_optional = matches!(form, Form::OptMap | Form::OptFlatMap);
    match ranged {
        Type::Dyn => Ok((Type::Dyn, Type::Dyn)),
        Type::Optional(value) if over_optional => Ok((Type::Dyn, value.as_ref().clone())),
        Type::List(item) if !over_optional => Ok((Type::Int, item.as_ref().clone())),
        Type::Map(key, value) if !over_optional && form != Form::SortBy => {
            Ok((key.as_ref().clone(), value.as_ref().clone()))
        }
        Type::Any => {
            let complaint = Complaint::new(at, "the API server does not loop over a claim as it is");
            Err(complaint.hint("write dyn(claims.…)"))
        }
        other if over_optional => Err(Complaint::new(at, format!("expected an optional, this is {other}"))),
        other => {
            let wanted = if form == Form::SortBy { "a list" } else { "a list or a map" };
            Err(Complaint::new(at, format!("expected {wanted}, this is {other}")))
        }
    }
}

fn result(form: Form, item: &Type, key: Type, made: &Type, body: &Node) -> Result<Type, Complaint> {
    let wrong = |wanted: &str| Err(Complaint::new(body.at, format!("expected {wanted}, this is {made}")));
    match form {
        Form::All | Form::Exists | Form::ExistsOne | Form::Filter if !Type::Bool.takes(made) => wrong("bool"),
        Form::All | Form::Exists | Form::ExistsOne => Ok(Type::Bool),
        Form::Filter | Form::SortBy if form == Form::Filter || is_sortable(made) => {
            Ok(Type::list(item.clone()))
        }
        Form::Filter | Form::SortBy => wrong("something that has an order"),
        Form::Collect => Ok(Type::list(made.clone())),
        Form::TransformMap => Ok(Type::map(key, made.clone())),
        Form::TransformMapEntry => match made {
            Type::Map(key, _) if is_key(key) => Ok(made.clone()),
            Type::Dyn | Type::Any => Ok(Type::map(Type::Dyn, Type::Dyn)),
            _ => wrong("a map"),
        },
        Form::OptMap => Ok(Type::optional(made.clone())),
        Form::OptFlatMap => match made {
            Type::Optional(_) | Type::Dyn | Type::Any => Ok(made.clone()),
            _ => wrong("an optional"),
        },
    }
}

const fn is_sortable(found: &Type) -> bool {
    matches!(
        found,
        Type::Dyn
            | Type::Any
            | Type::Bool
            | Type::Int
            | Type::Uint
            | Type::Double
            | Type::String
            | Type::Bytes
            | Type::Timestamp
            | Type::Duration
    )
}

/// Macros within the bodies of macros. Each level multiplies what the one within it costs.
const MAX_LOOPS: usize = 6;
