//! One value of a configuration together with where it stands: kept ([`Section`]) or being read ([`Field`]).

use std::sync::Arc;

use crate::environment::Environment;
use crate::expansion::expand_node;
use crate::fault::Faults;
use crate::fields::{Fields, KeyStyle};
use crate::node::{Node, Position, Value};
use crate::path::Path;
use crate::scalar::{Resolved, Scalar};

/// A part of a configuration that is handed to whoever owns it (a connector's `config`). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Section {
    path: Path,
    node: Node,
}

impl Section {
    /// A node at a path.
    pub fn new(path: Path, node: Node) -> Self {
        Self { path, node }
    }

    /// Nothing written down, at `path` (`connectors[].config`): every default, and what rehearsals read.
    pub fn empty(path: &str) -> Self {
        Self::new(Path::new(path), Node::empty(Position::default()))
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The node itself.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// With `$VAR` and `${VAR}` in its strings replaced, as Dex does in `storage.config`, `connectors[].config` and
    /// `signer.config`. An unset variable is a warning where the string is read, an error if it is read as a secret.
    #[must_use]
    pub fn expanded(&self, environment: &Environment) -> Self {
        Self { path: self.path.clone(), node: expand_node(&self.node, environment) }
    }

    /// Begins to read it.
    pub fn field<'f>(&self, keys: KeyStyle, faults: &'f Faults) -> Field<'f> {
        Field { path: self.path.clone(), at: self.node.at, node: self.node.clone(), keys, faults }
    }

    /// Begins to read it as a mapping.
    pub fn fields<'f>(&self, keys: KeyStyle, faults: &'f Faults) -> Fields<'f> {
        self.field(keys, faults).group()
    }
}

/// A value that is being read. Every reading that fails writes down why and gives `None`.
#[derive(Clone)]
pub struct Field<'f> {
    pub(crate) path: Path,
    /// The value's position, or its key's if the value is a collection or empty.
    pub(crate) at: Position,
    pub(crate) node: Node,
    pub(crate) keys: KeyStyle,
    pub(crate) faults: &'f Faults,
}

impl<'f> Field<'f> {
    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it begins in the file.
    pub fn at(&self) -> Position {
        self.at
    }

    /// The node itself, for values that may have several shapes.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// To keep it for later.
    pub fn section(&self) -> Section {
        Section::new(self.path.clone(), self.node.clone())
    }

    /// The same value, its keys read in another style (our sections inside Dex's).
    #[must_use]
    pub fn with_keys(self, keys: KeyStyle) -> Self {
        Self { keys, ..self }
    }

    /// Writes down an error about this value.
    pub fn error(&self, what: impl Into<String>, instead: impl Into<String>) {
        self.faults.error(&self.path, self.at, what, instead);
    }

    /// Writes down a warning about this value.
    pub fn warning(&self, what: impl Into<String>, instead: impl Into<String>) {
        self.faults.warning(&self.path, self.at, what, instead);
    }

    /// Says that this value is accepted and does nothing yet, and why; gathered for the one warning
    /// ([`Faults::unsupported`]).
    pub fn without_effect(&self, why: &str) {
        self.faults.add_unsupported(&self.path, why);
    }

    /// Whether this is an empty text in one of Dex's sections, where it means what absence means. A `$VAR` that made it
    /// empty is warned of.
    pub fn is_blank(&self) -> bool {
        let blank = self.keys == KeyStyle::Dex && self.node.is_blank();
        if let Some(unset) =
            self.scalar().map(|scalar| &scalar.unset).filter(|unset| blank && !unset.is_empty())
        {
            self.warning(unset_variables(unset), "set it, or write the value itself");
        }
        blank
    }

    /// The value as a string.
    pub fn string(&self) -> Option<String> {
        let scalar = self.text("a string")?;
        if !scalar.unset.is_empty() {
            self.warning(unset_variables(&scalar.unset), "set it, or write the value itself");
        }
        Some(scalar.text.clone())
    }

    /// The value as a string that must be complete: an unset `$VAR` in it is an error.
    pub fn secret_string(&self) -> Option<String> {
        let scalar = self.text("a string")?;
        if !scalar.unset.is_empty() {
            self.error(
                unset_variables(&scalar.unset),
                "set it; a secret that holds `$` goes into a variable",
            );
            return None;
        }
        Some(scalar.text.clone())
    }

