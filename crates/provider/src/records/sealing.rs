//! Secrets at rest: AES-256-GCM under a key from outside the store, bound to the record they stand in.

use ambient::{Random, RandomExt as _, Secret};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;

/// How secrets are kept at rest.
pub enum Sealing {
    /// Under a key.
    Key(Box<LessSafeKey>),
    /// Not at all: only where the configuration says `sealing: none`, for Dex configurations, and for stores that do
    /// not outlive the process.
    None,
}

impl Sealing {
    /// From key material of at least 32 bytes; the key itself is derived (HKDF-SHA256), so that the same material may
    /// serve other purposes under other labels.
    pub fn from_material(material: &Secret<Vec<u8>>, label: &str) -> Option<Self> {
        if material.expose().len() < 32 {
            return None;
        }
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"obol").extract(material.expose());
        let info = [label.as_bytes()];
        let key = prk.expand(&info, &AES_256_GCM).ok()?;
        Some(Self::Key(Box::new(LessSafeKey::new(UnboundKey::from(key)))))
    }

    /// Whether anything is sealed at all.
    pub const fn is_on(&self) -> bool {
        matches!(self, Self::Key(_))
    }

    /// Seals `plain`: a form byte, a nonce, ciphertext and tag.
    pub fn seal(&self, random: &dyn Random, context: &[u8], mut plain: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::None => {
                plain.insert(0, PLAIN);
                Some(plain)
            }
            Self::Key(key) => {
                let nonce: [u8; 12] = random.bytes();
                let tag = key
                    .seal_in_place_separate_tag(
                        Nonce::assume_unique_for_key(nonce),
                        Aad::from(context),
                        &mut plain,
                    )
                    .ok()?;
                Some([&[SEALED], nonce.as_slice(), &plain, tag.as_ref()].concat())
            }
        }
    }

    /// Opens what [`Sealing::seal`] made in the same context. Under a key nothing plain is believed: who can write to
    /// the store but has no key must not be able to plant a signing key.
    pub fn open(&self, context: &[u8], stored: &[u8]) -> Option<Vec<u8>> {
        let (form, rest) = stored.split_first()?;
        match (*form, self) {
            (PLAIN, Self::None) => Some(rest.to_vec()),
            (SEALED, Self::Key(key)) => {
                let (nonce, sealed) = rest.split_at_checked(12)?;
                let mut sealed = sealed.to_vec();
                let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
                let plain = key.open_in_place(nonce, Aad::from(context), &mut sealed).ok()?.len();
                sealed.truncate(plain);
                Some(sealed)
            }
            _ => None,
        }
    }
}

const PLAIN: u8 = 0;
const SEALED: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use ambient::SystemRandom;

    fn key(byte: u8) -> Sealing {
        Sealing::from_material(&Secret::new(vec![byte; 32]), "test").unwrap()
    }

    #[test]
    fn opens_only_with_the_key_and_in_the_place_it_was_sealed_for() {
        let sealed = key(1).seal(&SystemRandom, b"keys\0a", b"private".to_vec()).unwrap();
        assert!(!sealed.windows(7).any(|w| w == b"private"));
        assert_eq!(key(1).open(b"keys\0a", &sealed).unwrap(), b"private");
        assert_eq!(key(2).open(b"keys\0a", &sealed), None);
        assert_eq!(key(1).open(b"keys\0b", &sealed), None);
        assert_eq!(Sealing::None.open(b"keys\0a", &sealed), None);
        let planted = Sealing::None.seal(&SystemRandom, b"keys\0a", b"planted".to_vec()).unwrap();
        assert_eq!(key(1).open(b"keys\0a", &planted), None);
        for cut in 0..sealed.len() {
            assert_eq!(key(1).open(b"keys\0a", &sealed[..cut]), None);
        }
    }

    #[test]
    fn short_material_is_no_key() {
        assert!(Sealing::from_material(&Secret::new(vec![0; 31]), "test").is_none());
    }
}
