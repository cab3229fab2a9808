//! Records in one SQLite file: the default for one replica, and safe for several processes on one machine.
//!
//! Every write is one statement on the one writing connection, committed and on disk (WAL, synchronous=FULL) before it
//! is answered. Reads use connections of their own and see what was committed last.

mod file;
mod lane;
mod schema;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ambient::{BoxFuture, Clock, Time};
use bytes::Bytes;
use provider::store::{Kind, Outcome, Page, Rec, Stamp, Store, StoreError, Term, Watch, is_key};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, Row as _};
use tokio::sync::{Mutex, watch};

pub use self::file::Place;
use self::lane::{Answer, Lane, Statement};
use crate::Backend;
use crate::changes::Changes;

/// Its one key is Dex's `file`.
pub(crate) const BACKEND: Backend = Backend {
    kind: "sqlite3",
    decode: |fields| {
        let place: Place = fields.required("file")?;
        Some(Box::new(move |clock| Box::pin(Sqlite::open(place.clone(), clock))))
    },
    file: file!(),
};

/// The store. Cloning shares it.
#[derive(Clone)]
pub struct Sqlite {
    shared: Arc<Shared>,
}

struct Shared {
    place: Place,
    clock: Arc<dyn Clock>,
    writer: Lane,
    /// None for a database in memory, which belongs to its only connection.
    readers: Vec<Lane>,
    changes: Changes,
    others: Mutex<Others>,
    /// A write was given up on; it may happen yet.
    doubt: AtomicBool,
}

/// What is known of other writers of the same file.
struct Others {
    version: i64,
    asked: Duration,
}

impl Sqlite {
    /// Opens the database, creates it if need be, and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the file cannot be opened, [`StoreError::Broken`] if it is no database or one of
    /// a newer version.
    pub async fn open(place: Place, clock: Arc<dyn Clock>) -> Result<Arc<dyn Store>, StoreError> {
        place.prepare()?;
        let readers = if place == Place::Memory { 0 } else { READERS };
        let shared = Shared {
            writer: Lane::new(&place, &clock),
            readers: (0..readers).map(|_| Lane::new(&place, &clock)).collect(),
            changes: Changes::default(),
            others: Mutex::new(Others { version: 0, asked: clock.monotonic() }),
            doubt: AtomicBool::new(false),
            place,
            clock,
        };
        shared.bounded(async { shared.writer.turn().await.migrate().await }).await?;
        shared.others.lock().await.version = shared.data_version().await?;
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }
}

impl Store for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite3"
    }

    fn persistent(&self) -> bool {
        self.shared.place != Place::Memory
    }

    fn create<'a>(&'a self, record: &'a Rec) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move {
            record.check_bounds()?;
            self.shared.write(record.kind, CREATE, bind_record(record)?).await
        })
    }

    fn get<'a>(&'a self, kind: Kind, key: &'a str) -> BoxFuture<'a, Result<Option<Rec>, StoreError>> {
        Box::pin(async move {
            if !is_key(key) {
                return Ok(None);
            }
            let arguments = Bound::default().text(kind.0)?.blob(key.as_bytes())?;
            let answer = self.shared.ask(GET, arguments).await?;
            answer.rows.first().map(|row| decode(kind, row)).transpose()
        })
    }

    fn replace<'a>(&'a self, seen: Stamp, next: &'a Rec) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move {
            next.check_bounds()?;
            self.shared.write(next.kind, REPLACE, bind_record(next)?.blob(&seen.0)?).await
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
            let arguments = Bound::default().text(kind.0)?.blob(key.as_bytes())?.blob(&seen.0)?;
            self.shared.write(kind, REMOVE, arguments).await
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
            let limit = limit.max(1);
            let after = after.unwrap_or_default().as_bytes();
            let arguments = Bound::default().text(kind.0)?.blob(after)?.count(limit.saturating_add(1))?;
            let answer = match term {
                None => self.shared.ask(FIND, arguments).await?,
                Some(term) => self.shared.ask(FIND_TERM, arguments.blob(&term.0)?).await?,
            };
            let records = decode_all(kind, &answer)?;
            Ok(Page::cut(records, limit))
        })
    }

    fn due<'a>(
        &'a self,
        kind: Kind,
        before: Time,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Rec>, StoreError>> {
        Box::pin(async move {
            let arguments = Bound::default().text(kind.0)?.number(before.millis())?.count(limit)?;
            decode_all(kind, &self.shared.ask(DUE, arguments).await?)
        })
    }

    fn watch(&self, kind: Kind) -> Box<dyn Watch> {
        Box::new(SqliteWatch { shared: Arc::clone(&self.shared), seen: self.shared.changes.subscribe(kind) })
    }
}

