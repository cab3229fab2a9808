//! The store that misbehaves is itself honest about what it did.

use std::sync::Arc;

use provider::store::{Kind, Outcome, Rec, Stamp, Store};
use stores::memory::Memory;
use testkit::faulty::{Fault, FaultyStore, Gate, Verb};

#[tokio::test]
async fn planned_faults_come_once_and_in_turn() {
    let store = FaultyStore::over(Memory::open());
    store.plan(Verb::Create, Fault::FailBefore);
    store.plan(Verb::Create, Fault::LoseAnswer);
    store.plan(Verb::Create, Fault::Twice);
    assert!(store.create(&record("a")).await.is_err());
    assert_eq!(store.get(KIND, "a").await.unwrap(), None);
    assert!(store.create(&record("a")).await.is_err());
    assert_eq!(store.get(KIND, "a").await.unwrap(), Some(record("a")));
    assert_eq!(store.create(&record("b")).await.unwrap(), Outcome::Done);
    assert_eq!(store.create(&record("b")).await.unwrap(), Outcome::Lost);
    assert_eq!((store.calls(Verb::Create), store.calls(Verb::Get), store.calls(Verb::Remove)), (4, 2, 0));
}

#[tokio::test]
async fn a_gate_holds_the_call_or_its_answer() {
    let inner = Memory::open();
    let store = FaultyStore::over(Arc::clone(&inner));
    for (key, done_at_gate) in [("before", false), ("answer", true)] {
        let gate = Gate::closed();
        let fault =
            if done_at_gate { Fault::HoldAnswer(gate.clone()) } else { Fault::HoldBefore(gate.clone()) };
        store.plan(Verb::Create, fault);
        let record = record(key);
        let (outcome, ()) = tokio::join!(store.create(&record), async {
            gate.reached().await;
            assert_eq!(inner.get(KIND, key).await.unwrap().is_some(), done_at_gate);
            gate.open();
        });
        assert_eq!(outcome.unwrap(), Outcome::Done);
    }
}

#[tokio::test]
async fn a_store_that_is_down_does_nothing_until_it_is_up() {
    let store = FaultyStore::over(Memory::open());
    store.set_down(true);
    assert!(store.create(&record("a")).await.is_err());
    assert!(store.find(KIND, None, None, 1).await.is_err());
    store.set_down(false);
    assert_eq!(store.get(KIND, "a").await.unwrap(), None);
}

#[tokio::test]
async fn chance_is_repeated_by_its_seed() {
    assert_eq!(failures(7).await, failures(7).await);
    assert_ne!(failures(7).await, failures(8).await);
    let failed = failures(7).await.into_iter().filter(|failed| *failed).count();
    assert!((1..200).contains(&failed), "{failed} of 200");
}

async fn failures(seed: u64) -> Vec<bool> {
    let store = FaultyStore::seeded(Memory::open(), seed, 4);
    let mut failed = Vec::new();
    for number in 0..200 {
        failed.push(store.create(&record(&format!("{number}"))).await.is_err());
    }
    failed
}

const KIND: Kind = Kind("test");

fn record(key: &str) -> Rec {
    Rec { kind: KIND, key: key.into(), stamp: Stamp([1; 16]), due: None, terms: vec![], body: "body".into() }
}
