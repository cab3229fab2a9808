//! A public key that may verify: checked when it is read, parsed once, bound to its algorithm.

use std::fmt;

use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};
use wire::b64;
use wire::jose::Jwk;

use crate::Alg;

/// A public key, ready to verify with the algorithm it is bound to.
///
/// A key that names its `alg` verifies that one alone. One that does not is bound by its type: a curve has exactly
/// one algorithm here; an RSA key serves the RSA algorithms that the trust entry allows ([`crate::Expect::algs`]).
pub struct VerifyingKey {
    kid: Option<Box<str>>,
    imported: bool,
    prepared: Vec<(Alg, ParsedPublicKey)>,
}

/// Why a key is left out of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableKey {
    /// It holds private members, or is symmetric: whoever published it gave it away.
    #[error("the key is not a public key")]
    NotPublic,
    /// `use` or `key_ops` say that it is not for signatures.
    #[error("the key is not for verifying signatures")]
    OtherUse,
    /// A type, curve or algorithm that is not known here, or an `alg` that does not fit the type.
    #[error("the key's type, curve and algorithm do not make a signature that is known here")]
    Unknown,
    /// Members are missing or malformed, or the point is not on its curve.
    #[error("the key's numbers are malformed")]
    Malformed,
    /// RSA below 2048 or above 8192 bits, or an even or small exponent; a small-order Ed25519 point.
    #[error("the key is too weak or too large")]
    Weak,
}

impl VerifyingKey {
    /// Reads a JWK (RFC 7517, RFC 7518 section 6, RFC 8037 section 2) that may carry `use: sig` or none.
    ///
    /// # Errors
    /// [`UnusableKey`]
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, UnusableKey> {
        Self::from_jwk_for(jwk, None)
    }

    /// The same where the key set's format gives `use` a value of its own, which is then required.
    pub(crate) fn from_jwk_for(jwk: &Jwk, required_use: Option<&str>) -> Result<Self, UnusableKey> {
        if jwk.holds_secret || jwk.kty == "oct" {
            return Err(UnusableKey::NotPublic);
        }
        let usage_fits = match required_use {
            Some(required) => jwk.usage.as_deref() == Some(required),
            None => jwk.usage.as_deref().is_none_or(|usage| usage == "sig"),
        };
        let ops_fit = jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !usage_fits || !ops_fit {
            return Err(UnusableKey::OtherUse);
        }
        let bound = match jwk.alg.as_deref() {
            Some(name) => Some(Alg::parse(name).ok_or(UnusableKey::Unknown)?),
            None => None,
        };
        let number =
            |member: &Option<String>| member.as_deref().and_then(b64::decode).ok_or(UnusableKey::Malformed);
        let key = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => Self::from_rsa(&number(&jwk.n)?, &number(&jwk.e)?, bound)?,
            ("EC", Some(curve)) => Self::from_point(curve, &number(&jwk.x)?, &number(&jwk.y)?)?,
            ("OKP", Some("Ed25519")) => Self::from_ed25519(&number(&jwk.x)?)?,
            _ => return Err(UnusableKey::Unknown),
        };
        if bound.is_some_and(|alg| !key.serves(alg)) {
            return Err(UnusableKey::Unknown);
        }
        Ok(Self { kid: jwk.kid.as_deref().map(Box::from), ..key })
    }

    /// An RSA key from its big-endian modulus and exponent; without `bound` it serves all RSA algorithms.
    pub(crate) fn from_rsa(n: &[u8], e: &[u8], bound: Option<Alg>) -> Result<Self, UnusableKey> {
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        check_rsa_strength(n, e)?;
        let components = RsaPublicKeyComponents { n, e };
        let mut prepared = Vec::new();
        for alg in Alg::ALL.into_iter().filter(|alg| bound.is_none_or(|bound| bound == *alg)) {
            if let Some(parameters) = alg.rsa() {
                let key = components.to_parsed_public_key(parameters).map_err(|_| UnusableKey::Malformed)?;
                prepared.push((alg, key));
            }
        }
        Ok(Self::new(prepared))
    }

    /// A key on a NIST curve; coordinates have exactly the curve's length (RFC 7518 section 6.2.1.2).
    fn from_point(curve: &str, x: &[u8], y: &[u8]) -> Result<Self, UnusableKey> {
        let (alg, length) = match curve {
            "P-256" => (Alg::Es256, 32),
            "P-384" => (Alg::Es384, 48),
            "P-521" => (Alg::Es512, 66),
            _ => return Err(UnusableKey::Unknown),
        };
        if x.len() != length || y.len() != length {
            return Err(UnusableKey::Malformed);
        }
        let mut point = Vec::with_capacity(1 + 2 * length);
        point.push(UNCOMPRESSED);
        point.extend_from_slice(x);
        point.extend_from_slice(y);
        Self::from_curve(alg, &point)
    }

    /// An uncompressed point in SEC 1 form; the library checks that it lies on the curve.
    pub(crate) fn from_curve(alg: Alg, point: &[u8]) -> Result<Self, UnusableKey> {
        let algorithm = alg.curve().ok_or(UnusableKey::Unknown)?;
        if point.first() != Some(&UNCOMPRESSED) {
            return Err(UnusableKey::Malformed);
        }
        let key = ParsedPublicKey::new(algorithm, point).map_err(|_| UnusableKey::Malformed)?;
        Ok(Self::new(vec![(alg, key)]))
    }

    /// An Ed25519 key. Points of small order verify signatures that nobody made, so they are refused.
    pub(crate) fn from_ed25519(point: &[u8]) -> Result<Self, UnusableKey> {
        let raw: [u8; 32] = point.try_into().map_err(|_| UnusableKey::Malformed)?;
        if is_small_order(raw) {
            return Err(UnusableKey::Weak);
        }
        let algorithm = Alg::EdDsa.curve().ok_or(UnusableKey::Unknown)?;
        let key = ParsedPublicKey::new(algorithm, raw).map_err(|_| UnusableKey::Malformed)?;
        Ok(Self::new(vec![(Alg::EdDsa, key)]))
    }

    const fn new(prepared: Vec<(Alg, ParsedPublicKey)>) -> Self {
        Self { kid: None, imported: false, prepared }
    }

    /// The same key, marked as taken over from a Dex: tokens without `typ` pass under it.
    #[must_use]
    pub(crate) fn imported(mut self, imported: bool) -> Self {
        self.imported = imported;
        self
    }

    /// The key's id, if it has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether it was taken over from a Dex.
    pub(crate) const fn is_imported(&self) -> bool {
        self.imported
    }

    /// Whether it may verify signatures of `alg`.
    pub fn serves(&self, alg: Alg) -> bool {
        self.prepared.iter().any(|(bound, _)| *bound == alg)
    }

    /// Whether `signature` over `message` is this key's under `alg`.
    pub fn verifies(&self, alg: Alg, message: &[u8], signature: &[u8]) -> bool {
        self.prepared.iter().any(|(bound, key)| *bound == alg && key.verify_sig(message, signature).is_ok())
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algs: Vec<_> = self.prepared.iter().map(|(alg, _)| alg).collect();
        f.debug_struct("VerifyingKey").field("kid", &self.kid).field("algs", &algs).finish_non_exhaustive()
    }
}

