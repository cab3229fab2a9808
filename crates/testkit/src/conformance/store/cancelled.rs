//! Callers go away: a closed connection drops the future of a write at any of its awaits.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use provider::store::{Outcome, Rec, Store};

use super::{KIND, Site, create, list, record, stamp, term};

pub(super) async fn writes_happen_whole_or_not_at_all(site: Arc<dyn Site>) {
    let store = site.open().await;
    for polls in 1.. {
        let key = format!("{polls}");
        let old = Rec { terms: vec![term(1)], ..record(&key, 1) };
        let new = Rec { terms: vec![term(2)], ..record(&key, 2) };
        let created = dropped_after(polls, store.create(&old)).await;
        // Either this one, or the one that was given up: it holds the same.
        store.create(&old).await.unwrap();
        assert_eq!(store.get(KIND, &key).await.unwrap(), Some(old));
        let replaced = dropped_after(polls, store.replace(stamp(1), &new)).await;
        let settled = Rec { terms: vec![term(3)], ..record(&key, 3) };
        settle(&store, &settled).await;
        assert_eq!(list(&store, Some(term(3)), 50).await.len(), polls);
        assert_eq!(
            list(&store, Some(term(1)), 50).await.len() + list(&store, Some(term(2)), 50).await.len(),
            0
        );
        let removed = dropped_after(polls, store.remove(KIND, &key, stamp(3))).await;
        store.remove(KIND, &key, stamp(3)).await.unwrap();
        assert_eq!(store.get(KIND, &key).await.unwrap(), None);
        // Under a stamp of its own, as every write: a removal that was given up may still come.
        create(&store, &Rec { stamp: stamp(4), ..settled }).await;
        if created.is_some() && replaced.is_some() && removed.is_some() {
            return;
        }
    }
}

/// Replaces whatever stands there, although a write that was given up may still come in between.
async fn settle(store: &Arc<dyn Store>, next: &Rec) {
    loop {
        let seen = store.get(KIND, &next.key).await.unwrap().unwrap();
        if store.replace(seen.stamp, next).await.unwrap() == Outcome::Done {
            return;
        }
    }
}

/// Drops `future` when it was polled so often without an answer.
pub(in crate::conformance) async fn dropped_after<T>(
    polls: usize,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    let mut polled = 0;
    std::future::poll_fn(|cx| {
        polled += 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if polled >= polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
