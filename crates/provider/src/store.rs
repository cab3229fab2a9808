//! The storage seam: seven verbs over opaque, versioned records.
//!
//! **One invariant lives in one record.** No engine that Obol runs on is asked for a transaction over two records
//! (Kubernetes has none), so every rule that must never be broken (a code is redeemed once, a refresh token is
//! rotated once, a key set is rotated by one replica) is a compare-and-replace of a single record. Everything that
//! points from one record to another is a hint and is checked against the record it names.
//!
//! **Stamps.** The writer chooses a random stamp for every write. `replace` and `remove` succeed only if the record
//! still carries the stamp that was read. When an answer is lost after the engine committed, the writer reads the
//! record again: its own stamp there means that it won. An engine therefore never needs to say more than done,
//! lost or failed. An engine that repeats a write by itself compares the stamp before it says lost. A removal leaves
//! no stamp behind: who must know that it was the one replaces first.
//!
//! **Bytes only.** A store knows keys, due times and hashed terms, never what a record means. Types, sealing and
//! retries stand above it, in [`crate::records`]. `testkit::conformance::store` is this contract as a test.

use ambient::{BoxFuture, Time};
use bytes::Bytes;

/// A family of records: a table, a prefix, a resource. Lower-case ASCII letters only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(pub &'static str);

/// The version of a record: random, chosen by its writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp(pub [u8; 16]);

/// A hashed search term. Two records of a kind may share one; a hit is a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Term(pub [u8; 16]);

/// One record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rec {
    /// Its family.
    pub kind: Kind,
    /// Unique within the family: 1 to [`MAX_KEY`] bytes of any UTF-8, compared byte for byte.
    pub key: String,
    /// Its version.
    pub stamp: Stamp,
    /// When somebody should look at it again: expiry, as a rule. Stores never remove anything by themselves.
    pub due: Option<Time>,
    /// At most [`MAX_TERMS`].
    pub terms: Vec<Term>,
    /// At most [`MAX_BODY`] bytes.
    pub body: Bytes,
}

impl Rec {
    /// Whether the record keeps to the contract's bounds; every engine asks before it writes.
    ///
    /// # Errors
    /// [`StoreError::Broken`] naming the bound.
    pub fn check_bounds(&self) -> Result<(), StoreError> {
        let broken = |what: String| Err(StoreError::Broken(format!("{} record: {what}", self.kind.0)));
        if !is_key(&self.key) {
            return broken(format!("a key of {} bytes; 1 to {MAX_KEY} are allowed", self.key.len()));
        }
        if self.terms.len() > MAX_TERMS {
            return broken(format!("{} terms, more than {MAX_TERMS}", self.terms.len()));
        }
        if self.body.len() > MAX_BODY {
            return broken(format!("a body of {} bytes, more than {MAX_BODY}", self.body.len()));
        }
        Ok(())
    }
}

/// Whether `key` can name a record. Reading any other finds nothing (an outsider may have chosen it), writing it is
/// an error.
pub const fn is_key(key: &str) -> bool {
    !key.is_empty() && key.len() <= MAX_KEY
}

/// What became of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored, and durable as far as the engine promises.
    Done,
    /// The condition did not hold (the key exists, the stamp differs, the record is gone); nothing changed.
    Lost,
}

/// Part of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// In byte order of their keys.
    pub records: Vec<Rec>,
    /// What to pass as `after` for the next page; `None` when there is nothing more.
    pub next: Option<String>,
}

impl Page {
    /// Of `limit` records and one more, which says only that there is more.
    pub fn cut(mut records: Vec<Rec>, limit: usize) -> Self {
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more).map(|record| record.key.clone());
        Self { records, next }
    }
}

/// The engine failed. Whether the write happened is unknown: read the stamp.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is full or read-only: trying again later may help.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It answered nonsense, or a bound of this contract was broken.
    #[error("the store is broken: {0}")]
    Broken(String),
}

/// A storage engine.
pub trait Store: Send + Sync + 'static {
    /// What it is, for messages (`sqlite3`).
    fn name(&self) -> &'static str;

    /// Whether records outlive the process. A persistent store needs a sealing key or an explicit renunciation.
    fn persistent(&self) -> bool;

    /// Stores a record whose key must not exist.
    fn create<'a>(&'a self, record: &'a Rec) -> BoxFuture<'a, Result<Outcome, StoreError>>;

    /// Reads a record, as of now: a write that was acknowledged to anybody before is seen.
    fn get<'a>(&'a self, kind: Kind, key: &'a str) -> BoxFuture<'a, Result<Option<Rec>, StoreError>>;

    /// Puts `next` in place of the record of the same kind and key, if that still carries `seen`.
    fn replace<'a>(&'a self, seen: Stamp, next: &'a Rec) -> BoxFuture<'a, Result<Outcome, StoreError>>;

    /// Removes a record, if it still carries `seen`.
    fn remove<'a>(
        &'a self,
        kind: Kind,
        key: &'a str,
        seen: Stamp,
    ) -> BoxFuture<'a, Result<Outcome, StoreError>>;

    /// Records of a kind in key order, after `after`, at most `limit` (at least one); only those with `term`, if one
    /// is given. `after` is any key, also of a record that is gone.
    fn find<'a>(
        &'a self,
        kind: Kind,
        term: Option<Term>,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, StoreError>>;

    /// Records whose due time is not after `before`, the longest overdue first, at most `limit`.
    fn due<'a>(
        &'a self,
        kind: Kind,
        before: Time,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Rec>, StoreError>>;

    /// Tells when records of a kind may have changed, also by other replicas.
    fn watch(&self, kind: Kind) -> Box<dyn Watch>;
}

/// A waiting place for changes.
pub trait Watch: Send {
    /// Resolves after a change; may resolve without one, and joins several into one. Never misses one for good.
    fn changed(&mut self) -> BoxFuture<'_, ()>;
}

/// Longest key in bytes.
pub const MAX_KEY: usize = 512;
/// Most terms of a record.
pub const MAX_TERMS: usize = 4;
/// Largest body in bytes.
pub const MAX_BODY: usize = 256 * 1024;
