//! What database servers have in common: statements, a pool, patience, and what is done when one goes away. What differs
//! stands in [`Engine`], one a server.
//!
//! Every call is one statement, which the server commits by itself: nothing can be interrupted halfway. Conflicts that a
//! server reports instead of waiting (serialization failures, deadlocks) are tried again, within bounds.

mod migration;
mod pool;
mod settings;
mod statements;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use ambient::{BoxFuture, Clock, Time};
use bytes::Bytes;
use provider::store::{Kind, Outcome, Page, Rec, Stamp, Store, StoreError, Term, Watch, is_key};
use tokio::sync::{OnceCell, watch};

use self::pool::Pool;
use self::statements::Statements;
use crate::changes::Changes;

pub(crate) use self::pool::Bounds;
pub(crate) use self::settings::{Address, Common, Security, Tls};
pub(crate) use self::stream::Stream;

/// A kind of server.
pub(crate) trait Engine: Send + Sync + 'static {
    /// A connection that was authenticated.
    type Session: Session;

    /// What `storage.type` calls it.
    const NAME: &'static str;
    /// Ends an insertion that must not fail where the key exists.
    const UNLESS_THERE: &'static str;
    /// Before the tables are changed, so that others wait; and after it.
    const LOCK: &'static [&'static str];
    const UNLOCK: &'static [&'static str];
    /// The table of schema versions.
    const HISTORY: &'static str;
    /// Steps are only ever added: step N leads from version N-1 to version N.
    const STEPS: &'static [&'static [&'static str]];

    /// Writes `?` as the dialect does.
    fn placeholders(sql: &str) -> String;

    /// Where it is, for messages.
    fn place(&self) -> String;

    fn connect(&self) -> BoxFuture<'_, Result<Self::Session, Fault>>;
}

/// A connection.
pub(crate) trait Session: Send {
    /// A statement with arguments.
    fn run<'a>(&'a mut self, sql: &'a str, arguments: &'a [Value]) -> BoxFuture<'a, Result<Answer, Fault>>;

    /// A statement without arguments whose answer does not matter.
    fn command<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<(), Fault>>;
}

/// What goes into a statement and comes out of it.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Number(i64),
    Bytes(Bytes),
}

/// What a statement answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) changed: u64,
    pub(crate) rows: Vec<Vec<Value>>,
}

/// What a server says instead of an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Others were in the way. Nothing happened.
    #[error("{0}")]
    Conflict(String),
    /// The key exists. Nothing happened.
    #[error("the key exists")]
    Duplicate,
    /// A table is not there. Nothing happened.
    #[error("{0}")]
    Absent(String),
    /// The connection ended; what was asked on it may have happened.
    #[error("{0}")]
    Lost(String),
    /// It cannot be reached, is full, read-only, or does not let us in.
    #[error("{0}")]
    Unavailable(String),
    /// It answers nonsense, or our statement is nonsense to it.
    #[error("{0}")]
    Broken(String),
}

/// Records in a database on a server.
pub(crate) struct Sql<E: Engine> {
    shared: Arc<Shared<E>>,
}

struct Shared<E: Engine> {
    pool: Pool<E>,
    place: String,
    clock: Arc<dyn Clock>,
    statements: Statements,
    changes: Changes,
    migrated: OnceCell<()>,
}

impl<E: Engine> Sql<E> {
    /// Contacts nobody: the first call does, and brings the tables up to date.
    pub(crate) fn new(engine: E, bounds: Bounds, clock: Arc<dyn Clock>) -> Self {
        let place = format!("{} {}", E::NAME, engine.place());
        let pool = Pool::new(engine, bounds, Arc::clone(&clock));
        let statements = Statements::new(E::placeholders, E::UNLESS_THERE);
        let shared =
            Shared { pool, place, clock, statements, changes: Changes::default(), migrated: OnceCell::new() };
        Self { shared: Arc::new(shared) }
    }
}

