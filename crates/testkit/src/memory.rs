//! Records in memory that a test can count, look at and plant.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ambient::{BoxFuture, Time};
use provider::store::{Kind, Outcome, Page, Rec, Stamp, Store, StoreError, Term, Watch, is_key};
use tokio::sync::watch;

/// The store. It keeps the contract (`conformance::store`).
#[derive(Default)]
pub struct MemoryStore {
    records: Mutex<BTreeMap<(Kind, String), Rec>>,
    changes: watch::Sender<()>,
}

impl MemoryStore {
    /// An empty one.
    pub fn open() -> Arc<Self> {
        Arc::default()
    }

    /// All records of a kind, in the order of their keys.
    pub fn all(&self, kind: Kind) -> Vec<Rec> {
        self.lock().values().filter(|record| record.kind == kind).cloned().collect()
    }

    /// How many records there are of all kinds.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts a record there past every rule, as somebody who can write to the database does.
    pub fn plant(&self, record: Rec) {
        self.lock().insert((record.kind, record.key.clone()), record);
        self.changes.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Kind, String), Rec>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes if what stands there is as `seen` says.
    fn write(&self, seen: Option<Stamp>, kind: Kind, key: &str, next: Option<Rec>) -> Outcome {
        let mut records = self.lock();
        let place = (kind, key.to_owned());
        if records.get(&place).map(|found| found.stamp) != seen {
            return Outcome::Lost;
        }
        match next {
            Some(next) => records.insert(place, next),
            None => records.remove(&place),
        };
        drop(records);
        self.changes.send_replace(());
        Outcome::Done
    }
}

impl Store for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn persistent(&self) -> bool {
        false
    }

    fn create<'a>(&'a self, record: &'a Rec) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move {
            record.check_bounds()?;
            Ok(self.write(None, record.kind, &record.key, Some(record.clone())))
        })
    }

    fn get<'a>(&'a self, kind: Kind, key: &'a str) -> BoxFuture<'a, Result<Option<Rec>, StoreError>> {
        Box::pin(async move { Ok(self.lock().get(&(kind, key.to_owned())).cloned()) })
    }

    fn replace<'a>(&'a self, seen: Stamp, next: &'a Rec) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move {
            next.check_bounds()?;
            Ok(self.write(Some(seen), next.kind, &next.key, Some(next.clone())))
        })
    }

    fn remove<'a>(
        &'a self,
        kind: Kind,
        key: &'a str,
        seen: Stamp,
    ) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move {
            if !is_key(key) {
                return Ok(Outcome::Lost);
            }
            Ok(self.write(Some(seen), kind, key, None))
        })
    }

    fn find<'a>(
        &'a self,
        kind: Kind,
        term: Option<Term>,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(async move {
            let fits = |record: &Rec| {
                after.is_none_or(|after| record.key.as_str() > after)
                    && term.is_none_or(|term| record.terms.contains(&term))
            };
            let records: Vec<Rec> = self.all(kind).into_iter().filter(fits).collect();
            Ok(Page::cut(records, limit.max(1)))
        })
    }

    fn due<'a>(
        &'a self,
        kind: Kind,
        before: Time,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Rec>, StoreError>> {
        Box::pin(async move {
            let mut due = self.all(kind);
            due.retain(|record| record.due.is_some_and(|due| due <= before));
            due.sort_by_key(|record| record.due);
            due.truncate(limit);
            Ok(due)
        })
    }

    fn watch(&self, _: Kind) -> Box<dyn Watch> {
        Box::new(Changes(self.changes.subscribe()))
    }
}

struct Changes(watch::Receiver<()>);

impl Watch for Changes {
    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}
