//! RFC 6749 section 6 and RFC 9700 section 4.14, and what the sweeper leaves.

use std::time::Duration;

use provider::error::{Error, Fault};
use provider::store::Kind;
use testkit::stage::{CONFIG, Stage, app, basic, claims};
use testkit::upstream::Mood;

use crate::code::redeem;

const GRANT: Kind = Kind("grant");

async fn stage(rules: &str) -> Stage {
    Stage::with(&format!("{CONFIG}expiry: {{refreshTokens: {{{rules}}}}}\n"), |up| vec![up.opened("up", &[])])
        .await
}

/// A first refresh token.
async fn first(stage: &Stage) -> String {
    let code = stage.sign_in("app", "openid email offline_access").await;
    stage.granted(&redeem(&code)).await.refresh_token.unwrap()
}

fn body(token: &str) -> String {
    format!("grant_type=refresh_token&refresh_token={token}")
}

async fn next(stage: &Stage, token: &str) -> String {
    stage.granted(&body(token)).await.refresh_token.unwrap()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Without a reuse interval there is none, not even within the second.
#[tokio::test]
async fn dex_p12_an_old_token_ends_the_family() {
    for pause in [0, 1, 3600] {
        let stage = Stage::new().await;
        let r1 = first(&stage).await;
        let r2 = next(&stage, &r1).await;
        let r3 = next(&stage, &r2).await;
        stage.clock.advance(seconds(pause));
        let (code, reason) = stage.refused(&body(&r2)).await;
        assert_eq!((code, reason.contains("its grant is ended")), ("invalid_grant", true), "{reason}");
        assert_eq!(stage.refused(&body(&r3)).await.1, "the grant has ended");
    }
}

#[tokio::test]
async fn within_the_interval_a_lost_answer_is_given_again() {
    let stage = stage("reuseInterval: 10s").await;
    let r1 = first(&stage).await;
    let r2 = next(&stage, &r1).await;
    stage.clock.advance(seconds(10));
    assert_eq!((next(&stage, &r1).await, stage.upstream.refreshed()), (r2.clone(), 1));
    let r3 = next(&stage, &r2).await;
    assert_ne!(r3, r2);
    stage.clock.advance(seconds(11));
    assert!(stage.refused(&body(&r2)).await.1.contains("its grant is ended"));
    assert_eq!(stage.refused(&body(&r3)).await.1, "the grant has ended");
}

/// Dex has one for each person and client: the second device ends the first one's.
#[tokio::test]
async fn dex_p11_each_device_has_its_own() {
    let stage = Stage::new().await;
    let (phone, desk) = (first(&stage).await, first(&stage).await);
    let phone = next(&stage, &phone).await;
    let desk = next(&stage, &desk).await;
    let third = first(&stage).await;
    let (start, end) = third.split_at(third.len() - 8);
    let turned: String = end.chars().rev().map(|c| if c == 'a' { 'b' } else { 'a' }).collect();
    stage.refused(&body(&format!("{start}{turned}"))).await;
    next(&stage, &phone).await;
    assert!(stage.refused(&body(&phone)).await.1.contains("its grant is ended"));
    next(&stage, &desk).await;
}

#[tokio::test]
async fn what_the_upstream_says_decides() {
    let stage = Stage::new().await;
    let r1 = first(&stage).await;
    stage.upstream.turns(Mood::Down);
    let down = stage.token(Some(&app()), &body(&r1)).await;
    assert!(matches!(down, Err(Error::Fault(Fault::Upstream(_)))), "{down:?}");
    stage.upstream.turns(Mood::SomebodyElse);
    assert!(stage.refused(&body(&r1)).await.1.contains("somebody else"));
    stage.upstream.turns(Mood::Well);
    let r2 = next(&stage, &r1).await;
    stage.upstream.turns(Mood::Denies);
    assert_eq!(stage.refused(&body(&r2)).await, ("invalid_grant", "blocked".into()));
    stage.upstream.turns(Mood::Well);
    assert_eq!(stage.refused(&body(&r2)).await.1, "the grant has ended");
}

/// The upstream has taken its old token: whoever leaves then must find the new one stored.
#[tokio::test]
async fn an_upstream_that_rotates_costs_nobody_the_session() {
    let stage = Stage::new().await;
    let r1 = first(&stage).await;
    stage.upstream.turns(Mood::Rotates);
    let form = body(&r1);
    let authorization = app();
    {
        let mut leaving = Box::pin(stage.token(Some(&authorization), &form));
        while stage.upstream.refreshed() == 0 {
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(leaving.as_mut().poll(cx))).await;
            assert!(polled.is_pending());
            tokio::task::yield_now().await;
        }
    }
    stage.tasks.ended().await;
    let r2 = next(&stage, &r1).await;
    next(&stage, &r2).await;
    assert_eq!(stage.upstream.refreshed(), 3);
}