impl Shared {
    async fn write(&self, kind: Kind, statement: Statement, bound: Bound) -> Result<Outcome, StoreError> {
        let mut unless_answered = Doubt(Some(&self.doubt));
        let answer = self.bounded(async { self.writer.turn().await.run(statement, &bound.0).await }).await?;
        unless_answered.0 = None;
        if answer.changed == 0 {
            return Ok(Outcome::Lost);
        }
        self.changes.tell(kind);
        Ok(Outcome::Done)
    }

    async fn ask(&self, statement: Statement, bound: Bound) -> Result<Answer, StoreError> {
        self.bounded(async {
            let mut turn = match self.readers.iter().find_map(Lane::try_turn) {
                Some(free) => free,
                None => self.readers.first().unwrap_or(&self.writer).turn().await,
            };
            turn.run(statement, &bound.0).await
        })
        .await
    }

    async fn bounded<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.clock.sleep(PATIENCE) => {
                let seconds = PATIENCE.as_secs();
                Err(StoreError::Unavailable(format!("{}: no answer within {seconds} s", self.place)))
            }
        }
    }

    /// Changes when somebody else writes to the file, and only then if it is always the writer who asks.
    async fn data_version(&self) -> Result<i64, StoreError> {
        let nothing = SqliteArguments::default();
        let answer =
            self.bounded(async { self.writer.turn().await.run(DATA_VERSION, &nothing).await }).await?;
        answer.rows.first().map_or(Ok(0), |row| row.try_get(0)).map_err(|e| nonsense(&e))
    }

    /// Wakes every watcher if another process wrote, or if a write of ours was given up on: since the writer is asked,
    /// and after it, that write has now happened or never will. Asks at most once in [`POLL`], however many watch.
    async fn look_for_others(&self) {
        let mut others = self.others.lock().await;
        if self.clock.monotonic().saturating_sub(others.asked) < POLL {
            return;
        }
        let doubt = self.doubt.swap(false, Ordering::AcqRel).then(|| Doubt(Some(&self.doubt)));
        let version = self.data_version().await;
        others.asked = self.clock.monotonic();
        // While the file cannot be read there is nothing to be told about it.
        let Ok(version) = version else { return };
        if doubt.is_some() || version != others.version {
            others.version = version;
            self.changes.tell_all();
        }
        if let Some(mut settled) = doubt {
            settled.0 = None;
        }
    }
}

/// Raises the flag when it is dropped, unless it was disarmed: a caller may go away at any await.
struct Doubt<'a>(Option<&'a AtomicBool>);

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if let Some(flag) = self.0 {
            flag.store(true, Ordering::Release);
        }
    }
}

struct SqliteWatch {
    shared: Arc<Shared>,
    seen: watch::Receiver<()>,
}

impl Watch for SqliteWatch {
    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                self.shared.look_for_others().await;
                tokio::select! {
                    _ = self.seen.changed() => return,
                    () = self.shared.clock.sleep(POLL) => {}
                }
            }
        })
    }
}

/// Arguments of a statement, in order.
#[derive(Default)]
struct Bound(SqliteArguments);

