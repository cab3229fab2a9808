//! Attack list 1, 3, 4, 5: algorithms, headers, spellings and types.

use aws_lc_rs::hmac;
use serde_json::json;
use token::{Alg, KeySet, Rejected, Signer};
use wire::b64;
use wire::claims::BadClaims;
use wire::jose::BadCompact;

use crate::support::*;

#[tokio::test]
async fn attack_01_no_algorithm_but_the_issuer_s_own() {
    let key = signer(Alg::Es256).await;
    let (kid, payload) = (key.kid().to_owned(), claims(json!({})));
    for alg in [
        r#""none""#,
        r#""None""#,
        r#""noNE""#,
        r#""es256""#,
        r#""ES256K""#,
        r#""RS1""#,
        r#""A128KW""#,
        r#""dir""#,
    ] {
        let header = format!(r#"{{"alg":{alg},"kid":"{kid}"}}"#);
        for token in [
            mint_raw(&key, &header, payload.as_bytes()).await,
            format!("{}.{}.", b64::encode(&header), b64::encode(&payload)),
        ] {
            assert!(matches!(verify(&token, set_of(&key), expect()), Err(Rejected::Algorithm(_))), "{alg}");
        }
    }
    for header in [r#"{}"#, r#"{"alg":256}"#, r#"{"alg":["ES256"]}"#, r#"{"alg":null}"#, r#"{"alg":""}"#] {
        let token = mint_raw(&key, header, payload.as_bytes()).await;
        assert_eq!(
            verify(&token, set_of(&key), expect()).unwrap_err(),
            Rejected::Malformed(BadCompact::Header)
        );
    }
}

#[tokio::test]
async fn attack_01_a_public_key_is_no_hmac_secret() {
    for alg in [Alg::Rs256, Alg::Es256] {
        let key = signer(alg).await;
        let public = serde_json::to_vec(key.public_jwk()).unwrap();
        let number =
            b64::decode(key.public_jwk().n.as_ref().or(key.public_jwk().x.as_ref()).unwrap()).unwrap();
        for secret in [public, jwks(&[key.public_jwk()]), number] {
            let header = format!(r#"{{"alg":"HS256","kid":"{}"}}"#, key.kid());
            let input = format!("{}.{}", b64::encode(header), b64::encode(claims(json!({}))));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), input.as_bytes());
            let token = format!("{input}.{}", b64::encode(tag));
            assert!(matches!(verify(&token, set_of(&key), expect()), Err(Rejected::Algorithm(_))));
        }
    }
}