fn check_rsa_strength(n: &[u8], e: &[u8]) -> Result<(), UnusableKey> {
    let bits = n.first().map_or(0, |top| n.len() * 8 - top.leading_zeros() as usize);
    let odd = |number: &[u8]| number.last().is_some_and(|low| low & 1 == 1);
    // 65537 is the least that is safe with every padding; above 32 bits an exponent only costs time.
    let exponent = match e {
        [a, b, c] => u32::from_be_bytes([0, *a, *b, *c]),
        [a, b, c, d] => u32::from_be_bytes([*a, *b, *c, *d]),
        _ => 0,
    };
    let strong = (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) && odd(n) && odd(e) && exponent >= 65_537;
    if strong { Ok(()) } else { Err(UnusableKey::Weak) }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.split_at(zeros).1
}

fn is_small_order(mut point: [u8; 32]) -> bool {
    if let Some(last) = point.last_mut() {
        *last &= 0x7f; // the sign of x is not part of y
    }
    SMALL_ORDER.contains(&point)
}

const UNCOMPRESSED: u8 = 4;
const MIN_RSA_BITS: usize = 2048;
const MAX_RSA_BITS: usize = 8192;

/// The y coordinates of the eight points of small order on edwards25519, and those of their spellings that are not
/// reduced modulo p, little-endian without the sign bit.
const SMALL_ORDER: [[u8; 32]; 7] = [
    // 0 (order 4)
    [0; 32],
    // 1 (order 1)
    spelled(1, 0, 0),
    // The two of order 8.
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    // p - 1 (order 2), p (another 0), p + 1 (another 1)
    spelled(0xec, 0xff, 0x7f),
    spelled(0xed, 0xff, 0x7f),
    spelled(0xee, 0xff, 0x7f),
];

/// Thirty-two bytes: the lowest, thirty of `middle`, the highest.
const fn spelled(low: u8, middle: u8, high: u8) -> [u8; 32] {
    let mut out = [middle; 32];
    let [first, .., last] = &mut out;
    *first = low;
    *last = high;
    out
}
