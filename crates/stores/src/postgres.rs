//! Records in PostgreSQL, for as many replicas as one likes.
//!
//! Each statement is parsed, bound and run in one round trip and leaves nothing behind in its connection, so that
//! poolers which hand a connection from transaction to transaction may stand in between.

mod message;
mod scram;
mod session;
mod startup;

use std::path::PathBuf;
use std::sync::Arc;

use ambient::{BoxFuture, Clock, SystemRandom};
use config::Fields;
use outbound::{Dial, Protocols};
use provider::store::Store;

use self::session::PostgresSession;
use crate::Backend;
use crate::sql::{Common, Engine, Fault, Security, Sql, Tls};

/// Its keys are Dex's.
pub(crate) const BACKEND: Backend = Backend {
    kind: "postgres",
    decode: |fields| {
        let common = Common::read(fields, 5432, |folder, port| socket(&folder, port));
        let mut ssl = fields.group("ssl");
        let tls = Tls::read(&mut ssl, Protocols::Raw, mode);
        ssl.finish();
        let (common, tls) = (common?, Arc::new(tls?));
        Some(Box::new(move |clock| {
            let store = open(common.clone(), Arc::clone(&tls), clock);
            Box::pin(async move { Ok(store) })
        }))
    },
    file: file!(),
};

/// Where and how to connect.
struct Postgres {
    common: Common,
    tls: Arc<Tls>,
    dial: Dial,
}

impl Engine for Postgres {
    type Session = PostgresSession;

    const NAME: &'static str = "postgres";
    const UNLESS_THERE: &'static str = " ON CONFLICT (kind, id) DO NOTHING";
    const LOCK: &'static [&'static str] = &["BEGIN", "SELECT pg_advisory_xact_lock(7170437312146493540)"];
    const UNLOCK: &'static [&'static str] = &["COMMIT"];
    const HISTORY: &'static str =
        "CREATE TABLE IF NOT EXISTS obol_schema (version bigint PRIMARY KEY, at bigint NOT NULL)";
    const STEPS: &'static [&'static [&'static str]] = &[RECORDS];

    fn placeholders(sql: &str) -> String {
        let mut numbered = String::with_capacity(sql.len() + 32);
        for (number, part) in sql.split('?').enumerate() {
            if number > 0 {
                numbered.push('$');
                numbered.push_str(&number.to_string());
            }
            numbered.push_str(part);
        }
        numbered
    }

    fn place(&self) -> String {
        format!("{}/{}", self.common.address, self.common.database)
    }

    fn connect(&self) -> BoxFuture<'_, Result<PostgresSession, Fault>> {
        Box::pin(startup::connect(&self.common, &self.tls, &self.dial, &SystemRandom))
    }
}

fn open(common: Common, tls: Arc<Tls>, clock: Arc<dyn Clock>) -> Arc<dyn Store> {
    let dial = Dial::new(Arc::clone(&clock)).within(common.bounds.within);
    let bounds = common.bounds;
    Arc::new(Sql::new(Postgres { common, tls, dial }, bounds, clock))
}

/// libpq: with an authority at hand, `require` checks it.
fn mode(ssl: &mut Fields<'_>) -> Option<Security> {
    let written = ssl.one_of("mode", MODES);
    if ssl.was_there("mode") && written.is_none() {
        return None;
    }
    let has_authority = ssl.has_text("caFile");
    if written == Some(Security::Authority) && !has_authority {
        let what = "has mode: verify-ca without a caFile: any certificate that anybody can get would do";
        ssl.error(what, "write caFile, or mode: verify-full");
        return None;
    }
    Some(match written.unwrap_or(Security::Full) {
        Security::Unverified if has_authority => Security::Authority,
        mode => mode,
    })
}

/// As libpq names it in the folder that `host` is.
fn socket(folder: &std::path::Path, port: u16) -> PathBuf {
    folder.join(format!(".s.PGSQL.{port}"))
}

const MODES: &[(&str, Security)] = &[
    ("disable", Security::Clear),
    ("require", Security::Unverified),
    ("verify-ca", Security::Authority),
    ("verify-full", Security::Full),
];

/// Keys and stamps are bytes, which compare as bytes whatever the database's collation. A term has a column of its own
/// for each of its four places, so that a write needs no second table.
const RECORDS: &[&str] = &[
    "CREATE TABLE obol_records (
        kind  text COLLATE \"C\" NOT NULL,
        id    bytea NOT NULL,
        stamp bytea NOT NULL,
        due   bigint,
        term1 bytea,
        term2 bytea,
        term3 bytea,
        term4 bytea,
        body  bytea NOT NULL,
        PRIMARY KEY (kind, id)
    )",
    "CREATE INDEX obol_records_due ON obol_records (kind, due, id) WHERE due IS NOT NULL",
    "CREATE INDEX obol_records_term1 ON obol_records (kind, term1, id) WHERE term1 IS NOT NULL",
    "CREATE INDEX obol_records_term2 ON obol_records (kind, term2, id) WHERE term2 IS NOT NULL",
    "CREATE INDEX obol_records_term3 ON obol_records (kind, term3, id) WHERE term3 IS NOT NULL",
    "CREATE INDEX obol_records_term4 ON obol_records (kind, term4, id) WHERE term4 IS NOT NULL",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_numbered_in_their_order() {
        assert_eq!(Postgres::placeholders("a = ? AND b > ?"), "a = $1 AND b > $2");
        assert_eq!(Postgres::placeholders("none"), "none");
    }
}
