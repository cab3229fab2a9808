//! What a key, a body and a list of terms may be.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use provider::store::{MAX_BODY, MAX_KEY, MAX_TERMS, Outcome, Rec, Store, StoreError};

use super::{KIND, Site, create, keys, list, record, replace, stamp, term};

/// Keys that engines like to confuse: by case, by Unicode form, by trimming, by number, as patterns, as paths.
const LOOKALIKES: &[&str] = &[
    "a",
    "A",
    "a ",
    " a",
    "a\t",
    "a\n",
    "a\0",
    "a\0b",
    "\0",
    "aa",
    "ä",
    "a\u{308}",
    "Ä",
    "ß",
    "ss",
    "SS",
    "ſ",
    "K",
    "\u{212a}",
    "ı",
    "i",
    "I",
    "İ",
    "é",
    "e\u{301}",
    "e",
    "1",
    "01",
    "1.0",
    "1e0",
    "+1",
    "%",
    "_",
    "a%",
    "a_",
    "*",
    "?",
    "[a]",
    "'",
    "\"",
    "\\",
    "`",
    ";--",
    "/",
    "a/b",
    "a/",
    "//",
    ".",
    "..",
    "../a",
    "a.b",
    ":",
    "a:b",
    "\u{feff}a",
    "\u{200b}",
    "日本",
    "日木",
    "🪙",
    "🪙\u{fe0f}",
    "\u{10ffff}",
    "\u{7f}",
    "\u{80}",
    "null",
    "NULL",
    "true",
    "{}",
    "[]",
];

pub(super) async fn keys_are_compared_byte_for_byte(site: Arc<dyn Site>) {
    let store = site.open().await;
    for (version, key) in (1..).zip(LOOKALIKES) {
        create(&store, &record(key, version)).await;
    }
    for (version, key) in (1..).zip(LOOKALIKES) {
        assert_eq!(store.get(KIND, key).await.unwrap(), Some(record(key, version)));
        assert_eq!(store.create(&record(key, 999)).await.unwrap(), Outcome::Lost, "{key:?}");
    }
    let sorted: BTreeSet<&str> = LOOKALIKES.iter().copied().collect();
    assert_eq!(keys(&list(&store, None, 7).await), sorted.iter().copied().collect::<Vec<_>>());
    for (version, key) in (1..).zip(LOOKALIKES) {
        let next = Rec { terms: vec![term(3)], ..record(key, version + 1000) };
        replace(&store, stamp(version), &next).await;
    }
    assert_eq!(keys(&list(&store, Some(term(3)), 7).await), sorted.into_iter().collect::<Vec<_>>());
    for (version, key) in (1001..).zip(LOOKALIKES) {
        assert_eq!(store.remove(KIND, key, stamp(version)).await.unwrap(), Outcome::Done, "{key:?}");
        assert_eq!(store.get(KIND, key).await.unwrap(), None, "{key:?}");
    }
    assert!(list(&store, None, 7).await.is_empty());
}

pub(super) async fn key_lengths(site: Arc<dyn Site>) {
    let store = site.open().await;
    let ascii = "k".repeat(MAX_KEY);
    let wide = "🪙".repeat(MAX_KEY / 4);
    for key in [ascii.as_str(), wide.as_str()] {
        create(&store, &record(key, 1)).await;
        assert_eq!(store.get(KIND, key).await.unwrap(), Some(record(key, 1)));
    }
    // The longest keys must not be told apart by a prefix only.
    let sibling = format!("{}l", "k".repeat(MAX_KEY - 1));
    create(&store, &record(&sibling, 2)).await;
    assert_eq!(list(&store, None, 1).await.len(), 3);
    for key in ["", &format!("{ascii}k"), &format!("{wide}k")] {
        refused(&store, &record(key, 3)).await;
        assert_eq!(store.get(KIND, key).await.unwrap(), None);
        assert_eq!(store.remove(KIND, key, stamp(3)).await.unwrap(), Outcome::Lost);
    }
}

pub(super) async fn body_sizes(site: Arc<dyn Site>) {
    let store = site.open().await;
    let sized = |size: usize| Rec { body: Bytes::from(vec![0xa5; size]), ..record("a", 1) };
    refused(&store, &sized(MAX_BODY + 1)).await;
    create(&store, &sized(MAX_BODY)).await;
    assert_eq!(store.get(KIND, "a").await.unwrap(), Some(sized(MAX_BODY)));
    refused(&store, &sized(MAX_BODY + 1)).await;
    assert_eq!(store.get(KIND, "a").await.unwrap(), Some(sized(MAX_BODY)));
}

pub(super) async fn term_counts(site: Arc<dyn Site>) {
    let store = site.open().await;
    let with = |count: usize| Rec { terms: (1..).map(term).take(count).collect(), ..record("a", 1) };
    refused(&store, &with(MAX_TERMS + 1)).await;
    create(&store, &with(MAX_TERMS)).await;
    for wanted in with(MAX_TERMS).terms {
        assert_eq!(list(&store, Some(wanted), 1).await, [with(MAX_TERMS)]);
    }
}

async fn refused(store: &Arc<dyn Store>, record: &Rec) {
    assert!(matches!(store.create(record).await, Err(StoreError::Broken(_))));
    assert!(matches!(store.replace(record.stamp, record).await, Err(StoreError::Broken(_))));
}
