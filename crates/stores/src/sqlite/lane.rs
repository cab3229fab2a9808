//! One connection, opened when it is first needed and again after it failed. Each costs a thread and a page cache.

use std::sync::Arc;
use std::time::Duration;

use ambient::Clock;
use provider::store::StoreError;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

use super::file::Place;

/// A lane to the database.
pub(super) struct Lane {
    place: Place,
    options: SqliteConnectOptions,
    clock: Arc<dyn Clock>,
    connection: Mutex<Option<SqliteConnection>>,
}

/// A statement, and which kind of answer it has.
#[derive(Clone, Copy)]
pub(super) enum Statement {
    /// Answers how many records it changed.
    Write(&'static str),
    /// Answers rows.
    Read(&'static str),
}

/// What a statement answered.
pub(super) struct Answer {
    pub(super) changed: u64,
    pub(super) rows: Vec<SqliteRow>,
}

/// The right to use a lane, alone.
pub(super) struct Turn<'a> {
    lane: &'a Lane,
    connection: MutexGuard<'a, Option<SqliteConnection>>,
}

impl Lane {
    pub(super) fn new(place: &Place, clock: &Arc<dyn Clock>) -> Self {
        let path = match place {
            Place::File(path) => path.as_path(),
            Place::Memory => std::path::Path::new(":memory:"),
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged rotation of a refresh token must survive a power cut, or the spent one works again.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .pragma("cache_size", CACHE)
            .row_buffer_size(ROWS_AHEAD)
            .disable_statement_logging();
        Self { place: place.clone(), options, clock: Arc::clone(clock), connection: Mutex::new(None) }
    }

    /// Waits for the lane.
    pub(super) async fn turn(&self) -> Turn<'_> {
        Turn { lane: self, connection: self.connection.lock().await }
    }

    /// Takes the lane if nobody uses it.
    pub(super) fn try_turn(&self) -> Option<Turn<'_>> {
        self.connection.try_lock().ok().map(|connection| Turn { lane: self, connection })
    }
}

impl Turn<'_> {
    /// Runs one statement. Whoever else holds the database is waited for, as long as the caller's patience lasts.
    pub(super) async fn run(
        &mut self,
        statement: Statement,
        arguments: &SqliteArguments,
    ) -> Result<Answer, StoreError> {
        loop {
            match self.attempt(statement, arguments.clone()).await {
                Err(error) if is_busy(&error) => self.lane.clock.sleep(PAUSE).await,
                Err(error) => return Err(self.failed(&error)),
                Ok(answer) => return Ok(answer),
            }
        }
    }

    /// Brings the tables up to date.
    pub(super) async fn migrate(&mut self) -> Result<(), StoreError> {
        let now = self.lane.clock.now();
        let found = loop {
            let migrated = match self.connection().await {
                Ok(connection) => super::schema::migrate(connection, now).await,
                Err(error) => Err(error),
            };
            match migrated {
                Err(error) if is_busy(&error) => self.lane.clock.sleep(PAUSE).await,
                Err(error) => return Err(self.failed(&error)),
                Ok(version) => break version,
            }
        };
        if found > super::schema::LATEST {
            return Err(StoreError::Broken(format!(
                "{}: written by a newer version of Obol (schema {found}; this one knows {})",
                self.lane.place,
                super::schema::LATEST
            )));
        }
        Ok(())
    }

    async fn attempt(
        &mut self,
        statement: Statement,
        arguments: SqliteArguments,
    ) -> Result<Answer, sqlx::Error> {
        let connection = self.connection().await?;
        Ok(match statement {
            Statement::Write(sql) => {
                let done = sqlx::query_with(sql, arguments).execute(connection).await?;
                Answer { changed: done.rows_affected(), rows: Vec::new() }
            }
            Statement::Read(sql) => {
                let rows = sqlx::query_with(sql, arguments).fetch_all(connection).await?;
                Answer { changed: 0, rows }
            }
        })
    }

    async fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        if self.connection.is_none() {
            *self.connection = Some(self.lane.options.connect().await?);
        }
        // Never absent here; an error is kinder than a panic.
        self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)
    }

    /// Sorts the error, and drops the connection: a disk that works again is then met by a fresh one. A database in
    /// memory would be lost with it.
    fn failed(&mut self, error: &sqlx::Error) -> StoreError {
        if self.lane.place != Place::Memory {
            *self.connection = None;
        }
        let text = format!("{}: {error}", self.lane.place);
        match primary_code(error) {
            Some(PERM | NO_MEMORY | READ_ONLY | IO | FULL | CANNOT_OPEN | PROTOCOL) => {
                StoreError::Unavailable(text)
            }
            Some(_) => StoreError::Broken(text),
            None if matches!(error, sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed) => {
                StoreError::Unavailable(text)
            }
            None => StoreError::Broken(text),
        }
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(BUSY_CODE | LOCKED))
}

/// SQLite's result code without its extension (<https://www.sqlite.org/rescode.html>).
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

const PERM: i32 = 3;
const BUSY_CODE: i32 = 5;
const LOCKED: i32 = 6;
const NO_MEMORY: i32 = 7;
const READ_ONLY: i32 = 8;
const IO: i32 = 10;
const FULL: i32 = 13;
const CANNOT_OPEN: i32 = 14;
const PROTOCOL: i32 = 15;

/// How long SQLite itself waits for another process before it says that it is busy.
const BUSY: Duration = Duration::from_secs(1);
/// Some conflicts SQLite reports without waiting: this long, then again.
const PAUSE: Duration = Duration::from_millis(5);
/// Page cache in KiB (negative means KiB): the operating system caches the file as well.
const CACHE: &str = "-256";
/// How many rows the connection's thread reads before the caller took them; a row may have 256 KiB.
const ROWS_AHEAD: usize = 4;
