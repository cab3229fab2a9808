//! What was acknowledged is there: for another handle at once, for a persistent store also later.

use std::sync::Arc;

use ambient::Time;
use provider::store::{Outcome, Rec};

use super::{KIND, Site, create, keys, list, record, replace, stamp, term};

pub(super) async fn another_handle_sees_acknowledged_writes(site: Arc<dyn Site>) {
    let stores = [site.open().await, site.open().await];
    create(&stores[0], &record("ball", 0)).await;
    for version in 1..200 {
        let [mine, theirs] =
            if version % 2 == 0 { [&stores[0], &stores[1]] } else { [&stores[1], &stores[0]] };
        replace(mine, stamp(version - 1), &record("ball", version)).await;
        assert_eq!(theirs.get(KIND, "ball").await.unwrap(), Some(record("ball", version)));
    }
}

pub(super) async fn persistent_records_outlive_their_handle(site: Arc<dyn Site>) {
    let store = site.open().await;
    if !store.persistent() {
        return;
    }
    let kept = Rec { terms: vec![term(1)], due: Some(Time::from_unix(7)), ..record("kept", 1) };
    create(&store, &kept).await;
    create(&store, &record("removed", 2)).await;
    assert_eq!(store.remove(KIND, "removed", stamp(2)).await.unwrap(), Outcome::Done);
    drop(store);
    for reopened in 0..3 {
        let store = site.open().await;
        assert_eq!(keys(&list(&store, None, 9).await), ["kept"]);
        assert_eq!(list(&store, Some(term(1)), 9).await.len(), 1);
        let seen = store.due(KIND, Time::from_unix(7), 9).await.unwrap().remove(0);
        assert_eq!(seen.stamp, stamp(100_u64.pow(reopened)));
        replace(&store, seen.stamp, &Rec { stamp: stamp(100_u64.pow(reopened + 1)), ..seen }).await;
    }
}
