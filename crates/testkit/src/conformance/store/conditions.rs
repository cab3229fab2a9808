//! Create, replace and remove happen exactly when their condition holds.

use std::sync::Arc;

use ambient::Time;
use bytes::Bytes;
use provider::store::{Outcome, Rec, Store, StoreError};

use super::{KIND, OTHER, Site, create, record, replace, stamp, term};
use crate::faulty::{Fault, FaultyStore, Verb};

pub(super) async fn keeps_every_field(site: Arc<dyn Site>) {
    let store = site.open().await;
    let all_bytes: Vec<u8> = (0..=255).collect();
    let full = Rec {
        due: Some(Time::from_millis(1_767_323_045_678)),
        terms: vec![term(9), term(1), term(9), term(4)],
        body: Bytes::from(all_bytes),
        ..record("full", 1)
    };
    let bare = Rec { body: Bytes::new(), ..record("bare", 2) };
    let ancient = Rec { due: Some(Time::from_millis(-1)), ..record("ancient", 3) };
    let forever = Rec { due: Some(Time::MAX), ..record("forever", 4) };
    for record in [&full, &bare, &ancient, &forever] {
        create(&store, record).await;
        assert_eq!(store.get(KIND, &record.key).await.unwrap().as_ref(), Some(record));
    }
    let next = Rec { key: "full".into(), stamp: stamp(5), ..bare };
    replace(&store, full.stamp, &next).await;
    assert_eq!(store.get(KIND, "full").await.unwrap(), Some(next));
}

pub(super) async fn creates_only_what_is_not_there(site: Arc<dyn Site>) {
    let store = site.open().await;
    assert_eq!(store.get(KIND, "a").await.unwrap(), None);
    create(&store, &record("a", 1)).await;
    assert_eq!(store.create(&record("a", 2)).await.unwrap(), Outcome::Lost);
    assert_eq!(store.create(&record("a", 1)).await.unwrap(), Outcome::Lost);
    assert_eq!(store.get(KIND, "a").await.unwrap(), Some(record("a", 1)));
}

pub(super) async fn replaces_only_what_was_seen(site: Arc<dyn Site>) {
    let store = site.open().await;
    assert_eq!(store.replace(stamp(1), &record("a", 2)).await.unwrap(), Outcome::Lost);
    assert_eq!(store.get(KIND, "a").await.unwrap(), None);
    create(&store, &record("a", 1)).await;
    create(&store, &record("b", 9)).await;
    assert_eq!(store.replace(stamp(9), &record("a", 2)).await.unwrap(), Outcome::Lost);
    assert_eq!(store.get(KIND, "a").await.unwrap(), Some(record("a", 1)));
    replace(&store, stamp(1), &record("a", 2)).await;
    assert_eq!(store.replace(stamp(1), &record("a", 3)).await.unwrap(), Outcome::Lost);
    assert_eq!(store.get(KIND, "a").await.unwrap(), Some(record("a", 2)));
    assert_eq!(store.get(KIND, "b").await.unwrap(), Some(record("b", 9)));
}

pub(super) async fn removes_only_what_was_seen(site: Arc<dyn Site>) {
    let store = site.open().await;
    assert_eq!(store.remove(KIND, "a", stamp(1)).await.unwrap(), Outcome::Lost);
    create(&store, &record("a", 1)).await;
    create(&store, &record("b", 1)).await;
    assert_eq!(store.remove(KIND, "a", stamp(2)).await.unwrap(), Outcome::Lost);
    assert_eq!(store.get(KIND, "a").await.unwrap(), Some(record("a", 1)));
    assert_eq!(store.remove(KIND, "a", stamp(1)).await.unwrap(), Outcome::Done);
    assert_eq!(store.remove(KIND, "a", stamp(1)).await.unwrap(), Outcome::Lost);
    assert_eq!(store.get(KIND, "a").await.unwrap(), None);
    assert_eq!(store.get(KIND, "b").await.unwrap(), Some(record("b", 1)));
}

pub(super) async fn forgets_the_stamp_of_a_removed_record(site: Arc<dyn Site>) {
    let store = site.open().await;
    create(&store, &record("a", 1)).await;
    assert_eq!(store.remove(KIND, "a", stamp(1)).await.unwrap(), Outcome::Done);
    create(&store, &record("a", 2)).await;
    assert_eq!(store.replace(stamp(1), &record("a", 3)).await.unwrap(), Outcome::Lost);
    assert_eq!(store.remove(KIND, "a", stamp(1)).await.unwrap(), Outcome::Lost);
    assert_eq!(store.get(KIND, "a").await.unwrap(), Some(record("a", 2)));
}

/// Who got no answer reads the record: its own stamp there means that it won.
pub(super) async fn tells_a_lost_answer_from_a_lost_race(site: Arc<dyn Site>) {
    let store = site.open().await;
    let faulty = FaultyStore::over(Arc::clone(&store));
    create(&store, &record("a", 1)).await;
    faulty.plan(Verb::Replace, Fault::LoseAnswer);
    let answer = faulty.replace(stamp(1), &record("a", 2)).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))));
    assert_eq!(store.get(KIND, "a").await.unwrap().unwrap().stamp, stamp(2));
    faulty.plan(Verb::Replace, Fault::LoseAnswer);
    assert!(faulty.replace(stamp(1), &record("a", 3)).await.is_err());
    assert_eq!(store.get(KIND, "a").await.unwrap().unwrap().stamp, stamp(2));
    // The engine got the same write once more: it must not happen again.
    faulty.plan(Verb::Replace, Fault::Twice);
    assert_eq!(faulty.replace(stamp(2), &record("a", 4)).await.unwrap(), Outcome::Done);
    assert_eq!(store.get(KIND, "a").await.unwrap(), Some(record("a", 4)));
}

pub(super) async fn keeps_kinds_apart(site: Arc<dyn Site>) {
    let store = site.open().await;
    let here = Rec { terms: vec![term(1)], due: Some(Time::from_unix(1)), ..record("a", 1) };
    let there = Rec { kind: OTHER, ..here.clone() };
    create(&store, &here).await;
    assert_eq!(store.get(OTHER, "a").await.unwrap(), None);
    assert_eq!(store.remove(OTHER, "a", stamp(1)).await.unwrap(), Outcome::Lost);
    assert!(store.find(OTHER, Some(term(1)), None, 9).await.unwrap().records.is_empty());
    assert!(store.due(OTHER, Time::MAX, 9).await.unwrap().is_empty());
    create(&store, &there).await;
    assert_eq!(store.remove(KIND, "a", stamp(1)).await.unwrap(), Outcome::Done);
    assert_eq!(
        store.find(OTHER, Some(term(1)), None, 9).await.unwrap().records,
        std::slice::from_ref(&there)
    );
    assert_eq!(store.due(OTHER, Time::MAX, 9).await.unwrap(), [there]);
}
