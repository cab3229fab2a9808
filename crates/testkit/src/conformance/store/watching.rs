//! Who watches a kind is woken by its changes. A watch that misses one hangs, and the suite says so.

use std::sync::Arc;

use provider::store::Outcome;

use super::{KIND, Site, create, record, replace, stamp};

pub(super) async fn wakes_after_each_kind_of_change(site: Arc<dyn Site>) {
    let store = site.open().await;
    let (mut one, mut two) = (store.watch(KIND), store.watch(KIND));
    create(&store, &record("a", 1)).await;
    one.changed().await;
    two.changed().await;
    replace(&store, stamp(1), &record("a", 2)).await;
    one.changed().await;
    two.changed().await;
    assert_eq!(store.remove(KIND, "a", stamp(2)).await.unwrap(), Outcome::Done);
    one.changed().await;
    two.changed().await;
}

/// What happens while nobody waits is told at the next wait; a wait that was given up loses nothing.
pub(super) async fn misses_nothing_between_two_waits(site: Arc<dyn Site>) {
    let store = site.open().await;
    let mut watch = store.watch(KIND);
    for version in 1..50 {
        // Waits that end before they see anything.
        for _ in 0..3 {
            let mut waiting = watch.changed();
            let _ = std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx))).await;
        }
        create(&store, &record(&format!("{version}"), version)).await;
        watch.changed().await;
    }
}

pub(super) async fn wakes_for_another_handle(site: Arc<dyn Site>) {
    let (here, there) = (site.open().await, site.open().await);
    let mut watch = here.watch(KIND);
    create(&there, &record("a", 1)).await;
    watch.changed().await;
    replace(&there, stamp(1), &record("a", 2)).await;
    watch.changed().await;
    assert_eq!(here.get(KIND, "a").await.unwrap(), Some(record("a", 2)));
}
