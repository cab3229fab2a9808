//! Storage backends: one file a kind, and [`BACKENDS`] is the table of them.

mod changes;
mod etcd;
pub mod memory;
mod mysql;
mod postgres;
mod sql;
pub mod sqlite;

use std::sync::Arc;

use ambient::{BoxFuture, Clock};
use config::{Environment, Faults, Field, Fields, KeyStyle, Kind, Read, Section};
use provider::store::{Store, StoreError};

/// A kind of storage.
#[derive(Debug)]
pub struct Backend {
    /// What `storage.type` calls it, as in Dex.
    pub kind: &'static str,
    /// Reads the keys of `storage.config`.
    decode: fn(&mut Fields<'_>) -> Option<Opener>,
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares the table with the folder"))]
    file: &'static str,
}

/// Every kind there is.
pub const BACKENDS: &[Backend] =
    &[etcd::BACKEND, memory::BACKEND, mysql::BACKEND, postgres::BACKEND, sqlite::BACKEND];

/// A storage that is configured and not open yet.
pub struct Plan {
    kind: &'static str,
    opener: Opener,
}

impl Plan {
    /// What `storage.type` said.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Opens it. A plan may be opened again after a failure.
    ///
    /// # Errors
    /// Says why it cannot be opened and, where the configuration is at fault, what to change.
    pub async fn open(&self, clock: Arc<dyn Clock>) -> Result<Arc<dyn Store>, StoreError> {
        (self.opener)(clock).await
    }
}

/// Reads `type` and `config` of the section `storage`; its other keys, and its end, are the caller's.
pub fn decode(storage: &mut Fields<'_>, environment: &Environment) -> Option<Plan> {
    let backend = storage.required::<&Backend>("type");
    let mut section = storage.section("config");
    if environment.flag("DEX_EXPAND_ENV", true) {
        section = section.expanded(environment);
    }
    backend.and_then(|backend| backend.plan(&section, storage.faults()))
}

/// Asks for every key of every kind, for the reference page ([`Faults::rehearsal`]).
pub fn rehearse(faults: &Faults) {
    for backend in BACKENDS {
        backend.plan(&Section::empty("storage.config"), faults);
    }
}

impl Backend {
    fn plan(&self, section: &Section, faults: &Faults) -> Option<Plan> {
        let mut fields = section.fields(KeyStyle::Dex, faults);
        let opener = (self.decode)(&mut fields);
        fields.finish();
        Some(Plan { kind: self.kind, opener: opener? })
    }
}

impl Read for &Backend {
    const KIND: Kind = Kind::Word;

    fn read(field: &Field<'_>) -> Option<Self> {
        let word = field.string()?;
        let found = BACKENDS.iter().find(|backend| backend.kind == word);
        if found.is_none() {
            let what = if NOT_YET.contains(&word.as_str()) { "is not there yet" } else { "is not known" };
            let kinds: Vec<_> = BACKENDS.iter().map(|backend| backend.kind).collect();
            field.error(format!("is {word:?}, which {what}"), format!("write one of {}", kinds.join(", ")));
        }
        found
    }
}

/// Opens a store with what was configured.
type Opener =
    Box<dyn Fn(Arc<dyn Clock>) -> BoxFuture<'static, Result<Arc<dyn Store>, StoreError>> + Send + Sync>;

/// Dex's other kinds.
const NOT_YET: &[&str] = &["kubernetes"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Files here that are no backend.
    const SHARED: &[&str] = &["lib", "changes", "sql"];

    #[test]
    fn every_file_is_a_row_of_the_table_and_has_its_tests() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let files = std::fs::read_dir(here.join("src")).unwrap().map(|entry| stem(&entry.unwrap().path()));
        let files: BTreeSet<_> = files.filter(|stem| !SHARED.contains(&stem.as_str())).collect();
        let rows: BTreeSet<_> = BACKENDS.iter().map(|backend| stem(Path::new(backend.file))).collect();
        assert_eq!(files, rows);
        for row in rows {
            let tests = std::fs::read_to_string(here.join(format!("tests/it/{row}.rs"))).unwrap();
            assert!(tests.contains("keeps_the_contract()"), "{row} does not run the conformance suite");
        }
    }

    #[test]
    fn a_kind_is_either_there_or_not_yet() {
        let kinds: BTreeSet<_> = BACKENDS.iter().map(|b| b.kind).chain(NOT_YET.iter().copied()).collect();
        assert_eq!(kinds, BTreeSet::from(["etcd", "kubernetes", "memory", "mysql", "postgres", "sqlite3"]));
        assert_eq!(kinds.len(), BACKENDS.len() + NOT_YET.len());
    }
}
