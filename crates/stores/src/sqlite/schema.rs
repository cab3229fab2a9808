//! The tables, and how they came to be. Their names begin with `obol_`, so that they may stand in Dex's own file.

use ambient::Time;
use sqlx::{Connection as _, Row as _, SqliteConnection};

/// Brings the schema to [`LATEST`] in one transaction; other processes wait for it. Answers the version found there
/// afterwards, which is higher if a newer Obol wrote it.
pub(super) async fn migrate(connection: &mut SqliteConnection, now: Time) -> Result<usize, sqlx::Error> {
    let mut change = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(HISTORY).execute(&mut *change).await?;
    let row =
        sqlx::query("SELECT coalesce(max(version), 0) FROM obol_schema").fetch_one(&mut *change).await?;
    let found = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default();
    for (version, step) in (1..).zip(STEPS).skip(found) {
        sqlx::raw_sql(*step).execute(&mut *change).await?;
        sqlx::query("INSERT INTO obol_schema (version, at) VALUES (?1, ?2)")
            .bind(version)
            .bind(now.millis())
            .execute(&mut *change)
            .await?;
    }
    change.commit().await?;
    Ok(found.max(LATEST))
}

/// The version that this program reads and writes.
pub(super) const LATEST: usize = STEPS.len();

const HISTORY: &str =
    "CREATE TABLE IF NOT EXISTS obol_schema (version INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT";

/// Steps are only ever added: step N leads from version N-1 to version N.
const STEPS: &[&str] = &[RECORDS];

/// Keys are blobs, since blobs compare byte for byte whatever they hold. Terms stand in the record (16 bytes each, one
/// after the other) and triggers keep the table that is searched, so that every write is one statement: nothing can
/// interrupt it halfway.
const RECORDS: &str = "
CREATE TABLE obol_records (
    kind  TEXT NOT NULL,
    key   BLOB NOT NULL,
    stamp BLOB NOT NULL,
    due   INTEGER,
    terms BLOB NOT NULL,
    body  BLOB NOT NULL,
    UNIQUE (kind, key)
) STRICT;
CREATE INDEX obol_records_due ON obol_records (kind, due, key) WHERE due IS NOT NULL;
CREATE TABLE obol_terms (
    kind TEXT NOT NULL,
    term BLOB NOT NULL,
    key  BLOB NOT NULL,
    PRIMARY KEY (kind, term, key)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER obol_terms_created AFTER INSERT ON obol_records BEGIN
    INSERT OR IGNORE INTO obol_terms (kind, term, key)
    SELECT new.kind, substr(new.terms, column1, 16), new.key
    FROM (VALUES (1), (17), (33), (49)) WHERE column1 < length(new.terms);
END;
CREATE TRIGGER obol_terms_replaced AFTER UPDATE OF terms ON obol_records WHEN old.terms <> new.terms BEGIN
    DELETE FROM obol_terms WHERE kind = old.kind AND key = old.key AND term IN
    (SELECT substr(old.terms, column1, 16) FROM (VALUES (1), (17), (33), (49)));
    INSERT OR IGNORE INTO obol_terms (kind, term, key)
    SELECT new.kind, substr(new.terms, column1, 16), new.key
    FROM (VALUES (1), (17), (33), (49)) WHERE column1 < length(new.terms);
END;
CREATE TRIGGER obol_terms_removed AFTER DELETE ON obol_records BEGIN
    DELETE FROM obol_terms WHERE kind = old.kind AND key = old.key AND term IN
    (SELECT substr(old.terms, column1, 16) FROM (VALUES (1), (17), (33), (49)));
END;
";
