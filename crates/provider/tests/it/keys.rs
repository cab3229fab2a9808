//! Signing keys in the store: made once, published before they sign, followed by every replica, sealed.

use std::sync::Arc;
use std::time::Duration;

use ambient::{Ignore, Secret, SystemRandom, Tasks};
use bytes::Bytes;
use provider::Around;
use provider::keys::Keeper;
use provider::records::{Records, Sealing};
use provider::store::{Kind, Rec, Stamp, Store};
use serde_json::Value;
use testkit::stage::{CONFIG, settings};
use testkit::{FakeClock, MemoryStore};
use token::Alg;

const KEYS: Kind = Kind("keys");

fn keeper(store: &Arc<MemoryStore>, clock: &FakeClock, material: u8) -> Keeper {
    keeper_of(CONFIG, store, clock, material)
}

fn keeper_of(config: &str, store: &Arc<MemoryStore>, clock: &FakeClock, material: u8) -> Keeper {
    let around = Around {
        clock: Arc::new(clock.clone()),
        random: Arc::new(SystemRandom),
        tasks: Tasks::default(),
        events: Arc::new(Ignore),
    };
    let sealing = Sealing::from_material(&Secret::new(vec![material; 32]), "records").unwrap();
    let records = Records::new(Arc::clone(store) as Arc<dyn Store>, sealing, Arc::clone(&around.random));
    Keeper::new(records, &settings(config), around).unwrap()
}

