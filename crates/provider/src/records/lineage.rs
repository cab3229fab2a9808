//! Which secrets were ever one grant's refresh token, without keeping them. A grant remembers two generations; a thief who
//! refreshes twice would push the victim's token out of them, and its return would end nothing (RFC 9700 section
//! 4.14.2). So each later secret carries a mark under a key that the first one yields.

use ambient::{Random, Secret};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use wire::b64;

use super::grant::new_secret;

/// See the module.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Lineage([u8; 32]);

impl Lineage {
    /// Begins with the first secret.
    pub(super) fn founded_by(first: &str) -> Self {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, &[b"lineage\0", first.as_bytes()].concat()).as_ref());
        Self(key)
    }

    /// A secret for the next generation.
    pub(super) fn next(&self, random: &dyn Random) -> Secret<String> {
        let fresh = new_secret(random);
        Secret::new(format!("{}.{}", fresh.expose(), b64::encode(self.mark(fresh.expose()))))
    }

    /// Whether a secret is of any generation, the first included.
    pub(super) fn knows(&self, secret: &str) -> bool {
        let is_marked = |(fresh, mark): (&str, &str)| {
            let mark = b64::decode(mark).unwrap_or_default();
            hmac::verify(&self.key(), fresh.as_bytes(), &mark).is_ok()
        };
        secret.split_once('.').is_some_and(is_marked) || Self::founded_by(secret).0 == self.0
    }

    fn mark(&self, fresh: &str) -> hmac::Tag {
        hmac::sign(&self.key(), fresh.as_bytes())
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }
}

impl std::fmt::Debug for Lineage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[lineage]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ambient::SystemRandom;

    #[test]
    fn knows_its_own_and_nobody_elses() {
        let (ours, theirs) = (Lineage::founded_by("r1"), Lineage::founded_by("r2"));
        let next = ours.next(&SystemRandom);
        assert!(ours.knows("r1") && ours.knows(next.expose()));
        assert!(!theirs.knows("r1") && !theirs.knows(next.expose()));
        let (fresh, mark) = next.expose().split_once('.').unwrap();
        for forged in ["", ".", fresh, &format!("{fresh}."), &format!("x{fresh}.{mark}")] {
            assert!(!ours.knows(forged), "{forged}");
        }
    }
}
