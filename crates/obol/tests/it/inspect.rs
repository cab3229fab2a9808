use std::fs;

use serde_json::{Value, json};
use testkit::Issuer;

use crate::run::{err, fed, obol, out};

#[tokio::test(flavor = "multi_thread")]
async fn explains_and_verifies_and_never_shows_the_signature() {
    let (issuer, home) = (Issuer::start().await, tempfile::tempdir().unwrap());
    let ca = home.path().join("ca.pem");
    fs::write(&ca, issuer.ca_pem()).unwrap();
    let token = issuer.mint(json!({"sub": "system:serviceaccount:a:b", "aud": "obol"}));
    let signature = token.rsplit('.').next().unwrap();
    let plain = fed(&mut obol(&["inspect"]), &token);
    assert!(out(&plain).contains("system:serviceaccount:a:b") && !out(&plain).contains(signature));
    let parsed = fed(&mut obol(&["inspect", "--json", "-"]), &token);
    let parsed: Value = serde_json::from_str(out(&parsed)).unwrap();
    assert_eq!(parsed["claims"]["aud"], "obol");
    let verify = |token: &str| {
        let mut command = obol(&["inspect", "--verify", "--issuer", &issuer.issuer()]);
        fed(command.arg("--certificate-authority").arg(&ca), token)
    };
    let good = verify(&token);
    assert!(good.status.success() && err(&good).starts_with("verified: "), "{}", err(&good));
    let forged = verify(&format!("{}.{}", token.rsplit_once('.').unwrap().0, wire::b64::encode([1; 64])));
    assert_eq!(forged.status.code(), Some(1));
    assert!(err(&forged).contains("signature"), "{}", err(&forged));
}

#[test]
fn what_is_no_token_is_one_line() {
    for bad in ["", "x", "a.b.c", "a.b.c.d.e"] {
        let told = fed(&mut obol(&["inspect"]), bad);
        assert_eq!((told.status.code(), out(&told)), (Some(1), ""));
        assert_eq!(err(&told).lines().count(), 1);
    }
    assert_eq!(fed(&mut obol(&["inspect", "--verify"]), "").status.code(), Some(2));
}
