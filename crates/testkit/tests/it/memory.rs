//! The store that other tests stand on is one.

use std::sync::Arc;

use ambient::{BoxFuture, Clock};
use provider::store::Store;
use testkit::MemoryStore;
use testkit::conformance::store::{Site, run_all};

struct InMemory(Arc<MemoryStore>);

impl Site for InMemory {
    fn open_at(&self, _: Arc<dyn Clock>) -> BoxFuture<'static, Arc<dyn Store>> {
        let store = Arc::clone(&self.0) as Arc<dyn Store>;
        Box::pin(async move { store })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_contract() {
    run_all(|| Arc::new(InMemory(MemoryStore::open()))).await;
}
