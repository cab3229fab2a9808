//! Attack list 12 to 14: what may cause a fetch, how often, and what happens when it fails.

use std::sync::Arc;
use std::time::Duration;

use ambient::{Clock, Tasks};
use serde_json::json;
use testkit::FakeClock;
use token::{
    Alg, Keys, LocalSigner, Pace, Rejected, RemoteKeys, Signer, Source, SubjectToken, Trust, Unavailable,
    UnverifiedJwt, Verified, Verifier,
};
use tokio::sync::Notify;
use wire::jose::Jwk;

use crate::support::*;

const DISCOVERY: &str = "https://issuer.example.com/.well-known/openid-configuration";
const JWKS: &str = "https://keys.example.net/jwks.json";

/// One issuer, its keys, and a verifier that trusts it.
struct World {
    clock: FakeClock,
    fetch: Arc<Script>,
    tasks: Tasks,
    verifier: Arc<Verifier<SubjectToken>>,
}

impl World {
    fn new(source: Source) -> Self {
        let (clock, fetch, tasks) = (FakeClock::at(NOW), Arc::new(Script::default()), Tasks::default());
        let keys =
            RemoteKeys::new(source, Pace::default(), fetch.clone(), Arc::new(clock.clone()), tasks.clone());
        let verifier = Arc::new(Verifier::new(Trust::new("remote"), keys, expect()));
        Self { clock, fetch, tasks, verifier }
    }

    /// A discovery document and these keys, both without a word on caching.
    fn publishing(keys: &[&Jwk]) -> Self {
        let world = Self::new(Source::of_issuer(ISSUER).unwrap());
        world.fetch.answer(DISCOVERY, json!({"issuer": ISSUER, "jwks_uri": JWKS}).to_string(), None);
        world.publish(keys);
        world
    }

    fn publish(&self, keys: &[&Jwk]) {
        self.fetch.answer(JWKS, jwks(keys), None);
    }

    /// How often the key set was asked for.
    fn fetches(&self) -> usize {
        self.fetch.asked.lock().unwrap().iter().filter(|(url, _)| url == JWKS).count()
    }

    async fn verify(&self, token: &str) -> Result<Verified<SubjectToken>, Rejected> {
        self.verifier.verify(UnverifiedJwt::parse(token)?, self.clock.now()).await
    }

    /// A token that is good for days, whatever the clock is moved to.
    async fn token(&self, key: &LocalSigner) -> String {
        mint(key, json!({"exp": NOW.unix() + 1_000_000})).await
    }

    fn remote(&self) -> &RemoteKeys {
        match self.verifier.keys() {
            Keys::Remote(remote) => remote,
            _ => panic!("a remote issuer"),
        }
    }

    /// Until no fetch is under way.
    async fn settle(&self) {
        self.tasks.ended().await;
    }
}

async fn named(kid: &str) -> LocalSigner {
    fresh_signer(Alg::Es256).await.named(kid)
}

#[tokio::test]
async fn keys_are_found_through_discovery_and_kept() {
    let key = named("a").await;
    let world = World::publishing(&[key.public_jwk()]);
    let token = world.token(&key).await;
    for _ in 0..10 {
        world.verify(&token).await.unwrap();
    }
    let asked = world.fetch.asked.lock().unwrap().clone();
    // The other host is named by the configured URL, so that the fetcher can judge its address.
    assert_eq!(asked, [(DISCOVERY.to_owned(), None), (JWKS.to_owned(), Some(DISCOVERY.to_owned()))]);
    assert_eq!(world.remote().health().keys, 1);
}

#[tokio::test]
async fn attack_12_only_a_token_that_could_pass_causes_a_fetch() {
    let key = named("a").await;
    let world = World::publishing(&[key.public_jwk()]);
    for changes in [
        json!({"iss": "https://evil.example.com"}),
        json!({"iss": "https://issuer.example.com/"}),
        json!({"iss": null}),
        json!({"aud": "other"}),
        json!({"exp": 1}),
        json!({"exp": null}),
        json!({"nbf": NOW.unix() + 1000}),
        json!({"events": {}}),
    ] {
        assert!(!world.verify(&mint(&key, changes).await).await.unwrap_err().is_temporary());
    }
    let typed = token::sign_jwt(&key, Some("at+jwt"), claims(json!({})).as_bytes()).await.unwrap();
    assert!(world.verify(&typed).await.is_err());
    assert_eq!(world.fetch.count(), 0);
}

