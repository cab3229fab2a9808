//! The rotation as others see it: whoever obeys `Cache-Control` never lacks a key.

use std::time::Duration;

use ambient::{Secret, Time};
use proptest::prelude::*;
use token::{Alg, RingState, Schedule, Stage};
use wire::jose::Jwk;

use crate::support::NOW;

fn schedule() -> Schedule {
    Schedule {
        algs: vec![Alg::Rs256, Alg::Es256],
        rotate_every: Duration::from_hours(6),
        jwks_cached_for: Duration::from_mins(10),
        longest_token: Duration::from_hours(24),
        slack: Duration::from_mins(1),
    }
}

fn add(state: &mut RingState, alg: Alg, now: Time, schedule: &Schedule) {
    let kid = Some(format!("{alg}-{}", now.unix()));
    state.add(alg, Jwk { kid, ..Jwk::default() }, Secret::new(vec![1]), now, schedule);
}

fn tick(state: &mut RingState, now: Time, schedule: &Schedule) -> bool {
    let step = state.advance(now, schedule);
    for alg in &step.wanted {
        add(state, *alg, now, schedule);
    }
    step.changed || !step.wanted.is_empty()
}

fn kid(state: &RingState, alg: Alg) -> String {
    state.signing(alg).unwrap().public.kid.clone().unwrap()
}

fn published(state: &RingState, kid: &str) -> bool {
    state.keys.iter().any(|key| key.public.kid.as_deref() == Some(kid))
}

#[test]
fn the_first_start_signs_at_once() {
    let mut state = RingState::default();
    assert_eq!(state.advance(NOW, &schedule()).wanted, [Alg::Rs256, Alg::Es256]);
    assert!(tick(&mut state, NOW, &schedule()));
    assert!(state.signing(Alg::Rs256).is_some() && state.signing(Alg::Es256).is_some());
    assert!(!tick(&mut state, NOW, &schedule()));
    assert_eq!(state.next_due(NOW, &schedule()), NOW + Duration::from_mins(6 * 60 - 11));
}

#[test]
fn a_key_is_published_before_it_signs_and_after() {
    let (schedule, lead) = (schedule(), Duration::from_mins(11));
    let mut state = RingState::default();
    tick(&mut state, NOW, &schedule);
    let first = kid(&state, Alg::Es256);
    let announce = NOW + schedule.rotate_every - lead;
    tick(&mut state, announce - Duration::from_secs(1), &schedule);
    assert_eq!(state.keys.len(), 2);
    tick(&mut state, announce, &schedule);
    assert_eq!((state.keys.len(), kid(&state, Alg::Es256)), (4, first.clone()));
    // One key is announced, however often the rotation is driven.
    assert!(!tick(&mut state, announce + Duration::from_secs(60), &schedule));
    let switch = announce + lead;
    tick(&mut state, switch - Duration::from_secs(1), &schedule);
    assert_eq!(kid(&state, Alg::Es256), first);
    tick(&mut state, switch, &schedule);
    assert_ne!(kid(&state, Alg::Es256), first);
    let retired = state.keys.iter().find(|key| key.public.kid.as_deref() == Some(&first)).unwrap();
    assert_eq!((retired.stage, retired.private.is_none()), (Stage::Retired { since: switch.unix() }, true));
    let last_token_over = switch + schedule.longest_token + schedule.slack;
    state.advance(last_token_over - Duration::from_secs(1), &schedule);
    assert!(published(&state, &first));
    state.advance(last_token_over, &schedule);
    assert!(!published(&state, &first));
}

#[test]
fn a_late_key_still_waits_its_lead() {
    let schedule = schedule();
    let mut state = RingState::default();
    tick(&mut state, NOW, &schedule);
    let first = kid(&state, Alg::Es256);
    // The process slept through the rotation.
    let late = NOW + Duration::from_hours(48);
    tick(&mut state, late, &schedule);
    assert_eq!(kid(&state, Alg::Es256), first);
    tick(&mut state, late + Duration::from_mins(11), &schedule);
    assert_ne!(kid(&state, Alg::Es256), first);
}

#[test]
fn an_algorithm_comes_and_goes_with_the_configuration() {
    let mut state = RingState::default();
    tick(&mut state, NOW, &schedule());
    let gone = Schedule { algs: vec![Alg::EdDsa], ..schedule() };
    tick(&mut state, NOW, &gone);
    assert!(state.signing(Alg::EdDsa).is_some() && state.signing(Alg::Rs256).is_none());
    assert_eq!(state.keys.iter().filter(|key| matches!(key.stage, Stage::Retired { .. })).count(), 2);
    assert!(state.keys.iter().all(|key| key.private.is_some() == matches!(key.stage, Stage::Signing { .. })));
}

#[test]
fn a_shorter_lifetime_does_not_shorten_the_life_of_keys_that_signed_longer_tokens() {
    let mut state = RingState::default();
    tick(&mut state, NOW, &schedule());
    let first = kid(&state, Alg::Es256);
    let short = Schedule { algs: vec![Alg::Rs256], longest_token: Duration::from_mins(5), ..schedule() };
    tick(&mut state, NOW, &short);
    state.advance(NOW + Duration::from_hours(24), &short);
    assert!(published(&state, &first));
}

/// Which of two clocks is wrong nobody knows: nothing is dropped, nothing is hurried, and it goes on when they agree.
#[test]
fn a_clock_that_stands_before_the_record_moves_nothing() {
    let schedule = schedule();
    let mut state = RingState::default();
    for hours in (0..30).step_by(6) {
        tick(&mut state, NOW + Duration::from_hours(hours), &schedule);
    }
    let kids = |state: &RingState| -> Vec<_> {
        state.keys.iter().map(|key| (key.public.kid.clone(), key.stage)).collect()
    };
    let before = kids(&state);
    assert!(before.iter().any(|(_, stage)| matches!(stage, Stage::Retired { .. })), "{before:?}");
    for back in [0, NOW.unix() - 86400] {
        let step = state.advance(Time::from_unix(back), &schedule);
        assert!(!step.changed && step.wanted.is_empty() && step.behind.is_some());
        assert_eq!(kids(&state), before);
    }
    // Clocks of replicas are a little apart.
    let close = NOW + Duration::from_hours(24) - Duration::from_secs(1);
    assert_eq!(state.advance(close, &schedule).behind, None);
    tick(&mut state, NOW + Duration::from_hours(200), &schedule);
    assert_ne!(kids(&state), before);
}

proptest! {
    /// A verifier that fetches the JWKS only when its copy is as old as it may be has the key of every token, at any
    /// moment of the token's life, however irregularly the rotation is driven.
    #[test]
    fn whoever_obeys_the_cache_header_never_lacks_a_key(steps in prop::collection::vec(1_u64..4 * 3600, 1..80)) {
        let schedule = schedule();
        let (mut state, mut now) = (RingState::default(), NOW);
        tick(&mut state, now, &schedule);
        let mut copy = (now, state.clone());
        let mut tokens: Vec<(String, Time)> = Vec::new();
        for step in steps {
            // In between, the copy grows old; at the latest then it is fetched anew.
            now = now + Duration::from_secs(step);
            if now.since(copy.0) > schedule.jwks_cached_for {
                copy = (now, state.clone());
            }
            tick(&mut state, now, &schedule);
            for alg in [Alg::Rs256, Alg::Es256] {
                tokens.push((kid(&state, alg), now + schedule.longest_token));
            }
            tokens.retain(|(_, over)| *over > now);
            for (kid, _) in &tokens {
                prop_assert!(published(&copy.1, kid), "{kid} is missing at {now:?}");
            }
        }
    }
}
