//! A mapping that is being read: key by key, every fault written down, and at the end the keys that nobody asked for.

use std::collections::HashMap;

use crate::environment::Environment;
use crate::fault::Faults;
use crate::field::{Field, Section, anchor};
use crate::near::nearest;
use crate::node::{Entry, Node, Position, Value};
use crate::path::Path;
use crate::read::{Kind, Read};

/// How the keys of a section are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStyle {
    /// As Go's JSON: without regard to case; an unknown key is a warning (an error if strict).
    Dex,
    /// To the letter; an unknown key is an error.
    Ours,
}

/// A mapping that is being read. Ends with [`Fields::finish`].
#[must_use = "call finish(), or unknown keys go unreported"]
pub struct Fields<'f> {
    path: Path,
    at: Position,
    keys: KeyStyle,
    faults: &'f Faults,
    left: Vec<Entry>,
    /// The keys that were asked for, and where those stood that are taken.
    asked: Vec<(String, Option<Position>)>,
    restricting: &'static [&'static str],
}

impl<'f> Fields<'f> {
    /// Of a mapping its entries, of anything else none.
    pub(crate) fn of(field: &Field<'f>) -> Self {
        let left = match &field.node.value {
            Value::Map(entries) => entries.to_vec(),
            _ => Vec::new(),
        };
        let Field { path, at, keys, faults, .. } = field.clone();
        let mut fields = Self { path, at, keys, faults, left, asked: Vec::new(), restricting: &[] };
        if keys == KeyStyle::Dex {
            fields.refuse_twins();
        }
        fields
    }

    /// The value of `key`, if there is one and it can be read.
    pub fn optional<T: Read>(&mut self, key: &str) -> Option<T> {
        self.know(key, T::KIND, false);
        match self.found(key).filter(|field| !(empty_means_absent(T::KIND) && field.is_blank())) {
            Some(field) => T::read(&field),
            None => self.rehearse(key),
        }
    }

    /// The value of `key`; its absence is a fault.
    pub fn required<T: Read>(&mut self, key: &str) -> Option<T> {
        self.know(key, T::KIND, true);
        match self.found(key).filter(|field| !(empty_means_absent(T::KIND) && field.is_blank())) {
            Some(field) => T::read(&field),
            None => {
                self.missing(key, "add it");
                self.rehearse(key)
            }
        }
    }