    /// The value as one of the words in `table`.
    pub fn one_of<T: Copy>(&self, table: &[(&'static str, T)]) -> Option<T> {
        let word = self.string()?;
        let found = table.iter().find(|(name, _)| *name == word);
        if found.is_none() {
            let names: Vec<_> = table.iter().map(|(name, _)| format!("{name:?}")).collect();
            self.error(format!("is {}", self.shown()), format!("write one of {}", names.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// The value as a mapping that is being read. Of anything else, an empty one.
    pub fn group(&self) -> Fields<'f> {
        if !matches!(self.node.value, Value::Map(_)) && !self.node.is_null() {
            self.wrong("a mapping", "write `key: value` lines below the key");
        }
        Fields::of(self)
    }

    /// The elements of a list. An absent value has none.
    pub fn elements(&self) -> Option<Vec<Self>> {
        let element = |index: usize, node: &Node| Field {
            path: self.path.element(index),
            at: node.at,
            node: node.clone(),
            keys: self.keys,
            faults: self.faults,
        };
        match &self.node.value {
            _ if self.faults.is_rehearsal() => Some(vec![element(0, &Node::empty(self.at))]),
            Value::List(items) => Some(items.iter().enumerate().map(|(i, node)| element(i, node)).collect()),
            _ if self.node.is_null() => Some(Vec::new()),
            _ => {
                self.wrong("a list", "write `- ` before each element, below the key");
                None
            }
        }
    }

    /// The keys and values of a mapping whose keys the user chooses, in the order of the file.
    pub fn entries(&self) -> Option<Vec<(String, Self)>> {
        let field = |key: &str, at: Position, node: &Node| Field {
            path: self.path.free_key(key),
            at: anchor(node, at),
            node: node.clone(),
            keys: self.keys,
            faults: self.faults,
        };
        match &self.node.value {
            _ if self.faults.is_rehearsal() => {
                Some(vec![(String::from("*"), field("*", self.at, &Node::empty(self.at)))])
            }
            Value::Map(entries) => {
                Some(entries.iter().map(|e| (e.key.to_string(), field(&e.key, e.at, &e.node))).collect())
            }
            Value::Scalar(scalar) if scalar.is_null() => Some(Vec::new()),
            _ => {
                self.wrong("a mapping", "write `key: value` lines below the key");
                None
            }
        }
    }

    /// The scalar, if it is a string by Dex's rules. Dex's releases take an unquoted whole number or `true`/`false` for a
    /// string in some sections and refuse it in others; where it means what it says, it is accepted with a warning.
    pub(crate) fn text(&self, wanted: &'static str) -> Option<&Scalar> {
        let Value::Scalar(scalar) = &self.node.value else {
            self.wrong(wanted, "");
            return None;
        };
        match scalar.resolve() {
            Resolved::Text => Some(scalar),
            Resolved::Null => {
                self.error(
                    format!("is empty where {wanted} is wanted"),
                    "write it, or `\"\"` for an empty one",
                );
                None
            }
            resolved => {
                let what = format!("is {} where {wanted} is wanted", scalar.shape());
                let quote = "put it in quotes";
                if self.keys == KeyStyle::Dex && means_what_it_says(resolved, &scalar.text) {
                    self.warning(what, quote);
                    Some(scalar)
                } else {
                    self.error(what, quote);
                    None
                }
            }
        }
    }

    /// The scalar behind the value, for types that are not strings.
    pub(crate) fn scalar(&self) -> Option<&Arc<Scalar>> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The fault of a wrong type.
    pub(crate) fn wrong(&self, wanted: &str, instead: impl Into<String>) {
        self.error(format!("is {} where {wanted} is wanted", self.node.shape()), instead);
    }

    /// The value for a sentence, if it may be shown.
    pub(crate) fn shown(&self) -> String {
        self.scalar().map_or_else(|| self.node.shape().to_owned(), |scalar| scalar.shown())
    }
}

/// Where to point at for a value: at itself if it is on the key's line, else at the key.
pub(crate) fn anchor(node: &Node, key: Position) -> Position {
    match &node.value {
        Value::Scalar(scalar) if !(scalar.plain && scalar.text.is_empty()) => node.at,
        _ => key,
    }
}

fn unset_variables(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().map(|name| format!("${name}")).collect();
    let plural = if names.len() == 1 { "is" } else { "are" };
    format!("uses {}, which {plural} not set", shown.join(", "))
}

fn means_what_it_says(resolved: Resolved, text: &str) -> bool {
    match resolved {
        Resolved::Integer(value) => value.to_string() == text,
        Resolved::Bool(value) => value.to_string() == text,
        // Dex's own example says `tlsMinVersion: 1.2`. Beyond these bounds Go writes an exponent.
        Resolved::Float(value) => (1e-4..1e6).contains(&value.abs()) && value.to_string() == text,
        Resolved::Null | Resolved::Text => false,
    }
}
