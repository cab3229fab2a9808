//! Typed records over the store: encoding, sealing, retries. A record here is a rule's whole state.

pub mod device;
pub mod grant;
mod kept;
mod lineage;
pub mod revoked;
mod sealing;
pub mod used;

use std::sync::Arc;

use ambient::{Random, RandomExt as _, Time};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use kept::Kept;
pub use sealing::Sealing;

use crate::store::{Kind, MAX_BODY, Outcome, Rec, Stamp, Store, StoreError, Term};

/// A kind of record.
pub trait Record: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Its family in the store.
    const KIND: Kind;
    /// Whether the body is encrypted at rest.
    const SEALED: bool;

    /// When it must be looked at again.
    fn due(&self) -> Option<Time>;

    /// What it can be found by.
    fn terms(&self) -> Vec<Term> {
        Vec::new()
    }
}

/// A record with the version it was read at.
#[derive(Debug, Clone)]
pub struct Versioned<R> {
    /// The value.
    pub value: R,
    stamp: Stamp,
}

/// The version alone, after the value was taken.
#[derive(Debug, Clone, Copy)]
pub struct Stamped(Stamp);

impl<R> Versioned<R> {
    /// The version.
    pub const fn stamped(&self) -> Stamped {
        Stamped(self.stamp)
    }
}

/// What a change decided.
pub enum Change<R, T> {
    /// Store this, and answer that.
    Put(R, T),
    /// Leave everything as it is, and answer that.
    Keep(T),
}

/// The records of one provider.
#[derive(Clone)]
pub struct Records {
    store: Arc<dyn Store>,
    sealing: Arc<Sealing>,
    random: Arc<dyn Random>,
}

impl Records {
    /// Over a store.
    pub fn new(store: Arc<dyn Store>, sealing: Sealing, random: Arc<dyn Random>) -> Self {
        Self { store, sealing: Arc::new(sealing), random }
    }

