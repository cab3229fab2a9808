//! Attack list 2 and the key-set part of 12: keys that do not fit, weak keys, crooked signatures.

use serde_json::{Value, json};
use token::{Alg, BadKeySet, KeySet, LocalSigner, MAX_KEYS, Rejected, Signer, UnusableKey};
use wire::b64;
use wire::jose::Jwk;

use crate::support::*;

fn why_unusable(key: Value) -> UnusableKey {
    let set = KeySet::from_jwks(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
    assert!(set.keys().is_empty(), "{key}");
    set.skipped()[0]
}

fn altered(jwk: &Jwk, change: impl FnOnce(&mut Jwk)) -> KeySet {
    let mut jwk = jwk.clone();
    change(&mut jwk);
    KeySet::from_jwks(&jwks(&[&jwk])).unwrap()
}

#[tokio::test]
async fn attack_02_a_key_serves_its_own_algorithm_alone() {
    let rsa = signer(Alg::Rs256).await;
    let token = mint(&rsa, json!({})).await;
    assert!(verify(&token, altered(rsa.public_jwk(), |_| ()), expect()).is_ok());
    assert!(verify(&token, altered(rsa.public_jwk(), |key| key.alg = None), expect()).is_ok());
    for other in ["PS256", "RS384", "RS512"] {
        let set = altered(rsa.public_jwk(), |key| key.alg = Some(other.into()));
        assert!(matches!(verify(&token, set, expect()), Err(Rejected::UnknownKey(_))), "{other}");
    }
    for absurd in ["ES256", "EdDSA", "HS256", "none", "RSA-OAEP", "rs256"] {
        let set = altered(rsa.public_jwk(), |key| key.alg = Some(absurd.into()));
        assert_eq!((set.keys().len(), set.skipped()), (0, [UnusableKey::Unknown].as_slice()), "{absurd}");
    }
}

#[tokio::test]
async fn attack_02_an_unbound_rsa_key_serves_what_the_issuer_may_use() {
    let key = signer(Alg::Ps256).await;
    let token = mint(&key, json!({})).await;
    let unbound = || altered(key.public_jwk(), |key| key.alg = None);
    assert!(verify(&token, unbound(), expect()).is_ok());
    let only_pkcs1 = expect().algs([Alg::Rs256].into_iter().collect());
    assert!(matches!(verify(&token, unbound(), only_pkcs1), Err(Rejected::Algorithm(_))));
}

#[tokio::test]
async fn attack_02_curves_are_not_exchanged() {
    for (alg, others) in
        [(Alg::Es256, ["ES384", "ES512"]), (Alg::Es384, ["ES256", "ES512"]), (Alg::Es512, ["ES256", "ES384"])]
    {
        let key = signer(alg).await;
        assert!(verify(&mint(&key, json!({})).await, set_of(&key), expect()).is_ok());
        for other in others {
            let header = format!(r#"{{"alg":"{other}","kid":"{}"}}"#, key.kid());
            let token = mint_raw(&key, &header, claims(json!({})).as_bytes()).await;
            assert!(matches!(verify(&token, set_of(&key), expect()), Err(Rejected::UnknownKey(_))));
            let set = altered(key.public_jwk(), |key| key.alg = Some(other.into()));
            assert_eq!(set.skipped(), [UnusableKey::Unknown]);
        }
    }
}

#[test]
fn attack_02_weak_rsa_keys_are_left_out() {
    let number = |bytes: usize, last: u8| {
        let mut n = vec![0xc5; bytes];
        *n.last_mut().unwrap() = last;
        b64::encode(n)
    };
    for (n, e) in [
        (number(128, 1), "AQAB"),
        (number(255, 1), "AQAB"),
        (number(1025, 1), "AQAB"),
        (number(256, 2), "AQAB"),
        (number(256, 1), "AQ"),
        (number(256, 1), "Aw"),
        (number(256, 1), "AQAA"),
        (number(256, 1), "AQAC"),
        (number(256, 1), "AQABAQE"),
        (number(256, 1), ""),
        (String::new(), "AQAB"),
    ] {
        assert_eq!(why_unusable(json!({"kty": "RSA", "n": n, "e": e})), UnusableKey::Weak, "{e}");
    }
    let leading_zeros = b64::encode([vec![0; 200], vec![0xc5; 128]].concat());
    assert_eq!(why_unusable(json!({"kty": "RSA", "n": leading_zeros, "e": "AQAB"})), UnusableKey::Weak);
    assert_eq!(why_unusable(json!({"kty": "RSA", "e": "AQAB"})), UnusableKey::Malformed);
    let set = json!({"keys": [{"kty": "RSA", "n": number(256, 1), "e": "AQAB"}]}).to_string();
    assert_eq!(KeySet::from_jwks(set.as_bytes()).unwrap().keys().len(), 1);
}

#[tokio::test]
async fn attack_02_points_off_their_curve_are_left_out() {
    let key = signer(Alg::Es256).await;
    let good = key.public_jwk();
    let (x, y) = (good.x.clone().unwrap(), good.y.clone().unwrap());
    let mut bent = b64::decode(&y).unwrap();
    bent[31] ^= 1;
    let short = b64::encode(&b64::decode(&x).unwrap()[1..]);
    // The same 64 bytes, cut elsewhere: a point that two readers would cut differently.
    let both = [b64::decode(&x).unwrap(), b64::decode(&y).unwrap()].concat();
    let (longer, shorter) = (b64::encode(&both[..33]), b64::encode(&both[33..]));
    assert_eq!(
        why_unusable(json!({"kty": "EC", "crv": "P-256", "x": longer, "y": shorter})),
        UnusableKey::Malformed
    );
    for (x, y) in [
        (x.clone(), b64::encode(bent)),
        (x.clone(), x.clone()),
        (short, y.clone()),
        (b64::encode([0; 32]), b64::encode([0; 32])),
        (b64::encode([0xff; 32]), y),
        (x, String::new()),
    ] {
        assert_eq!(
            why_unusable(json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})),
            UnusableKey::Malformed
        );
    }
    assert_eq!(
        why_unusable(json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"})),
        UnusableKey::Unknown
    );
}

#[tokio::test]
async fn attack_02_crooked_ecdsa_signatures() {
    let key = signer(Alg::Es256).await;
    let good = mint(&key, json!({})).await;
    let (input, signature) = good.rsplit_once('.').unwrap();
    let raw = b64::decode(signature).unwrap();
    let (r, s) = raw.split_at(32);
    let der = [&[0x30, 68, 2, 32][..], r, &[2, 32], s].concat();
    let zero = [0; 32];
    for crooked in [
        [zero, zero].concat(),
        [r, &zero].concat(),
        [&zero, s].concat(),
        [&P256_ORDER[..], s].concat(),
        [r, &P256_ORDER[..]].concat(),
        [r, &[0xff; 32]].concat(),
        [&[0xff; 32], s].concat(),
        der,
        [&[0], r, &[0], s].concat(),
        raw[..63].to_vec(),
        raw.repeat(2),
        Vec::new(),
    ] {
        let token = format!("{input}.{}", b64::encode(&crooked));
        assert_eq!(
            verify(&token, set_of(&key), expect()).unwrap_err(),
            Rejected::Signature,
            "{crooked:02x?}"
        );
    }
}

/// JOSE does not forbid the twin `(r, n - s)` of a signature, so it verifies; whatever remembers tokens must therefore
/// remember the signing input, which is the same for both.
#[tokio::test]
async fn attack_02_a_malleable_signature_is_no_second_token() {
    let key = signer(Alg::Es256).await;
    let good = mint(&key, json!({})).await;
    let (input, signature) = good.rsplit_once('.').unwrap();
    let raw = b64::decode(signature).unwrap();
    let twin = format!("{input}.{}", b64::encode([&raw[..32], &subtract(P256_ORDER, &raw[32..])].concat()));
    assert_ne!(twin, good);
    assert!(verify(&twin, set_of(&key), expect()).is_ok());
    let read = |token| token::UnverifiedJwt::parse(token).unwrap().signing_input();
    assert_eq!(read(&twin), read(&good));
}

/// Every point of small order, in every spelling: with such a key, `R = A, S = 0` signs about any message.
#[tokio::test]
async fn attack_02_ed25519_points_of_small_order_are_no_keys_and_sign_nothing() {
    let key = signer(Alg::EdDsa).await;
    let good = mint(&key, json!({})).await;
    let (input, signature) = good.rsplit_once('.').unwrap();
    let scalar = &b64::decode(signature).unwrap()[32..];
    for point in small_order() {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": key.kid(), "x": b64::encode(point)});
        assert_eq!(why_unusable(jwk.clone()), UnusableKey::Weak, "{point:02x?}");
        assert_eq!(
            KeySet::from_pem(&ed25519_pem(point)).unwrap_err(),
            BadKeySet::Unusable(UnusableKey::Weak),
            "{point:02x?}"
        );
        for scalar in [&[0; 32], &ED25519_ORDER, scalar] {
            let forged = format!("{input}.{}", b64::encode([&point, scalar].concat()));
            let set = KeySet::from_jwks(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
            assert!(matches!(verify(&forged, set, expect()), Err(Rejected::UnknownKey(_))), "{point:02x?}");
            assert_eq!(
                verify(&forged, set_of(&key), expect()).unwrap_err(),
                Rejected::Signature,
                "{point:02x?}"
            );
        }
    }
    assert!(verify(&good, set_of(&key), expect()).is_ok());
}

#[tokio::test]
async fn attack_02_ed25519_has_one_signature_and_one_curve() {
    assert_eq!(
        why_unusable(json!({"kty": "OKP", "crv": "Ed448", "x": b64::encode([1; 57])})),
        UnusableKey::Unknown
    );
    let key = signer(Alg::EdDsa).await;
    let good = mint(&key, json!({})).await;
    assert!(verify(&good, set_of(&key), expect()).is_ok());
    let (input, signature) = good.rsplit_once('.').unwrap();
    let mut raw = b64::decode(signature).unwrap();
    let mut carry = 0_u16;
    for (byte, l) in raw[32..].iter_mut().zip(ED25519_ORDER) {
        let sum = u16::from(*byte) + u16::from(l) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    let token = format!("{input}.{}", b64::encode(raw));
    assert_eq!(verify(&token, set_of(&key), expect()).unwrap_err(), Rejected::Signature);
}

/// The eight points of small order; those of y = 0 and 1 also in their spellings that are not reduced, and each of them
/// with the sign bit that it has and that it has not.
fn small_order() -> Vec<[u8; 32]> {
    let spelled = |low: u8, middle: u8, high: u8| {
        let mut y = [middle; 32];
        (y[0], y[31]) = (low, high);
        y
    };
    let (zero, one) = (spelled(0, 0, 0), spelled(1, 0, 0));
    let (two, p, after_p) = (spelled(0xec, 0xff, 0x7f), spelled(0xed, 0xff, 0x7f), spelled(0xee, 0xff, 0x7f));
    let plain = [zero, one, two, p, after_p, ORDER_EIGHT, OTHER_ORDER_EIGHT];
    let signed = plain.map(|mut point| {
        point[31] |= 0x80;
        point
    });
    let all = [plain, signed].concat();
    // The list of the attack says these in hexadecimal.
    for named in [
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ] {
        assert!(
            all.iter().any(|point| point.iter().map(|b| format!("{b:02x}")).collect::<String>() == named)
        );
    }
    all
}

/// RFC 8410 section 4.
fn ed25519_pem(point: [u8; 32]) -> String {
    use base64::Engine as _;
    let der =
        [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00], &point[..]].concat();
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
}

#[tokio::test]
async fn eddsa_is_read_under_both_of_its_names() {
    let key = signer(Alg::EdDsa).await;
    let header = format!(r#"{{"alg":"Ed25519","kid":"{}"}}"#, key.kid());
    let token = mint_raw(&key, &header, claims(json!({})).as_bytes()).await;
    assert!(verify(&token, set_of(&key), expect()).is_ok());
    assert!(
        verify(&token, altered(key.public_jwk(), |key| key.alg = Some("Ed25519".into())), expect()).is_ok()
    );
}

#[tokio::test]
async fn attack_12_keys_that_are_not_for_this_are_left_out() {
    let key = signer(Alg::Es256).await;
    let base = serde_json::to_value(key.public_jwk()).unwrap();
    let with = |name: &str, value: Value| {
        let mut key = base.clone();
        key[name] = value;
        key
    };
    assert_eq!(why_unusable(with("d", json!("AQ"))), UnusableKey::NotPublic);
    assert_eq!(why_unusable(with("k", json!("AQ"))), UnusableKey::NotPublic);
    assert_eq!(why_unusable(json!({"kty": "oct", "k": "AQ"})), UnusableKey::NotPublic);
    assert_eq!(why_unusable(with("use", json!("enc"))), UnusableKey::OtherUse);
    assert_eq!(why_unusable(with("use", json!("jwt-svid"))), UnusableKey::OtherUse);
    assert_eq!(why_unusable(with("key_ops", json!(["sign"]))), UnusableKey::OtherUse);
    assert_eq!(why_unusable(with("kty", json!("XYZ"))), UnusableKey::Unknown);
    assert_eq!(why_unusable(with("kid", json!(7))), UnusableKey::Malformed);
    assert_eq!(why_unusable(json!("key")), UnusableKey::Malformed);
    assert_eq!(why_unusable(json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"})), UnusableKey::Unknown);
    let bundle =
        json!({"keys": [with("use", json!("jwt-svid")), with("use", json!("x509-svid")), base]}).to_string();
    assert_eq!(KeySet::from_spiffe_bundle(bundle.as_bytes()).unwrap().keys().len(), 1);
}

/// Whoever publishes a private member gave the key away, whichever member it is and whatever else the set holds.
#[tokio::test]
async fn attack_12_a_key_with_any_private_member_is_left_out() {
    let (rsa, ec, ed) = (signer(Alg::Rs256).await, signer(Alg::Es256).await, signer(Alg::EdDsa).await);
    for key in [&rsa, &ec, &ed] {
        let public = serde_json::to_value(key.public_jwk()).unwrap();
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            for value in [json!("AQ"), json!(""), json!(null), json!([{"r": "AQ", "d": "AQ", "t": "AQ"}])] {
                let mut leaked = public.clone();
                leaked[member] = value;
                assert_eq!(why_unusable(leaked), UnusableKey::NotPublic, "{member}");
            }
        }
    }
    let mut leaked = serde_json::to_value(ec.public_jwk()).unwrap();
    leaked["d"] = json!(b64::encode([7; 32]));
    let set = json!({"keys": [leaked, rsa.public_jwk()]}).to_string();
    let set = || KeySet::from_jwks(set.as_bytes()).unwrap();
    assert!(matches!(verify(&mint(&ec, json!({})).await, set(), expect()), Err(Rejected::UnknownKey(_))));
    assert!(verify(&mint(&rsa, json!({})).await, set(), expect()).is_ok());
}

#[tokio::test]
async fn attack_12_ten_thousand_keys() {
    let (key, other) = (signer(Alg::Es256).await, fresh_signer(Alg::Es256).await);
    let real = vec![key.public_jwk(); 10_000];
    assert_eq!(KeySet::from_jwks(&jwks(&real)).unwrap_err(), BadKeySet::TooLarge);
    let mut small = vec![json!({"kty": "X"}); 10_000];
    small.push(serde_json::to_value(key.public_jwk()).unwrap());
    let set = KeySet::from_jwks(json!({"keys": small}).to_string().as_bytes()).unwrap();
    assert_eq!((set.keys().len(), set.skipped().len()), (1, 10_000));
    assert!(verify(&mint(&key, json!({})).await, set, expect()).is_ok());
    // Of as many as fit under one name, a token tries few.
    let same = |key: &LocalSigner| Jwk { kid: Some("same".into()), ..key.public_jwk().clone() };
    let (wrong, right) = (same(&other), same(&key));
    let token = mint_raw(&key, r#"{"alg":"ES256","kid":"same"}"#, claims(json!({})).as_bytes()).await;
    for (others, passes) in [(15, true), (16, false), (MAX_KEYS, false), (1000, false)] {
        let mut keys = vec![&wrong; others];
        keys.push(&right);
        let set = KeySet::from_jwks(&jwks(&keys)).unwrap();
        assert!(set.keys().len() <= MAX_KEYS);
        assert_eq!(
            verify(&token, set, expect()).map(drop),
            if passes { Ok(()) } else { Err(Rejected::Signature) }
        );
    }
}

#[tokio::test]
async fn attack_12_a_key_set_has_its_bounds() {
    let key = signer(Alg::Es256).await;
    let many: Vec<_> =
        (0..1_000).map(|n| Jwk { kid: Some(n.to_string()), ..key.public_jwk().clone() }).collect();
    let set = KeySet::from_jwks(&jwks(&many.iter().collect::<Vec<_>>())).unwrap();
    assert_eq!(set.keys().len(), MAX_KEYS);
    let padded = [jwks(&[key.public_jwk()]), vec![b' '; token::MAX_KEY_SET]].concat();
    assert!(KeySet::from_jwks(&padded).is_err());
    assert!(KeySet::from_jwks(&padded[..token::MAX_KEY_SET]).is_ok());
    for not_a_set in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, "<html>"] {
        assert!(KeySet::from_jwks(not_a_set.as_bytes()).is_err(), "{not_a_set}");
    }
    assert!(KeySet::from_jwks(br#"{"keys":[]}"#).unwrap().keys().is_empty());
}

#[tokio::test]
async fn attack_12_one_kid_on_two_keys_and_keys_without_kid() {
    let (rsa, ec, other) =
        (signer(Alg::Rs256).await, signer(Alg::Es256).await, fresh_signer(Alg::Es256).await);
    let named = |key: &dyn Signer| Jwk { kid: Some("same".into()), ..key.public_jwk().clone() };
    let nameless = |key: &dyn Signer| Jwk { kid: None, ..key.public_jwk().clone() };
    let set = |keys: &[Jwk]| KeySet::from_jwks(&jwks(&keys.iter().collect::<Vec<_>>())).unwrap();
    let header = r#"{"alg":"ES256","kid":"same"}"#;
    let token = mint_raw(&ec, header, claims(json!({})).as_bytes()).await;
    for keys in [
        vec![named(&rsa), named(&ec)],
        vec![named(&other), named(&ec)],
        vec![nameless(&other), nameless(&ec)],
    ] {
        assert!(verify(&token, set(&keys), expect()).is_ok());
    }
    // A name that is there is believed: other keys are not tried then.
    assert_eq!(
        verify(&token, set(&[named(&other), nameless(&ec)]), expect()).unwrap_err(),
        Rejected::Signature
    );
    assert!(matches!(
        verify(&token, set(&[ec.public_jwk().clone()]), expect()),
        Err(Rejected::UnknownKey(_))
    ));
    let unnamed = mint_raw(&ec, r#"{"alg":"ES256"}"#, claims(json!({})).as_bytes()).await;
    assert!(verify(&unnamed, set(&[rsa.public_jwk().clone(), ec.public_jwk().clone()]), expect()).is_ok());
}

/// A token without `kid` must not cost one signature check for each of many keys.
#[tokio::test]
async fn attack_12_a_token_without_kid_tries_few_keys_and_only_fitting_ones() {
    let (rsa, ec, other) =
        (signer(Alg::Rs256).await, signer(Alg::Es256).await, fresh_signer(Alg::Es256).await);
    let unnamed = mint_raw(&ec, r#"{"alg":"ES256"}"#, claims(json!({})).as_bytes()).await;
    let set = |keys: Vec<&Jwk>| KeySet::from_jwks(&jwks(&keys)).unwrap();
    assert!(matches!(verify(&unnamed, set(vec![rsa.public_jwk()]), expect()), Err(Rejected::UnknownKey(_))));
    let behind = |others: usize| {
        let mut keys = vec![rsa.public_jwk(); 20];
        keys.extend(vec![other.public_jwk(); others]);
        keys.push(ec.public_jwk());
        set(keys)
    };
    assert!(verify(&unnamed, behind(15), expect()).is_ok());
    assert_eq!(verify(&unnamed, behind(16), expect()).unwrap_err(), Rejected::Signature);
}

#[test]
fn pem_files_hold_public_keys_or_are_refused() {
    for bad in [
        "",
        "hello",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\n!!!\n-----END PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    ] {
        assert!(KeySet::from_pem(bad).is_err(), "{bad}");
    }
}

fn subtract(from: [u8; 32], number: &[u8]) -> Vec<u8> {
    let mut borrow = 0_i16;
    let mut out: Vec<u8> = from
        .iter()
        .zip(number)
        .rev()
        .map(|(a, b)| {
            let difference = i16::from(*a) - i16::from(*b) - borrow;
            borrow = i16::from(difference < 0);
            u8::try_from(difference.rem_euclid(256)).unwrap()
        })
        .collect();
    out.reverse();
    out
}

const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

const ORDER_EIGHT: [u8; 32] = [
    0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
    0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
];

const OTHER_ORDER_EIGHT: [u8; 32] = [
    0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
    0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
];
