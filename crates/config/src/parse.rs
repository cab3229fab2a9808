//! YAML events to nodes. Linear in the text: depth, size and what aliases may copy are bounded, and nothing recurses.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use crate::fault::Faults;
use crate::field::Section;
use crate::node::{Entry, Node, Position, Value};
use crate::path::Path;
use crate::scalar::{Resolved, Scalar};

/// Reads YAML or JSON. `None` if it is no tree at all; the faults say why. A text without content is an empty mapping.
pub fn parse(text: &str, faults: &Faults) -> Option<Section> {
    parse_at(text, &Path::default(), faults)
}

/// As [`parse`], and every fault will say that it is in this file.
pub fn parse_file(text: &str, file: &str, faults: &Faults) -> Option<Section> {
    parse_at(text, &Path::of_file(file), faults)
}

fn parse_at(text: &str, start: &Path, faults: &Faults) -> Option<Section> {
    let nowhere = Position::default();
    if text.len() > LARGEST {
        faults.error(start, nowhere, "is larger than 16 MiB", "is it the right file?");
        return None;
    }
    let mut builder =
        Builder { start, faults, open: Vec::new(), anchors: HashMap::new(), copied: 0, root: None };
    let mut events = Parser::new_from_str(text);
    let mut documents = 0;
    while let Some(next) = events.next_event() {
        let (event, span) = match next {
            Ok(event) => event,
            Err(error) => {
                let what = format!("is not YAML: {}", error.info());
                faults.error(
                    &builder.path(),
                    position(error.marker()),
                    what,
                    "check indentation and quotes there",
                );
                return None;
            }
        };
        let at = position(&span.start);
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
            if documents > 1 {
                faults.error(start, at, "holds a second document", "keep one: remove the line `---`");
                return None;
            }
        }
        builder.take(event, at)?;
    }
    let root = builder.root.filter(|node| !node.is_null()).unwrap_or_else(|| Node::empty(nowhere));
    Some(Section::new(start.clone(), root))
}

/// Builds the tree; `open` are the collections that have begun and not ended.
struct Builder<'f> {
    start: &'f Path,
    faults: &'f Faults,
    open: Vec<Open>,
    anchors: HashMap<usize, Measured>,
    /// What aliases have copied so far, in [`Measured::weight`].
    copied: usize,
    root: Option<Node>,
}

struct Open {
    at: Position,
    anchor: usize,
    weight: usize,
    height: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    /// The keys written here, and where.
    seen: HashMap<Arc<str>, Position>,
    /// The keys that came by `<<`, and their place in `entries`.
    merged: HashMap<Arc<str>, usize>,
    /// The key whose value comes next.
    key: Option<Key>,
}

enum Key {
    Named(Arc<str>, Position),
    Merge(Position),
    /// The key was a fault; its value is dropped.
    Dropped,
}

/// A node with what it would cost to copy it everywhere.
#[derive(Clone)]
struct Measured {
    node: Node,
    weight: usize,
    height: usize,
}

