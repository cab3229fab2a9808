//! Kubeconfigs as people have them: one entry is written or removed, and everything else stays as it is, to the byte.
//!
//! An edit is made in the text, at the lines of one entry, and then read again: unless the new text means exactly what
//! the old one meant with that one entry changed, nothing is written. So what this editor does not understand (flow
//! style, anchors, odd indentation) is refused, or written anew where it is JSON, and never damaged.

mod block;
mod emit;
mod file;

use config::{Faults, KeyStyle, Node, Read as _};
use serde_json::{Map, Value, json};

pub use file::{NotWritten, edit};

/// A kubeconfig: its text and what it means.
#[derive(Clone)]
pub struct Kubeconfig {
    text: String,
    value: Value,
    root: Node,
}

/// The three lists of a kubeconfig.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// `clusters[].cluster`
    Clusters,
    /// `users[].user`
    Users,
    /// `contexts[].context`
    Contexts,
}

/// Why a text is no kubeconfig, or cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKubeconfig {
    /// Not YAML with one meaning.
    #[error("it is no kubeconfig: {0}")]
    Unreadable(String),
    /// Something else.
    #[error("it is no kubeconfig: its {0}")]
    Shape(&'static str),
    /// Written in a way that cannot be edited line by line.
    #[error(
        "its {0} cannot be changed without touching the rest; write them one item a line group (`- name: …`), or keep the new \
         entry in a file of its own"
    )]
    Style(&'static str),
}

impl List {
    /// The key of the list, and the key of what an item holds.
    pub(crate) const fn keys(self) -> (&'static str, &'static str) {
        match self {
            Self::Clusters => ("clusters", "cluster"),
            Self::Users => ("users", "user"),
            Self::Contexts => ("contexts", "context"),
        }
    }
}

