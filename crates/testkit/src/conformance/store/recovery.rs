//! Servers are restarted, and clocks differ.

use std::sync::Arc;
use std::time::Duration;

use ambient::{BoxFuture, Clock, SystemClock, Time};
use provider::store::{Outcome, Rec};

use super::{KIND, Site, create, keys, record, replace, stamp};

/// What was acknowledged before is there afterwards, and the first calls that come after it succeed: nobody must open the
/// store again.
pub(super) async fn a_handle_outlives_a_restart(site: Arc<dyn Site>) {
    let store = site.open().await;
    create(&store, &record("ball", 0)).await;
    for version in 1..4 {
        site.restart().await;
        // Each kind of call meets a connection that died.
        match version {
            1 => create(&store, &record("new", 1)).await,
            2 => assert_eq!(store.get(KIND, "ball").await.unwrap(), Some(record("ball", 1))),
            _ => assert_eq!(keys(&store.find(KIND, None, None, 9).await.unwrap().records), ["ball", "new"]),
        }
        replace(&store, stamp(version - 1), &record("ball", version)).await;
    }
    site.restart().await;
    assert_eq!(store.replace(stamp(9), &record("ball", 10)).await.unwrap(), Outcome::Lost);
    let mut watch = store.watch(KIND);
    site.restart().await;
    replace(&site.open().await, stamp(3), &record("ball", 4)).await;
    watch.changed().await;
}

/// A replica whose clock is wrong sees what the others see: only who asks says what time it is.
pub(super) async fn clocks_that_differ_change_nothing(site: Arc<dyn Site>) {
    let now = SystemClock::default().now();
    let day = Duration::from_secs(86_400);
    let stores = [
        site.open_at(Arc::new(Skewed(now))).await,
        site.open_at(Arc::new(Skewed(now + day))).await,
        site.open_at(Arc::new(Skewed(now - day))).await,
    ];
    for (number, store) in (1..).zip(&stores) {
        create(store, &Rec { due: Some(now), ..record(&format!("{number}"), number) }).await;
    }
    for store in &stores {
        assert_eq!(keys(&store.due(KIND, now, 9).await.unwrap()), ["1", "2", "3"]);
        assert!(store.due(KIND, now - Duration::from_millis(1), 9).await.unwrap().is_empty());
        assert_eq!(store.find(KIND, None, None, 9).await.unwrap().records.len(), 3);
    }
    for (number, store) in (0..3_u64).zip(&stores) {
        replace(store, stamp(3 + number), &record("3", 4 + number)).await;
    }
}

/// A clock that stands still at a wrong time, and otherwise waits as the machine's does.
struct Skewed(Time);

impl Clock for Skewed {
    fn now(&self) -> Time {
        self.0
    }

    fn monotonic(&self) -> Duration {
        SystemClock::default().monotonic()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        SystemClock::default().sleep(span)
    }
}
