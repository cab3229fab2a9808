//! Tokens that are good, and those that are not.

use ambient::Clock as _;
use provider::connector::SubjectAudience;
use serde_json::json;
use token::UnverifiedJwt;

use super::{Vouching, foreign};

pub(super) async fn a_good_token_passes_with_its_claims(site: Vouching) {
    let raw = site.good().sign();
    let vouched = site.accepted(&raw).await;
    let claims = UnverifiedJwt::parse(&raw).unwrap();
    assert_eq!(vouched.identity.user_id, site.user_id);
    assert_eq!(vouched.claims.issuer(), claims.unverified_issuer());
    assert_eq!(vouched.claims.subject(), claims.unverified_subject());
    let meant = claims.unverified_audience().map(str::to_owned).collect();
    assert_eq!(vouched.audience, SubjectAudience::InToken(meant));
    assert_eq!(vouched.expires.map(|at| at.unix()), vouched.claims.expires());
    assert!(!vouched.bound);
}

pub(super) async fn a_token_bound_to_a_key_says_so(site: Vouching) {
    for cnf in [json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}), json!({}), json!("x")] {
        let vouched = site.accepted(&site.good().claim("cnf", cnf).sign()).await;
        assert!(vouched.bound);
    }
}

pub(super) async fn a_tampered_token_is_refused(site: Vouching) {
    let good = site.good().sign();
    let other = site.good().claim("sub", json!("somebody-else")).sign();
    let (input, signature) = good.rsplit_once('.').unwrap();
    let (other_input, _) = other.rsplit_once('.').unwrap();
    for (raw, what) in [
        (format!("{other_input}.{signature}"), "another payload"),
        (format!("{input}."), "no signature"),
        (format!("{input}.AAAA"), "a short signature"),
        (format!("{good}.{signature}"), "four segments"),
        (format!("{good}="), "padding"),
        (format!(" {good}"), "a space"),
        (input.to_owned(), "two segments"),
        ("opaque".to_owned(), "no JWT"),
        (String::new(), "nothing"),
    ] {
        site.refused(&raw, what).await;
    }
    site.accepted(&good).await;
}

pub(super) async fn attack_01_no_algorithm_but_the_keys_own(site: Vouching) {
    for name in ["none", "None", "noNE", ""] {
        let raw = site.good().header("alg", json!(name)).signature(b"").sign();
        site.refused(&raw, name).await;
    }
    for not_text in [json!(null), json!(1), json!(["RS256"])] {
        site.refused(&site.good().header("alg", not_text).sign(), "no name").await;
    }
    let key = site.issuer.signing_key();
    for secret in [key.public_pem().into_bytes(), key.public_der(), key.jwk().to_string().into_bytes()] {
        site.refused(&site.good().hs256(&secret).sign(), "HS256 with the public key").await;
    }
    for other in ["RS256", "PS256", "ES384", "EdDSA"].into_iter().filter(|alg| *alg != key.algorithm().name())
    {
        site.refused(&site.good().header("alg", json!(other)).sign(), other).await;
    }
}

pub(super) async fn attack_03_keys_in_headers_are_not_used(site: Vouching) {
    let evil = foreign(&site, site.issuer.signing_key().kid());
    let forged = || site.good().signed_by(evil.clone());
    site.refused(&forged().sign(), "another key of the same name").await;
    for (name, value) in [
        ("jwk", evil.jwk()),
        ("jku", json!("https://127.0.0.1:1/keys")),
        ("x5u", json!("https://127.0.0.1:1/chain")),
        ("x5c", json!(["AAAA"])),
        ("kid", json!("../../dev/null")),
        ("crit", json!(["b64"])),
    ] {
        site.refused(&forged().header(name, value).sign(), name).await;
    }
}

pub(super) async fn attack_06_times_are_kept(site: Vouching) {
    let now = site.clock.now().unix();
    for (name, value) in [
        ("exp", json!(now - 61)),
        ("exp", json!(null)),
        ("exp", json!("9999999999")),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("nbf", json!(now + 120)),
        ("iat", json!(now + 120)),
    ] {
        let what = format!("{name}: {value}");
        site.refused(&site.good().claim(name, value).sign(), &what).await;
    }
}

pub(super) async fn attack_08_issuers_are_compared_byte_for_byte(site: Vouching) {
    let own = site.issuer.issuer();
    let seam = site.opened.connector.subject().unwrap();
    let owns = |raw: &str| seam.may_own(&UnverifiedJwt::parse(raw).unwrap());
    assert!(owns(&site.good().sign()));
    let host = own.trim_start_matches("https://");
    for evil in [
        format!("{own}/"),
        own.to_uppercase(),
        format!("{own}.evil.example"),
        format!("https://user@{host}"),
        format!("https://evil.example/{own}"),
        format!("{own}#"),
        format!("{own}?"),
        format!(" {own}"),
        host.to_owned(),
        "https://evil.example".to_owned(),
    ] {
        let raw = site.good().claim("iss", json!(evil)).sign();
        assert!(!owns(&raw), "{evil}");
        site.refused(&raw, &evil).await;
    }
    for value in [json!(null), json!([own.clone()]), json!(7), json!("")] {
        let what = value.to_string();
        site.refused(&site.good().claim("iss", value).sign(), &what).await;
    }
}

pub(super) async fn attack_09_tokens_of_other_kinds_are_refused(site: Vouching) {
    for kind in [
        "logout+jwt",
        "dpop+jwt",
        "at+jwt",
        "application/at+jwt",
        "secevent+jwt",
        "wit+jwt",
        "oauth-id-jag+jwt",
        "client-authentication+jwt",
        "token-introspection+jwt",
        "anything",
    ] {
        site.refused(&site.good().header("typ", json!(kind)).sign(), kind).await;
    }
    let events = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    site.refused(&site.good().claim("events", events).sign(), "a logout token without typ").await;
    for kind in [json!("JWT"), json!("jwt"), json!("application/jwt"), json!(null)] {
        site.accepted(&site.good().header("typ", kind).sign()).await;
    }
}