/// The key ids of the JWKS.
fn published(keeper: &Keeper) -> Vec<String> {
    let jwks: Value = serde_json::from_slice(&keeper.ring().jwks().unwrap()).unwrap();
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The key ids that sign.
fn signing(keeper: &Keeper) -> Vec<String> {
    [Alg::Rs256, Alg::Es256].map(|alg| keeper.ring().signer(alg).unwrap().kid().to_owned()).to_vec()
}

/// Two replicas: one makes a key, both show it for longer than the JWKS may be cached before either signs with it, and
/// the old one stays until the last token that it signed has expired.
#[tokio::test]
async fn dex_p17_a_key_is_published_before_it_signs() {
    let (store, clock) = (MemoryStore::open(), FakeClock::default());
    let (one, two) = (keeper(&store, &clock, 1), keeper(&store, &clock, 1));
    assert_eq!(
        one.load().await.unwrap().expose(),
        two.load().await.unwrap().expose(),
        "one secret for cookies"
    );
    let first = signing(&one);
    assert_eq!((signing(&two), published(&one).len(), published(&two)), (first.clone(), 2, published(&one)));
    // Six hours of signing, the last twelve minutes of them with the next keys in the JWKS.
    clock.advance(Duration::from_secs(6 * 3600 - 720));
    two.load().await.unwrap();
    one.load().await.unwrap();
    assert_eq!((signing(&one), signing(&two)), (first.clone(), first.clone()));
    let shown = published(&one);
    assert_eq!((shown.len(), &published(&two)), (4, &shown));
    clock.advance(Duration::from_secs(719));
    one.load().await.unwrap();
    assert_eq!(signing(&one), first);
    clock.advance(Duration::from_secs(1));
    one.load().await.unwrap();
    let second = signing(&one);
    assert!(second.iter().all(|kid| shown.contains(kid) && !first.contains(kid)));
    two.load().await.unwrap();
    assert_eq!((signing(&two), published(&two).len()), (second, 4), "tokens of the old keys still verify");
    let keys = store.all(KEYS);
    assert_eq!(keys.len(), 1, "one record holds them all");
    clock.advance(Duration::from_secs(24 * 3600 + 3600));
    one.load().await.unwrap();
    assert!(
        !published(&one).iter().any(|kid| first.contains(kid)),
        "and are gone when no token of theirs lives"
    );
}

/// The next keys are in the JWKS twelve minutes before they sign, so that tells how long the first ones do.
#[tokio::test]
async fn keys_sign_as_long_as_configured() {
    let signer = "signer: {type: local, config: {keysRotationPeriod: 6h, algorithm: ES256}}\n";
    for (config, hours) in [
        (CONFIG.replace("keysRotationPeriod: 6h", "keysRotationPeriod: 2h"), 2),
        (CONFIG.replace(signer, "expiry: {signingKeys: 3h}\n"), 3),
        (CONFIG.replace(signer, ""), 6),
        (CONFIG.replace(signer, &format!("{signer}expiry: {{signingKeys: 1h}}\n")), 6),
    ] {
        let (store, clock) = (MemoryStore::open(), FakeClock::default());
        let keeper = keeper_of(&config, &store, &clock, 1);
        keeper.load().await.unwrap();
        clock.advance(Duration::from_secs(hours * 3600 - 721));
        keeper.load().await.unwrap();
        assert_eq!(published(&keeper).len(), 2, "{hours} hours");
        clock.advance(Duration::from_secs(1));
        keeper.load().await.unwrap();
        assert_eq!(published(&keeper).len(), 4, "{hours} hours");
    }
}

/// What runs in the background hears of it through the store.
#[tokio::test]
async fn a_replica_follows_by_itself() {
    let (store, clock) = (MemoryStore::open(), FakeClock::default());
    let (one, two) = (keeper(&store, &clock, 1), keeper(&store, &clock, 1));
    one.load().await.unwrap();
    two.load().await.unwrap();
    let ring = Arc::clone(two.ring());
    let tasks = Tasks::default();
    tasks.spawn_until_stop(two.run());
    clock.until_sleeping(1).await;
    clock.advance(Duration::from_secs(6 * 3600));
    one.load().await.unwrap();
    while ring.jwks() != one.ring().jwks() {
        tokio::task::yield_now().await;
    }
    tasks.stop();
    tasks.ended().await;
}

#[tokio::test]
async fn a_wrong_sealing_key_fails_closed_and_says_so() {
    let (store, clock) = (MemoryStore::open(), FakeClock::default());
    keeper(&store, &clock, 1).load().await.unwrap();
    let before = store.all(KEYS);
    let wrong = keeper(&store, &clock, 2);
    let said = wrong.load().await.unwrap_err().to_string();
    assert!(said.contains("the sealing key differs from the one it was written with"), "{said}");
    assert!(wrong.ring().jwks().is_none() && wrong.ring().signer(Alg::Es256).is_err());
    assert_eq!(store.all(KEYS), before, "nothing is made anew in its place");
}

/// Who can write to the database but has no key cannot plant a signing key.
#[tokio::test]
async fn a_planted_record_is_refused() {
    let clock = FakeClock::default();
    let plain = MemoryStore::open();
    let unsealed = Records::new(Arc::clone(&plain) as Arc<dyn Store>, Sealing::None, Arc::new(SystemRandom));
    let around = Around {
        clock: Arc::new(clock.clone()),
        random: Arc::new(SystemRandom),
        tasks: Tasks::default(),
        events: Arc::new(Ignore),
    };
    Keeper::new(unsealed, &settings(CONFIG), around).unwrap().load().await.unwrap();
    let planted = plain.all(KEYS).remove(0);
    assert!(planted.body.windows(7).any(|part| part == b"private"), "it is readable indeed");

    let store = MemoryStore::open();
    let good = keeper(&store, &clock, 1);
    good.load().await.unwrap();
    let before = good.ring().jwks();
    let sealed = store.all(KEYS).remove(0);
    for body in [planted.body.clone(), planted.body.slice(1..), Bytes::from_static(b"\x01"), Bytes::new()] {
        store.plant(Rec { body, stamp: Stamp([9; 16]), ..sealed.clone() });
        assert!(good.load().await.is_err());
        assert_eq!(good.ring().jwks(), before, "the keys that are in use stay");
        assert!(keeper(&store, &clock, 1).load().await.is_err());
    }
    store.plant(sealed);
    good.load().await.unwrap();
}
