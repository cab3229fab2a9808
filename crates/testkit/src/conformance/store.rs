//! The contract of `provider::store` as a test. [`run_all`] takes a place to keep records; [`processes`] runs four
//! operating-system processes on one place.

mod bounds;
mod cancelled;
mod conditions;
mod durability;
mod listing;
pub mod processes;
mod races;
mod recovery;
mod searches;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use ambient::{BoxFuture, Clock, SystemClock, Tasks};
use bytes::Bytes;
use provider::store::{Kind, Outcome, Rec, Stamp, Store, Term};

pub(super) use cancelled::dropped_after;
pub use listing::{LARGE, pages_over};

/// A place that holds records, empty at first.
pub trait Site: Send + Sync + 'static {
    /// A handle on the records of this place. Called again, another handle on the same records.
    fn open_at(&self, clock: Arc<dyn Clock>) -> BoxFuture<'static, Arc<dyn Store>>;

    /// The same, by the machine's clock.
    fn open(&self) -> BoxFuture<'static, Arc<dyn Store>> {
        self.open_at(Arc::new(SystemClock::default()))
    }

    /// Kills the server that keeps the records and starts it again; nothing, where there is none.
    fn restart(&self) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

/// Runs every case, each on a site of its own, and says which ones failed.
pub async fn run_all(fresh: impl Fn() -> Arc<dyn Site>) {
    let mut failed = Vec::new();
    for (name, case) in CASES {
        let bounded = tokio::time::timeout(HANGS, case(fresh()));
        match Tasks::default().finish(bounded).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => failed.push(format!("{name} (hangs)")),
            Err(_) => failed.push((*name).to_owned()),
        }
    }
    assert!(failed.is_empty(), "the store breaks its contract: {}", failed.join(", "));
}

type Case = fn(Arc<dyn Site>) -> BoxFuture<'static, ()>;

macro_rules! cases {
    ($($module:ident: $($case:ident),+;)+) => {
        &[$($((concat!(stringify!($module), "::", stringify!($case)), |site| Box::pin($module::$case(site)))),+),+]
    };
}

const CASES: &[(&str, Case)] = cases! {
    conditions: keeps_every_field, creates_only_what_is_not_there, replaces_only_what_was_seen, removes_only_what_was_seen,
        forgets_the_stamp_of_a_removed_record, tells_a_lost_answer_from_a_lost_race, keeps_kinds_apart;
    bounds: keys_are_compared_byte_for_byte, key_lengths, body_sizes, term_counts;
    races: one_create_wins, one_change_wins, counters_add_up, readers_see_whole_records;
    listing: pages_hold_everything_once_in_byte_order, a_cursor_outlives_changes_around_it, a_limit_is_at_least_one;
    searches: terms_follow_their_record, terms_page_like_listings, due_is_ordered_and_bounded, due_follows_the_record;
    watching: wakes_after_each_kind_of_change, misses_nothing_between_two_waits, wakes_for_another_handle;
    durability: another_handle_sees_acknowledged_writes, persistent_records_outlive_their_handle;
    cancelled: writes_happen_whole_or_not_at_all;
    recovery: a_handle_outlives_a_restart, clocks_that_differ_change_nothing;
};

/// A case that takes longer hangs.
const HANGS: Duration = Duration::from_secs(120);

const KIND: Kind = Kind("conformance");
const OTHER: Kind = Kind("different");

/// A record whose stamp and body tell the version apart.
fn record(key: &str, version: u64) -> Rec {
    let body = Bytes::copy_from_slice(&version.to_be_bytes());
    Rec { kind: KIND, key: key.to_owned(), stamp: stamp(version), due: None, terms: Vec::new(), body }
}

fn stamp(version: u64) -> Stamp {
    Stamp(u128::from(version).wrapping_mul(0x0123_4567_89ab_cdef_fedc_ba98_7654_3211).to_be_bytes())
}

fn term(number: u8) -> Term {
    Term([number; 16])
}

async fn create(store: &Arc<dyn Store>, record: &Rec) {
    assert_eq!(store.create(record).await.ok(), Some(Outcome::Done), "{record:?}");
}

async fn replace(store: &Arc<dyn Store>, seen: Stamp, next: &Rec) {
    assert_eq!(store.replace(seen, next).await.ok(), Some(Outcome::Done), "{next:?}");
}

/// The whole listing, page by page.
async fn list(store: &Arc<dyn Store>, term: Option<Term>, limit: usize) -> Vec<Rec> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.find(KIND, term, after.as_deref(), limit).await.unwrap();
        assert!(page.records.len() <= limit);
        assert!(page.next.is_none() || page.records.len() == limit, "a page that is not the last is full");
        all.extend(page.records);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

fn keys(records: &[Rec]) -> Vec<&str> {
    records.iter().map(|record| record.key.as_str()).collect()
}

/// Runs `racers` tasks that begin at the same moment.
async fn race<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    racers: u64,
    make: impl Fn(u64) -> F,
) -> Vec<T> {
    let line = Arc::new(tokio::sync::Barrier::new(usize::try_from(racers).unwrap()));
    let mut running = tokio::task::JoinSet::new();
    for number in 0..racers {
        let (line, run) = (Arc::clone(&line), make(number));
        running.spawn(async move {
            line.wait().await;
            run.await
        });
    }
    running.join_all().await
}
