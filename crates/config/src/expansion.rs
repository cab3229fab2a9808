//! `$VAR` and `${VAR}` in strings, to the letter as Go's `os.Expand` does it, since Dex configurations rest on it.

use std::sync::Arc;

use crate::environment::Environment;
use crate::node::{Entry, Node, Value};
use crate::scalar::{Resolved, Scalar};

/// A text after expansion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// The text.
    pub text: String,
    /// What was asked for and not there, each name once, in order.
    pub unset: Vec<String>,
}

/// Replaces variables in `text`. What is not set becomes nothing; `$$` and `$1` are names too, never set in practice.
pub fn expand(text: &str, environment: &Environment) -> Expansion {
    let mut out = Expansion { text: String::with_capacity(text.len()), unset: Vec::new() };
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.text.push_str(before);
        let (name, following) = leading_name(after);
        match name {
            Name::Literal => out.text.push('$'),
            Name::Broken => {}
            Name::Of(name) => match environment.get(name) {
                Some(value) => out.text.push_str(value),
                None if out.unset.iter().any(|n| n == name) || out.unset.len() >= UNSET_NAMED => {}
                None => out.unset.push(name.to_owned()),
            },
        }
        rest = following;
    }
    out.text.push_str(rest);
    out
}

/// Expands the strings of a mapping as Dex does: through mappings and lists, but neither keys nor a list that stands
/// directly in a list; and nothing at all if `DEX_EXPAND_ENV` is false.
pub(crate) fn expand_node(node: &Node, environment: &Environment) -> Node {
    match &node.value {
        Value::Map(_) if environment.flag("DEX_EXPAND_ENV", true) => walk(node, environment, false),
        _ => node.clone(),
    }
}

/// Depth is bounded by the parser.
fn walk(node: &Node, environment: &Environment, in_list: bool) -> Node {
    let value = match &node.value {
        Value::Scalar(scalar) => Value::Scalar(expand_scalar(scalar, environment)),
        Value::List(_) if in_list => return node.clone(),
        Value::List(items) => Value::List(items.iter().map(|item| walk(item, environment, true)).collect()),
        Value::Map(entries) => {
            let entry = |e: &Entry| Entry { node: walk(&e.node, environment, false), ..e.clone() };
            Value::Map(entries.iter().map(entry).collect())
        }
    };
    Node { at: node.at, value }
}

fn expand_scalar(scalar: &Arc<Scalar>, environment: &Environment) -> Arc<Scalar> {
    if scalar.resolve() != Resolved::Text || !scalar.text.contains('$') {
        return Arc::clone(scalar);
    }
    let Expansion { text, unset } = expand(&scalar.text, environment);
    let expanded = text != scalar.text;
    Arc::new(Scalar { text, plain: false, expanded, unset })
}

enum Name<'a> {
    /// The `$` stands for itself.
    Literal,
    /// `${}` or `${` without an end: swallowed.
    Broken,
    Of(&'a str),
}

/// The name after a `$`, and what follows it.
fn leading_name(text: &str) -> (Name<'_>, &str) {
    if let Some(inner) = text.strip_prefix('{') {
        return match inner.split_once('}') {
            Some(("", after)) => (Name::Broken, after),
            Some((name, after)) => (Name::Of(name), after),
            None => (Name::Broken, inner),
        };
    }
    let end = match text.chars().next() {
        Some(first) if is_special(first) => first.len_utf8(),
        _ => text.find(|c: char| !(c == '_' || c.is_ascii_alphanumeric())).unwrap_or(text.len()),
    };
    match text.split_at_checked(end) {
        Some((name, after)) if !name.is_empty() => (Name::Of(name), after),
        _ => (Name::Literal, text),
    }
}

fn is_special(c: char) -> bool {
    matches!(c, '*' | '#' | '$' | '@' | '!' | '?' | '-' | '0'..='9')
}

/// How many unset names one text remembers.
const UNSET_NAMED: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn environment() -> Environment {
        [("A", "1"), ("HOME_DIR", "/h"), ("é", "x"), ("A B", "sp"), ("E", "")].into_iter().collect()
    }

    /// What Go 1.26's `os.Expand` answered for each of these.
    #[test]
    fn texts_expand_as_gos_os_expand_does() {
        for (text, want) in [
            ("$A", "1"),
            ("${A}", "1"),
            ("a$Ab", "a"),
            ("a${A}b", "a1b"),
            ("$$", ""),
            ("$$A", "A"),
            ("$1", ""),
            ("${1}x", "x"),
            ("$", "$"),
            ("a$", "a$"),
            ("a$ b", "a$ b"),
            ("${", ""),
            ("${}", ""),
            ("${A", "A"),
            ("a${}b", "ab"),
            ("$A$A", "11"),
            ("${A B}", "sp"),
            ("$-x", "x"),
            ("$é", "$é"),
            ("${é}", "x"),
            ("$HOME_DIR/x", "/h/x"),
            ("$U", ""),
            ("[$U]", "[]"),
            ("pa$$w0rd", "paw0rd"),
            ("^a$|b", "^a$|b"),
            ("$_x", ""),
            ("${$}", ""),
            ("${$x}", ""),
            ("$12", "2"),
            ("$*", ""),
            ("$(A)", "$(A)"),
            ("€$A€", "€1€"),
            ("${E}", ""),
        ] {
            assert_eq!(expand(text, &environment()).text, want, "{text:?}");
        }
    }

    #[test]
    fn unset_names_are_remembered_once() {
        assert_eq!(expand("$U ${V} $U $A $E", &environment()).unset, ["U", "V"]);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_texts_without_dollars_stay(text in "[a-zA-Z0-9${}é_ -]{0,40}") {
            let out = expand(&text, &environment());
            if !text.contains('$') {
                prop_assert_eq!(out.text, text);
            }
        }
    }
}
