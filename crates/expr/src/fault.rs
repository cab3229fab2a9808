//! What is wrong with an expression: where, shown with a caret, and what to write instead.
//!
//! Whoever reads this is an operator who wrote a policy at load time, so it says more than an error of a request may.

use std::fmt;

/// Why an expression is refused at load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    /// Counted in characters from 1.
    pub column: usize,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    excerpt: String,
    caret: usize,
}

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        write!(f, "\n  | {}\n  | {:>2$}", self.excerpt, '^', self.caret)
    }
}

/// A fault that knows its byte offset and not yet the text around it.
#[derive(Debug)]
pub(crate) struct Complaint {
    at: usize,
    message: String,
    hint: Option<String>,
}

impl Complaint {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds "did you mean" if one of the names is close.
    pub(crate) fn near<'a>(mut self, word: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        if let Some(name) = nearest(word, names) {
            self.hint = Some(format!("did you mean `{name}`?"));
        }
        self
    }

    /// The fault as it is shown, with the line it stands in.
    pub(crate) fn into_fault(self, source: &str) -> Fault {
        let (line, column) = position(source, self.at);
        let text = source.split('\n').nth(line.saturating_sub(1)).unwrap_or_default();
        let skipped = column.saturating_sub(EXCERPT / 2 + 1);
        let shown = text.chars().skip(skipped).take(EXCERPT);
        let excerpt = shown.map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
        Fault {
            line,
            column,
            message: self.message,
            hint: self.hint,
            excerpt: excerpt.trim_end().to_owned(),
            caret: column.saturating_sub(skipped),
        }
    }
}

/// Line and column of a byte offset, both from 1, the column in characters.
pub(crate) fn position(source: &str, at: usize) -> (usize, usize) {
    let mut place = (1, 1);
    for (_, c) in source.char_indices().take_while(|(offset, _)| *offset < at) {
        place = if c == '\n' { (place.0 + 1, 1) } else { (place.0, place.1 + 1) };
    }
    place
}

fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = if word.chars().count() < 5 { 1 } else { 2 };
    let close = names.into_iter().map(|name| (distance(word, name, allowed), name));
    close.filter(|(steps, _)| *steps <= allowed).min().map(|(_, name)| name)
}

/// Letters to change, add, drop or swap; no more work than needed to know that it is over `limit`.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    if a.len().abs_diff(b.len()) > limit * 4 || a.len() > 64 {
        return usize::MAX;
    }
    let a = a.chars().flat_map(char::to_lowercase).collect::<Vec<_>>();
    let mut before = Vec::new();
    let mut above = (0..=a.len()).collect::<Vec<_>>();
    let mut previous = None;
    for (row, d) in b.chars().flat_map(char::to_lowercase).enumerate() {
        let mut line = vec![row + 1];
        for (column, c) in a.iter().enumerate() {
            let cell = |row: &[usize], i: usize| row.get(i).copied().unwrap_or(usize::MAX - 1);
            let replaced = cell(&above, column) + usize::from(*c != d);
            let mut steps = replaced.min(cell(&above, column + 1) + 1).min(cell(&line, column) + 1);
            let swapped = column > 0 && previous == Some(*c) && a.get(column - 1) == Some(&d);
            if swapped {
                steps = steps.min(cell(&before, column - 1) + 1);
            }
            line.push(steps);
        }
        before = std::mem::replace(&mut above, line);
        previous = Some(d);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

/// Characters of a long line that are shown around the caret.
const EXCERPT: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_where() {
        let source = "claims.a == \"ä\" &&\n\tclams.b";
        let fault = Complaint::new(source.find("clams").unwrap(), "no variable `clams`")
            .near("clams", ["user", "claims"])
            .into_fault(source);
        assert_eq!((fault.line, fault.column), (2, 2));
        assert_eq!(
            fault.to_string(),
            "2:2: no variable `clams`; did you mean `claims`?\n  |  clams.b\n  |  ^"
        );
        let columns = Complaint::new("\"ä\" ".len(), "x").into_fault("\"ä\" + 1");
        assert_eq!(columns.column, 5);
    }

    #[test]
    fn long_lines_are_cut() {
        let source = format!("{} oops {}", "a".repeat(500), "b".repeat(500));
        let shown = Complaint::new(501, "m").into_fault(&source).to_string();
        let mut lines = shown.lines().skip(1);
        let (text, caret) = (lines.next().unwrap(), lines.next().unwrap());
        assert!(text.len() < 110);
        assert_eq!(text.find("oops"), caret.find('^'));
    }

    #[test]
    fn near_names() {
        let names = ["startsWith", "endsWith", "has", "size", "claims"];
        assert_eq!(nearest("startwith", names), Some("startsWith"));
        assert_eq!(nearest("startsWiht", names), Some("startsWith"));
        assert_eq!(nearest("sise", names), Some("size"));
        assert_eq!(nearest("clamz", names), Some("claims"), "two letters off are near to a word of five");
        assert_eq!(nearest("sixx", names), None, "and not to one of four");
        assert_eq!(nearest("zzzz", names), None);
        assert_eq!(nearest("", names), None);
    }
}