#[tokio::test]
async fn scopes_are_narrowed_for_one_answer() {
    let stage = Stage::new().await;
    let r1 = first(&stage).await;
    let narrow = stage.granted(&format!("{}&scope=openid", body(&r1))).await;
    assert!(claims(&narrow.access_token).get("email").is_none());
    assert_eq!(narrow.scope.as_deref(), Some("openid"));
    let r2 = narrow.refresh_token.unwrap();
    for wider in ["openid+groups", "audience:server:client_id:peer", "openid+nonsense"] {
        assert_eq!(stage.refused(&format!("{}&scope={wider}", body(&r2))).await.0, "invalid_scope");
    }
    assert_eq!(claims(&stage.granted(&body(&r2)).await.access_token)["email"], "alice@example.com");
}

#[tokio::test]
async fn attack_20_a_token_of_another_client_is_nobodys() {
    let stage = Stage::new().await;
    let r1 = first(&stage).await;
    let other = basic("other", "canary-secret-of-other");
    assert!(stage.token(Some(&other), &body(&r1)).await.is_err());
    assert_eq!(stage.upstream.refreshed(), 0, "a stranger asks nobody anything");
    for wrong in ["x", "", "CgF4EgF5", r1.get(4..).unwrap(), &format!("{r1}AA")] {
        assert!(stage.token(Some(&app()), &body(wrong)).await.is_err(), "{wrong}");
    }
    assert_eq!(stage.upstream.refreshed(), 0);
    next(&stage, &r1).await;
}

#[tokio::test]
async fn lifetimes_end() {
    let stage = stage("absoluteLifetime: 1h, validIfNotUsedFor: 30m").await;
    let idle = first(&stage).await;
    let r1 = first(&stage).await;
    stage.clock.advance(seconds(1799));
    let r2 = next(&stage, &r1).await;
    stage.clock.advance(seconds(1));
    assert_eq!(stage.refused(&body(&idle)).await.1, "the refresh token has expired");
    stage.clock.advance(seconds(1600));
    let r3 = next(&stage, &r2).await;
    stage.clock.advance(seconds(200));
    assert_eq!(stage.refused(&body(&r3)).await.1, "the refresh token has expired");
}

#[tokio::test]
async fn without_rotation_the_token_stays() {
    let stage = stage("disableRotation: true").await;
    let r1 = first(&stage).await;
    assert_eq!(next(&stage, &next(&stage, &r1).await).await, r1);
}

#[tokio::test]
async fn the_sweeper_removes_what_nobody_can_use() {
    let stage = stage("validIfNotUsedFor: 48h").await;
    let held = first(&stage).await;
    stage.sign_in("app", "openid").await;
    let spent = stage.sign_in("app", "openid").await;
    stage.granted(&redeem(&spent)).await;
    let ended = first(&stage).await;
    next(&stage, &ended).await;
    stage.refused(&body(&ended)).await;
    stage.provider.sweep().await.unwrap();
    assert_eq!(stage.memory.all(GRANT).len(), 4, "a spent code is kept to notice its replay");
    stage.clock.advance(seconds(60));
    stage.provider.sweep().await.unwrap();
    assert_eq!(stage.memory.all(GRANT).len(), 2);
    stage.clock.advance(seconds(24 * 3600));
    stage.provider.sweep().await.unwrap();
    assert_eq!(stage.memory.all(GRANT).len(), 1, "what has ended is gone after a day");
    next(&stage, &held).await;
    stage.clock.advance(seconds(72 * 3600));
    stage.provider.sweep().await.unwrap();
    assert!(stage.memory.is_empty());
}