impl Kubeconfig {
    /// Reads a text; an empty one is a kubeconfig without entries.
    ///
    /// # Errors
    /// [`BadKubeconfig`]
    pub fn parse(text: impl Into<String>) -> Result<Self, BadKubeconfig> {
        let mut text = text.into();
        if text.trim().is_empty() {
            text = EMPTY.to_owned();
        }
        let faults = Faults::new();
        let unreadable = || BadKubeconfig::Unreadable(faults.to_string().trim_end().replace('\n', "; "));
        let section = config::parse(&text, &faults).ok_or_else(unreadable)?;
        let value = Value::read(&section.field(KeyStyle::Dex, &faults)).ok_or_else(unreadable)?;
        if faults.has_errors() {
            return Err(unreadable());
        }
        if !value.is_object() {
            return Err(BadKubeconfig::Shape("content is not a mapping"));
        }
        for list in [List::Clusters, List::Users, List::Contexts] {
            let (key, _) = list.keys();
            if !value.get(key).is_none_or(|list| list.is_array() || list.is_null()) {
                return Err(BadKubeconfig::Shape("clusters, users and contexts are not lists"));
            }
        }
        Ok(Self { root: section.node().clone(), text, value })
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `current-context`, if one is named.
    pub fn current(&self) -> Option<&str> {
        self.value.get("current-context").and_then(Value::as_str).filter(|name| !name.is_empty())
    }

    /// What stands under a name.
    pub fn named(&self, list: List, name: &str) -> Option<&Value> {
        self.items(list).find(|(known, _)| *known == name).map(|(_, body)| body)
    }

    /// Every name and what stands under it.
    pub fn items(&self, list: List) -> impl Iterator<Item = (&str, &Value)> {
        let (key, inner) = list.keys();
        let items = self.value.get(key).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(move |item| Some((item.get("name")?.as_str()?, item.get(inner)?)))
    }

    /// Writes one entry. One that already says the same stays untouched.
    ///
    /// # Errors
    /// [`BadKubeconfig::Style`]; the text is as before.
    pub fn put(&mut self, list: List, name: &str, body: &Value) -> Result<(), BadKubeconfig> {
        if self.named(list, name) == Some(body) {
            return Ok(());
        }
        let (key, inner) = list.keys();
        let item = json!({"name": name, inner: body});
        let mut wanted = self.value.clone();
        change_items(&mut wanted, key, |items| {
            match items.iter_mut().find(|item| item.get("name").and_then(Value::as_str) == Some(name)) {
                Some(known) => *known = item.clone(),
                None => items.push(item.clone()),
            }
        });
        let text = block::put(&self.text, &self.root, key, name, &item);
        self.become_text(text, &wanted, key)
    }

    /// Removes one entry, if it is there.
    ///
    /// # Errors
    /// [`BadKubeconfig::Style`]; the text is as before.
    pub fn remove(&mut self, list: List, name: &str) -> Result<(), BadKubeconfig> {
        if self.named(list, name).is_none() {
            return Ok(());
        }
        let (key, _) = list.keys();
        let mut wanted = self.value.clone();
        change_items(&mut wanted, key, |items| {
            items.retain(|item| item.get("name").and_then(Value::as_str) != Some(name));
        });
        let text = block::remove(&self.text, &self.root, key, name);
        self.become_text(text, &wanted, key)
    }

    /// Says which context is used when none is named.
    ///
    /// # Errors
    /// [`BadKubeconfig::Style`]; the text is as before.
    pub fn set_current(&mut self, name: &str) -> Result<(), BadKubeconfig> {
        const KEY: &str = "current-context";
        if self.value.get(KEY).and_then(Value::as_str).unwrap_or_default() == name {
            return Ok(());
        }
        let mut wanted = self.value.clone();
        if let Some(all) = wanted.as_object_mut() {
            all.insert(KEY.to_owned(), json!(name));
        }
        let text = block::set(&self.text, &self.root, KEY, name);
        self.become_text(text, &wanted, KEY)
    }

    /// Takes the new text if it means what is wanted. JSON is written anew: it has no comments to lose.
    fn become_text(
        &mut self,
        text: Option<String>,
        wanted: &Value,
        what: &'static str,
    ) -> Result<(), BadKubeconfig> {
        let edited = text.and_then(|text| Self::parse(text).ok());
        if let Some(edited) = edited.filter(|edited| meaning(&edited.value) == meaning(wanted)) {
            *self = edited;
            return Ok(());
        }
        let is_json = serde_json::from_str::<Map<String, Value>>(&self.text).is_ok();
        let anew = is_json.then(|| format!("{wanted:#}\n")).and_then(|text| Self::parse(text).ok());
        *self =
            anew.filter(|anew| meaning(&anew.value) == meaning(wanted)).ok_or(BadKubeconfig::Style(what))?;
        Ok(())
    }
}

// Tokens and keys stand in there.
impl std::fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kubeconfig")
    }
}

/// The items of a list, to be changed; none is made of nothing.
fn change_items(document: &mut Value, key: &str, change: impl FnOnce(&mut Vec<Value>)) {
    let Some(all) = document.as_object_mut() else { return };
    let mut items = match all.remove(key) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    change(&mut items);
    all.insert(key.to_owned(), Value::Array(items));
}

/// An empty list, a null and nothing are the same.
fn meaning(value: &Value) -> Map<String, Value> {
    let members = value.as_object().into_iter().flatten();
    let some = members.filter(|(_, value)| !(value.is_null() || value.as_array().is_some_and(Vec::is_empty)));
    some.map(|(key, value)| (key.clone(), value.clone())).collect()
}

const EMPTY: &str = "apiVersion: v1\nkind: Config\n";

#[cfg(test)]
mod tests {
    use super::*;

    const THEIRS: &str = r#"# my clusters, do not touch
apiVersion: v1
kind: Config
current-context: home   # the default
preferences: {}
clusters:
# at home
- name: home
  cluster:
    server: https://home.example   # the box under the desk
    certificate-authority-data: |
      # not a comment
      Zm9v

# at work
-   cluster: {server: "https://work.example"}
    name: work
users:
  - name: "yes"
    user:
      token: !!str 0123   # odd, and mine
  # the robot
  - name: robot
    user: {exec: {command: x, apiVersion: v1}}
contexts:
- context:
    cluster: home
    user: "yes"
  name: home
# the end
"#;

