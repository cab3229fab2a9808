//! The statements, in the order of their arguments for every dialect. Where a write says lost or done is where the
//! database counts the rows that its one condition met.

use provider::store::{Kind, Rec, Term};

use super::Value;

/// As a dialect spells them.
pub(super) struct Statements {
    pub(super) create: String,
    pub(super) replace: String,
    pub(super) remove: String,
    pub(super) get: String,
    pub(super) find: String,
    pub(super) find_term: String,
    pub(super) due: String,
    pub(super) stamps: String,
    pub(super) version: String,
    pub(super) migrated: String,
}

impl Statements {
    /// `placeholders` turns `?` into what the dialect writes; `unless_there` ends an insertion that must not fail where
    /// the key exists.
    pub(super) fn new(placeholders: fn(&str) -> String, unless_there: &str) -> Self {
        let branch = |number: usize| {
            format!(
                "(SELECT id FROM obol_records WHERE kind = ? AND term{number} = ? AND id > ? ORDER BY id LIMIT ?)"
            )
        };
        let hits: Vec<_> = (1..=4).map(branch).collect();
        let find_term = format!(
            "SELECT r.id, r.stamp, r.due, r.term1, r.term2, r.term3, r.term4, r.body FROM ({}) AS hit \
             JOIN obol_records AS r ON r.kind = ? AND r.id = hit.id ORDER BY r.id LIMIT ?",
            hits.join(" UNION ")
        );
        Self {
            create: placeholders(&format!(
                "INSERT INTO obol_records (kind, id, stamp, due, term1, term2, term3, term4, body) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?){unless_there}"
            )),
            replace: placeholders(
                "UPDATE obol_records SET stamp = ?, due = ?, term1 = ?, term2 = ?, term3 = ?, term4 = ?, body = ? \
                 WHERE kind = ? AND id = ? AND stamp = ?",
            ),
            remove: placeholders("DELETE FROM obol_records WHERE kind = ? AND id = ? AND stamp = ?"),
            get: placeholders(&select("kind = ? AND id = ?")),
            find: placeholders(&select("kind = ? AND id > ? ORDER BY id LIMIT ?")),
            find_term: placeholders(&find_term),
            due: placeholders(&select("kind = ? AND due <= ? ORDER BY due, id LIMIT ?")),
            stamps: placeholders("SELECT stamp FROM obol_records WHERE kind = ? ORDER BY id LIMIT ?"),
            version: placeholders("SELECT coalesce(max(version), 0) FROM obol_schema"),
            migrated: placeholders("INSERT INTO obol_schema (version, at) VALUES (?, ?)"),
        }
    }
}

fn select(what: &str) -> String {
    format!("SELECT id, stamp, due, term1, term2, term3, term4, body FROM obol_records WHERE {what}")
}

/// Of `create`.
pub(super) fn created(record: &Rec) -> Vec<Value> {
    let mut arguments = vec![kind(record.kind), key(&record.key)];
    arguments.extend(content(record));
    arguments
}

/// Of `replace`; the stamp that was seen comes last.
pub(super) fn replaced(record: &Rec, seen: &[u8]) -> Vec<Value> {
    let mut arguments = content(record);
    arguments.extend([kind(record.kind), key(&record.key), Value::bytes(seen)]);
    arguments
}

/// Of `find_term`.
pub(super) fn found_by_term(of: Kind, term: Term, after: &str, limit: Value) -> Vec<Value> {
    let branch = [kind(of), Value::bytes(&term.0), key(after), limit.clone()];
    let mut arguments: Vec<_> = std::iter::repeat_n(branch, 4).flatten().collect();
    arguments.extend([kind(of), limit]);
    arguments
}

pub(super) fn kind(kind: Kind) -> Value {
    Value::bytes(kind.0.as_bytes())
}

pub(super) fn key(key: &str) -> Value {
    Value::bytes(key.as_bytes())
}

fn content(record: &Rec) -> Vec<Value> {
    let due = record.due.map_or(Value::Null, |due| Value::Number(due.millis()));
    let term = |place: usize| record.terms.get(place).map_or(Value::Null, |term| Value::bytes(&term.0));
    let mut content = vec![Value::bytes(&record.stamp.0), due];
    content.extend((0..4).map(term));
    content.push(Value::Bytes(record.body.clone()));
    content
}
