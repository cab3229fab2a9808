//! The tree of a configuration file: every value and every key knows where it stands.
//!
//! Cloning shares. `Debug` shows shapes and never texts, since any text may be a secret.

use std::fmt;
use std::sync::Arc;

use crate::scalar::Scalar;

/// A place in the file; both count from 1. The default is "nowhere", for what was not written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// A value and where it begins.
#[derive(Clone)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// What it is.
    pub value: Value,
}

/// What a node holds.
#[derive(Clone)]
pub enum Value {
    /// A text whose type is decided by who reads it.
    Scalar(Arc<Scalar>),
    /// A sequence.
    List(Arc<[Node]>),
    /// A mapping in the order of the file, without duplicate keys, merge keys (`<<`) already applied.
    Map(Arc<[Entry]>),
}

/// A key and its value.
#[derive(Clone)]
pub struct Entry {
    /// The key as written.
    pub key: Arc<str>,
    /// Where the key begins.
    pub at: Position,
    /// The value.
    pub node: Node,
}

impl Node {
    /// An empty mapping.
    pub fn empty(at: Position) -> Self {
        Self { at, value: Value::Map(Arc::from([])) }
    }

    /// Nothing at all.
    pub(crate) fn null() -> Self {
        Self { at: Position::default(), value: Value::Scalar(Arc::new(Scalar::new("", true))) }
    }

    /// Whether this is an explicit or implied null. Go's JSON leaves the default then, so it counts as absent.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// Whether this is a text of no characters (`""`, or what a `$VAR` left of one).
    pub(crate) fn is_blank(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.text.is_empty() && !scalar.is_null())
    }

    /// What it is, for a sentence: "a list", "a number".
    pub fn shape(&self) -> &'static str {
        match &self.value {
            Value::Scalar(scalar) => scalar.shape(),
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Scalar(scalar) => f.write_str(scalar.shape()),
            Value::List(items) => f.debug_list().entries(items.iter()).finish(),
            Value::Map(entries) => f.debug_map().entries(entries.iter().map(|e| (&e.key, &e.node))).finish(),
        }
    }
}