/// Whoever writes the header chooses no address: not of keys, not of certificates.
#[tokio::test]
async fn attack_03_attack_12_headers_cause_no_request() {
    let (key, forger) = (named("a").await, named("a").await);
    let world = World::publishing(&[key.public_jwk()]);
    let own = serde_json::to_string(forger.public_jwk()).unwrap();
    for (extra, kid) in [
        (r#""jku":"https://evil.example.com/keys""#, "a"),
        (r#""jku":"https://evil.example.com/keys""#, "https://evil.example.com/keys"),
        (r#""x5u":"https://evil.example.com/chain.pem""#, "a"),
        (r#""x5c":["MIIB"],"x5t":"AA","x5t#S256":"AA""#, "a"),
        (r#""iss":"https://evil.example.com""#, "a"),
        (&format!(r#""jwk":{own}"#), "a"),
        (&format!(r#""jwk":{own},"jku":"http://169.254.169.254/""#), "b"),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"{kid}",{extra}}}"#);
        let token = mint_raw(&forger, &header, claims(json!({})).as_bytes()).await;
        let why = world.verify(&token).await.unwrap_err();
        assert!(matches!(why, Rejected::UnknownKey(_) | Rejected::Signature), "{extra}: {why}");
    }
    let asked = world.fetch.asked.lock().unwrap().clone();
    assert!(!asked.is_empty() && asked.iter().all(|(url, _)| url == DISCOVERY || url == JWKS), "{asked:?}");
}

/// A name in its own script is asked for in its spelling for the network, and speaks for itself alone.
#[tokio::test]
async fn attack_08_an_issuer_with_a_name_in_its_own_script() {
    let (issuer, ascii) = ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example");
    let key = named("a").await;
    for (said, passes) in [(issuer, true), (ascii, false), ("https://bu\u{308}cher.example", false)] {
        let world = World::new(Source::of_issuer(issuer).unwrap());
        let discovery = format!("{ascii}/.well-known/openid-configuration");
        world.fetch.answer(&discovery, json!({"issuer": said, "jwks_uri": JWKS}).to_string(), None);
        world.publish(&[key.public_jwk()]);
        let outcome = world.verify(&world.token(&key).await).await;
        assert_eq!(outcome.is_ok(), passes, "{said}");
        assert_eq!(world.fetch.asked.lock().unwrap()[0].0, discovery);
    }
}

#[tokio::test]
async fn attack_12_a_discovery_document_speaks_for_its_issuer_alone() {
    let key = named("a").await;
    for said in ["https://evil.example.com", "https://issuer.example.com/", "https://ISSUER.example.com", ""]
    {
        let world = World::publishing(&[key.public_jwk()]);
        world.fetch.answer(DISCOVERY, json!({"issuer": said, "jwks_uri": JWKS}).to_string(), None);
        let why = world.verify(&world.token(&key).await).await.unwrap_err();
        assert!(matches!(why, Rejected::KeysUnavailable(Unavailable::Issuer { .. })), "{why}");
        assert_eq!(world.fetches(), 0);
    }
}

#[tokio::test]
async fn attack_12_keys_come_over_nothing_weaker_than_their_document() {
    let key = named("a").await;
    for uri in [
        "http://keys.example.net/jwks.json",
        "file:///etc/passwd",
        "ftp://keys.example.net",
        "jwks.json",
        "//evil",
        "data:,{}",
        "",
    ] {
        let world = World::publishing(&[key.public_jwk()]);
        world.fetch.answer(DISCOVERY, json!({"issuer": ISSUER, "jwks_uri": uri}).to_string(), None);
        let why = world.verify(&world.token(&key).await).await.unwrap_err();
        assert!(matches!(why, Rejected::KeysUnavailable(Unavailable::JwksUri(_))), "{uri}: {why}");
        assert_eq!(world.fetch.count(), 1);
    }
}

#[tokio::test]
async fn attack_12_documents_that_are_none() {
    let key = named("a").await;
    for body in ["", "<html>", "[]", r#"{"keys":7}"#] {
        let world = World::publishing(&[key.public_jwk()]);
        world.fetch.answer(JWKS, body, None);
        assert!(world.verify(&world.token(&key).await).await.unwrap_err().is_temporary(), "{body}");
        let world = World::publishing(&[key.public_jwk()]);
        world.fetch.answer(DISCOVERY, body, None);
        assert!(world.verify(&world.token(&key).await).await.unwrap_err().is_temporary(), "{body}");
    }
}

#[tokio::test]
async fn attack_13_callers_share_one_fetch_and_none_of_them_owns_it() {
    let key = named("a").await;
    let world = World::publishing(&[key.public_jwk()]);
    let (token, held) = (world.token(&key).await, Arc::new(Notify::new()));
    *world.fetch.held.lock().unwrap() = Some(Arc::clone(&held));
    {
        let mut first = Box::pin(world.verify(&token));
        assert!(
            std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx))).await.is_pending()
        );
    } // The first caller is gone.
    let others: Vec<_> = (0..50)
        .map(|_| {
            let (verifier, token, now) = (Arc::clone(&world.verifier), token.clone(), world.clock.now());
            tokio::spawn(
                async move { verifier.verify(UnverifiedJwt::parse(&token).unwrap(), now).await.is_ok() },
            )
        })
        .collect();
    while world.fetch.count() == 0 {
        tokio::task::yield_now().await;
    }
    *world.fetch.held.lock().unwrap() = None;
    held.notify_one();
    for other in others {
        assert!(other.await.unwrap());
    }
    assert_eq!(world.fetch.count(), 2);
}

#[tokio::test]
async fn attack_13_a_new_key_is_found_at_once_and_a_flood_of_names_is_not_followed() {
    let (old, new) = (named("old").await, named("new").await);
    let world = World::publishing(&[old.public_jwk()]);
    world.verify(&world.token(&old).await).await.unwrap();
    assert_eq!(world.fetches(), 1);
    world.publish(&[old.public_jwk(), new.public_jwk()]);
    world.verify(&world.token(&new).await).await.unwrap();
    assert_eq!(world.fetches(), 2);
    for n in 0..200 {
        let stranger = old_under(&old, &format!("stranger-{n}")).await;
        assert!(matches!(world.verify(&stranger).await, Err(Rejected::UnknownKey(_))));
    }
    // The burst is three, of which the new key took one.
    assert_eq!(world.fetches(), 4);
    world.clock.advance(Duration::from_secs(10));
    for n in 200..300 {
        let _ = world.verify(&old_under(&old, &format!("stranger-{n}")).await).await;
    }
    assert_eq!(world.fetches(), 5);
    world.verify(&world.token(&old).await).await.unwrap();
}

#[tokio::test]
async fn attack_13_a_name_known_to_be_missing_asks_once() {
    let key = named("a").await;
    let world = World::publishing(&[key.public_jwk()]);
    let stuck = old_under(&key, "rotated-out").await;
    for _ in 0..5 {
        assert!(matches!(world.verify(&stuck).await, Err(Rejected::UnknownKey(_))));
    }
    assert_eq!(world.fetches(), 2);
    world.clock.advance(Duration::from_secs(31));
    let _ = world.verify(&stuck).await;
    assert_eq!(world.fetches(), 3);
}

#[tokio::test]
async fn attack_13_an_old_name_on_a_new_key() {
    let (before, after) = (named("same").await, named("same").await);
    let world = World::publishing(&[before.public_jwk()]);
    world.verify(&world.token(&before).await).await.unwrap();
    world.publish(&[after.public_jwk()]);
    world.verify(&world.token(&after).await).await.unwrap();
    assert_eq!(world.verify(&world.token(&before).await).await.unwrap_err(), Rejected::Signature);
}

#[tokio::test]
async fn attack_13_forged_signatures_do_not_keep_a_new_key_from_being_found() {
    let (old, new, forger) = (named("old").await, named("new").await, named("old").await);
    let world = World::publishing(&[old.public_jwk()]);
    let forged = world.token(&forger).await;
    for _ in 0..100 {
        assert_eq!(world.verify(&forged).await.unwrap_err(), Rejected::Signature);
    }
    assert_eq!(world.fetches(), 4);
    world.publish(&[old.public_jwk(), new.public_jwk()]);
    world.verify(&world.token(&new).await).await.unwrap();
}

#[tokio::test]
async fn attack_13_a_withdrawn_key_stops_verifying_within_the_bound() {
    let (gone, stays) = (named("gone").await, named("stays").await);
    for said in [None, Some(Duration::from_hours(1000)), Some(Duration::ZERO)] {
        let world = World::publishing(&[gone.public_jwk()]);
        world.fetch.answer(JWKS, jwks(&[gone.public_jwk()]), said);
        let token = world.token(&gone).await;
        world.verify(&token).await.unwrap();
        world.publish(&[stays.public_jwk()]);
        // Idle until the bound: the first use after it already knows.
        world.clock.advance(Pace::default().ceiling + Duration::from_secs(1));
        assert!(matches!(world.verify(&token).await, Err(Rejected::UnknownKey(_))));
    }
}

#[tokio::test]
async fn attack_13_an_issuer_cannot_make_us_ask_all_the_time() {
    let key = named("a").await;
    let world = World::publishing(&[key.public_jwk()]);
    world.fetch.answer(JWKS, jwks(&[key.public_jwk()]), Some(Duration::ZERO));
    let token = world.token(&key).await;
    for _ in 0..23 {
        world.verify(&token).await.unwrap();
        world.clock.advance(Duration::from_secs(10));
    }
    assert_eq!(world.fetches(), 1);
}

#[tokio::test]
async fn attack_13_an_empty_key_set_revokes_everything() {
    let key = named("a").await;
    let world = World::publishing(&[key.public_jwk()]);
    let token = world.token(&key).await;
    world.verify(&token).await.unwrap();
    world.publish(&[]);
    world.clock.advance(Duration::from_hours(2));
    assert!(matches!(world.verify(&token).await, Err(Rejected::UnknownKey(_))));
}

#[tokio::test]
async fn keys_are_refreshed_in_the_background_before_they_are_old() {
    let key = named("a").await;
    let world = World::publishing(&[key.public_jwk()]);
    let token = world.token(&key).await;
    world.verify(&token).await.unwrap();
    let held = Arc::new(Notify::new());
    *world.fetch.held.lock().unwrap() = Some(Arc::clone(&held));
    world.clock.advance(Duration::from_mins(13));
    // The fetch hangs, and nobody waits for it.
    world.verify(&token).await.unwrap();
    world.verify(&token).await.unwrap();
    *world.fetch.held.lock().unwrap() = None;
    while world.fetch.count() < 3 {
        tokio::task::yield_now().await;
    }
    held.notify_one();
    world.settle().await;
    assert_eq!((world.fetches(), world.remote().health().age), (2, Some(Duration::ZERO)));
}

#[tokio::test]
async fn attack_13_stale_keys_serve_for_a_day_and_then_nothing_does() {
    let key = named("a").await;
    let world = World::publishing(&[key.public_jwk()]);
    let token = world.token(&key).await;
    world.verify(&token).await.unwrap();
    world.fetch.fail(DISCOVERY);
    world.clock.advance(Duration::from_hours(23));
    world.verify(&token).await.unwrap();
    assert!(world.remote().health().last_error.is_some());
    world.clock.advance(Duration::from_hours(1) + Duration::from_secs(1));
    let why = world.verify(&token).await.unwrap_err();
    assert!(why.is_temporary() && matches!(why, Rejected::KeysUnavailable(Unavailable::Fetch(_))), "{why}");
    let at_hand = world.verifier.verify_at_hand(UnverifiedJwt::parse(&token).unwrap(), world.clock.now());
    assert!(at_hand.unwrap_err().is_temporary());
    world.fetch.answer(DISCOVERY, json!({"issuer": ISSUER, "jwks_uri": JWKS}).to_string(), None);
    world.clock.advance(Duration::from_mins(1));
    world.verify(&token).await.unwrap();
    assert_eq!(world.remote().health().last_error, None);
}

#[tokio::test]
async fn attack_14_one_issuer_down_at_the_start_is_its_own_trouble() {
    let key = named("a").await;
    let (down, up) = (World::publishing(&[key.public_jwk()]), World::publishing(&[key.public_jwk()]));
    down.fetch.fail(JWKS);
    let token = up.token(&key).await;
    down.remote().warm();
    down.settle().await;
    for _ in 0..100 {
        assert!(down.verify(&token).await.unwrap_err().is_temporary());
        up.verify(&token).await.unwrap();
    }
    // It is left alone for a moment after each failure.
    assert_eq!((down.fetches(), up.fetches()), (1, 1));
    down.clock.advance(Duration::from_secs(1));
    assert!(down.verify(&token).await.unwrap_err().is_temporary());
    assert_eq!(down.fetches(), 2);
    down.publish(&[key.public_jwk()]);
    down.clock.advance(Duration::from_secs(30));
    down.verify(&token).await.unwrap();
}

#[tokio::test]
async fn attack_14_during_an_outage_a_new_name_is_nobody_s_fault() {
    let (old, new) = (named("old").await, named("new").await);
    let world = World::publishing(&[old.public_jwk()]);
    world.verify(&world.token(&old).await).await.unwrap();
    world.fetch.fail(JWKS);
    for _ in 0..10 {
        assert!(world.verify(&world.token(&new).await).await.unwrap_err().is_temporary());
        world.verify(&world.token(&old).await).await.unwrap();
    }
    assert_eq!(world.fetches(), 2);
}

#[tokio::test]
async fn attack_14_an_issuer_that_hangs_is_given_up() {
    let key = named("a").await;
    let world = World::publishing(&[key.public_jwk()]);
    *world.fetch.held.lock().unwrap() = Some(Arc::new(Notify::new()));
    let (verifier, token, now) = (Arc::clone(&world.verifier), world.token(&key).await, world.clock.now());
    let waiting =
        tokio::spawn(async move { verifier.verify(UnverifiedJwt::parse(&token).unwrap(), now).await });
    world.clock.until_sleeping(1).await;
    world.clock.advance(Pace::default().deadline);
    assert_eq!(waiting.await.unwrap().unwrap_err(), Rejected::KeysUnavailable(Unavailable::Late));
}

#[tokio::test]
async fn attack_11_a_spiffe_bundle_never_goes_back() {
    let (one, two) = (named("1").await, named("2").await);
    let bundle = |key: &LocalSigner, sequence: i64| {
        let mut jwk = serde_json::to_value(key.public_jwk()).unwrap();
        jwk["use"] = json!("jwt-svid");
        json!({"keys": [jwk], "spiffe_sequence": sequence, "spiffe_refresh_hint": 300}).to_string()
    };
    let world = World::new(Source::SpiffeBundle(JWKS.parse().unwrap()));
    world.fetch.answer(JWKS, bundle(&one, 7), None);
    world.verify(&world.token(&one).await).await.unwrap();
    world.fetch.answer(JWKS, bundle(&two, 6), None);
    world.clock.advance(Duration::from_mins(6));
    world.verify(&world.token(&one).await).await.unwrap();
    assert_eq!(world.remote().health().last_error, Some(Unavailable::Sequence(7, 6)));
    world.fetch.answer(JWKS, bundle(&two, 8), None);
    world.clock.advance(Duration::from_mins(6));
    world.verify(&world.token(&two).await).await.unwrap();
    assert!(matches!(world.verify(&world.token(&one).await).await, Err(Rejected::UnknownKey(_))));
}

async fn old_under(key: &LocalSigner, kid: &str) -> String {
    let header = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
    mint_raw(key, &header, claims(json!({"exp": NOW.unix() + 1_000_000})).as_bytes()).await
}
