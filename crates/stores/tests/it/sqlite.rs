use std::path::{Path, PathBuf};
use std::sync::Arc;

use ambient::{BoxFuture, Clock, SystemClock};
use provider::store::{Kind, Outcome, Rec, Stamp, Store, StoreError};
use stores::sqlite::{Place, Sqlite};
use tempfile::TempDir;
use testkit::conformance::store::{Site, pages_over, processes, run_all};

struct Folder(Arc<TempDir>);

impl Site for Folder {
    fn open_at(&self, clock: Arc<dyn Clock>) -> BoxFuture<'static, Arc<dyn Store>> {
        let path = self.0.path().join("obol.db");
        Box::pin(async move { Sqlite::open(Place::File(path), clock).await.unwrap() })
    }
}

/// A database in memory has one handle only.
struct InMemory(Arc<tokio::sync::OnceCell<Arc<dyn Store>>>);

impl Site for InMemory {
    fn open_at(&self, clock: Arc<dyn Clock>) -> BoxFuture<'static, Arc<dyn Store>> {
        let cell = Arc::clone(&self.0);
        Box::pin(async move {
            let opened = Sqlite::open(Place::Memory, clock);
            Arc::clone(cell.get_or_init(async || opened.await.unwrap()).await)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_contract() {
    run_all(|| Arc::new(Folder(Arc::new(TempDir::new().unwrap())))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_contract_in_memory() {
    run_all(|| Arc::new(InMemory(Arc::default()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_processes_agree_although_they_are_killed() {
    let folder = TempDir::new().unwrap();
    let place = folder.path().join("obol.db");
    processes::run(
        "sqlite::four_processes_agree_although_they_are_killed",
        place.to_str().unwrap(),
        |place| Box::pin(async move { open(Path::new(&place)).await.unwrap() }),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_open_a_new_database_at_once() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("obol.db");
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let path = path.clone();
        opening.spawn(async move { open(&path).await });
    }
    for opened in opening.join_all().await {
        assert_eq!(opened.unwrap().get(KIND, "a").await.unwrap(), None);
    }
}

#[tokio::test]
async fn pages_over_a_hundred_thousand_records() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("obol.db");
    let store = open(&path).await.unwrap();
    run_sql(
        &path,
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)
         INSERT INTO obol_records (kind, key, stamp, terms, body)
         SELECT 'conformance', CAST('key/' || i AS BLOB), randomblob(16), x'', x'' FROM n",
    )
    .await;
    pages_over(&store).await;
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_what_it_creates() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let store = open(&folder.path().join("obol.db")).await.unwrap();
    store.create(&record("a")).await.unwrap();
    let mut files = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        files += 1;
    }
    assert_eq!(files, 3, "the database, its log and the log's index");
}

#[cfg(unix)]
#[tokio::test]
async fn what_it_finds_open_to_others_is_closed() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("obol.db");
    open(&path).await.unwrap().create(&record("a")).await.unwrap();
    let files: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    for file in &files {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let store = open(&path).await.unwrap();
    assert!(store.get(KIND, "a").await.unwrap().is_some());
    for file in files.iter().filter(|file| file.exists()) {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_missing_folder_is_said_and_not_created() {
    let folder = TempDir::new().unwrap();
    let error = open(&folder.path().join("missing/obol.db")).await.err().unwrap().to_string();
    assert!(error.contains("missing does not exist; create it, or change storage.config.file"), "{error}");
    assert!(!folder.path().join("missing").exists());
}

#[tokio::test]
async fn what_is_no_database_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("obol.db");
    let text = "this is a letter, not a database; ".repeat(200);
    std::fs::write(&path, &text).unwrap();
    assert!(
        matches!(open(&path).await.err(), Some(StoreError::Broken(why)) if why.contains("not a database"))
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("obol.db");
    drop(open(&path).await.unwrap());
    run_sql(&path, "INSERT INTO obol_schema (version, at) VALUES (99, 0)").await;
    assert!(
        matches!(open(&path).await.err(), Some(StoreError::Broken(why)) if why.contains("newer version of Obol (schema 99"))
    );
}

/// Dex's own tables may stand in the same file: a Dex configuration names that file.
#[tokio::test]
async fn another_program_s_tables_are_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("dex.db");
    std::fs::write(&path, "").unwrap();
    run_sql(&path, "CREATE TABLE keys (id text PRIMARY KEY); INSERT INTO keys VALUES ('keys'); CREATE TABLE migrations (num int)").await;
    let store = open(&path).await.unwrap();
    assert_eq!(store.create(&record("a")).await.unwrap(), Outcome::Done);
    let found = run_sql(&path, "SELECT * FROM keys").await;
    assert_eq!(found, 1);
}

/// Another process that keeps the database locked is waited for, without an error for the caller.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_held_elsewhere_is_waited_for() {
    use sqlx::{ConnectOptions as _, Connection as _};
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("obol.db");
    let store = open(&path).await.unwrap();
    let mut other = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let record = record("a");
    let mut waiting = store.create(&record);
    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx))).await;
    assert!(polled.is_pending());
    // Reading goes on meanwhile.
    assert_eq!(store.get(KIND, "a").await.unwrap(), None);
    lock.rollback().await.unwrap();
    assert_eq!(waiting.await.unwrap(), Outcome::Done);
}

#[tokio::test]
async fn after_an_error_the_store_goes_on() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("obol.db");
    let store = open(&path).await.unwrap();
    assert_eq!(store.create(&record("before")).await.unwrap(), Outcome::Done);
    run_sql(
        &path,
        "CREATE TRIGGER full BEFORE INSERT ON obol_records BEGIN SELECT raise(ABORT, 'full'); END",
    )
    .await;
    assert!(store.create(&record("during")).await.is_err());
    assert!(store.get(KIND, "before").await.unwrap().is_some());
    run_sql(&path, "DROP TRIGGER full").await;
    assert_eq!(store.create(&record("after")).await.unwrap(), Outcome::Done);
    assert_eq!(store.get(KIND, "during").await.unwrap(), None);
}

const KIND: Kind = Kind("test");

fn record(key: &str) -> Rec {
    Rec { kind: KIND, key: key.into(), stamp: Stamp([1; 16]), due: None, terms: vec![], body: "body".into() }
}

async fn open(path: &Path) -> Result<Arc<dyn Store>, StoreError> {
    Sqlite::open(Place::File(PathBuf::from(path)), Arc::new(SystemClock::default())).await
}

/// As another program would; answers how many rows came back.
async fn run_sql(path: &Path, sql: &'static str) -> usize {
    use sqlx::ConnectOptions as _;
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::raw_sql(sql).fetch_all(&mut connection).await.unwrap().len()
}
