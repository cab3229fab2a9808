use std::sync::Arc;

use ambient::{BoxFuture, Clock};
use bytes::Bytes;
use provider::store::{Kind, Rec, Stamp, Store};
use stores::memory::Memory;
use testkit::conformance::store::{LARGE, Site, pages_over, run_all};

struct InMemory(Arc<dyn Store>);

impl Site for InMemory {
    fn open_at(&self, _: Arc<dyn Clock>) -> BoxFuture<'static, Arc<dyn Store>> {
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

#[tokio::test]
async fn pages_over_a_hundred_thousand_records() {
    let store = Memory::open();
    for number in 0..LARGE {
        let record = Rec {
            kind: Kind("conformance"),
            key: format!("key/{number}"),
            stamp: Stamp([1; 16]),
            due: None,
            terms: Vec::new(),
            body: Bytes::new(),
        };
        store.create(&record).await.unwrap();
    }
    pages_over(&store).await;
}