    /// The store below, for watching and sweeping.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Stores a new record. [`Outcome::Lost`] if the key exists.
    ///
    /// # Errors
    /// The store's.
    pub async fn create<R: Record>(&self, key: &str, value: &R) -> Result<Outcome, StoreError> {
        let record = self.encode(key, value)?;
        match self.store.create(&record).await {
            Err(error) => self.was_it_ours(&record, error).await,
            done => done,
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// The store's; [`StoreError::Broken`] if the record cannot be read.
    pub async fn read<R: Record>(&self, key: &str) -> Result<Option<Versioned<R>>, StoreError> {
        let Some(record) = self.store.get(R::KIND, key).await? else { return Ok(None) };
        Ok(Some(Versioned { value: self.decode(&record)?, stamp: record.stamp }))
    }

    /// Changes a record by compare-and-replace, again from the start if somebody else was faster. `None` if there is
    /// no such record.
    ///
    /// # Errors
    /// The store's; [`StoreError::Unavailable`] if the race is lost [`MAX_RACES`] times.
    pub async fn change<R: Record, T>(
        &self,
        key: &str,
        mut decide: impl FnMut(R) -> Change<R, T> + Send,
    ) -> Result<Option<T>, StoreError> {
        for _ in 0..MAX_RACES {
            let Some(found) = self.read::<R>(key).await? else { return Ok(None) };
            match decide(found.value) {
                Change::Keep(answer) => return Ok(Some(answer)),
                Change::Put(next, answer) => {
                    if self.replace(key, found.stamp, &next).await? == Outcome::Done {
                        return Ok(Some(answer));
                    }
                }
            }
        }
        Err(StoreError::Unavailable(format!("lost {MAX_RACES} races for one record")))
    }

    /// Records whose time has come, with their keys.
    ///
    /// # Errors
    /// The store's.
    pub async fn due<R: Record>(
        &self,
        before: Time,
        limit: usize,
    ) -> Result<Vec<(String, Versioned<R>)>, StoreError> {
        let found = self.store.due(R::KIND, before, limit).await?;
        // One that cannot be read must not keep the others from being swept.
        let read = |record: Rec| {
            let value = self.decode(&record).ok()?;
            Some((record.key, Versioned { value, stamp: record.stamp }))
        };
        Ok(found.into_iter().filter_map(read).collect())
    }

    /// Of records whose time has come, what removing them takes: who only removes need not understand.
    ///
    /// # Errors
    /// The store's.
    pub async fn over<R: Record>(
        &self,
        before: Time,
        limit: usize,
    ) -> Result<Vec<(String, Stamped)>, StoreError> {
        let found = self.store.due(R::KIND, before, limit).await?;
        Ok(found.into_iter().map(|record| (record.key, Stamped(record.stamp))).collect())
    }

    /// Puts a value in place of the one that was read.
    ///
    /// # Errors
    /// The store's.
    pub async fn put<R: Record>(&self, key: &str, read: Stamped, next: &R) -> Result<Outcome, StoreError> {
        self.replace(key, read.0, next).await
    }

    /// The same for who goes on changing it: what it is then read as, or `None` if somebody else was faster.
    ///
    /// # Errors
    /// The store's.
    pub async fn step<R: Record>(
        &self,
        key: &str,
        read: Stamped,
        next: &R,
    ) -> Result<Option<Stamped>, StoreError> {
        let record = self.encode(key, next)?;
        Ok((self.write(read.0, &record).await? == Outcome::Done).then_some(Stamped(record.stamp)))
    }

    /// Removes a record as it was read.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove<R: Record>(&self, key: &str, read: Stamped) -> Result<Outcome, StoreError> {
        self.store.remove(R::KIND, key, read.0).await
    }

    async fn replace<R: Record>(&self, key: &str, seen: Stamp, next: &R) -> Result<Outcome, StoreError> {
        self.write(seen, &self.encode(key, next)?).await
    }

    async fn write(&self, seen: Stamp, record: &Rec) -> Result<Outcome, StoreError> {
        match self.store.replace(seen, record).await {
            Err(error) => self.was_it_ours(record, error).await,
            done => done,
        }
    }

    /// An engine that failed may have committed before: our stamp in the record tells.
    async fn was_it_ours(&self, written: &Rec, error: StoreError) -> Result<Outcome, StoreError> {
        match self.store.get(written.kind, &written.key).await {
            Ok(Some(found)) if found.stamp == written.stamp => Ok(Outcome::Done),
            _ => Err(error),
        }
    }

    fn encode<R: Record>(&self, key: &str, value: &R) -> Result<Rec, StoreError> {
        let broken = |what: String| StoreError::Broken(format!("{} record: {what}", R::KIND.0));
        let plain = serde_json::to_vec(value).map_err(|e| broken(e.to_string()))?;
        let body = if R::SEALED {
            self.sealing
                .seal(&*self.random, &context(R::KIND, key), plain)
                .ok_or_else(|| broken("cannot be sealed".into()))?
        } else {
            plain
        };
        if body.len() > MAX_BODY {
            return Err(broken(format!("{} bytes, more than {MAX_BODY}", body.len())));
        }
        Ok(Rec {
            kind: R::KIND,
            key: key.to_owned(),
            stamp: Stamp(self.random.bytes()),
            due: value.due(),
            terms: value.terms(),
            body: Bytes::from(body),
        })
    }

    fn decode<R: Record>(&self, record: &Rec) -> Result<R, StoreError> {
        let broken = |what: String| StoreError::Broken(format!("{} record: {what}", R::KIND.0));
        if !R::SEALED {
            return serde_json::from_slice(&record.body).map_err(|e| broken(e.to_string()));
        }
        let plain = self.sealing.open(&context(R::KIND, &record.key), &record.body).ok_or_else(|| {
            broken("cannot be unsealed: the sealing key differs from the one it was written with".into())
        })?;
        serde_json::from_slice(&plain).map_err(|e| broken(e.to_string()))
    }
}

/// What a sealed body is bound to, so that bodies cannot be swapped between records.
fn context(kind: Kind, key: &str) -> Vec<u8> {
    [kind.0.as_bytes(), b"\0", key.as_bytes()].concat()
}

/// More lost races than this mean that something is wrong.
const MAX_RACES: usize = 32;
