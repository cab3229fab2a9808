//! Records in MySQL or MariaDB, for as many replicas as one likes.

mod login;
mod packet;
mod session;

use std::sync::Arc;

use ambient::{BoxFuture, Clock};
use config::Fields;
use outbound::{Dial, Protocols};
use provider::store::Store;

use self::session::MysqlSession;
use crate::Backend;
use crate::sql::{Common, Engine, Fault, Security, Session as _, Sql, Tls};

/// Its keys are Dex's.
pub(crate) const BACKEND: Backend = Backend {
    kind: "mysql",
    decode: |fields| {
        let common = Common::read(fields, 3306, |path, _| path);
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
struct Mysql {
    common: Common,
    tls: Arc<Tls>,
    dial: Dial,
}

impl Engine for Mysql {
    type Session = MysqlSession;

    const NAME: &'static str = "mysql";
    /// `INSERT IGNORE` would also hide what is none of our business: the error says that the key exists.
    const UNLESS_THERE: &'static str = "";
    const LOCK: &'static [&'static str] = &["DO GET_LOCK('obol_schema', 10)"];
    const UNLOCK: &'static [&'static str] = &["DO RELEASE_LOCK('obol_schema')"];
    const HISTORY: &'static str = "CREATE TABLE IF NOT EXISTS obol_schema \
        (version BIGINT NOT NULL PRIMARY KEY, at BIGINT NOT NULL) ENGINE=InnoDB";
    const STEPS: &'static [&'static [&'static str]] = &[RECORDS];

    fn placeholders(sql: &str) -> String {
        sql.to_owned()
    }

    fn place(&self) -> String {
        format!("{}/{}", self.common.address, self.common.database)
    }

    fn connect(&self) -> BoxFuture<'_, Result<MysqlSession, Fault>> {
        Box::pin(async {
            let mut session = login::connect(&self.common, &self.tls, &self.dial).await?;
            // One statement is one transaction; nothing too long is cut off in silence; and no gaps between keys are
            // locked, on which strangers would meet.
            session.command("SET autocommit = 1, sql_mode = 'STRICT_ALL_TABLES'").await?;
            session.command("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
            Ok(session)
        })
    }
}

fn open(common: Common, tls: Arc<Tls>, clock: Arc<dyn Clock>) -> Arc<dyn Store> {
    let dial = Dial::new(Arc::clone(&clock)).within(common.bounds.within);
    let bounds = common.bounds;
    Arc::new(Sql::new(Mysql { common, tls, dial }, bounds, clock))
}

/// Dex: files make it `custom`, whatever is written.
fn mode(ssl: &mut Fields<'_>) -> Option<Security> {
    let written = ssl.one_of("mode", MODES);
    if ssl.was_there("mode") && written.is_none() {
        return None;
    }
    let has_files = ["caFile", "certFile", "keyFile"].iter().any(|key| ssl.has_text(key));
    match written {
        _ if has_files => Some(Security::Full),
        Some(Mode::Custom) => {
            ssl.error("has mode custom and no files", "write caFile, or another mode");
            None
        }
        None | Some(Mode::Full) => Some(Security::Full),
        Some(Mode::Clear) => Some(Security::Clear),
        Some(Mode::Unverified) => Some(Security::Unverified),
    }
}

#[derive(Clone, Copy)]
enum Mode {
    Full,
    Clear,
    Unverified,
    Custom,
}

const MODES: &[(&str, Mode)] = &[
    ("true", Mode::Full),
    ("false", Mode::Clear),
    ("skip-verify", Mode::Unverified),
    ("custom", Mode::Custom),
];

/// Keys and stamps are bytes, which compare as bytes whatever the database's collation. A term has a column of its own
/// for each of its four places, so that a write needs no second table.
const RECORDS: &[&str] = &["CREATE TABLE IF NOT EXISTS obol_records (
        kind  VARBINARY(32) NOT NULL,
        id    VARBINARY(512) NOT NULL,
        stamp BINARY(16) NOT NULL,
        due   BIGINT,
        term1 BINARY(16),
        term2 BINARY(16),
        term3 BINARY(16),
        term4 BINARY(16),
        body  MEDIUMBLOB NOT NULL,
        PRIMARY KEY (kind, id),
        KEY obol_records_due (kind, due, id),
        KEY obol_records_term1 (kind, term1, id),
        KEY obol_records_term2 (kind, term2, id),
        KEY obol_records_term3 (kind, term3, id),
        KEY obol_records_term4 (kind, term4, id)
    ) ENGINE=InnoDB ROW_FORMAT=DYNAMIC"];