impl<E: Engine> Store for Sql<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn persistent(&self) -> bool {
        true
    }

    fn create<'a>(&'a self, record: &'a Rec) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move {
            record.check_bounds()?;
            self.shared.write(&self.shared.statements.create, &statements::created(record), record).await
        })
    }

    fn get<'a>(&'a self, kind: Kind, key: &'a str) -> BoxFuture<'a, Result<Option<Rec>, StoreError>> {
        Box::pin(async move {
            if !is_key(key) {
                return Ok(None);
            }
            self.shared.read(kind, key).await
        })
    }

    fn replace<'a>(&'a self, seen: Stamp, next: &'a Rec) -> BoxFuture<'a, Result<Outcome, StoreError>> {
        Box::pin(async move {
            next.check_bounds()?;
            let arguments = statements::replaced(next, &seen.0);
            self.shared.write(&self.shared.statements.replace, &arguments, next).await
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
            self.shared.remove(kind, key, seen).await
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
            let after = after.unwrap_or_default();
            let more = count(limit.saturating_add(1));
            let shared = &self.shared;
            let (sql, arguments) = match term {
                None => (&shared.statements.find, vec![statements::kind(kind), statements::key(after), more]),
                Some(term) => {
                    (&shared.statements.find_term, statements::found_by_term(kind, term, after, more))
                }
            };
            let records = decode_all(kind, shared.bounded(sql, &arguments).await?.0)?;
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
            let arguments = [statements::kind(kind), Value::Number(before.millis()), count(limit)];
            decode_all(kind, self.shared.bounded(&self.shared.statements.due, &arguments).await?.0)
        })
    }

    fn watch(&self, kind: Kind) -> Box<dyn Watch> {
        let seen = self.shared.changes.subscribe(kind);
        Box::new(SqlWatch { shared: Arc::clone(&self.shared), kind, seen, last: None })
    }
}

/// A write that was sent along a connection which then ended may have happened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    MayHaveHappened,
}

impl<E: Engine> Shared<E> {
    async fn write(&self, sql: &str, arguments: &[Value], record: &Rec) -> Result<Outcome, StoreError> {
        let (answer, doubt) = self.bounded(sql, arguments).await?;
        if answer.changed > 0 {
            self.changes.tell(record.kind);
            return Ok(Outcome::Done);
        }
        // We may have lost to ourselves.
        if doubt == Doubt::MayHaveHappened
            && self.read(record.kind, &record.key).await?.is_some_and(|found| found.stamp == record.stamp)
        {
            self.changes.tell(record.kind);
            return Ok(Outcome::Done);
        }
        Ok(Outcome::Lost)
    }

    async fn remove(&self, kind: Kind, key: &str, seen: Stamp) -> Result<Outcome, StoreError> {
        let arguments = [statements::kind(kind), statements::key(key), Value::bytes(&seen.0)];
        let (answer, doubt) = self.bounded(&self.statements.remove, &arguments).await?;
        if answer.changed > 0 {
            self.changes.tell(kind);
            return Ok(Outcome::Done);
        }
        if doubt == Doubt::MayHaveHappened {
            self.changes.tell(kind);
            return Err(self.unavailable("the connection broke, and whether a record was removed is unknown"));
        }
        Ok(Outcome::Lost)
    }

    async fn read(&self, kind: Kind, key: &str) -> Result<Option<Rec>, StoreError> {
        let arguments = [statements::kind(kind), statements::key(key)];
        let (answer, _) = self.bounded(&self.statements.get, &arguments).await?;
        let found = answer.rows.into_iter().next().map(|row| decode(kind, row)).transpose()?;
        // An answer to another question is no answer to this one.
        if found.as_ref().is_some_and(|record| record.key != key) {
            return Err(StoreError::Broken("the server answers with another record".into()));
        }
        Ok(found)
    }

    /// One statement within [`PATIENCE`], connecting and all repetitions included.
    async fn bounded(&self, sql: &str, arguments: &[Value]) -> Result<(Answer, Doubt), StoreError> {
        let work = async {
            self.migrated.get_or_try_init(|| self.migrate()).await?;
            self.persist(sql, arguments).await
        };
        tokio::select! {
            // The end comes first: a server that never stops talking would keep it from being looked at.
            biased;
            () = self.clock.sleep(PATIENCE) => {
                // The network may have forgotten the others as well.
                self.pool.empty();
                Err(self.unavailable(&format!("no answer within {} s", PATIENCE.as_secs())))
            }
            done = work => done.map_err(|fault| self.told(&fault)),
        }
    }

    async fn persist(&self, sql: &str, arguments: &[Value]) -> Result<(Answer, Doubt), Fault> {
        let (mut doubt, mut conflicts) = (Doubt::None, 0);
        loop {
            let mut turn = self.pool.turn().await?;
            match turn.run(sql, arguments).await {
                Ok(answer) => return Ok((answer, doubt)),
                Err(Fault::Duplicate) => return Ok((Answer::default(), doubt)),
                Err(Fault::Conflict(_)) if conflicts < MAX_CONFLICTS => {
                    drop(turn);
                    conflicts += 1;
                    self.clock.sleep(PAUSE * conflicts).await;
                }
                // The server went away while nobody looked. The pool is empty now: the next connection is a new one.
                Err(Fault::Lost(_)) if turn.is_reused() => doubt = Doubt::MayHaveHappened,
                Err(fault) => return Err(fault),
            }
        }
    }

