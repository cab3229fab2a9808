//! Where a value stands in its file, in words: `connectors[1].config.issuer`.

use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// A path, and the same with its list positions and free keys left open (`connectors[].config.issuer`).
///
/// Every value that is read has one and few are ever shown, so it is a step from its parent's, and text when asked for.
#[derive(Clone, Default)]
pub struct Path(Arc<Link>);

#[derive(Default)]
struct Link {
    parent: Option<Path>,
    step: Step,
    file: Option<Arc<str>>,
    /// Characters of its pattern, roughly: how deep it is.
    length: usize,
    /// The same for all paths of one pattern.
    shape: u64,
}

enum Step {
    /// Where reading began.
    Root(Box<str>),
    /// A key that the program knows.
    Key(Box<str>),
    /// A key that the user chose.
    Free(Box<str>),
    /// A list's element.
    Element(usize),
}

impl Path {
    /// The path of a part of a file, for sections that are not read from a whole file.
    pub fn new(text: &str) -> Self {
        let (length, shape) = (text.len(), hashed(0, text));
        Self(Arc::new(Link { step: Step::Root(text.into()), length, shape, ..Link::default() }))
    }

    /// The root of a file.
    pub(crate) fn of_file(file: &str) -> Self {
        Self(Arc::new(Link { file: Some(Arc::from(file)), ..Link::default() }))
    }

    /// The file it stands in, if it was read from one that has a name.
    pub fn file(&self) -> Option<&str> {
        self.0.file.as_deref()
    }

    /// The path of a key that the program knows.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.into()), key)
    }

    /// The path of a key that the user chose.
    pub(crate) fn free_key(&self, key: &str) -> Self {
        self.with(Step::Free(key.into()), "*")
    }

    /// The path of a list's element.
    pub(crate) fn element(&self, index: usize) -> Self {
        self.with(Step::Element(index), "[")
    }

    fn with(&self, step: Step, name: &str) -> Self {
        let (file, length) = (self.0.file.clone(), self.0.length + name.len() + 1);
        let shape = hashed(self.0.shape, name);
        Self(Arc::new(Link { parent: Some(self.clone()), step, file, length, shape }))
    }

    /// With list positions and free keys left open.
    pub fn pattern(&self) -> String {
        self.text(true)
    }

    /// How long [`Self::pattern`] is, or a character less.
    pub(crate) fn length(&self) -> usize {
        self.0.length
    }

    /// A number that paths share when they have the same [`Self::pattern`], for the price of no text.
    pub(crate) fn shape(&self) -> u64 {
        self.0.shape
    }

    fn text(&self, open: bool) -> String {
        let steps = std::iter::successors(Some(self), |path| path.0.parent.as_ref());
        let steps = steps.map(|path| &path.0.step).collect::<Vec<_>>();
        let mut text = String::new();
        for step in steps.into_iter().rev() {
            match step {
                Step::Root(root) => text.push_str(root),
                Step::Free(_) if open => push_key(&mut text, "*"),
                Step::Key(key) | Step::Free(key) => push_key(&mut text, key),
                Step::Element(_) if open => text.push_str("[]"),
                Step::Element(index) => {
                    let _ = write!(text, "[{index}]");
                }
            }
        }
        text
    }
}

/// As a person writes it.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(false))
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text(false))
    }
}

impl Default for Step {
    fn default() -> Self {
        Self::Root("".into())
    }
}

fn hashed(before: u64, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (before, name).hash(&mut hasher);
    hasher.finish()
}

fn push_key(text: &mut String, key: &str) {
    let simple = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '*'));
    let _ = match (text.is_empty(), simple) {
        (true, true) => write!(text, "{key}"),
        (false, true) => write!(text, ".{key}"),
        (_, false) => write!(text, "[{key:?}]"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_people_write_them() {
        let path = Path::default().key("connectors").element(1).key("config").free_key("a.b/c");
        assert_eq!(path.to_string(), "connectors[1].config[\"a.b/c\"]");
        assert_eq!(path.pattern(), "connectors[].config.*");
        assert_eq!(Path::new("web").key("http").to_string(), "web.http");
        let twin = Path::default().key("connectors").element(7).key("config").free_key("else");
        assert_eq!(path.shape(), twin.shape());
        assert_ne!(
            path.shape(),
            Path::default().key("connectors").element(1).key("config").key("else").shape()
        );
        assert!((path.length() - 1..=path.length()).contains(&path.pattern().len()));
    }
}
