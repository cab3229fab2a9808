//! Where a value stands in its file, in words: `connectors[1].config.issuer`.

use std::fmt;
use std::sync::Arc;

/// A path, and the same with its list positions and free keys left open (`connectors[].config.issuer`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Path {
    shown: String,
    pattern: String,
    file: Option<Arc<str>>,
}

impl Path {
    /// The path of a part of a file, for sections that are not read from a whole file.
    pub fn new(text: &str) -> Self {
        Self { shown: text.to_owned(), pattern: text.to_owned(), file: None }
    }

    /// The root of a file.
    pub(crate) fn of_file(file: &str) -> Self {
        Self { file: Some(Arc::from(file)), ..Self::default() }
    }

    /// The file it stands in, if it was read from one that has a name.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The path of a key that the program knows.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.with(join(&self.shown, key), join(&self.pattern, key))
    }

    /// The path of a key that the user chose.
    pub(crate) fn free_key(&self, key: &str) -> Self {
        self.with(join(&self.shown, key), join(&self.pattern, "*"))
    }

    /// The path of a list's element.
    pub(crate) fn element(&self, index: usize) -> Self {
        self.with(format!("{}[{index}]", self.shown), format!("{}[]", self.pattern))
    }

    fn with(&self, shown: String, pattern: String) -> Self {
        Self { shown, pattern, file: self.file.clone() }
    }

    /// As a person writes it.
    pub fn as_str(&self) -> &str {
        &self.shown
    }

    /// With list positions and free keys left open.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

fn join(parent: &str, key: &str) -> String {
    let simple = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '*'));
    match (parent.is_empty(), simple) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{parent}.{key}"),
        (_, false) => format!("{parent}[{key:?}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_people_write_them() {
        let path = Path::default().key("connectors").element(1).key("config").free_key("a.b/c");
        assert_eq!(path.as_str(), "connectors[1].config[\"a.b/c\"]");
        assert_eq!(path.pattern(), "connectors[].config.*");
    }
}
