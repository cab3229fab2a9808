//! Listings page through everything once, in byte order, whatever happens meanwhile.

use std::sync::Arc;

use provider::store::{Outcome, Page, Store};

use super::{KIND, Site, create, keys, list, race, record, stamp};

/// Enough for a listing that reads everything at every page to be felt.
const MANY: u64 = 10_000;

pub(super) async fn pages_hold_everything_once_in_byte_order(site: Arc<dyn Site>) {
    let store = site.open().await;
    assert_eq!(store.find(KIND, None, None, 5).await.unwrap(), Page::default());
    // Written in an order that is neither that of the keys nor the reverse (7919 is prime).
    race(8, |racer| {
        let store = Arc::clone(&store);
        async move {
            for number in (racer..MANY).step_by(8) {
                create(&store, &record(&key(number * 7919 % MANY), number + 1)).await;
            }
        }
    })
    .await;
    let mut expected: Vec<String> = (0..MANY).map(key).collect();
    expected.sort();
    // 100 divides the number of records: the last full page has nothing after it.
    for limit in [100, 999, usize::try_from(MANY).unwrap() + 1] {
        assert_eq!(keys(&list(&store, None, limit).await), expected);
    }
    let tail = store.find(KIND, None, Some(&expected[9_899]), 100).await.unwrap();
    assert_eq!(
        (keys(&tail.records), tail.next.is_none()),
        (expected[9_900..].iter().map(String::as_str).collect(), true)
    );
    assert_eq!(
        store.find(KIND, None, expected.last().map(String::as_str), 5).await.unwrap(),
        Page::default()
    );
}

pub(super) async fn a_cursor_outlives_changes_around_it(site: Arc<dyn Site>) {
    let store = site.open().await;
    for (version, name) in (1..).zip(["b", "d", "f", "h"]) {
        create(&store, &record(name, version)).await;
    }
    let first = store.find(KIND, None, None, 2).await.unwrap();
    assert_eq!((keys(&first.records), first.next.is_some()), (vec!["b", "d"], true));
    // Before the cursor, after it, and the very record that it stands on.
    create(&store, &record("a", 10)).await;
    create(&store, &record("e", 11)).await;
    assert_eq!(store.remove(KIND, "d", stamp(2)).await.unwrap(), Outcome::Done);
    let second = store.find(KIND, None, first.next.as_deref(), 2).await.unwrap();
    assert_eq!((keys(&second.records), second.next.is_some()), (vec!["e", "f"], true));
    assert_eq!(store.remove(KIND, "f", stamp(3)).await.unwrap(), Outcome::Done);
    let third = store.find(KIND, None, second.next.as_deref(), 2).await.unwrap();
    assert_eq!((keys(&third.records), third.next), (vec!["h"], None));
    // Any key is a cursor.
    assert_eq!(keys(&store.find(KIND, None, Some("aa"), 9).await.unwrap().records), ["b", "e", "h"]);
    assert_eq!(store.find(KIND, None, Some("z"), 9).await.unwrap(), Page::default());
}

pub(super) async fn a_limit_is_at_least_one(site: Arc<dyn Site>) {
    let store = site.open().await;
    create(&store, &record("a", 1)).await;
    create(&store, &record("b", 2)).await;
    let page = store.find(KIND, None, None, 0).await.unwrap();
    assert_eq!((keys(&page.records), page.next.as_deref()), (vec!["a"], Some("a")));
}

/// How many records a store must page through with ease.
pub const LARGE: u64 = 100_000;

/// Pages through the kind `conformance`, which holds `key/0` to `key/99999` ([`LARGE`]) and nothing else. Whoever calls
/// has put them there, in the way that is quickest for the engine.
pub async fn pages_over(store: &Arc<dyn Store>) {
    let mut expected: Vec<String> = (0..LARGE).map(key).collect();
    expected.sort();
    assert_eq!(keys(&list(store, None, 1000).await), expected);
}

/// Keys of different lengths, so that byte order is not the order of the numbers.
fn key(number: u64) -> String {
    format!("key/{number}")
}