impl Builder<'_> {
    /// `None`: a bound is exceeded, stop.
    fn take(&mut self, event: Event<'_>, at: Position) -> Option<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = self.scalar(&text, style == ScalarStyle::Plain, tag.as_deref(), at);
                let weight = NODE_WEIGHT + scalar.text.len();
                let node = Node { at, value: Value::Scalar(Arc::new(scalar)) };
                self.place(Measured { node, weight, height: 0 }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "seq", at);
                self.begin(at, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "map", at);
                self.begin(at, anchor, Content::Map(OpenMap::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.copy(anchor, at),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Some(()),
        }
    }

    fn begin(&mut self, at: Position, anchor: usize, content: Content) -> Option<()> {
        if self.open.len() >= DEEPEST {
            self.too_deep(at);
            return None;
        }
        self.open.push(Open { at, anchor, weight: NODE_WEIGHT, height: 0, content });
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        let Open { at, anchor, weight, height, content } = self.open.pop()?;
        let value = match content {
            Content::List(items) => Value::List(items.into()),
            Content::Map(map) => Value::Map(map.entries.into()),
        };
        self.place(Measured { node: Node { at, value }, weight, height: height + 1 }, anchor)
    }

    fn copy(&mut self, anchor: usize, at: Position) -> Option<()> {
        let Some(copy) = self.anchors.get(&anchor).cloned() else {
            self.faults.error(&self.path(), at, "is an alias to something that contains it", "write it out");
            return None;
        };
        self.copied = self.copied.saturating_add(copy.weight);
        if self.copied > COPIED {
            self.faults.error(&self.path(), at, "copies too much by aliases", "write out less by `*`");
            return None;
        }
        if self.open.len() + copy.height > DEEPEST {
            self.too_deep(at);
            return None;
        }
        self.place(copy, 0)
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, done: Measured, anchor: usize) -> Option<()> {
        if anchor > 0 {
            self.anchors.insert(anchor, done.clone());
        }
        let Measured { node, weight, height } = done;
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Some(());
        };
        parent.weight = parent.weight.saturating_add(weight);
        parent.height = parent.height.max(height);
        let faulty = match &mut parent.content {
            Content::List(items) => {
                items.push(node);
                None
            }
            Content::Map(map) => match map.key.take() {
                None => map.begin(&node),
                Some(Key::Dropped) => None,
                Some(Key::Named(key, at)) => {
                    map.put(Entry { key, at, node });
                    None
                }
                Some(Key::Merge(at)) => map.merge(&node, at),
            },
        };
        if let Some((at, what, instead)) = faulty {
            self.faults.error(&self.path(), at, what, instead);
        }
        Some(())
    }

    fn scalar(&self, text: &str, plain: bool, tag: Option<&Tag>, at: Position) -> Scalar {
        let Some(tag) = tag else { return Scalar::new(text, plain) };
        let wanted = if tag.is_yaml_core_schema() { tag.suffix.as_str() } else { "" };
        let scalar = Scalar::new(text, !matches!(wanted, "str" | ""));
        let fits = match (wanted, scalar.resolve()) {
            ("str", _)
            | ("null", Resolved::Null)
            | ("bool", Resolved::Bool(_))
            | ("int" | "float", Resolved::Integer(_))
            | ("float", Resolved::Float(_)) => true,
            ("", _) => tag.handle.is_empty() && tag.suffix == "!",
            _ => false,
        };
        if !fits {
            self.bad_tag(tag, at);
        }
        scalar
    }

    fn check_collection_tag(&self, tag: Option<&Tag>, fitting: &str, at: Position) {
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && tag.suffix == fitting)
        {
            self.bad_tag(tag, at);
        }
    }

    fn bad_tag(&self, tag: &Tag, at: Position) {
        let core = tag.is_yaml_core_schema();
        let shown = if core { format!("!!{}", tag.suffix) } else { tag.to_string() };
        self.faults.error(
            &self.path(),
            at,
            format!("has the tag {shown:?}, which does not fit"),
            "remove the tag",
        );
    }

    fn too_deep(&self, at: Position) {
        self.faults.error(&self.path(), at, format!("is nested more than {DEEPEST} deep"), "nest less");
    }

    /// Where the builder is. Made only when there is a fault.
    fn path(&self) -> Path {
        self.open.iter().fold(self.start.clone(), |path, open| match &open.content {
            Content::List(items) => path.element(items.len()),
            Content::Map(OpenMap { key: Some(Key::Named(key, _)), .. }) => path.key(key),
            Content::Map(_) => path,
        })
    }
}

/// Where, what is wrong, and what to write instead.
type Wrong = (Position, String, &'static str);

impl OpenMap {
    fn begin(&mut self, key: &Node) -> Option<Wrong> {
        self.key = Some(Key::Dropped);
        let Value::Scalar(scalar) = &key.value else {
            return Some((key.at, format!("has {} as a key", key.shape()), "keys are plain words"));
        };
        if scalar.is_null() {
            return Some((key.at, String::from("has an empty key"), "write a key before the colon"));
        }
        let name: Arc<str> = Arc::from(scalar.text.as_str());
        if let Some(first) = self.seen.get(&name) {
            let what = format!("holds the key {name:?} twice, first on line {}", first.line);
            return Some((key.at, what, "remove one"));
        }
        self.seen.insert(Arc::clone(&name), key.at);
        let merge = scalar.plain && &*name == "<<";
        self.key = Some(if merge { Key::Merge(key.at) } else { Key::Named(name, key.at) });
        None
    }

    fn put(&mut self, entry: Entry) {
        match self.merged.remove(&entry.key).and_then(|index| self.entries.get_mut(index)) {
            Some(slot) => *slot = entry,
            None => self.entries.push(entry),
        }
    }

    /// Of several mappings the first wins, and keys written below `<<` win over all. A key written above it wins in
    /// YAML's definition and loses in Dex's parser, so it is refused.
    fn merge(&mut self, source: &Node, at: Position) -> Option<Wrong> {
        let sources = match &source.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(source),
        };
        for source in sources {
            let Value::Map(entries) = &source.value else {
                return Some((at, format!("merges {} by `<<`", source.shape()), "merge mappings only"));
            };
            for entry in entries.iter() {
                if self.seen.contains_key(&entry.key) {
                    let what = format!("has the key {:?} both above `<<` and in what `<<` merges", entry.key);
                    return Some((at, what, "move the line `<<` up, before the keys that override it"));
                }
                if !self.merged.contains_key(&entry.key) {
                    self.merged.insert(Arc::clone(&entry.key), self.entries.len());
                    self.entries.push(entry.clone());
                }
            }
        }
        None
    }
}

fn position(marker: &Marker) -> Position {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: count(marker.line()), column: count(marker.col().saturating_add(1)) }
}

/// Sixteen times what a ConfigMap can hold.
const LARGEST: usize = 16 << 20;
/// Deeper than any configuration; recursion over nodes relies on it.
const DEEPEST: usize = 64;
/// What all aliases together may copy, in [`Measured::weight`].
const COPIED: usize = 8 << 20;
/// What a node weighs beside its text.
const NODE_WEIGHT: usize = 64;
