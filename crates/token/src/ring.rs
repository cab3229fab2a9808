//! Obol's own keys as requests use them: who signs, what the JWKS says, what verifies. Swapped whole, read without a lock.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use wire::jose::{Jwk, JwkSet};

use crate::keyset::{Outcome, Signed};
use crate::local::BadPrivateKey;
use crate::rotation::{RingKey, RingState, Stage};
use crate::{Alg, AlgSet, KeySet, LocalSigner, SignError, Signer, SigningPool, VerifyingKey};

/// Obol's own keys. Cloning shares them.
#[derive(Clone, Default)]
pub struct KeyRing(Arc<ArcSwap<View>>);

#[derive(Default)]
struct View {
    signers: Vec<Arc<dyn Signer>>,
    set: KeySet,
    jwks: Option<Bytes>,
}

impl KeyRing {
    /// Takes over a record: parses its keys, which for RSA takes a moment, and swaps them in.
    ///
    /// # Errors
    /// [`BadPrivateKey`]; the keys that were in use stay in use.
    pub fn install(&self, state: &RingState, pool: &SigningPool) -> Result<(), BadPrivateKey> {
        let current = self.0.load();
        let mut signers: Vec<Arc<dyn Signer>> = Vec::new();
        for key in state.keys.iter().filter(|key| matches!(key.stage, Stage::Signing { .. })) {
            let kid = key.public.kid.as_deref().unwrap_or_default();
            let kept = current.signers.iter().find(|signer| signer.kid() == kid && signer.alg() == key.alg);
            signers.push(match kept {
                Some(kept) => Arc::clone(kept),
                None => Arc::new(read(key, kid, pool)?),
            });
        }
        let rank = |key: &&RingKey| match key.stage {
            Stage::Signing { .. } => 0,
            Stage::Published { .. } => 1,
            Stage::Retired { .. } => 2,
        };
        let mut keys: Vec<_> = state.keys.iter().collect();
        keys.sort_by_key(rank);
        self.show(signers, keys.into_iter().map(|key| (&key.public, key.imported)));
        Ok(())
    }

    /// Signs with keys that live elsewhere; `published` are the other keys that the JWKS shows.
    pub fn install_signers(&self, signers: Vec<Arc<dyn Signer>>, published: &[Jwk]) {
        let own: Vec<Jwk> = signers.iter().map(|signer| signer.public_jwk().clone()).collect();
        self.show(signers, own.iter().chain(published).map(|key| (key, false)));
    }

    fn show<'a>(&self, signers: Vec<Arc<dyn Signer>>, publics: impl Iterator<Item = (&'a Jwk, bool)>) {
        let mut shown = JwkSet::default();
        let mut verifying = Vec::new();
        for (public, imported) in publics {
            if let Ok(key) = VerifyingKey::from_jwk(public) {
                verifying.push(key.imported(imported));
                shown.keys.push(public.clone());
            }
        }
        // Indented by two, as Dex writes it.
        let jwks = serde_json::to_vec_pretty(&shown).ok().filter(|_| !shown.keys.is_empty()).map(Bytes::from);
        self.0.store(Arc::new(View { signers, set: KeySet::from_keys(verifying), jwks }));
    }

    /// The key that signs with `alg`.
    ///
    /// # Errors
    /// [`SignError::NoKey`]
    pub fn signer(&self, alg: Alg) -> Result<Arc<dyn Signer>, SignError> {
        let view = self.0.load();
        view.signers.iter().find(|signer| signer.alg() == alg).cloned().ok_or(SignError::NoKey(alg))
    }

    /// The algorithms that a key signs with.
    pub fn algs(&self) -> AlgSet {
        self.0.load().signers.iter().map(|signer| signer.alg()).collect()
    }

    /// The JWKS document, ready to send; `None` before the first keys are there.
    pub fn jwks(&self) -> Option<Bytes> {
        self.0.load().jwks.clone()
    }

    pub(crate) fn check(&self, signed: Signed<'_>) -> Outcome {
        self.0.load().set.check(signed)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.load().set.keys()).finish()
    }
}

fn read(key: &RingKey, kid: &str, pool: &SigningPool) -> Result<LocalSigner, BadPrivateKey> {
    let missing = || BadPrivateKey::Failed(format!("the record lacks the private half of {kid:?}"));
    let signer = LocalSigner::from_pkcs8(key.alg, key.private.as_ref().ok_or_else(missing)?, pool)?;
    Ok(signer.named(kid))
}
