//! Signing keys that Obol itself holds: parsed once and kept, since parsing an RSA key costs as much as using it.

use std::fmt;
use std::sync::Arc;

use ambient::{BoxFuture, Secret};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use wire::b64;
use wire::jose::Jwk;

use crate::{Alg, SignError, Signer, SigningPool, jwk, pem};

/// A private key in memory. RSA signs on the pool, elliptic curves where the caller stands.
pub struct LocalSigner {
    alg: Alg,
    public: Jwk,
    pair: Pair,
}

enum Pair {
    Rsa { pair: Arc<RsaKeyPair>, padding: &'static dyn lc::RsaEncoding, pool: SigningPool },
    Curve(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why a private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPrivateKey {
    /// Not PKCS#8, of another type than `alg` signs with, or with inconsistent numbers.
    #[error("the private key is not a PKCS#8 key for {0}: {1}")]
    Rejected(Alg, String),
    /// The library could not make or write a key.
    #[error("no key could be made: {0}")]
    Failed(String),
}

impl LocalSigner {
    /// Reads a PKCS#8 key. Its id is its thumbprint (RFC 7638), so one id can never name two keys.
    ///
    /// # Errors
    /// [`BadPrivateKey`]
    pub fn from_pkcs8(alg: Alg, der: &Secret<Vec<u8>>, pool: &SigningPool) -> Result<Self, BadPrivateKey> {
        let pair = Pair::read(alg, der.expose(), pool).map_err(|why| BadPrivateKey::Rejected(alg, why))?;
        let mut public =
            pair.public(alg).ok_or_else(|| BadPrivateKey::Failed("its public half is unreadable".into()))?;
        public.usage = Some("sig".into());
        public.alg = Some(alg.name().into());
        public.kid = Some(jwk::thumbprint(&public));
        Ok(Self { alg, public, pair })
    }

    /// The same key under another id: one that was taken over keeps the id it was published with.
    #[must_use]
    pub fn named(mut self, kid: impl Into<String>) -> Self {
        self.public.kid = Some(kid.into());
        self
    }

    /// Makes a new key: RSA of 2048 bits, or the curve of `alg`. Runs on the pool, for RSA takes its time.
    ///
    /// # Errors
    /// [`BadPrivateKey::Failed`]
    pub async fn generate(alg: Alg, pool: &SigningPool) -> Result<Secret<Vec<u8>>, BadPrivateKey> {
        let made = pool.run(move || generate(alg)).await.map_err(|e| BadPrivateKey::Failed(e.to_string()))?;
        made.map(Secret::new).map_err(|_| BadPrivateKey::Failed(format!("generating a key for {alg} failed")))
    }
}

impl Signer for LocalSigner {
    fn alg(&self) -> Alg {
        self.alg
    }

    fn public_jwk(&self) -> &Jwk {
        &self.public
    }

    fn sign<'a>(&'a self, input: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, SignError>> {
        let failed = |_| SignError::Failed("the library refused".into());
        let done = match &self.pair {
            Pair::Rsa { pair, padding, pool } => {
                let (pair, padding, input) = (Arc::clone(pair), *padding, input.to_vec());
                return Box::pin(async move { pool.run(move || sign_rsa(&pair, padding, &input)).await? });
            }
            Pair::Curve(pair) => {
                pair.sign(&SystemRandom::new(), input).map(|made| made.as_ref().to_vec()).map_err(failed)
            }
            Pair::Ed25519(pair) => pair.try_sign(input).map(|made| made.as_ref().to_vec()).map_err(failed),
        };
        Box::pin(std::future::ready(done))
    }
}

impl Pair {
    fn read(alg: Alg, der: &[u8], pool: &SigningPool) -> Result<Self, String> {
        let padding: &'static dyn lc::RsaEncoding = match alg {
            Alg::Rs256 => &lc::RSA_PKCS1_SHA256,
            Alg::Rs384 => &lc::RSA_PKCS1_SHA384,
            Alg::Rs512 => &lc::RSA_PKCS1_SHA512,
            Alg::Ps256 => &lc::RSA_PSS_SHA256,
            Alg::Ps384 => &lc::RSA_PSS_SHA384,
            Alg::Ps512 => &lc::RSA_PSS_SHA512,
            Alg::Es256 | Alg::Es384 | Alg::Es512 => {
                let curve = curve(alg).ok_or("no curve")?;
                return EcdsaKeyPair::from_pkcs8(curve, der).map(Self::Curve).map_err(|e| e.to_string());
            }
            Alg::EdDsa => {
                return Ed25519KeyPair::from_pkcs8(der).map(Self::Ed25519).map_err(|e| e.to_string());
            }
        };
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|e| e.to_string())?;
        Ok(Self::Rsa { pair: Arc::new(pair), padding, pool: pool.clone() })
    }

    fn public(&self, alg: Alg) -> Option<Jwk> {
        match self {
            Self::Rsa { pair, .. } => {
                let (numbers, _) = pem::element(pem::SEQUENCE, pair.public_key().as_ref())?;
                let (n, rest) = pem::element(pem::INTEGER, numbers)?;
                let (e, _) = pem::element(pem::INTEGER, rest)?;
                let plain = |number: &[u8]| Some(b64::encode(number.strip_prefix(&[0]).unwrap_or(number)));
                Some(Jwk { kty: "RSA".into(), n: plain(n), e: plain(e), ..Jwk::default() })
            }
            Self::Curve(pair) => {
                let point = pair.public_key().as_ref().strip_prefix(&[4])?;
                let (x, y) = point.split_at_checked(point.len() / 2)?;
                let crv = match alg {
                    Alg::Es256 => "P-256",
                    Alg::Es384 => "P-384",
                    _ => "P-521",
                };
                let (x, y) = (Some(b64::encode(x)), Some(b64::encode(y)));
                Some(Jwk { kty: "EC".into(), crv: Some(crv.into()), x, y, ..Jwk::default() })
            }
            Self::Ed25519(pair) => {
                let x = Some(b64::encode(pair.public_key()));
                Some(Jwk { kty: "OKP".into(), crv: Some("Ed25519".into()), x, ..Jwk::default() })
            }
        }
    }
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalSigner({}, {:?})", self.alg, self.kid())
    }
}

fn sign_rsa(
    pair: &RsaKeyPair,
    padding: &'static dyn lc::RsaEncoding,
    input: &[u8],
) -> Result<Vec<u8>, SignError> {
    let mut out = vec![0; pair.public_modulus_len()];
    match pair.sign(padding, &SystemRandom::new(), input, &mut out) {
        Ok(()) => Ok(out),
        Err(_) => Err(SignError::Failed("the library refused".into())),
    }
}

fn generate(alg: Alg) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
    let made = match (alg, curve(alg)) {
        (_, Some(curve)) => EcdsaKeyPair::generate(curve)?.to_pkcs8v1()?.as_ref().to_vec(),
        (Alg::EdDsa, None) => Ed25519KeyPair::generate()?.to_pkcs8v1()?.as_ref().to_vec(),
        _ => AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&RsaKeyPair::generate(KeySize::Rsa2048)?)?
            .as_ref()
            .to_vec(),
    };
    Ok(made)
}

const fn curve(alg: Alg) -> Option<&'static lc::EcdsaSigningAlgorithm> {
    match alg {
        Alg::Es256 => Some(&lc::ECDSA_P256_SHA256_FIXED_SIGNING),
        Alg::Es384 => Some(&lc::ECDSA_P384_SHA384_FIXED_SIGNING),
        Alg::Es512 => Some(&lc::ECDSA_P521_SHA512_FIXED_SIGNING),
        _ => None,
    }
}