    /// The value of `key`, or `default`.
    pub fn or<T: Read>(&mut self, key: &str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// The value of `key`, or its type's default: no elements, false, the empty string.
    pub fn or_default<T: Read + Default>(&mut self, key: &str) -> T {
        self.optional(key).unwrap_or_default()
    }

    /// The value of `key`, which must be one of the words in `table`.
    pub fn one_of<T: Copy>(&mut self, key: &str, table: &[(&'static str, T)]) -> Option<T> {
        self.know(key, Kind::Word, false);
        self.found(key).filter(|field| !field.is_blank())?.one_of(table)
    }

    /// The elements of the list under `key`, for readings that need more than a [`Read`].
    pub fn elements(&mut self, key: &str) -> Vec<Field<'f>> {
        self.know(key, Kind::List(&Kind::Section), false);
        self.found(key)
            .unwrap_or_else(|| self.at_key(key, self.at, Node::null()))
            .elements()
            .unwrap_or_default()
    }

    /// The user's keys under `key` and their values, for readings that need more than a [`Read`].
    pub fn entries(&mut self, key: &str) -> Vec<(String, Field<'f>)> {
        self.know(key, Kind::Map(&Kind::Section), false);
        self.found(key)
            .unwrap_or_else(|| self.at_key(key, self.at, Node::null()))
            .entries()
            .unwrap_or_default()
    }

    /// The mapping under `key`, to be read; an empty one if it is absent, so that its defaults stand in one place.
    pub fn group(&mut self, key: &str) -> Self {
        self.know(key, Kind::Section, false);
        self.found(key).unwrap_or_else(|| self.absent(key)).group()
    }

    /// The mapping under `key`, to be read, if it is there.
    pub fn optional_group(&mut self, key: &str) -> Option<Self> {
        self.know(key, Kind::Section, false);
        let rehearsed = self.faults.is_rehearsal().then(|| self.absent(key));
        self.found(key).or(rehearsed).map(|field| field.group())
    }

    /// The value under `key` unread, for its owner; an empty mapping if it is absent.
    pub fn section(&mut self, key: &str) -> Section {
        self.know(key, Kind::Section, false);
        self.found(key).unwrap_or_else(|| self.absent(key)).section()
    }

    /// The value of `key`, or of the environment variable that `env_key` names (`secret`, `secretEnv`). Both at once, and
    /// a variable that is unset or empty, are faults: an empty secret must never come about by accident.
    pub fn direct_or_env<T: Read + From<String>>(
        &mut self,
        key: &str,
        env_key: &str,
        environment: &Environment,
    ) -> Option<T> {
        let written = self.has_text(key);
        let direct = self.optional(key);
        self.know(env_key, Kind::String, false);
        let Some(field) = self.found(env_key).filter(|field| !field.is_blank()) else { return direct };
        if written {
            field.error(format!("is given beside {key}"), "keep one of the two");
            return None;
        }
        let name = field.string()?;
        let value = environment.get(&name).filter(|value| !value.is_empty());
        if value.is_none() {
            let what = format!("names the environment variable {name:?}, which is not set or empty");
            field.error(what, format!("set it, or write {key}"));
        }
        value.map(|value| T::from(value.to_owned()))
    }

    /// Accepts `old` as another spelling of `key`, with a warning. To be called before `key` is read.
    pub fn spelling(&mut self, key: &str, old: &str) {
        let Some(index) = self.find(old) else { return };
        if let Some(entry) = self.left.get_mut(index) {
            let at = entry.at;
            entry.key = key.into();
            self.faults.warning(&self.path.key(old), at, "is an old spelling", format!("write {key}"));
        }
        self.refuse_twins();
    }

    /// Accepts keys that have no effect yet; those that are written are gathered for one warning
    /// ([`Faults::unsupported`]).
    pub fn unsupported(&mut self, keys: &[&str]) {
        for key in keys {
            self.know(key, Kind::Unsupported, false);
            if let Some(field) = self.found(key) {
                self.faults.add_unsupported(&field.path, "");
            }
        }
    }

    /// The value of `key`, null counting as absent, for readings that need more than a [`Read`].
    pub fn take(&mut self, key: &str) -> Option<Field<'f>> {
        self.know(key, Kind::Any, false);
        let rehearsed = self.faults.is_rehearsal() && self.path.length() < REHEARSED;
        self.found(key).or_else(|| rehearsed.then(|| self.absent(key)))
    }

    /// Whether `key` is there, not null, and unread.
    pub fn has(&self, key: &str) -> bool {
        self.find(key).and_then(|index| self.left.get(index)).is_some_and(|entry| !entry.node.is_null())
    }

    /// Whether `key` is there and unread, and says something: in Dex's sections an empty text is as good as none.
    pub fn has_text(&self, key: &str) -> bool {
        let entry = self.find(key).and_then(|index| self.left.get(index));
        entry.is_some_and(|entry| {
            !(entry.node.is_null() || self.keys == KeyStyle::Dex && entry.node.is_blank())
        })
    }

    /// Whether `key` is there and unread, even with nothing behind it: for sections whose presence restricts, which
    /// must not be lifted by an empty value.
    pub fn is_written(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Whether `key` was asked for and is there, whatever came of it.
    pub fn was_there(&self, key: &str) -> bool {
        self.asked.iter().any(|(asked, at)| asked == key && at.is_some())
    }

    /// Where the mapping stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keys whose absence allows more than their presence: an unknown key that is nearly one of them is an error, whatever
    /// the style. Said before [`Fields::finish`].
    pub fn restricting(&mut self, keys: &'static [&'static str]) {
        self.restricting = keys;
    }

    /// Writes down an error about the mapping as a whole.
    pub fn error(&self, what: impl Into<String>, instead: impl Into<String>) {
        self.faults.error(&self.path, self.at, what, instead);
    }

    /// Writes down a warning about the mapping as a whole.
    pub fn warning(&self, what: impl Into<String>, instead: impl Into<String>) {
        self.faults.warning(&self.path, self.at, what, instead);
    }

    /// Writes down that `key` should be there.
    pub fn missing(&self, key: &str, instead: impl Into<String>) {
        self.faults.error(&self.path.key(key), self.at, "is missing", instead);
    }

    /// Writes down that what `key` says cannot be used or, if it says nothing, that it should be there.
    pub fn unfit(&self, key: &str, instead: impl Into<String>) {
        match self.asked.iter().find(|(asked, _)| asked == key).and_then(|(_, at)| *at) {
            Some(at) => self.faults.error(&self.path.key(key), at, "cannot be used as it is", instead),
            None => self.missing(key, instead),
        }
    }

    /// Where the faults go.
    pub fn faults(&self) -> &'f Faults {
        self.faults
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self) {
        for entry in &self.left {
            if self.faults.is_full() {
                break;
            }
            let meant = nearest(&entry.key, self.restricting.iter().copied());
            let near =
                meant.or_else(|| nearest(&entry.key, self.asked.iter().map(|(asked, _)| asked.as_str())));
            let instead =
                near.map_or_else(|| String::from("remove it"), |near| format!("did you mean {near}?"));
            let path = self.path.key(&entry.key);
            if self.keys == KeyStyle::Ours || self.faults.is_strict() || meant.is_some() {
                self.faults.error(&path, entry.at, "is not a known key", instead);
            } else {
                self.faults.warning(&path, entry.at, "is not a known key and has no effect", instead);
            }
        }
    }

