//! Published vectors: Wycheproof, RFC 7515, RFC 8037.

use serde_json::json;
use token::{Alg, BadKeySet, KeySet, UnusableKey, VerifyingKey};
use wire::b64;
use wire::jose::{Compact, Jwk};
use wycheproof::TestResult;

/// Counts what was tried, so that an empty file is no success.
#[derive(Default)]
struct Tally {
    valid: usize,
    invalid: usize,
}

impl Tally {
    fn note(&mut self, key: &KeySet, alg: Alg, case: (usize, &[u8], &[u8], TestResult)) {
        let (id, message, signature, expected) = case;
        let passes = key.keys().iter().any(|key| key.verifies(alg, message, signature));
        match expected {
            TestResult::Valid => {
                assert!(passes, "{alg} {id}: a valid signature was refused");
                self.valid += 1;
            }
            TestResult::Invalid => {
                assert!(!passes, "{alg} {id}: an invalid signature passed");
                self.invalid += 1;
            }
            // PKCS#1 without the NULL parameter: allowed either way.
            TestResult::Acceptable => {}
        }
    }
}

#[test]
fn attack_02_wycheproof_ecdsa() {
    use wycheproof::ecdsa::{TestName, TestSet};
    for (name, alg) in [
        (TestName::EcdsaSecp256r1Sha256P1363, Alg::Es256),
        (TestName::EcdsaSecp384r1Sha384P1363, Alg::Es384),
        (TestName::EcdsaSecp521r1Sha512P1363, Alg::Es512),
    ] {
        let mut tally = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let key = KeySet::from_pem(&group.pem).unwrap();
            for test in &group.tests {
                tally.note(&key, alg, (test.tc_id, &test.msg, &test.sig, test.result));
            }
        }
        assert!(tally.valid > 80 && tally.invalid > 80, "{alg}: {} {}", tally.valid, tally.invalid);
    }
}

/// Keys with the exponent 3 or one above 32 bits are refused whole, which is stricter than the vectors.
fn rsa_key(pem: &str) -> Option<KeySet> {
    match KeySet::from_pem(pem) {
        Ok(key) => Some(key),
        Err(BadKeySet::Unusable(UnusableKey::Weak)) => None,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn attack_02_wycheproof_rsa_pkcs1() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    for (name, alg) in [
        (TestName::Rsa2048Sha256, Alg::Rs256),
        (TestName::Rsa2048Sha384, Alg::Rs384),
        (TestName::Rsa2048Sha512, Alg::Rs512),
        (TestName::Rsa3072Sha256, Alg::Rs256),
        (TestName::Rsa3072Sha384, Alg::Rs384),
        (TestName::Rsa3072Sha512, Alg::Rs512),
        (TestName::Rsa4096Sha256, Alg::Rs256),
        (TestName::Rsa4096Sha512, Alg::Rs512),
        (TestName::Rsa8192Sha256, Alg::Rs256),
    ] {
        let mut tally = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let Some(key) = rsa_key(&group.pem) else { continue };
            for test in &group.tests {
                tally.note(&key, alg, (test.tc_id, &test.msg, &test.sig, test.result));
            }
        }
        assert!(tally.valid > 5 && tally.invalid > 100, "{alg}: {} {}", tally.valid, tally.invalid);
    }
}

#[test]
fn attack_02_wycheproof_rsa_pss() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    for (name, alg) in [
        (TestName::RsaPss2048Sha256Mgf1SaltLen32, Alg::Ps256),
        (TestName::RsaPss2048Sha384Mgf1SaltLen48, Alg::Ps384),
        (TestName::RsaPss3072Sha256Mgf1SaltLen32, Alg::Ps256),
        (TestName::RsaPss4096Sha256Mgf1SaltLen32, Alg::Ps256),
        (TestName::RsaPss4096Sha384Mgf1SaltLen48, Alg::Ps384),
        (TestName::RsaPss4096Sha512Mgf1SaltLen64, Alg::Ps512),
    ] {
        let mut tally = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let Some(key) = rsa_key(&group.pem) else { continue };
            for test in &group.tests {
                tally.note(&key, alg, (test.tc_id, &test.msg, &test.sig, test.result));
            }
        }
        assert!(tally.valid > 20 && tally.invalid > 20, "{alg}: {} {}", tally.valid, tally.invalid);
    }
}

/// RFC 7518 section 3.5 fixes the salt's length and the mask's hash: a good signature with others is not good here.
#[test]
fn attack_02_wycheproof_rsa_pss_with_other_parameters() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    for (name, alg) in [
        (TestName::RsaPss2048Sha256Mgf1SaltLen0, Alg::Ps256),
        (TestName::RsaPss2048Sha256Mgf1Sha1_20, Alg::Ps256),
        (TestName::RsaPss4096Sha512Mgf1SaltLen32, Alg::Ps512),
        (TestName::RsaPss2048Shake128, Alg::Ps256),
    ] {
        let mut tally = Tally::default();
        for group in TestSet::load(name).unwrap().test_groups {
            let Some(key) = rsa_key(&group.pem) else { continue };
            // Some of the invalid ones are wrong there for being right here.
            for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
                tally.note(&key, alg, (test.tc_id, &test.msg, &test.sig, TestResult::Invalid));
            }
        }
        assert!(tally.invalid > 20, "{}", tally.invalid);
    }
}

#[test]
fn attack_02_wycheproof_eddsa() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let key = KeySet::from_pem(&group.pem).unwrap();
        for test in &group.tests {
            tally.note(&key, Alg::EdDsa, (test.tc_id, &test.msg, &test.sig, test.result));
        }
    }
    assert!(tally.valid > 80 && tally.invalid > 40, "{} {}", tally.valid, tally.invalid);
}

fn key(value: serde_json::Value) -> VerifyingKey {
    VerifyingKey::from_jwk(&serde_json::from_value::<Jwk>(value).unwrap()).unwrap()
}

fn verifies(key: &VerifyingKey, token: &str) -> bool {
    let jws = Compact::parse(token).unwrap();
    key.verifies(Alg::parse(&jws.header.algorithm).unwrap(), jws.signing_input.as_bytes(), &jws.signature)
}

#[test]
fn rfc_7515_appendix_a_3() {
    let key = key(json!({"kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}));
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert!(verifies(&key, token));
    assert!(!verifies(&key, &token.replace("DtEh", "DtEi")));
}

#[test]
fn rfc_7515_appendix_a_2() {
    let key = key(json!({"kty": "RSA", "e": "AQAB",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}));
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    assert!(verifies(&key, token));
}

#[test]
fn rfc_8037_appendix_a_4() {
    let key =
        key(json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}));
    let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(key.verifies(Alg::EdDsa, input.as_bytes(), &b64::decode(signature).unwrap()));
    assert!(!key.verifies(Alg::EdDsa, b"other", &b64::decode(signature).unwrap()));
}