impl Bound {
    fn text(mut self, value: &str) -> Result<Self, StoreError> {
        self.0.add(value).map_err(|e| nonsense(&*e)).map(|()| self)
    }

    fn blob(mut self, value: &[u8]) -> Result<Self, StoreError> {
        self.0.add(value).map_err(|e| nonsense(&*e)).map(|()| self)
    }

    fn number(mut self, value: impl Into<Option<i64>>) -> Result<Self, StoreError> {
        self.0.add(value.into()).map_err(|e| nonsense(&*e)).map(|()| self)
    }

    fn count(self, value: usize) -> Result<Self, StoreError> {
        self.number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

fn bind_record(record: &Rec) -> Result<Bound, StoreError> {
    let terms: Vec<u8> = record.terms.iter().flat_map(|term| term.0).collect();
    Bound::default()
        .text(record.kind.0)?
        .blob(record.key.as_bytes())?
        .blob(&record.stamp.0)?
        .number(record.due.map(Time::millis))?
        .blob(&terms)?
        .blob(&record.body)
}

fn decode_all(kind: Kind, answer: &Answer) -> Result<Vec<Rec>, StoreError> {
    answer.rows.iter().map(|row| decode(kind, row)).collect()
}

/// Reads the columns of [`GET`].
fn decode(kind: Kind, row: &SqliteRow) -> Result<Rec, StoreError> {
    let blob = |column: usize| row.try_get::<&[u8], _>(column).map_err(|e| nonsense(&e));
    let (terms, rest) = blob(3)?.as_chunks();
    if !rest.is_empty() {
        return Err(StoreError::Broken("a record's terms have a wrong length".into()));
    }
    Ok(Rec {
        kind,
        key: std::str::from_utf8(blob(0)?).map_err(|e| nonsense(&e))?.to_owned(),
        stamp: Stamp(blob(1)?.try_into().map_err(|e| nonsense(&e))?),
        due: row.try_get::<Option<i64>, _>(2).map_err(|e| nonsense(&e))?.map(Time::from_millis),
        terms: terms.iter().copied().map(Term).collect(),
        body: Bytes::copy_from_slice(blob(4)?),
    })
}

fn nonsense(error: &(dyn std::error::Error + 'static)) -> StoreError {
    StoreError::Broken(error.to_string())
}

const CREATE: Statement = Statement::Write(
    "INSERT INTO obol_records (kind, key, stamp, due, terms, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT (kind, key) DO NOTHING",
);
const REPLACE: Statement = Statement::Write(
    "UPDATE obol_records SET stamp = ?3, due = ?4, terms = ?5, body = ?6
     WHERE kind = ?1 AND key = ?2 AND stamp = ?7",
);
const REMOVE: Statement =
    Statement::Write("DELETE FROM obol_records WHERE kind = ?1 AND key = ?2 AND stamp = ?3");
const GET: Statement =
    Statement::Read("SELECT key, stamp, due, terms, body FROM obol_records WHERE kind = ?1 AND key = ?2");
const FIND: Statement = Statement::Read(
    "SELECT key, stamp, due, terms, body FROM obol_records
     WHERE kind = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
);
const FIND_TERM: Statement = Statement::Read(
    "SELECT r.key, r.stamp, r.due, r.terms, r.body
     FROM obol_terms t CROSS JOIN obol_records r ON r.kind = t.kind AND r.key = t.key
     WHERE t.kind = ?1 AND t.term = ?4 AND t.key > ?2 ORDER BY t.key LIMIT ?3",
);
const DUE: Statement = Statement::Read(
    "SELECT key, stamp, due, terms, body FROM obol_records
     WHERE kind = ?1 AND due IS NOT NULL AND due <= ?2 ORDER BY due, key LIMIT ?3",
);
const DATA_VERSION: Statement = Statement::Read("PRAGMA data_version");

/// Reading connections.
const READERS: usize = 2;
/// The longest that a call takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon a write by another process is noticed.
const POLL: Duration = Duration::from_secs(1);
