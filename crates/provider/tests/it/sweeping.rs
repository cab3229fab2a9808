//! Several replicas sweep one store, one at a time.

use std::time::Duration;

use ambient::Clock as _;
use bytes::Bytes;
use provider::store::{Kind, Rec, Stamp};
use testkit::{Fault, Stage, Verb};

const ROUND: Duration = Duration::from_secs(60);

/// dex.md S3: every replica of Dex collects by itself.
#[tokio::test]
async fn dex_s3_of_all_replicas_one_sweeps_in_a_round() {
    let stage = Stage::new().await;
    for _ in 0..3 {
        // As two replicas do that wake at the same moment: each call yields to the other.
        for _ in 0..8 {
            stage.store.plan(Verb::Get, Fault::Yield);
            stage.store.plan(Verb::Create, Fault::Yield);
            stage.store.plan(Verb::Replace, Fault::Yield);
        }
        let provider = &stage.provider;
        let (one, two) = tokio::join!(provider.sweep_in_turn(), provider.sweep_in_turn());
        assert_eq!([one.unwrap(), two.unwrap()].iter().filter(|ours| **ours).count(), 1);
        stage.clock.advance(ROUND - Duration::from_secs(1));
        assert!(!provider.sweep_in_turn().await.unwrap(), "the round is not over");
        stage.clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_replica_that_died_in_its_turn_is_followed_by_another() {
    let stage = Stage::new().await;
    stage.sign_in("app", "openid").await;
    stage.clock.advance(Duration::from_secs(24 * 3600));
    stage.store.plan(Verb::Due, Fault::FailBefore);
    assert!(stage.provider.sweep_in_turn().await.is_err());
    assert!(!stage.memory.all(Kind("grant")).is_empty());
    stage.clock.advance(ROUND);
    assert!(stage.provider.sweep_in_turn().await.unwrap());
    assert!(stage.memory.all(Kind("grant")).is_empty());
}

/// A clock that ran a year ahead took the turn: nobody waits that long.
#[tokio::test]
async fn a_turn_from_the_future_stops_nobody() {
    let stage = Stage::new().await;
    let now = stage.clock.now();
    stage.clock.set_wall(now + Duration::from_secs(365 * 86_400));
    assert!(stage.provider.sweep_in_turn().await.unwrap());
    stage.clock.set_wall(now);
    assert!(stage.provider.sweep_in_turn().await.unwrap());
    assert!(!stage.provider.sweep_in_turn().await.unwrap());
}

/// What another version wrote, or somebody planted, stays neither for ever nor in the way of the others.
#[tokio::test]
async fn what_cannot_be_read_is_swept_when_it_is_over() {
    let stage = Stage::new().await;
    let over = stage.clock.now();
    for nth in 0..501_u16 {
        stage.memory.plant(Rec {
            kind: Kind("used"),
            key: format!("{nth:03}"),
            stamp: Stamp([1; 16]),
            due: Some(over),
            terms: Vec::new(),
            body: Bytes::from_static(b"nobody reads this"),
        });
    }
    stage.clock.advance(Duration::from_secs(1));
    stage.provider.sweep().await.unwrap();
    assert!(stage.memory.all(Kind("used")).is_empty());
}
