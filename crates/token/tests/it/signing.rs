//! Making tokens, the pool behind RSA, and the ring that Obol's own tokens verify under.

use std::sync::mpsc;
use std::time::Duration;

use ambient::{Secret, Time};
use proptest::prelude::*;
use serde_json::{Value, json};
use token::{
    Alg, Audience, Expect, KeyRing, LocalSigner, OwnAccessToken, OwnIdToken, Purpose, Rejected, RingKey,
    RingState, Schedule, SignError, Signer, SigningPool, Stage, Trust, UnverifiedJwt, Verifier,
};

use crate::support::*;

#[tokio::test]
async fn every_algorithm_signs_what_it_verifies() {
    for alg in Alg::ALL {
        let key = signer(alg).await;
        let token = mint(&key, json!({})).await;
        let verified = verify(&token, set_of(&key), expect()).unwrap();
        assert_eq!((verified.alg(), verified.subject()), (alg, Some("somebody")));
        let (input, _) = token.rsplit_once('.').unwrap();
        let foreign = mint(&key, json!({"sub": "other"})).await;
        let spliced = format!("{input}.{}", foreign.rsplit_once('.').unwrap().1);
        assert_eq!(verify(&spliced, set_of(&key), expect()).unwrap_err(), Rejected::Signature);
    }
}

#[tokio::test]
async fn the_header_tells_algorithm_key_and_kind() {
    let key = signer(Alg::Es256).await;
    let token = token::sign_jwt(&key, Some("at+jwt"), b"{}").await.unwrap();
    let raw = wire::b64::decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&raw).unwrap();
    assert_eq!(header, json!({"alg": "ES256", "kid": token::thumbprint(key.public_jwk()), "typ": "at+jwt"}));
}

#[tokio::test]
async fn a_private_key_fits_its_algorithm_or_is_refused() {
    let ec = LocalSigner::generate(Alg::Es256, &pool()).await.unwrap();
    for wrong in [Alg::Rs256, Alg::Es384, Alg::EdDsa] {
        assert!(LocalSigner::from_pkcs8(wrong, &ec, &pool()).is_err());
    }
    assert!(LocalSigner::from_pkcs8(Alg::Es256, &Secret::new(b"junk".to_vec()), &pool()).is_err());
    let read = LocalSigner::from_pkcs8(Alg::Es256, &ec, &pool()).unwrap();
    assert_eq!(format!("{read:?}"), format!("LocalSigner(ES256, {:?})", read.kid()));
}

#[tokio::test]
async fn a_full_queue_says_so_at_once() {
    let pool = SigningPool::start(1, 1).unwrap();
    let (go, gone) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let busy = pool.clone();
    let first = tokio::spawn(async move {
        busy.run(move || {
            begin.send(()).unwrap();
            gone.recv().unwrap();
        })
        .await
    });
    while begun.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    let mut second = Box::pin(pool.run(|| 2));
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(second.as_mut().poll(cx))).await.is_pending());
    assert_eq!(pool.run(|| 3).await, Err(SignError::Busy));
    go.send(()).unwrap();
    assert_eq!((first.await.unwrap(), second.await), (Ok(()), Ok(2)));
}

#[tokio::test]
async fn a_panic_on_the_pool_costs_one_signature() {
    let pool = SigningPool::start(1, 4).unwrap();
    assert!(matches!(pool.run(|| panic!("on purpose")).await, Err(SignError::Failed(_))));
    assert_eq!(pool.run(|| 7).await, Ok(7));
}

fn schedule() -> Schedule {
    Schedule {
        algs: vec![Alg::Es256, Alg::EdDsa],
        rotate_every: Duration::from_hours(6),
        jwks_cached_for: Duration::from_mins(10),
        longest_token: Duration::from_hours(24),
        slack: Duration::from_mins(1),
    }
}

async fn grow(state: &mut RingState, now: Time) {
    for alg in state.advance(now, &schedule()).wanted {
        let private = LocalSigner::generate(alg, &pool()).await.unwrap();
        let public = LocalSigner::from_pkcs8(alg, &private, &pool()).unwrap().public_jwk().clone();
        state.add(alg, public, private, now, &schedule());
    }
}

