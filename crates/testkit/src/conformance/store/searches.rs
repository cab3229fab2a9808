//! Terms and due times find what they should, and nothing that changed since.

use std::sync::Arc;

use ambient::Time;
use provider::store::{Outcome, Page, Rec, Store};

use super::{KIND, Site, create, keys, list, record, replace, stamp, term};

pub(super) async fn terms_follow_their_record(site: Arc<dyn Site>) {
    let store = site.open().await;
    let with = |version: u64, terms: &[u8]| Rec {
        terms: terms.iter().copied().map(term).collect(),
        ..record("a", version)
    };
    create(&store, &with(1, &[1, 2, 2])).await;
    assert_eq!(found(&store, &[1, 2, 3]).await, [1, 1, 0]);
    assert_eq!(store.replace(stamp(9), &with(2, &[3])).await.unwrap(), Outcome::Lost);
    assert_eq!(store.create(&with(2, &[3])).await.unwrap(), Outcome::Lost);
    assert_eq!(found(&store, &[1, 2, 3]).await, [1, 1, 0]);
    replace(&store, stamp(1), &with(2, &[3, 2])).await;
    assert_eq!(found(&store, &[1, 2, 3]).await, [0, 1, 1]);
    replace(&store, stamp(2), &with(3, &[2, 3])).await;
    assert_eq!(list(&store, Some(term(3)), 2).await, [with(3, &[2, 3])]);
    replace(&store, stamp(3), &with(4, &[])).await;
    assert_eq!(found(&store, &[1, 2, 3]).await, [0, 0, 0]);
    replace(&store, stamp(4), &with(5, &[1, 2, 3, 4])).await;
    assert_eq!(found(&store, &[1, 2, 3, 4]).await, [1, 1, 1, 1]);
    assert_eq!(store.remove(KIND, "a", stamp(5)).await.unwrap(), Outcome::Done);
    assert_eq!(found(&store, &[1, 2, 3, 4]).await, [0, 0, 0, 0]);
    create(&store, &with(6, &[4])).await;
    assert_eq!(found(&store, &[1, 2, 3, 4]).await, [0, 0, 0, 1]);
}

pub(super) async fn terms_page_like_listings(site: Arc<dyn Site>) {
    let store = site.open().await;
    let mut expected = Vec::new();
    for number in 0..60_u64 {
        // One record in three has the term, at any of its four places, beside others that differ little.
        let mut terms: Vec<_> = (200..203).map(term).collect();
        if number % 3 == 0 {
            terms.insert(usize::try_from(number % 4).unwrap(), term(7));
            expected.push(format!("{}", number * 37 % 101));
        }
        let key = format!("{}", number * 37 % 101);
        create(&store, &Rec { terms, ..record(&key, number + 1) }).await;
    }
    expected.sort();
    for limit in [1, 5, 20, 100] {
        assert_eq!(keys(&list(&store, Some(term(7)), limit).await), expected);
    }
    let page = store.find(KIND, Some(term(7)), expected.last().map(String::as_str), 5).await.unwrap();
    assert_eq!(page, Page::default());
    assert_eq!(store.find(KIND, Some(term(8)), None, 5).await.unwrap(), Page::default());
}

pub(super) async fn due_is_ordered_and_bounded(site: Arc<dyn Site>) {
    let store = site.open().await;
    let at = |key: &str, due: Option<i64>| Rec { due: due.map(Time::from_millis), ..record(key, 1) };
    for (key, due) in [
        ("a", Some(3000)),
        ("b", Some(1000)),
        ("c", None),
        ("d", Some(2001)),
        ("e", Some(-5)),
        ("f", Some(2000)),
    ] {
        create(&store, &at(key, due)).await;
    }
    let due = async |before: i64, limit| store.due(KIND, Time::from_millis(before), limit).await.unwrap();
    assert_eq!(keys(&due(2000, 9).await), ["e", "b", "f"]);
    assert_eq!(keys(&due(1999, 9).await), ["e", "b"]);
    assert_eq!(keys(&due(i64::MAX, 2).await), ["e", "b"]);
    assert_eq!(keys(&due(i64::MAX, 9).await), ["e", "b", "f", "d", "a"]);
    assert!(due(-6, 9).await.is_empty());
    assert!(due(i64::MAX, 0).await.is_empty());
    assert_eq!(due(-5, 9).await, [at("e", Some(-5))]);
}

pub(super) async fn due_follows_the_record(site: Arc<dyn Site>) {
    let store = site.open().await;
    let at = |version: u64, due: Option<i64>| Rec { due: due.map(Time::from_millis), ..record("a", version) };
    let due = async |before: i64| store.due(KIND, Time::from_millis(before), 9).await.unwrap().len();
    create(&store, &at(1, Some(10))).await;
    assert_eq!(due(10).await, 1);
    replace(&store, stamp(1), &at(2, Some(20))).await;
    assert_eq!((due(19).await, due(20).await), (0, 1));
    replace(&store, stamp(2), &at(3, None)).await;
    assert_eq!(due(i64::MAX).await, 0);
    replace(&store, stamp(3), &at(4, Some(5))).await;
    assert_eq!(due(5).await, 1);
    assert_eq!(store.remove(KIND, "a", stamp(4)).await.unwrap(), Outcome::Done);
    assert_eq!(due(i64::MAX).await, 0);
    // Nobody removes what is due but who was told to.
    create(&store, &at(5, Some(0))).await;
    assert_eq!((due(5).await, store.get(KIND, "a").await.unwrap().is_some()), (1, true));
}

async fn found(store: &Arc<dyn Store>, numbers: &[u8]) -> Vec<usize> {
    let mut hits = Vec::new();
    for number in numbers {
        hits.push(list(store, Some(term(*number)), 2).await.len());
    }
    hits
}
