//! Macros over lists and maps. Every round is paid for; an error of one item counts as `&&` and `||` count it.

use super::{Failure, Machine, Outcome, Problem, mismatch};
use crate::ast::Form;
use crate::check::{Loop, Node};
use crate::functions::ordered;
use crate::value::{List, Value};

/// What there is to go through: keys or indexes, and values or items.
struct Items<'a> {
    range: Range<'a>,
    next: usize,
}

enum Range<'a> {
    List(List<'a>),
    /// Entries of a map; not kept in the order of an object's members only if it was built.
    Map(Vec<(Value<'a>, Value<'a>)>),
}

impl<'a> Machine<'a, '_> {
    pub(super) fn repeat(&mut self, parts: &'a Loop, at: usize) -> Outcome<'a> {
        let range = self.run(&parts.range)?;
        match parts.form {
            Form::OptMap | Form::OptFlatMap => self.map_optional(parts, range, at),
            form => {
                let items = self.items(range, at)?;
                match form {
                    Form::All => self.quantify(parts, items, false),
                    Form::Exists => self.quantify(parts, items, true),
                    Form::ExistsOne => self.exists_one(parts, items),
                    Form::TransformMap | Form::TransformMapEntry => self.transform(parts, items, at),
                    Form::SortBy => self.sort_by(parts, items, at),
                    _ => self.collect(parts, items),
                }
            }
        }
    }

    fn items(&mut self, range: Value<'a>, at: usize) -> Result<Items<'a>, Failure> {
        let fail = |problem| Failure { at, problem };
        let range = match range {
            Value::List(list) => Range::List(list),
            Value::Map(map) => {
                self.budget.spend(map.len()).map_err(fail)?;
                Range::Map(map.iter().collect())
            }
            other => return Err(fail(mismatch(&[other]))),
        };
        Ok(Items { range, next: 0 })
    }

    /// Runs a part with the item under its name, or with both under theirs.
    fn with_item<T>(
        &mut self,
        parts: &'a Loop,
        item: &(Value<'a>, Value<'a>, Value<'a>),
        run: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.budget.spend(1).map_err(|problem| Failure { at: parts.body.at, problem })?;
        let (key, value, only) = item;
        if parts.pairs {
            self.within([key.clone(), value.clone()], run)
        } else {
            self.within([only.clone()], run)
        }
    }

    fn is_true(&mut self, node: &'a Node) -> Result<bool, Failure> {
        match self.run(node)? {
            Value::Bool(b) => Ok(b),
            other => Err(Failure { at: node.at, problem: mismatch(&[other]) }),
        }
    }

    /// `all` is decided by false, `exists` by true, whatever went wrong with other items.
    fn quantify(&mut self, parts: &'a Loop, items: Items<'a>, decisive: bool) -> Outcome<'a> {
        let mut failure = None;
        for item in items {
            match self.with_item(parts, &item, |machine| machine.is_true(&parts.body)) {
                Ok(found) if found == decisive => return Ok(Value::Bool(decisive)),
                Ok(_) => {}
                Err(exhausted) if exhausted.problem == Problem::Exhausted => return Err(exhausted),
                Err(failed) => {
                    failure.get_or_insert(failed);
                }
            }
        }
        failure.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    fn exists_one(&mut self, parts: &'a Loop, items: Items<'a>) -> Outcome<'a> {
        let mut count = 0_usize;
        for item in items {
            count += usize::from(self.with_item(parts, &item, |machine| machine.is_true(&parts.body))?);
        }
        Ok(Value::Bool(count == 1))
    }

    /// `filter`, `map` and `transformList`.
    fn collect(&mut self, parts: &'a Loop, items: Items<'a>) -> Outcome<'a> {
        let mut made = Vec::new();
        for item in items {
            let kept = self.with_item(parts, &item, |machine| {
                if parts.form == Form::Filter {
                    return Ok(machine.is_true(&parts.body)?.then(|| item.2.clone()));
                }
                if let Some(filter) = &parts.filter
                    && !machine.is_true(filter)?
                {
                    return Ok(None);
                }
                machine.run(&parts.body).map(Some)
            })?;
            made.extend(kept);
        }
        Ok(Value::from(made))
    }

    fn transform(&mut self, parts: &'a Loop, items: Items<'a>, at: usize) -> Outcome<'a> {
        let mut entries = Vec::new();
        for item in items {
            let made = self.with_item(parts, &item, |machine| match &parts.filter {
                Some(filter) if !machine.is_true(filter)? => Ok(None),
                _ => machine.run(&parts.body).map(Some),
            })?;
            let fail = |problem| Failure { at, problem };
            match made {
                None => {}
                // Keys of the range are distinct already.
                Some(value) if parts.form == Form::TransformMap => entries.push((item.0, value)),
                Some(Value::Map(map)) => {
                    for (key, value) in map.iter() {
                        self.insert(&mut entries, key, value).map_err(fail)?;
                    }
                }
                Some(other) => return Err(fail(mismatch(&[other]))),
            }
        }
        Ok(Value::from(entries))
    }

    fn sort_by(&mut self, parts: &'a Loop, items: Items<'a>, at: usize) -> Outcome<'a> {
        let mut keyed = Vec::new();
        for item in items {
            let key = self.with_item(parts, &item, |machine| machine.run(&parts.body))?;
            keyed.push((key, item.2));
        }
        let sorted = ordered::sorted(keyed, self.budget).map_err(|problem| Failure { at, problem })?;
        Ok(Value::from(sorted))
    }

    fn map_optional(&mut self, parts: &'a Loop, range: Value<'a>, at: usize) -> Outcome<'a> {
        let fail = |problem| Failure { at, problem };
        let value = match range {
            Value::Optional(None) => return Ok(Value::NONE),
            Value::Optional(Some(value)) => value.as_ref().clone(),
            other => return Err(fail(mismatch(&[other]))),
        };
        let made = self.within([value], |machine| machine.run(&parts.body))?;
        match made {
            made if parts.form == Form::OptMap => Ok(Value::some(made)),
            made @ Value::Optional(_) => Ok(made),
            other => Err(fail(mismatch(&[other]))),
        }
    }
}

impl<'a> Iterator for Items<'a> {
    /// Key or index, value or item, and which of them a single name stands for.
    type Item = (Value<'a>, Value<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.next;
        self.next += 1;
        match &self.range {
            Range::List(list) => {
                let item = list.get(at)?;
                Some((Value::Int(i64::try_from(at).ok()?), item.clone(), item))
            }
            Range::Map(entries) => {
                let (key, value) = entries.get(at)?.clone();
                Some((key.clone(), value, key))
            }
        }
    }
}