    fn found(&mut self, key: &str) -> Option<Field<'f>> {
        let entry = self.find(key).map(|index| self.left.remove(index)).filter(|entry| !entry.node.is_null());
        let field = entry.map(|entry| self.at_key(key, entry.at, entry.node));
        let at = field.as_ref().map(|field| field.at);
        match self.asked.iter_mut().find(|(asked, _)| asked == key) {
            Some((_, taken)) => *taken = taken.or(at),
            None => self.asked.push((key.to_owned(), at)),
        }
        field
    }

    fn know(&self, key: &str, kind: Kind, required: bool) {
        self.faults.know(&self.path.key(key), kind, required);
    }

    fn at_key(&self, key: &str, at: Position, node: Node) -> Field<'f> {
        Field { path: self.path.key(key), at: anchor(&node, at), node, keys: self.keys, faults: self.faults }
    }

    fn absent(&self, key: &str) -> Field<'f> {
        self.at_key(key, self.at, Node::empty(self.at))
    }

    fn rehearse<T: Read>(&self, key: &str) -> Option<T> {
        if self.faults.is_rehearsal() && self.path.length() < REHEARSED {
            T::read(&self.absent(key));
        }
        None
    }

    fn find(&self, key: &str) -> Option<usize> {
        self.left.iter().position(|entry| match self.keys {
            KeyStyle::Dex => entry.key.eq_ignore_ascii_case(key),
            KeyStyle::Ours => &*entry.key == key,
        })
    }

    /// Keys that differ only in case, or that became the same by an old spelling: of the two one would be lost.
    fn refuse_twins(&mut self) {
        let mut seen: HashMap<String, Position> = HashMap::new();
        let (keys, faults, path) = (self.keys, self.faults, &self.path);
        self.left.retain(|entry| {
            let folded = match keys {
                KeyStyle::Dex => entry.key.to_ascii_lowercase(),
                KeyStyle::Ours => entry.key.to_string(),
            };
            let Some(first) = seen.insert(folded.clone(), entry.at) else { return true };
            let what = format!("holds the key {:?} twice, first on line {}", entry.key, first.line);
            faults.error(path, entry.at, what, "remove one; case makes no difference here");
            seen.insert(folded, first);
            false
        });
    }
}

/// An empty text is no value of these; for Go it is the absence of one. What is a text itself may be empty.
const fn empty_means_absent(kind: Kind) -> bool {
    matches!(kind, Kind::Duration | Kind::Url | Kind::Base64 | Kind::Word)
}

/// A pattern longer than this means a type that contains itself.
const REHEARSED: usize = 300;
