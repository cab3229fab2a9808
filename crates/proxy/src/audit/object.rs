//! Bodies that are recorded: kept while they stream by, each and all together up to a bound, and made into one line of JSON.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::event::ObjectRef;

/// What a body that streams by leaves behind. Cloning shares it.
#[derive(Clone)]
pub(super) struct Capture(Arc<Mutex<Kept>>);

struct Kept {
    bytes: Vec<u8>,
    most: usize,
    over: bool,
    memory: Arc<Memory>,
}

/// The bound on what all captures keep together.
pub(super) struct Memory {
    used: AtomicUsize,
    most: usize,
}

/// Why there is no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// There was no body.
    Empty,
    /// It was longer than what is kept.
    TooLarge,
    /// It is not JSON.
    Other,
}

impl Memory {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), most })
    }

    fn take(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.most;
        if !fits {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }
}

impl Capture {
    /// Keeps at most `most` bytes.
    pub(super) fn new(most: usize, memory: &Arc<Memory>) -> Self {
        let kept = Kept { bytes: Vec::new(), most, over: false, memory: Arc::clone(memory) };
        Self(Arc::new(Mutex::new(kept)))
    }

    /// Keeps what streams by; once it does not fit, nothing of the body.
    pub(super) fn add(&self, data: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.over {
            return;
        }
        if data.len() > kept.most - kept.bytes.len() || !kept.memory.take(data.len()) {
            kept.give_back();
            kept.over = true;
        } else {
            kept.bytes.extend_from_slice(data);
        }
    }

    /// Looks at the body so far.
    pub(super) fn with<T>(&self, look: impl FnOnce(&[u8]) -> T) -> Result<T, Missing> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (kept.over, kept.bytes.is_empty()) {
            (true, _) => Err(Missing::TooLarge),
            (_, true) => Err(Missing::Empty),
            _ => Ok(look(&kept.bytes)),
        }
    }

    /// The object in it, as one line.
    pub(super) fn object(&self, omit_managed_fields: bool) -> Result<String, Missing> {
        self.with(|bytes| {
            let text = std::str::from_utf8(bytes).map_err(|_| Missing::Other)?;
            let line = compact(serde_json::from_str::<&RawValue>(text).map_err(|_| Missing::Other)?.get());
            Ok(if omit_managed_fields { without_managed_fields(&line).unwrap_or(line) } else { line })
        })?
    }
}

