//! Records in memory: for tests and for trying things out. They end with the process, as Dex's `memory` does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ambient::{BoxFuture, Time};
use provider::store::{Kind, Outcome, Page, Rec, Stamp, Store, StoreError, Term, Watch};
use tokio::sync::watch;

use crate::Backend;
use crate::changes::Changes;

/// Has no keys.
pub(crate) const BACKEND: Backend = Backend {
    kind: "memory",
    decode: |_| Some(Box::new(|_| Box::pin(async { Ok(Memory::open()) }))),
    file: file!(),
};

/// The store.
#[derive(Default)]
pub struct Memory {
    tables: Mutex<HashMap<Kind, Table>>,
    changes: Changes,
}

impl Memory {
    /// An empty one.
    pub fn open() -> Arc<dyn Store> {
        Arc::new(Self::default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, Table>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one conditional write under the lock, and wakes the watchers if it happened.
    fn write(&self, kind: Kind, change: impl FnOnce(&mut Table) -> bool) -> Outcome {
        if !change(self.lock().entry(kind).or_default()) {
            return Outcome::Lost;
        }
        self.changes.tell(kind);
        Outcome::Done
    }

    fn read<T: Default>(&self, kind: Kind, look: impl FnOnce(&Table) -> T) -> T {
        self.lock().get(&kind).map(look).unwrap_or_default()
    }
}

impl Store for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn persistent(&self) -> bool {
        false
    }

    fn create<'a>(&'a self, record: &'a Rec) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move {
            record.check_bounds()?;
            Ok(self.write(record.kind, |table| {
                let free = !table.records.contains_key(&record.key);
                if free {
                    table.put(record.clone());
                }
                free
            }))
        })
    }

    fn get<'a>(&'a self, kind: Kind, key: &'a str) -> BoxFuture<'a, Result<Option<Rec>, StoreError>> {
        Box::pin(async move { Ok(self.read(kind, |table| table.records.get(key).cloned())) })
    }

    fn replace<'a>(&'a self, seen: Stamp, next: &'a Rec) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move {
            next.check_bounds()?;
            Ok(self.write(next.kind, |table| {
                let held = table.take(&next.key, seen);
                if held {
                    table.put(next.clone());
                }
                held
            }))
        })
    }

    fn remove<'a>(
        &'a self,
        kind: Kind,
        key: &'a str,
        seen: Stamp,
    ) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move { Ok(self.write(kind, |table| table.take(key, seen))) })
    }

    fn find<'a>(
        &'a self,
        kind: Kind,
        term: Option<Term>,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(async move {
            let after = after.unwrap_or_default();
            Ok(self.read(kind, |table| match term {
                None => table.page(table.keys_after(after), limit),
                Some(term) => table.page(table.keys_with(term, after), limit),
            }))
        })
    }

    fn due<'a>(
        &'a self,
        kind: Kind,
        before: Time,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Rec>, StoreError>> {
        Box::pin(async move { Ok(self.read(kind, |table| table.due(before, limit))) })
    }

    fn watch(&self, kind: Kind) -> Box<dyn Watch> {
        Box::new(MemoryWatch(self.changes.subscribe(kind)))
    }
}

struct MemoryWatch(watch::Receiver<()>);

impl Watch for MemoryWatch {
    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if self.0.changed().await.is_err() {
                // The store is gone: nothing will change any more.
                std::future::pending::<()>().await;
            }
        })
    }
}

/// The records of one kind and what they are found by. The empty string sorts before every key.
#[derive(Default)]
struct Table {
    records: BTreeMap<String, Rec>,
    terms: BTreeSet<(Term, String)>,
    due: BTreeSet<(Time, String)>,
}

impl Table {
    fn put(&mut self, record: Rec) {
        self.terms.extend(record.terms.iter().map(|term| (*term, record.key.clone())));
        self.due.extend(record.due.map(|due| (due, record.key.clone())));
        self.records.insert(record.key.clone(), record);
    }

    /// Removes the record if it carries `seen`.
    fn take(&mut self, key: &str, seen: Stamp) -> bool {
        if self.records.get(key).is_none_or(|record| record.stamp != seen) {
            return false;
        }
        if let Some(Rec { key, terms, due, .. }) = self.records.remove(key) {
            for term in terms {
                self.terms.remove(&(term, key.clone()));
            }
            if let Some(due) = due {
                self.due.remove(&(due, key));
            }
        }
        true
    }

    fn keys_after<'a>(&'a self, after: &'a str) -> impl Iterator<Item = &'a String> {
        self.records.range::<str, _>((Bound::Excluded(after), Bound::Unbounded)).map(|(key, _)| key)
    }

    fn keys_with<'a>(&'a self, term: Term, after: &'a str) -> impl Iterator<Item = &'a String> {
        self.terms
            .range((Bound::Excluded((term, after.to_owned())), Bound::Unbounded))
            .take_while(move |(found, _)| *found == term)
            .map(|(_, key)| key)
    }

    fn page<'a>(&self, mut keys: impl Iterator<Item = &'a String>, limit: usize) -> Page {
        let records: Vec<Rec> = self.read(keys.by_ref().take(limit.max(1)));
        let next = keys.next().and(records.last()).map(|record| record.key.clone());
        Page { records, next }
    }

    fn due(&self, before: Time, limit: usize) -> Vec<Rec> {
        let overdue = self.due.iter().take_while(|(due, _)| *due <= before).map(|(_, key)| key);
        self.read(overdue.take(limit))
    }

    fn read<'a>(&self, keys: impl Iterator<Item = &'a String>) -> Vec<Rec> {
        keys.filter_map(|key| self.records.get(key).cloned()).collect()
    }
}
