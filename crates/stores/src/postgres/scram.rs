//! SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding: either side shows that it knows the password, and neither
//! says it. A password goes in as it is written; PostgreSQL would normalize its rarer characters.

use std::num::NonZeroU32;

use ambient::{Random, RandomExt as _, Secret};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{constant_time, hmac, pbkdf2};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

pub(super) struct Scram {
    nonce: String,
    first: String,
    state: State,
}

enum State {
    Begun,
    /// What the server must show.
    Proven([u8; 32]),
    Mutual,
}

impl Scram {
    pub(super) fn begin(random: &dyn Random) -> Self {
        let bytes: [u8; 18] = random.bytes();
        Self::with_nonce(BASE64_STANDARD.encode(bytes))
    }

    fn with_nonce(nonce: String) -> Self {
        Self { first: format!("{NO_BINDING}n=,r={nonce}"), nonce, state: State::Begun }
    }

    pub(super) fn first(&self) -> &str {
        &self.first
    }

    /// Whether the server has shown that it knows the password.
    pub(super) const fn is_mutual(&self) -> bool {
        matches!(self.state, State::Mutual)
    }

    /// The answer to the server's challenge; `None` if that is none.
    pub(super) fn prove(&mut self, challenge: &[u8], password: &Secret<String>) -> Option<String> {
        let challenge = std::str::from_utf8(challenge).ok()?;
        let mut parts = challenge.split(',');
        let nonce = parts.next()?.strip_prefix("r=")?;
        let salt = BASE64_STANDARD.decode(parts.next()?.strip_prefix("s=")?).ok()?;
        let rounds: NonZeroU32 = parts.next()?.strip_prefix("i=")?.parse().ok()?;
        let is_ours = nonce.starts_with(&self.nonce) && nonce.len() > self.nonce.len();
        if !is_ours || rounds.get() > MOST_ROUNDS || !matches!(self.state, State::Begun) {
            return None;
        }
        let mut salted = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.expose().as_bytes(), &mut salted);
        let client = sign(&salted, b"Client Key");
        let stored = digest(&SHA256, &client);
        let bare = self.first.strip_prefix(NO_BINDING)?;
        let last = format!("c={},r={nonce}", BASE64_STANDARD.encode(NO_BINDING));
        let said = format!("{bare},{challenge},{last}");
        let signature = sign(stored.as_ref(), said.as_bytes());
        let proof: Vec<u8> = client.iter().zip(signature).map(|(key, mask)| key ^ mask).collect();
        self.state = State::Proven(sign(&sign(&salted, b"Server Key"), said.as_bytes()));
        Some(format!("{last},p={}", BASE64_STANDARD.encode(proof)))
    }

    /// Whether the server's last word is right.
    pub(super) fn verify(&mut self, last: &[u8]) -> bool {
        let shown = last.strip_prefix(b"v=").and_then(|shown| BASE64_STANDARD.decode(shown).ok());
        let (State::Proven(expected), Some(shown)) = (&self.state, shown) else { return false };
        if constant_time::verify_slices_are_equal(expected, &shown).is_err() {
            return false;
        }
        self.state = State::Mutual;
        true
    }
}

fn sign(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut signature = [0; 32];
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    signature.copy_from_slice(tag.as_ref());
    signature
}

/// RFC 5802 section 7: the client has no channel binding.
const NO_BINDING: &str = "n,,";
/// PostgreSQL's default is 4096; a server must not keep us busy for longer than a moment.
const MOST_ROUNDS: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677 section 3, whose user name PostgreSQL leaves out.
    fn exchange() -> (Scram, Secret<String>) {
        let mut scram = Scram::with_nonce("rOprNGfwEbeRWgbNEkqO".into());
        scram.first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO".into();
        (scram, Secret::from("pencil"))
    }

    const CHALLENGE: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    #[test]
    fn proves_as_the_rfc_does() {
        let (mut scram, password) = exchange();
        let proof = scram.prove(CHALLENGE.as_bytes(), &password).unwrap();
        assert_eq!(
            proof,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(!scram.is_mutual());
        assert!(scram.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(scram.is_mutual());
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_found_out() {
        let (mut scram, password) = exchange();
        assert!(!scram.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), "before the proof");
        scram.prove(CHALLENGE.as_bytes(), &password).unwrap();
        for wrong in ["v=", "e=other-error", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", ""] {
            assert!(!scram.verify(wrong.as_bytes()), "{wrong}");
        }
        assert!(!scram.is_mutual());
    }

    #[test]
    fn odd_challenges_are_refused() {
        for odd in [
            "",
            "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=?,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000",
        ] {
            let (mut scram, password) = exchange();
            assert_eq!(scram.prove(odd.as_bytes(), &password), None, "{odd}");
        }
    }
}