#[tokio::test]
async fn a_ring_signs_publishes_and_verifies_and_survives_the_store() {
    let mut state = RingState::default();
    grow(&mut state, NOW).await;
    let stored = serde_json::to_vec(&state).unwrap();
    let ring = KeyRing::default();
    assert!(ring.jwks().is_none());
    assert_eq!(ring.signer(Alg::Es256).err(), Some(SignError::NoKey(Alg::Es256)));
    ring.install(&serde_json::from_slice(&stored).unwrap(), &pool()).unwrap();
    assert_eq!(ring.algs(), [Alg::Es256, Alg::EdDsa].into_iter().collect());
    let jwks = ring.jwks().unwrap();
    assert!(jwks.starts_with(b"{\n  \"keys\": [\n    {\n      \"kty\""));
    assert!(!String::from_utf8(jwks.to_vec()).unwrap().contains("\"d\""));
    let verifier: Verifier<OwnAccessToken> =
        Verifier::new(Trust::new("own"), ring.clone(), Expect::new(ISSUER, Audience::only(US)));
    for alg in [Alg::Es256, Alg::EdDsa] {
        let signer = ring.signer(alg).unwrap();
        let token = token::sign_jwt(&*signer, Some("at+jwt"), claims(json!({})).as_bytes()).await.unwrap();
        assert!(verifier.verify_at_hand(UnverifiedJwt::parse(&token).unwrap(), NOW).is_ok());
    }
    assert!(ring.signer(Alg::Rs256).is_err());
}

#[tokio::test]
async fn the_jwks_shows_signing_keys_first_and_retired_ones_still_verify() {
    let mut state = RingState::default();
    grow(&mut state, NOW).await;
    let ring = KeyRing::default();
    ring.install(&state, &pool()).unwrap();
    let old = ring.signer(Alg::Es256).unwrap();
    let token = token::sign_jwt(&*old, Some("JWT"), claims(json!({})).as_bytes()).await.unwrap();
    for hours in [6, 7] {
        grow(&mut state, NOW + Duration::from_hours(hours)).await;
    }
    ring.install(&state, &pool()).unwrap();
    let new = ring.signer(Alg::Es256).unwrap();
    assert_ne!(new.kid(), old.kid());
    let shown: Value = serde_json::from_slice(&ring.jwks().unwrap()).unwrap();
    let kids: Vec<_> =
        shown["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(kids.len(), 4);
    assert!(kids[..2].contains(&new.kid()) && kids[2..].contains(&old.kid()));
    let verifier: Verifier<OwnIdToken> =
        Verifier::new(Trust::new("own"), ring, Expect::new(ISSUER, Audience::only(US)));
    assert!(verifier.verify_at_hand(UnverifiedJwt::parse(&token).unwrap(), NOW).is_ok());
}

#[tokio::test]
async fn tokens_without_type_pass_only_under_imported_keys() {
    async fn outcome<P: Purpose>(imported: bool) -> Result<(), Rejected> {
        let key = signer(Alg::Es256).await;
        let state = RingState {
            keys: vec![RingKey {
                alg: Alg::Es256,
                public: key.public_jwk().clone(),
                private: None,
                imported,
                stage: Stage::Retired { since: NOW.unix() },
                longest_token: 3600,
            }],
        };
        let ring = KeyRing::default();
        ring.install(&state, &pool()).unwrap();
        let verifier: Verifier<P> =
            Verifier::new(Trust::new("own"), ring, Expect::new(ISSUER, Audience::only(US)));
        let token = mint(&key, json!({})).await;
        verifier.verify_at_hand(UnverifiedJwt::parse(&token)?, NOW).map(drop)
    }
    assert_eq!(outcome::<OwnAccessToken>(true).await, Ok(()));
    assert!(matches!(outcome::<OwnAccessToken>(false).await, Err(Rejected::Kind(..))));
    assert_eq!(outcome::<OwnIdToken>(true).await, Ok(()));
    assert!(matches!(outcome::<OwnIdToken>(false).await, Err(Rejected::Kind(..))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_claims_survive_signing(sub in "\\PC{1,40}", extra in "\\PC{0,40}", n in any::<i64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (verified, text) = runtime.block_on(async {
            let key = signer(Alg::EdDsa).await;
            let text = claims(json!({"sub": sub, "x": {"y": [extra, n]}}));
            let token = mint_raw(&key, r#"{"alg":"EdDSA"}"#, text.as_bytes()).await;
            (verify(&token, set_of(&key), expect()), text)
        });
        let back = serde_json::to_value(verified.unwrap().into_claims().object()).unwrap();
        prop_assert_eq!(back, serde_json::from_str::<Value>(&text).unwrap());
    }

    #[test]
    fn no_bit_of_a_token_can_change(at in any::<prop::sample::Index>(), bit in 0_u8..7) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let key = signer(Alg::EdDsa).await;
            let mut raw = mint(&key, json!({})).await.into_bytes();
            let at = at.index(raw.len());
            raw[at] ^= 1 << bit;
            if let Ok(changed) = String::from_utf8(raw) {
                assert!(verify(&changed, set_of(&key), expect()).is_err());
            }
        });
    }

    #[test]
    fn no_text_is_a_crash(text in "\\PC{0,200}", dots in "[A-Za-z0-9_-]{0,30}\\.[A-Za-z0-9_-]{0,30}\\.[A-Za-z0-9_-]{0,30}") {
        prop_assert!(UnverifiedJwt::parse(&text).is_err());
        let _ = UnverifiedJwt::parse(&dots);
    }
}
