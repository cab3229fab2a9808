//! Edits at the lines of one item of a block sequence below the root. `None` where the text is written otherwise; the
//! caller reads what comes out again before it believes it.

use config::{Node, Value};

use super::emit;

/// Puts an item in the place of the one of that name, or at the end of its list.
pub(super) fn put(
    text: &str,
    root: &Node,
    key: &str,
    name: &str,
    item: &serde_json::Value,
) -> Option<String> {
    let lines = Lines::of(text);
    let Some(entry) = find(root, key) else {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { lines.end };
        return Some(format!("{text}{end}{key}:{}{}", lines.end, emit::item(item, 0, lines.end)));
    };
    let key_line = index(entry.at.line)?;
    let Some(items) = Items::of(&lines, root, entry) else {
        let line = lines.all.get(key_line)?;
        let rest = line.trim_end().strip_prefix(key)?.trim_start().strip_prefix(':')?.trim();
        let (value, comment) =
            rest.split_once('#').map_or((rest, None), |(value, rest)| (value.trim(), Some(rest)));
        if !matches!(value, "" | "[]" | "null" | "~" | "{}") {
            return None;
        }
        let comment = comment.map_or_else(String::new, |comment| format!(" #{comment}"));
        let new = format!("{key}:{comment}{}{}", lines.end, emit::item(item, 0, lines.end));
        return Some(lines.with(key_line, key_line + 1, &new));
    };
    let new = emit::item(item, items.indent, lines.end);
    match items.position(name)? {
        Some(at) => {
            let (begin, end) = *items.ranges.get(at)?;
            Some(lines.with(begin, end, &new))
        }
        None => {
            let end = items.ranges.last()?.1;
            let before = lines.all.get(end.checked_sub(1)?)?;
            let gap = if before.ends_with('\n') { "" } else { lines.end };
            Some(lines.with(end, end, &format!("{gap}{new}")))
        }
    }
}

/// Removes the item of that name.
pub(super) fn remove(text: &str, root: &Node, key: &str, name: &str) -> Option<String> {
    let lines = Lines::of(text);
    let entry = find(root, key)?;
    let items = Items::of(&lines, root, entry)?;
    let (begin, end) = *items.ranges.get(items.position(name)??)?;
    let without = lines.with(begin, end, "");
    if items.ranges.len() > 1 {
        return Some(without);
    }
    // A list without items is written out, or what follows might be taken for its value.
    let lines = Lines::of(&without);
    let at = index(entry.at.line)?;
    let line = lines.all.get(at)?;
    let after = line.strip_prefix(key)?.strip_prefix(':')?;
    Some(lines.with(at, at + 1, &format!("{key}: []{after}")))
}

/// Sets a text below the root.
pub(super) fn set(text: &str, root: &Node, key: &str, value: &str) -> Option<String> {
    let lines = Lines::of(text);
    let Some(entry) = find(root, key) else {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { lines.end };
        return Some(format!("{text}{end}{key}: {}{}", emit::scalar(value), lines.end));
    };
    let at = index(entry.at.line)?;
    let line = lines.all.get(at)?;
    // A remark behind it stays, with the space before it.
    let remark = line.find(" #").map_or_else(String::new, |hash| {
        let begin = line.get(..hash).map_or(hash, |before| before.trim_end().len());
        line.get(begin..).unwrap_or_default().trim_end().to_owned()
    });
    Some(lines.with(at, at + 1, &format!("{key}: {}{remark}{}", emit::scalar(value), lines.end)))
}

/// A text as lines that keep their ends.
struct Lines<'a> {
    all: Vec<&'a str>,
    end: &'static str,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Self { all: text.split_inclusive('\n').collect(), end }
    }

    /// The text with other lines in the place of `begin..end`.
    fn with(&self, begin: usize, end: usize, new: &str) -> String {
        let before = self.all.iter().take(begin).copied();
        let after = self.all.iter().skip(end).copied();
        before.chain([new]).chain(after).collect()
    }
}

/// The items of a block sequence: which lines each of them has.
struct Items {
    names: Vec<Option<String>>,
    ranges: Vec<(usize, usize)>,
    indent: usize,
}

impl Items {
    fn of(lines: &Lines<'_>, root: &Node, list: &config::Entry) -> Option<Self> {
        let Value::List(items) = &list.node.value else { return None };
        let mut begins = Vec::new();
        let mut indent = None;
        for item in items.iter() {
            let at = index(item.at.line)?;
            let line = lines.all.get(at)?;
            let own = line.len() - line.trim_start_matches(' ').len();
            let is_dash = line.trim_start_matches(' ').starts_with("- ");
            if !is_dash || indent.is_some_and(|indent| indent != own) {
                return None;
            }
            indent = Some(own);
            begins.push(at);
        }
        let indent = indent?;
        let Value::Map(entries) = &root.value else { return None };
        let after = entries
            .iter()
            .filter_map(|entry| index(entry.at.line))
            .filter(|at| *at > index(list.at.line).unwrap_or(0));
        let list_end = after.min().unwrap_or(lines.all.len());
        let next = begins.iter().skip(1).copied().chain([list_end]);
        let ranges = begins.iter().copied().zip(next);
        let ranges = ranges.map(|(begin, next)| (begin, content_end(lines, begin, next, indent))).collect();
        let names = items.iter().map(name_of).collect();
        Some(Self { names, ranges, indent })
    }

    /// Where the item of that name is; `None` if there are two.
    fn position(&self, name: &str) -> Option<Option<usize>> {
        let mut found = self.names.iter().enumerate().filter(|(_, known)| known.as_deref() == Some(name));
        let first = found.next().map(|(at, _)| at);
        found.next().is_none().then_some(first)
    }
}

/// Remarks and empty lines before the next item are not this one's, unless they are further in.
fn content_end(lines: &Lines<'_>, begin: usize, next: usize, indent: usize) -> usize {
    let loose = |line: &str| {
        let inner = line.trim();
        let own = line.len() - line.trim_start_matches(' ').len();
        inner.is_empty() || (inner.starts_with('#') && own <= indent)
    };
    let mut end = next;
    while end > begin + 1 && lines.all.get(end - 1).is_some_and(|line| loose(line)) {
        end -= 1;
    }
    end
}

fn name_of(item: &Node) -> Option<String> {
    let Value::Map(entries) = &item.value else { return None };
    let name = entries.iter().find(|entry| &*entry.key == "name")?;
    let Value::Scalar(scalar) = &name.node.value else { return None };
    Some(scalar.text.to_string())
}

/// An entry of the root that stands at the beginning of its line.
fn find<'a>(root: &'a Node, key: &str) -> Option<&'a config::Entry> {
    let Value::Map(entries) = &root.value else { return None };
    entries.iter().find(|entry| &*entry.key == key)
}

fn index(line: u32) -> Option<usize> {
    usize::try_from(line).ok()?.checked_sub(1)
}
