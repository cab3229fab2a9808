//! Keys that come, go, cannot be had, or are somebody else's.

use std::time::Duration;

use provider::connector::VouchError;
use serde_json::json;

use super::{Vouching, foreign};
use crate::Line;
use crate::issuer::Route;

pub(super) async fn attack_13_a_new_key_is_found_and_an_unknown_one_refused(site: Vouching) {
    site.accepted(&site.good().sign()).await;
    site.issuer.rotate();
    site.accepted(&site.good().sign()).await;
    let unpublished = foreign(&site, "unpublished");
    let raw = site.good().header("kid", json!("unpublished")).signed_by(unpublished).sign();
    site.refused(&raw, "a key that is not published").await;
}

pub(super) async fn attack_13_a_flood_of_unknown_keys_causes_few_requests(site: Vouching) {
    site.accepted(&site.good().sign()).await;
    let evil = foreign(&site, "evil");
    for number in 0..50 {
        let kid = json!(format!("evil-{number}"));
        site.refused(&site.good().header("kid", kid).signed_by(evil.clone()).sign(), "unknown").await;
    }
    assert!(site.issuer.requests(Route::Keys) <= 5, "{} requests", site.issuer.requests(Route::Keys));
    site.accepted(&site.good().sign()).await;
}

pub(super) async fn attack_13_a_removed_key_ends_within_an_hour(site: Vouching) {
    let first = site.issuer.signing_key();
    site.accepted(&site.good().sign()).await;
    site.issuer.rotate();
    site.issuer.remove_key(first.kid());
    site.clock.advance(Duration::from_secs(3601));
    let raw = site.good().header("kid", json!(first.kid())).signed_by(first).sign();
    site.refused(&raw, "a key that was removed").await;
    site.accepted(&site.good().sign()).await;
}

pub(super) async fn attack_14_an_outage_is_no_verdict_and_ends(site: Vouching) {
    site.issuer.set_line(Line::Refusing).await;
    let said = site.vouch(&site.good().sign()).await;
    assert!(matches!(said, Err(VouchError::Unavailable(_))), "{said:?}");
    // What could not pass anyway is refused without asking anybody.
    site.refused(&site.good().claim("exp", json!(1)).sign(), "expired").await;
    site.issuer.set_line(Line::Up).await;
    site.clock.advance(Duration::from_secs(60));
    site.accepted(&site.good().sign()).await;
    // Keys that are known serve on, within a bound.
    site.issuer.set_line(Line::Refusing).await;
    site.clock.advance(Duration::from_secs(7200));
    site.accepted(&site.good().sign()).await;
    site.clock.advance(Duration::from_hours(25));
    let said = site.vouch(&site.good().sign()).await;
    assert!(matches!(said, Err(VouchError::Unavailable(_))), "stale keys: {said:?}");
}

pub(super) async fn attack_12_documents_of_other_issuers_give_no_keys(site: Vouching) {
    let own = site.issuer.issuer();
    let good = site.good().sign();
    site.issuer.set_discovery("issuer", json!(format!("{own}/")));
    let said = site.vouch(&good).await;
    assert!(matches!(said, Err(VouchError::Unavailable(_))), "{said:?}");
    assert_eq!(site.issuer.requests(Route::Keys), 0);
}
