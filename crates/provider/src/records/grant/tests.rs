//! The steps of one grant.

use super::*;
use ambient::SystemRandom;

const NOW: Time = Time::from_unix(1_000_000);
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn grant(challenge: bool) -> Grant {
    let challenge = challenge.then(|| Challenge {
        method: Method::S256,
        value: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".into(),
    });
    Grant {
        client: "app".into(),
        connector: "local".into(),
        identity: Identity::default(),
        scopes: vec![],
        nonce: None,
        auth_time: 0,
        kept: Kept::default(),
        code: Some(Code::new(
            Hash::of("secret"),
            "https://app/cb".into(),
            challenge,
            NOW + Duration::from_secs(60),
        )),
        refresh: None,
        ended: None,
        look_at: 0,
    }
}

fn ask<'a>(
    secret: &'a str,
    client: &'a str,
    verifier: Option<&'a str>,
    refresh: &'a Secret<String>,
) -> Redemption<'a> {
    Redemption {
        secret,
        client,
        redirect_uri: "https://app/cb",
        verifier,
        with_refresh: true,
        refresh_secret: refresh,
    }
}

fn refused(change: &Change<Grant, Redeemed>) -> bool {
    matches!(change, Change::Keep(Redeemed::Refused(_)))
}

#[test]
fn a_code_is_bound_and_redeemed_once() {
    let r1 = Secret::from("r1");
    assert!(refused(&grant(true).redeem(NOW, &ask("other", "app", Some(VERIFIER), &r1))));
    assert!(refused(&grant(true).redeem(NOW, &ask("secret", "evil", Some(VERIFIER), &r1))));
    assert!(refused(&grant(true).redeem(NOW, &ask("secret", "app", None, &r1))));
    assert!(refused(&grant(true).redeem(NOW, &ask("secret", "app", Some(&"x".repeat(43)), &r1))));
    assert!(
        refused(&grant(false).redeem(NOW, &ask("secret", "app", Some(VERIFIER), &r1))),
        "attack 21: stripped challenge"
    );
    assert!(refused(
        &grant(true).redeem(NOW + Duration::from_secs(60), &ask("secret", "app", Some(VERIFIER), &r1))
    ));
    let elsewhere =
        Redemption { redirect_uri: "https://app/cb/", ..ask("secret", "app", Some(VERIFIER), &r1) };
    assert!(refused(&grant(true).redeem(NOW, &elsewhere)));

    let Change::Put(spent, Redeemed::Done(_)) =
        grant(true).redeem(NOW, &ask("secret", "app", Some(VERIFIER), &r1))
    else {
        panic!()
    };
    let Change::Put(ended, Redeemed::Replayed) =
        spent.redeem(NOW, &ask("secret", "app", Some(VERIFIER), &r1))
    else {
        panic!()
    };
    assert!(ended.ended.is_some());
    let after = ended.present(NOW, &RefreshRules::default(), "app", "r1", &SystemRandom);
    assert!(matches!(after, Change::Keep(Refreshed::Refused(_))), "what the code opened has ended too");
}

fn refreshing() -> Grant {
    let mut g = grant(false);
    g.refresh = Some(Refresh::first(NOW, &"r1".into()));
    g
}

fn rotate(g: Grant, now: Time, rules: &RefreshRules, secret: &str) -> (Grant, String) {
    match g.present(now, rules, "app", secret, &SystemRandom) {
        Change::Put(g, Refreshed::Done { secret, .. }) => (g, secret.expose().clone()),
        _ => panic!("not rotated"),
    }
}

#[test]
fn rotation_window_and_replay() {
    let rules = RefreshRules { reuse_interval: Duration::from_secs(10), ..RefreshRules::default() };
    let (g, r2) = rotate(refreshing(), NOW, &rules, "r1");
    assert_ne!(r2, "r1");
    let again = g.clone().present(NOW + Duration::from_secs(10), &rules, "app", "r1", &SystemRandom);
    assert!(
        matches!(again, Change::Keep(Refreshed::Done { secret, asked_again: true, .. }) if *secret.expose() == r2)
    );
    let late = g.clone().present(NOW + Duration::from_secs(11), &rules, "app", "r1", &SystemRandom);
    let Change::Put(ended, Refreshed::Replayed) = late else { panic!() };
    assert!(matches!(
        ended.present(NOW, &rules, "app", &r2, &SystemRandom),
        Change::Keep(Refreshed::Refused(_))
    ));
    assert!(matches!(
        g.present(NOW, &rules, "evil", &r2, &SystemRandom),
        Change::Keep(Refreshed::Refused(_))
    ));
}

#[test]
fn a_replay_is_noticed_however_often_the_thief_rotated() {
    let rules = RefreshRules::default();
    let (g, r2) = rotate(refreshing(), NOW, &rules, "r1");
    let (g, r3) = rotate(g, NOW, &rules, &r2);
    let (g, _) = rotate(g, NOW, &rules, &r3);
    for old in ["r1", &r2, &r3] {
        let late = g.clone().present(NOW + Duration::from_secs(1), &rules, "app", old, &SystemRandom);
        assert!(matches!(late, Change::Put(_, Refreshed::Replayed)), "{old}");
    }
    let guessed = g.present(NOW, &rules, "app", "guessed", &SystemRandom);
    assert!(matches!(guessed, Change::Keep(Refreshed::Refused(_))), "a guess ends nothing");
}

#[test]
fn lifetimes_end_and_rotation_can_be_off() {
    let rules = RefreshRules {
        absolute_lifetime: Duration::from_secs(100),
        valid_if_not_used_for: Duration::from_secs(60),
        ..RefreshRules::default()
    };
    let (g, r2) = rotate(refreshing(), NOW + Duration::from_secs(59), &rules, "r1");
    assert!(matches!(
        g.present(NOW + Duration::from_secs(100), &rules, "app", &r2, &SystemRandom),
        Change::Keep(Refreshed::Refused(_))
    ));
    let idle = refreshing().present(NOW + Duration::from_secs(60), &rules, "app", "r1", &SystemRandom);
    assert!(matches!(idle, Change::Keep(Refreshed::Refused(_))));
    let off = RefreshRules { disable_rotation: true, ..RefreshRules::default() };
    let (g, same) = rotate(refreshing(), NOW, &off, "r1");
    assert_eq!(same, "r1");
    assert_eq!(rotate(g, NOW, &off, "r1").1, "r1");
}

#[test]
fn the_record_shows_no_secret() {
    let (g, r2) = rotate(refreshing(), NOW, &RefreshRules::default(), "r1");
    let stored = serde_json::to_string(&g).unwrap();
    assert!(!stored.contains(&r2) && !stored.contains("secret\""));
}

#[test]
fn ids_have_dexs_shape() {
    let id = new_id(&SystemRandom);
    assert_eq!(id.len(), 25);
    assert!(
        id.as_bytes()[0].is_ascii_lowercase()
            && id.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
    );
}
