use std::sync::Arc;

use ambient::BoxFuture;
use provider::store::Store;
use stores::memory::Memory;
use testkit::conformance::store::{Site, run_all};

struct InMemory(Arc<dyn Store>);

impl Site for InMemory {
    fn open(&self) -> BoxFuture<'static, Arc<dyn Store>> {
        let store = Arc::clone(&self.0);
        Box::pin(async move { store })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_contract() {
    run_all(|| Arc::new(InMemory(Memory::open()))).await;
}

#[test]
fn does_not_claim_to_be_persistent() {
    assert!(!Memory::open().persistent());
}