    fn told(&self, fault: &Fault) -> StoreError {
        match fault {
            Fault::Conflict(what) => {
                self.unavailable(&format!("{what}, also after {MAX_CONFLICTS} more tries"))
            }
            Fault::Lost(what) | Fault::Unavailable(what) => self.unavailable(what),
            Fault::Duplicate | Fault::Absent(_) | Fault::Broken(_) => {
                StoreError::Broken(format!("{}: {fault}", self.place))
            }
        }
    }

    fn unavailable(&self, what: &str) -> StoreError {
        StoreError::Unavailable(format!("{}: {what}", self.place))
    }

    /// The stamps of a kind, one after the other: what is watched has few records. `None` if it has many.
    async fn stamps(&self, kind: Kind) -> Result<Option<Vec<u8>>, StoreError> {
        let arguments = [statements::kind(kind), count(MOST_WATCHED)];
        let rows = self.bounded(&self.statements.stamps, &arguments).await?.0.rows;
        if rows.len() == MOST_WATCHED {
            return Ok(None);
        }
        let mut stamps = Vec::with_capacity(16 * rows.len());
        for value in rows.into_iter().flatten() {
            stamps.extend_from_slice(&value.into_bytes()?);
        }
        Ok(Some(stamps))
    }
}

struct SqlWatch<E: Engine> {
    shared: Arc<Shared<E>>,
    kind: Kind,
    seen: watch::Receiver<()>,
    /// None before the first look: what happened before it is told of, in case it happened after the watch began.
    last: Option<Vec<u8>>,
}

impl<E: Engine> Watch for SqlWatch<E> {
    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                // While the server cannot be asked there is nothing to be told about it.
                if let Ok(now) = self.shared.stamps(self.kind).await
                    && (now.is_none() || now != self.last)
                {
                    self.last = now;
                    return;
                }
                tokio::select! {
                    _ = self.seen.changed() => return,
                    () = self.shared.clock.sleep(POLL) => {}
                }
            }
        })
    }
}

impl Value {
    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }

    fn into_bytes(self) -> Result<Bytes, StoreError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Null | Self::Number(_) => Err(StoreError::Broken("a column has no bytes".into())),
        }
    }

    fn into_number(self) -> Result<Option<i64>, StoreError> {
        match self {
            Self::Null => Ok(None),
            Self::Number(number) => Ok(Some(number)),
            Self::Bytes(_) => Err(StoreError::Broken("a column has no number".into())),
        }
    }
}

fn count(limit: usize) -> Value {
    Value::Number(i64::try_from(limit).unwrap_or(i64::MAX))
}

fn decode_all(kind: Kind, answer: Answer) -> Result<Vec<Rec>, StoreError> {
    answer.rows.into_iter().map(|row| decode(kind, row)).collect()
}

fn decode(kind: Kind, row: Vec<Value>) -> Result<Rec, StoreError> {
    let broken = |what: &str| StoreError::Broken(format!("a record's {what} cannot be read"));
    let [key, stamp, due, term1, term2, term3, term4, body] =
        <[Value; 8]>::try_from(row).map_err(|_| broken("row"))?;
    let term = |value: Value| -> Option<Result<Term, StoreError>> {
        match value {
            Value::Null => None,
            value => Some(
                value.into_bytes().and_then(|t| t.as_ref().try_into().map(Term).map_err(|_| broken("term"))),
            ),
        }
    };
    let stamp = stamp.into_bytes()?;
    Ok(Rec {
        kind,
        key: std::str::from_utf8(&key.into_bytes()?).map_err(|_| broken("key"))?.to_owned(),
        stamp: Stamp(stamp.as_ref().try_into().map_err(|_| broken("stamp"))?),
        due: due.into_number()?.map(Time::from_millis),
        terms: [term1, term2, term3, term4].into_iter().filter_map(term).collect::<Result<_, _>>()?,
        body: body.into_bytes()?,
    })
}

/// What a server says, fit for one line of a log.
pub(crate) fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

/// The longest that a call takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// More conflicts than this in one call mean that something is wrong.
const MAX_CONFLICTS: u32 = 16;
/// After the first conflict; longer after each further one.
const PAUSE: Duration = Duration::from_millis(3);
/// How soon a write by another replica is noticed.
const POLL: Duration = Duration::from_secs(2);
/// A kind with more records than this is taken for changed at each look.
const MOST_WATCHED: usize = 1000;
