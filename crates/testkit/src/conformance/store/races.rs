//! Many tasks want the same record at the same moment.

use std::sync::Arc;

use bytes::Bytes;
use provider::store::{Outcome, Rec, Store};

use super::{KIND, Site, create, list, race, record, replace, stamp, term};

const RACERS: u64 = 32;
const ROUNDS: u64 = 8;

pub(super) async fn one_create_wins(site: Arc<dyn Site>) {
    let stores = [site.open().await, site.open().await];
    for round in 0..ROUNDS {
        let key = format!("round-{round}");
        let outcomes = race(RACERS, |racer| {
            let (store, mine) = (pick(&stores, racer), record(&key, racer + 1));
            async move { (racer, store.create(&mine).await.unwrap()) }
        })
        .await;
        let winner = only_winner(&outcomes);
        assert_eq!(stores[0].get(KIND, &key).await.unwrap(), Some(record(&key, winner + 1)));
    }
    assert_eq!(list(&stores[1], None, 3).await.len() as u64, ROUNDS);
}

/// Replacing and removing race with one another as well.
pub(super) async fn one_change_wins(site: Arc<dyn Site>) {
    let stores = [site.open().await, site.open().await];
    for round in 0..ROUNDS {
        let key = format!("round-{round}");
        create(&stores[0], &record(&key, 1000)).await;
        let outcomes = race(RACERS, |racer| {
            let (store, mine) = (pick(&stores, racer), record(&key, racer + 1));
            async move {
                let outcome = match racer % 4 {
                    0 => store.remove(KIND, &mine.key, stamp(1000)).await,
                    _ => store.replace(stamp(1000), &mine).await,
                };
                (racer, outcome.unwrap())
            }
        })
        .await;
        let winner = only_winner(&outcomes);
        let left = (!winner.is_multiple_of(4)).then(|| record(&key, winner + 1));
        assert_eq!(stores[1].get(KIND, &key).await.unwrap(), left);
    }
}

pub(super) async fn counters_add_up(site: Arc<dyn Site>) {
    const EACH: u64 = 25;
    let stores = [site.open().await, site.open().await];
    create(&stores[0], &record("counter", 0)).await;
    race(RACERS / 2, |racer| {
        let store = pick(&stores, racer);
        async move {
            for step in 0..EACH {
                // Unique to the task and the step, as random stamps are.
                let mine = stamp(1_000_000 + racer * EACH + step);
                loop {
                    let seen = store.get(KIND, "counter").await.unwrap().unwrap();
                    let next = Rec { stamp: mine, ..record("counter", count(&seen) + 1) };
                    if store.replace(seen.stamp, &next).await.unwrap() == Outcome::Done {
                        break;
                    }
                }
            }
        }
    })
    .await;
    let total = stores[1].get(KIND, "counter").await.unwrap().unwrap();
    assert_eq!(count(&total), RACERS / 2 * EACH);
}

/// Stamp, terms and body of a record that is read are of one and the same version.
pub(super) async fn readers_see_whole_records(site: Arc<dyn Site>) {
    const VERSIONS: u64 = 100;
    let whole = |version: u64| {
        let mark = u8::try_from(version % 5).unwrap();
        let body = Bytes::from(vec![mark; 20_000 + usize::from(mark)]);
        Rec { terms: vec![term(mark)], body, ..record("a", version) }
    };
    let stores = [site.open().await, site.open().await];
    create(&stores[0], &whole(0)).await;
    race(4, |racer| {
        let store = pick(&stores, racer);
        async move {
            for version in 1..=VERSIONS {
                if racer == 0 {
                    replace(&store, stamp(version - 1), &whole(version)).await;
                    continue;
                }
                let seen = store.get(KIND, "a").await.unwrap().unwrap();
                let of = (0..=VERSIONS).find(|version| stamp(*version) == seen.stamp).unwrap();
                assert_eq!(seen, whole(of));
                let wanted = term(u8::try_from(version % 5).unwrap());
                for hit in store.find(KIND, Some(wanted), None, 5).await.unwrap().records {
                    assert_eq!(hit.terms, [wanted]);
                }
            }
        }
    })
    .await;
    assert_eq!(stores[1].get(KIND, "a").await.unwrap(), Some(whole(VERSIONS)));
}

fn pick(stores: &[Arc<dyn Store>; 2], racer: u64) -> Arc<dyn Store> {
    Arc::clone(if racer.is_multiple_of(2) { &stores[0] } else { &stores[1] })
}

fn only_winner(outcomes: &[(u64, Outcome)]) -> u64 {
    let winners: Vec<u64> = outcomes.iter().filter(|(_, o)| *o == Outcome::Done).map(|(n, _)| *n).collect();
    assert_eq!(winners.len(), 1, "winners: {winners:?}");
    winners[0]
}

fn count(record: &Rec) -> u64 {
    u64::from_be_bytes(record.body.as_ref().try_into().unwrap())
}
