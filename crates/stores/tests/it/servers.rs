//! What every store on a server is put through: a row of [`Server`] a kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ambient::{BoxFuture, Clock};
use provider::store::{Outcome, Rec, Stamp, Store, StoreError};
use testkit::conformance::store::{Site, pages_over, processes, run_all};
use tokio::sync::Mutex;

use crate::opening::{KIND, opened, opened_at, record};

/// A server that runs beside a test.
pub(crate) trait Server: Send + Sized + 'static {
    /// Starts one.
    fn fresh() -> impl Future<Output = Self> + Send;
    /// Makes an empty place there; the section `storage` for it.
    fn place(&self, name: &str) -> String;
    /// Kills it, as a power cut would.
    fn kill(&mut self);
    /// Kills it if it runs, and starts it again.
    fn restart(&mut self) -> impl Future<Output = ()> + Send;
    /// Puts `key/0` to `key/99999` of the kind `conformance` there.
    fn fill(&self, name: &str, store: &Arc<dyn Store>) -> impl Future<Output = ()> + Send;
}

/// A place of its own on a server.
struct On<S> {
    server: Arc<Mutex<S>>,
    storage: String,
}

impl<S: Server> Site for On<S> {
    fn open_at(&self, clock: Arc<dyn Clock>) -> BoxFuture<'static, Arc<dyn Store>> {
        let storage = self.storage.clone();
        Box::pin(async move { opened_at(&storage, clock).await })
    }

    fn restart(&self) -> BoxFuture<'static, ()> {
        let server = Arc::clone(&self.server);
        Box::pin(async move { server.lock().await.restart().await })
    }
}

pub(crate) async fn contract<S: Server>() {
    let server = Arc::new(Mutex::new(S::fresh().await));
    let count = AtomicU32::new(0);
    run_all(|| {
        let name = format!("case{}", count.fetch_add(1, Ordering::Relaxed));
        let storage = server.try_lock().unwrap().place(&name);
        Arc::new(On { server: Arc::clone(&server), storage })
    })
    .await;
}

/// `test` is the calling test's full name.
pub(crate) async fn processes<S: Server>(test: &str) {
    // A worker finds its place made already.
    let server = if processes::is_worker() { None } else { Some(S::fresh().await) };
    let place = server.as_ref().map(|server| server.place("many")).unwrap_or_default();
    processes::run(test, &place, |place| Box::pin(async move { opened(&place).await })).await;
}

pub(crate) async fn many_records<S: Server>() {
    let server = S::fresh().await;
    let store = opened(&server.place("large")).await;
    assert_eq!(store.get(KIND, "a").await.unwrap(), None);
    server.fill("large", &store).await;
    pages_over(&store).await;
}

pub(crate) async fn many_openings<S: Server>() {
    let server = S::fresh().await;
    let storage = server.place("many");
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let storage = storage.clone();
        opening.spawn(async move { opened(&storage).await.get(KIND, "a").await });
    }
    for read in opening.join_all().await {
        assert_eq!(read.unwrap(), None);
    }
}

/// While the server is gone every call says so in one line, and afterwards nobody must be restarted.
pub(crate) async fn outage<S: Server>(password: &str) {
    let mut server = S::fresh().await;
    let storage = server.place("again");
    let store = opened(&storage).await;
    assert_eq!(store.create(&record("a")).await.unwrap(), Outcome::Done);
    server.kill();
    // PostgreSQL's other processes answer until they notice that the first one is gone.
    for _ in 0..100_000 {
        if store.get(KIND, "a").await.is_err() {
            break;
        }
    }
    let next = Rec { stamp: Stamp([2; 16]), ..record("a") };
    for told in [
        store.get(KIND, "a").await.err(),
        store.create(&record("b")).await.err(),
        store.replace(Stamp([1; 16]), &next).await.err(),
        store.remove(KIND, "a", Stamp([1; 16])).await.err(),
        store.find(KIND, None, None, 1).await.err(),
        // Opened while it is gone.
        opened(&storage).await.get(KIND, "a").await.err(),
    ] {
        let told = told.unwrap();
        assert!(matches!(&told, StoreError::Unavailable(_)), "{told}");
        let told = told.to_string();
        assert!(!told.contains(password) && !told.contains('\n') && told.len() < 300, "{told}");
    }
    let later = opened(&storage).await;
    server.restart().await;
    assert_eq!(later.get(KIND, "a").await.unwrap(), Some(record("a")));
    assert_eq!(store.replace(Stamp([1; 16]), &next).await.unwrap(), Outcome::Done);
    assert_eq!(later.get(KIND, "a").await.unwrap(), Some(next));
}

/// A server that accepts connections and says nothing holds nobody for longer than `connectionTimeout`, which the storage
/// says is three seconds.
pub(crate) async fn silence(storage: impl Fn(u16) -> String) {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let clock = Arc::new(testkit::FakeClock::at(ambient::Time::from_unix(0)));
    let port = silent.local_addr().unwrap().port();
    let store = opened_at(&storage(port), Arc::clone(&clock) as Arc<dyn Clock>).await;
    let asking = store.get(KIND, "a");
    let (told, ()) = tokio::join!(asking, async {
        let _held = silent.accept().await.unwrap();
        // As long as it takes for the caller to have begun to wait.
        while clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        clock.advance(std::time::Duration::from_secs(4));
    });
    let told = told.unwrap_err().to_string();
    assert!(told.contains("unavailable"), "{told}");
    let late = ["within 3 s", "in time", "timed out"];
    assert!(late.iter().any(|late| told.contains(late)), "{told}");
}
