//! The public keys of one issuer, and finding the one that a token names.

use wire::jose::Jwk;
use wire::json::Object;

use crate::verifying::{UnusableKey, VerifyingKey};
use crate::{Alg, pem};

/// Public keys of one issuer.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    skipped: Vec<UnusableKey>,
}

/// Why a document is not a key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeySet {
    /// Above [`MAX_KEY_SET`].
    #[error("the key set is larger than {MAX_KEY_SET} bytes")]
    TooLarge,
    /// Not JSON with one meaning.
    #[error("the key set is not JSON: {0}")]
    Json(String),
    /// No array `keys`.
    #[error("the key set has no array \"keys\"")]
    NoKeys,
    /// Not PEM, or a block that holds no public key.
    #[error("not a PEM file with public keys: {0}")]
    Pem(&'static str),
    /// A key that was configured by hand and cannot be used.
    #[error(transparent)]
    Unusable(#[from] UnusableKey),
}

/// A signature to check, with what the token says about its key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) kid: Option<&'a str>,
    pub(crate) alg: Alg,
    pub(crate) input: &'a [u8],
    pub(crate) signature: &'a [u8],
}

/// What became of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is good.
    Good {
        /// Whether the key was taken over from a Dex.
        imported: bool,
    },
    /// There is no key of that name for that algorithm.
    NoKey,
    /// There is, and it did not make this signature.
    Wrong,
}

impl KeySet {
    /// Reads a JWK Set. Keys that cannot be used are left out, since issuers publish keys of many kinds.
    ///
    /// # Errors
    /// [`BadKeySet`] if it is no JWK Set at all.
    pub fn from_jwks(raw: &[u8]) -> Result<Self, BadKeySet> {
        Self::from_document(&document(raw)?, None)
    }

    /// Reads the JWT keys of a SPIFFE bundle: those with `use: jwt-svid` (SPIFFE Trust Domain and Bundle section 4.2.2).
    ///
    /// # Errors
    /// [`BadKeySet`] if it is no JWK Set at all.
    pub fn from_spiffe_bundle(raw: &[u8]) -> Result<Self, BadKeySet> {
        Self::from_document(&document(raw)?, Some("jwt-svid"))
    }

    /// Reads every `PUBLIC KEY` and `RSA PUBLIC KEY` block of a PEM file. These keys have no ids.
    ///
    /// # Errors
    /// [`BadKeySet`] if there is none, or if one of them cannot be used: an operator wrote it down, so nothing is skipped.
    pub fn from_pem(text: &str) -> Result<Self, BadKeySet> {
        Ok(Self::from_keys(pem::public_keys(text)?))
    }

    /// From keys that were read elsewhere.
    pub const fn from_keys(keys: Vec<VerifyingKey>) -> Self {
        Self { keys, skipped: Vec::new() }
    }

    pub(crate) fn from_document(document: &Object, required_use: Option<&str>) -> Result<Self, BadKeySet> {
        let list = document.get("keys").and_then(wire::json::Value::as_list).ok_or(BadKeySet::NoKeys)?;
        let mut set = Self::default();
        for item in list {
            if set.keys.len() == MAX_KEYS {
                break;
            }
            let jwk = item.as_object().and_then(Jwk::from_object).ok_or(UnusableKey::Malformed);
            match jwk.and_then(|jwk| VerifyingKey::from_jwk_for(&jwk, required_use)) {
                Ok(key) => set.keys.push(key),
                Err(why) => set.skipped.push(why),
            }
        }
        Ok(set)
    }

    /// The keys.
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// Why keys of the document were left out, in their order.
    pub fn skipped(&self) -> &[UnusableKey] {
        &self.skipped
    }

    /// Checks a signature. A `kid` names keys exactly; if no key has it, only keys without one are tried. Two keys of
    /// one name are both tried: each is bound to its own algorithm, so neither can stand in for the other.
    pub(crate) fn check(&self, signed: Signed<'_>) -> Outcome {
        let named = signed.kid.is_some_and(|kid| self.has(kid, signed.alg));
        let wanted = |key: &&VerifyingKey| match signed.kid {
            Some(kid) if named => key.kid() == Some(kid),
            Some(_) => key.kid().is_none(),
            None => true,
        };
        let mut outcome = Outcome::NoKey;
        for key in self.keys.iter().filter(wanted).filter(|key| key.serves(signed.alg)).take(MAX_TRIES) {
            if key.verifies(signed.alg, signed.input, signed.signature) {
                return Outcome::Good { imported: key.is_imported() };
            }
            outcome = Outcome::Wrong;
        }
        outcome
    }

    fn has(&self, kid: &str, alg: Alg) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid) && key.serves(alg))
    }
}

pub(crate) fn document(raw: &[u8]) -> Result<Object, BadKeySet> {
    if raw.len() > MAX_KEY_SET {
        return Err(BadKeySet::TooLarge);
    }
    Object::parse(raw).map_err(|e| BadKeySet::Json(e.to_string()))
}

/// A larger document is refused. The largest real ones are below 20 KiB.
pub const MAX_KEY_SET: usize = 256 * 1024;

/// So many keys of a document are used, the first ones.
pub const MAX_KEYS: usize = 64;

/// So many keys are tried on one token: a token without `kid` must not cost a signature check for each key there is.
const MAX_TRIES: usize = 16;