impl Kept {
    fn give_back(&mut self) {
        self.memory.used.fetch_sub(self.bytes.len(), Ordering::Relaxed);
        self.bytes = Vec::new();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Fills what only the body knows: a created object's name is not in the path.
pub(super) fn complete_ref(object: &mut ObjectRef, body: &[u8]) {
    #[derive(Deserialize)]
    struct Document {
        #[serde(default)]
        metadata: Metadata,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Metadata {
        name: String,
        namespace: String,
        uid: String,
        resource_version: String,
    }
    let Ok(Document { metadata }) = serde_json::from_slice(body) else { return };
    // The longest that the API server keeps: what is longer would only push the event over its bound.
    for (place, found, longest) in [
        (&mut object.name, metadata.name, 253),
        (&mut object.namespace, metadata.namespace, 63),
        (&mut object.uid, metadata.uid, 128),
        (&mut object.resource_version, metadata.resource_version, 64),
    ] {
        if place.is_empty() && found.len() <= longest {
            *place = found;
        }
    }
}

/// Valid JSON without the white space between its parts: a line of a log must be one.
pub(super) fn compact(json: &str) -> String {
    let (mut out, mut in_string, mut escaped) = (String::with_capacity(json.len()), false, false);
    for c in json.chars() {
        if in_string {
            in_string = c != '"' || escaped;
            escaped = c == '\\' && !escaped;
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            in_string = c == '"';
        }
        out.push(c);
    }
    out
}

/// A document, a list or a table without `metadata.managedFields`; everything else stays as it was written. `None`: it is
/// no object.
fn without_managed_fields(json: &str) -> Option<String> {
    let mut document = Members::read(json)?;
    document.forget_managed_fields();
    for (list, inner) in [("items", None), ("rows", Some("object"))] {
        document.change(list, |elements| {
            let elements: Vec<&RawValue> = serde_json::from_str(elements).ok()?;
            let changed = elements.iter().map(|element| {
                let mut members = Members::read(element.get())?;
                match inner {
                    None => members.forget_managed_fields(),
                    Some(key) => members.change(key, |object| {
                        let mut object = Members::read(object)?;
                        object.forget_managed_fields();
                        Some(object.write())
                    }),
                }
                Some(members.write())
            });
            let written =
                changed.zip(&elements).map(|(new, old)| new.unwrap_or_else(|| old.get().to_owned()));
            Some(format!("[{}]", written.collect::<Vec<_>>().join(",")))
        });
    }
    Some(document.write())
}

/// The members of an object in their order, their values unread.
struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    fn read(json: &str) -> Option<Self> {
        struct InOrder;
        impl<'de> serde::de::Visitor<'de> for InOrder {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        serde::Deserializer::deserialize_map(&mut serde_json::Deserializer::from_str(json), InOrder).ok()
    }

    fn forget_managed_fields(&mut self) {
        self.change("metadata", |metadata| {
            let mut members = Self::read(metadata)?;
            members.0.retain(|(key, _)| key != "managedFields");
            Some(members.write())
        });
    }

    /// Every member of this name: of two, a reader may take either.
    fn change(&mut self, key: &str, change: impl Fn(&str) -> Option<String>) {
        for (_, value) in self.0.iter_mut().filter(|(name, _)| name == key) {
            if let Some(new) = change(value.get()).and_then(|text| RawValue::from_string(text).ok()) {
                *value = new;
            }
        }
    }

    fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Members {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(most: usize, all: usize, chunks: &[&str]) -> (Capture, Arc<Memory>) {
        let memory = Memory::new(all);
        let capture = Capture::new(most, &memory);
        chunks.iter().for_each(|chunk| capture.add(chunk.as_bytes()));
        (capture, memory)
    }

    #[test]
    fn an_object_becomes_one_line_and_nothing_in_it_changes() {
        let pretty = "{\n \"a\" : \"x \\\" \\\\\",\r\n\t\"n\": 12345678901234567890.10, \"b\":[ 1 , {} ] }\n";
        let (kept, _) = capture(1024, 1024, &[pretty]);
        assert_eq!(kept.object(false).unwrap(), r#"{"a":"x \" \\","n":12345678901234567890.10,"b":[1,{}]}"#);
        for (text, missing) in [
            ("", Missing::Empty),
            ("k8s\0\n", Missing::Other),
            ("{} {}", Missing::Other),
            ("{", Missing::Other),
        ] {
            assert_eq!(capture(1024, 1024, &[text]).0.object(false).unwrap_err(), missing, "{text:?}");
        }
    }

    #[test]
    fn managed_fields_go_and_the_rest_stays() {
        let managed = |json: &str| capture(4096, 4096, &[json]).0.object(true).unwrap();
        let one =
            r#"{"kind":"Pod","metadata":{"name":"a","managedFields":[{"x":1}]},"spec":{"managedFields":1}}"#;
        let clean = r#"{"kind":"Pod","metadata":{"name":"a"},"spec":{"managedFields":1}}"#;
        assert_eq!(managed(one), clean);
        assert_eq!(managed(&format!(r#"{{"items":[{one},7]}}"#)), format!(r#"{{"items":[{clean},7]}}"#));
        assert_eq!(
            managed(&format!(r#"{{"rows":[{{"cells":[1],"object":{one}}}]}}"#)),
            format!(r#"{{"rows":[{{"cells":[1],"object":{clean}}}]}}"#)
        );
        assert_eq!(managed("[1,2]"), "[1,2]");
    }

    #[test]
    fn attack_25_no_body_and_no_crowd_of_bodies_is_kept_beyond_its_bound() {
        let (kept, memory) = capture(10, 100, &["{\"a\":", "\"0123456789\"}"]);
        assert_eq!(kept.object(false).unwrap_err(), Missing::TooLarge);
        assert_eq!(memory.used.load(Ordering::Relaxed), 0, "what is too large is not kept at all");
        let many: Vec<_> = (0..20).map(|_| Capture::new(10, &memory)).collect();
        many.iter().for_each(|capture| capture.add(b"[1,2,3,45]"));
        assert_eq!(many.iter().filter(|capture| capture.object(false).is_ok()).count(), 10);
        drop(many);
        assert_eq!(memory.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_created_objects_name_comes_from_its_body() {
        let mut object = ObjectRef { namespace: "a".into(), ..ObjectRef::default() };
        complete_ref(&mut object, br#"{"metadata":{"name":"p","namespace":"other","uid":"7"},"spec":[]}"#);
        assert_eq!((&*object.name, &*object.namespace, &*object.uid), ("p", "a", "7"));
    }
}
