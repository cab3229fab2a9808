//! Connections that wait for their next use. One that failed, or whose caller went away in the middle, is never used again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ambient::Clock;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Answer, Engine, Fault, Session as _, Value};

/// How many connections there may be, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) open: usize,
    pub(crate) idle: usize,
    pub(crate) lifetime: Option<Duration>,
    /// For a connection to be there, all that is said before the first statement included.
    pub(crate) within: Duration,
}

pub(crate) struct Pool<E: Engine> {
    engine: E,
    bounds: Bounds,
    clock: Arc<dyn Clock>,
    permits: Semaphore,
    parked: Mutex<Vec<Parked<E::Session>>>,
}

struct Parked<S> {
    session: S,
    born: Duration,
    since: Duration,
}

/// The right to use a connection, alone.
pub(crate) struct Turn<'p, E: Engine> {
    pool: &'p Pool<E>,
    /// Absent while it is used, so that whoever is dropped then takes it along.
    session: Option<E::Session>,
    born: Duration,
    reused: bool,
    _permit: SemaphorePermit<'p>,
}

impl<E: Engine> Pool<E> {
    pub(crate) fn new(engine: E, bounds: Bounds, clock: Arc<dyn Clock>) -> Self {
        Self { engine, bounds, clock, permits: Semaphore::new(bounds.open), parked: Mutex::default() }
    }

    /// Waits for a connection, and opens one if none is parked.
    pub(crate) async fn turn(&self) -> Result<Turn<'_, E>, Fault> {
        let closed = |_| Fault::Broken("the pool is closed".into());
        let permit = self.permits.acquire().await.map_err(closed)?;
        if let Some(Parked { session, born, .. }) = self.unpark() {
            return Ok(Turn { pool: self, session: Some(session), born, reused: true, _permit: permit });
        }
        let session = tokio::select! {
            biased;
            () = self.clock.sleep(self.bounds.within) => {
                let seconds = self.bounds.within.as_secs();
                return Err(Fault::Unavailable(format!("no connection within {seconds} s")));
            }
            connected = self.engine.connect() => connected?,
        };
        let born = self.clock.monotonic();
        Ok(Turn { pool: self, session: Some(session), born, reused: false, _permit: permit })
    }

    /// Drops what is parked: it was opened before the server went away.
    pub(super) fn empty(&self) {
        let gone = std::mem::take(&mut *self.lock());
        drop(gone);
    }

    fn unpark(&self) -> Option<Parked<E::Session>> {
        let now = self.clock.monotonic();
        let mut parked = self.lock();
        parked.retain(|one| now.saturating_sub(one.since) < IDLE && !self.is_worn(now, one.born));
        parked.pop()
    }

    fn park(&self, session: E::Session, born: Duration) {
        let since = self.clock.monotonic();
        let mut parked = self.lock();
        if parked.len() < self.bounds.idle && !self.is_worn(since, born) {
            parked.push(Parked { session, born, since });
        }
    }

    fn is_worn(&self, now: Duration, born: Duration) -> bool {
        self.bounds.lifetime.is_some_and(|lifetime| now.saturating_sub(born) >= lifetime)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Parked<E::Session>>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Engine> Turn<'_, E> {
    /// Whether the connection was opened for somebody else, and the server may have closed it since.
    pub(crate) const fn is_reused(&self) -> bool {
        self.reused
    }

    pub(crate) async fn run(&mut self, sql: &str, arguments: &[Value]) -> Result<Answer, Fault> {
        let mut session = self.session.take().ok_or_else(used_up)?;
        let done = session.run(sql, arguments).await;
        self.keep(session, done)
    }

    pub(crate) async fn command(&mut self, sql: &str) -> Result<(), Fault> {
        let mut session = self.session.take().ok_or_else(used_up)?;
        let done = session.command(sql).await;
        self.keep(session, done)
    }

    fn keep<T>(&mut self, session: E::Session, done: Result<T, Fault>) -> Result<T, Fault> {
        match &done {
            Ok(_) | Err(Fault::Conflict(_) | Fault::Duplicate | Fault::Absent(_)) => {
                self.session = Some(session);
            }
            Err(Fault::Lost(_)) => self.pool.empty(),
            // A server that went over to reading only, or is full, may be a different one after the next connect.
            Err(Fault::Unavailable(_) | Fault::Broken(_)) => {}
        }
        done
    }

    /// Ends the turn without keeping the connection: it may be in the middle of something.
    pub(crate) fn discard(mut self) {
        self.session = None;
    }
}

impl<E: Engine> Drop for Turn<'_, E> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.pool.park(session, self.born);
        }
    }
}

fn used_up() -> Fault {
    Fault::Lost("the connection is of no use any more".into())
}

/// A connection that nobody used for so long may have been forgotten on its way without a word.
const IDLE: Duration = Duration::from_secs(5 * 60);