    fn exec() -> Value {
        json!({"exec": {"command": "obol", "args": ["get-token", "--a=b: c", "--", "-1", "on"], "env": null}})
    }

    #[test]
    fn a_new_entry_leaves_every_other_byte_alone() {
        let mut config = Kubeconfig::parse(THEIRS).unwrap();
        config.put(List::Users, "ana", &exec()).unwrap();
        config.put(List::Clusters, "prod", &json!({"server": "https://prod.example"})).unwrap();
        config.put(List::Contexts, "prod", &json!({"cluster": "prod", "user": "ana"})).unwrap();
        assert_eq!(config.named(List::Users, "ana"), Some(&exec()));
        let mut left = config.text().to_owned();
        for line in THEIRS.lines() {
            let at = left.find(line).unwrap_or_else(|| panic!("lost: {line}"));
            left.replace_range(at..at + line.len(), "");
        }
        // Taking it away again gives back the very text.
        config.remove(List::Contexts, "prod").unwrap();
        config.remove(List::Clusters, "prod").unwrap();
        config.remove(List::Users, "ana").unwrap();
        assert_eq!(config.text(), THEIRS);
    }

    #[test]
    fn an_entry_is_replaced_where_it_stands_and_comments_stay() {
        let mut config = Kubeconfig::parse(THEIRS).unwrap();
        config.put(List::Users, "robot", &json!({"token": "t"})).unwrap();
        let text = config.text();
        assert!(
            text.contains(
                "  # the robot
  - name: robot
    user:
      token: t
contexts:
"
            ),
            "{text}"
        );
        config.put(List::Clusters, "home", &json!({"server": "https://new.example"})).unwrap();
        let text = config.text();
        assert!(
            text.contains(
                "# at home
- name: home
  cluster:
    server: https://new.example

# at work
"
            ),
            "{text}"
        );
        config.set_current("work").unwrap();
        assert!(
            config.text().contains(
                "current-context: work   # the default
"
            ),
            "{}",
            config.text()
        );
        let before = config.text().to_owned();
        config.put(List::Users, "robot", &json!({"token": "t"})).unwrap();
        assert_eq!(config.text(), before, "what is right stays");
    }

    #[test]
    fn files_of_all_shapes_take_an_entry_or_stay() {
        for text in [
            "",
            "apiVersion: v1
kind: Config
users: []
",
            "apiVersion: v1
users: null # none yet
clusters:
- {name: a, cluster: {server: s}}
",
            "users:
- name: a
  user: {}
",
            "users:
- name: a
  user: {}",
            r#"{"apiVersion":"v1","users":[{"name":"a","user":{"token":"x"}}],"current-context":""}"#,
        ] {
            let mut config = Kubeconfig::parse(text).unwrap();
            config.put(List::Users, "ana", &exec()).unwrap_or_else(|e| panic!("{text}: {e}"));
            config.set_current("ana").unwrap();
            assert_eq!(
                (config.named(List::Users, "ana"), config.current()),
                (Some(&exec()), Some("ana")),
                "{text}"
            );
            config.remove(List::Users, "ana").unwrap();
            assert!(config.named(List::Users, "ana").is_none());
        }
        let flow = "users: [{name: a, user: {}}] # mine
";
        let mut config = Kubeconfig::parse(flow).unwrap();
        assert_eq!(config.put(List::Users, "ana", &exec()), Err(BadKubeconfig::Style("users")));
        assert_eq!(config.text(), flow);
        for bad in [
            "[]",
            "users: {}",
            "a: b
a: c",
            "	- x",
            "users:
- name: a
  user: {}
---
x: y
",
        ] {
            assert!(Kubeconfig::parse(bad).is_err(), "{bad}");
        }
    }
}