#[tokio::test]
async fn attack_01_an_oct_key_in_the_jwks_is_left_out() {
    let raw =
        json!({"keys": [{"kty": "oct", "k": b64::encode("secret"), "kid": "a", "alg": "HS256"}]}).to_string();
    let set = KeySet::from_jwks(raw.as_bytes()).unwrap();
    assert!(set.keys().is_empty());
    let input = format!("{}.{}", b64::encode(r#"{"alg":"HS256","kid":"a"}"#), b64::encode(claims(json!({}))));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"secret"), input.as_bytes());
    assert!(matches!(
        verify(&format!("{input}.{}", b64::encode(tag)), set, expect()),
        Err(Rejected::Algorithm(_))
    ));
}

#[tokio::test]
async fn attack_01_an_algorithm_outside_of_the_issuer_s_list() {
    let key = signer(Alg::Es256).await;
    let token = mint(&key, json!({})).await;
    let only_rsa = expect().algs([Alg::Rs256].into_iter().collect());
    assert!(verify(&token, set_of(&key), expect()).is_ok());
    assert!(matches!(verify(&token, set_of(&key), only_rsa), Err(Rejected::Algorithm(_))));
}

#[tokio::test]
async fn attack_03_keys_in_the_header_are_not_looked_at() {
    let (trusted, attacker) = (signer(Alg::Es256).await, fresh_signer(Alg::Es256).await);
    let own = serde_json::to_string(attacker.public_jwk()).unwrap();
    for extra in [
        format!(r#","jwk":{own}"#),
        r#","jku":"https://evil.example.com/keys""#.to_owned(),
        r#","x5u":"https://evil.example.com/cert""#.to_owned(),
        r#","x5c":["MIIB"]"#.to_owned(),
    ] {
        for kid in [attacker.kid(), trusted.kid()] {
            let header = format!(r#"{{"alg":"ES256","kid":"{kid}"{extra}}}"#);
            let token = mint_raw(&attacker, &header, claims(json!({})).as_bytes()).await;
            let why = verify(&token, set_of(&trusted), expect()).unwrap_err();
            assert!(matches!(why, Rejected::UnknownKey(_) | Rejected::Signature), "{why}");
        }
    }
}

#[tokio::test]
async fn attack_03_a_kid_is_a_name_and_nothing_else() {
    let key = signer(Alg::Es256).await;
    for kid in [
        "../../../dev/null",
        "https://evil.example.com/k",
        "' OR 1=1 --",
        "*)(uid=*",
        "\\u0000",
        "${jndi:ldap://x}",
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
        let token = mint_raw(&key, &header, claims(json!({})).as_bytes()).await;
        assert!(matches!(verify(&token, set_of(&key), expect()), Err(Rejected::UnknownKey(_))), "{kid}");
    }
    let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(1_000_000));
    let token = mint_raw(&key, &header, b"{}").await;
    assert_eq!(verify(&token, set_of(&key), expect()).unwrap_err(), Rejected::Malformed(BadCompact::TooLong));
}

#[tokio::test]
async fn attack_03_extensions_and_nesting_are_refused_although_signed() {
    let key = signer(Alg::Es256).await;
    for extra in
        [r#""crit":["exp"]"#, r#""b64":false"#, r#""zip":"DEF""#, r#""cty":"JWT""#, r#""enc":"A128GCM""#]
    {
        let header = format!(r#"{{"alg":"ES256","kid":"{}",{extra}}}"#, key.kid());
        let token = mint_raw(&key, &header, claims(json!({})).as_bytes()).await;
        assert_eq!(
            verify(&token, set_of(&key), expect()).unwrap_err(),
            Rejected::Malformed(BadCompact::Critical)
        );
    }
    let why = verify("e30.e30.e30.e30.e30", set_of(&key), expect()).unwrap_err();
    assert_eq!(why, Rejected::Malformed(BadCompact::Encrypted));
}

#[tokio::test]
async fn attack_04_one_spelling_of_a_token() {
    let key = signer(Alg::Es256).await;
    let good = mint(&key, json!({})).await;
    assert!(verify(&good, set_of(&key), expect()).is_ok());
    let last = good.chars().last().unwrap();
    // 64 bytes leave four unused bits in the last letter: A, Q, g and w are the canonical ones.
    let twin = char::from_u32(last as u32 + 1).unwrap();
    let swapped = format!("{}{twin}", &good[..good.len() - 1]);
    for bad in [
        format!("{good}="),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{good}.e30"),
        swapped,
        good.replacen('.', "..", 1),
    ] {
        assert!(matches!(verify(&bad, set_of(&key), expect()), Err(Rejected::Malformed(_))));
    }
    let json_form =
        json!({"payload": "e30", "signatures": [{"protected": "e30", "signature": "AA"}]}).to_string();
    assert!(matches!(
        verify(&json_form, set_of(&key), expect()),
        Err(Rejected::Malformed(BadCompact::Shape))
    ));
}

#[tokio::test]
async fn attack_04_two_readings_of_a_payload() {
    let key = signer(Alg::Es256).await;
    let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, key.kid());
    let good = claims(json!({}));
    let members = good.strip_prefix('{').unwrap();
    for first in [
        r#""sub":"admin""#,
        r#""aud":"other""#,
        r#""x":{"a":1,"a":2}"#,
        r#""Sub":"admin""#,
        "\"\u{17f}ub\":\"admin\"",
    ] {
        let token = mint_raw(&key, &header, format!("{{{first},{members}").as_bytes()).await;
        assert!(matches!(verify(&token, set_of(&key), expect()), Err(Rejected::Claims(_))), "{first}");
    }
    let invalid_utf8 = [good.as_bytes().strip_suffix(b"}").unwrap(), b",\"x\":\"\xff\"}"].concat();
    let deep = format!("{{\"x\":{}{},{members}", "[".repeat(1000), "]".repeat(1000));
    for payload in [
        invalid_utf8,
        deep.into_bytes(),
        format!("\u{feff}{good}").into_bytes(),
        good.encode_utf16().flat_map(u16::to_be_bytes).collect(),
    ] {
        let token = mint_raw(&key, &header, &payload).await;
        assert!(matches!(verify(&token, set_of(&key), expect()), Err(Rejected::Claims(BadClaims::Json(_)))));
    }
}

#[tokio::test]
async fn attack_05_a_claim_of_the_wrong_type_is_not_an_absent_claim() {
    let key = signer(Alg::Es256).await;
    let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, key.kid());
    let base = format!(r#""iss":"{ISSUER}","sub":"s","aud":"{US}","exp":{}"#, NOW.unix() + 300);
    let times = ["\"1900000000\"", "null", "1e400", "[1]", "{}", "true", "9e15"];
    let mut payloads = Vec::new();
    for value in times {
        payloads.push(format!(r#"{{"iss":"{ISSUER}","sub":"s","aud":"{US}","exp":{value}}}"#));
        payloads.push(format!(r#"{{{base},"nbf":{value}}}"#));
        payloads.push(format!(r#"{{{base},"iat":{value}}}"#));
    }
    for value in ["\"\"", "[]", "[[\"a\"]]", "7", "{}", "null", "[\"\"]", "[1]"] {
        payloads.push(format!(r#"{{"iss":"{ISSUER}","sub":"s","aud":{value},"exp":{}}}"#, NOW.unix() + 300));
    }
    for value in ["7", "\"\"", "null", "[\"s\"]"] {
        payloads
            .push(format!(r#"{{"iss":"{ISSUER}","sub":{value},"aud":"{US}","exp":{}}}"#, NOW.unix() + 300));
        payloads.push(format!(r#"{{"iss":{value},"sub":"s","aud":"{US}","exp":{}}}"#, NOW.unix() + 300));
    }
    for payload in payloads {
        let token = mint_raw(&key, &header, payload.as_bytes()).await;
        assert!(matches!(verify(&token, set_of(&key), expect()), Err(Rejected::Claims(_))), "{payload}");
    }
    let token = mint_raw(&key, &header, format!("{{{base}}}").as_bytes()).await;
    assert!(verify(&token, set_of(&key), expect()).is_ok());
}

#[tokio::test]
async fn rejections_never_show_the_token() {
    let key = signer(Alg::Es256).await;
    let canary = "canary-".repeat(200);
    for changes in [
        json!({"iss": canary}),
        json!({"aud": canary}),
        json!({"exp": 1}),
        json!({"sub": canary, "events": {}}),
    ] {
        let token = mint(&key, changes).await;
        let why = verify(&token, set_of(&key), expect()).unwrap_err();
        let text = format!("{why} {why:?}");
        assert!(!text.contains(&canary) && !text.contains(&token[..60]), "{text}");
    }
}
