//! Public keys from PEM files: SubjectPublicKeyInfo (RFC 5280) and PKCS#1 (RFC 8017), which is all that
//! `--service-account-key-file` and Vault's `jwt_validation_pubkeys` are given in practice.

use wire::b64;

use crate::Alg;
use crate::keyset::BadKeySet;
use crate::verifying::{UnusableKey, VerifyingKey};

/// Every public key of `text`.
pub(crate) fn public_keys(text: &str) -> Result<Vec<VerifyingKey>, BadKeySet> {
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) = after.split_once("-----").ok_or(BadKeySet::Pem("a block has no name"))?;
        let end = format!("-----END {label}-----");
        let (body, after) = after.split_once(end.as_str()).ok_or(BadKeySet::Pem("a block does not end"))?;
        let der = decode(body).ok_or(BadKeySet::Pem("a block is not base64"))?;
        keys.push(match label {
            "PUBLIC KEY" => from_spki(&der)?,
            "RSA PUBLIC KEY" => from_pkcs1(&der)?,
            _ => return Err(BadKeySet::Pem("a block is not a public key")),
        });
        rest = after;
    }
    if keys.is_empty() { Err(BadKeySet::Pem("there is no block in it")) } else { Ok(keys) }
}

/// PEM's alphabet and line breaks, read with the strict decoder of the other alphabet.
fn decode(body: &str) -> Option<Vec<u8>> {
    let text: String = body
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| match c {
            '+' => '-',
            '/' => '_',
            '-' | '_' => '\u{fffd}',
            other => other,
        })
        .collect();
    b64::decode(text.trim_end_matches('='))
}

fn from_spki(der: &[u8]) -> Result<VerifyingKey, UnusableKey> {
    let malformed = UnusableKey::Malformed;
    let (outer, []) = element(SEQUENCE, der).ok_or(malformed)? else { return Err(malformed) };
    let (algorithm, after) = element(SEQUENCE, outer).ok_or(malformed)?;
    let (bits, []) = element(BIT_STRING, after).ok_or(malformed)? else { return Err(malformed) };
    let (0, key) = bits.split_first().map(|(unused, key)| (*unused, key)).ok_or(malformed)? else {
        return Err(malformed);
    };
    let (oid, parameters) = element(OID, algorithm).ok_or(malformed)?;
    match oid {
        OID_RSA => from_pkcs1(key),
        OID_ED25519 => VerifyingKey::from_ed25519(key),
        OID_EC => match element(OID, parameters) {
            Some((OID_P256, [])) => VerifyingKey::from_curve(Alg::Es256, key),
            Some((OID_P384, [])) => VerifyingKey::from_curve(Alg::Es384, key),
            Some((OID_P521, [])) => VerifyingKey::from_curve(Alg::Es512, key),
            _ => Err(UnusableKey::Unknown),
        },
        _ => Err(UnusableKey::Unknown),
    }
}

fn from_pkcs1(der: &[u8]) -> Result<VerifyingKey, UnusableKey> {
    let numbers = || {
        let (outer, []) = element(SEQUENCE, der)? else { return None };
        let (n, after) = element(INTEGER, outer)?;
        let (e, []) = element(INTEGER, after)? else { return None };
        Some((n, e))
    };
    let (n, e) = numbers().ok_or(UnusableKey::Malformed)?;
    VerifyingKey::from_rsa(n, e, None)
}

/// The content of one DER element of type `tag`, and what follows it.
pub(crate) fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => {
            let (length, rest) = rest.split_first()?;
            (usize::from(*length).checked_sub(0x80)? + 0x80, rest)
        }
        0x82 => {
            let ([high, low], rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    if *found == tag { rest.split_at_checked(length) } else { None }
}

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OID: u8 = 0x06;
const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const OID_EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const OID_P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const OID_ED25519: &[u8] = &[0x2b, 0x65, 0x70];
