//! The one door through which a token becomes a `Verified`.
//!
//! Everything that Obol does rests on what passes here, so the order and the reasons are written down once.
//!
//! 1. **The text** is taken apart by `wire::jose`: the compact form only, one spelling of base64url, a header without
//!    extensions (`crit`, `b64`, `zip`, `cty`), claims without duplicate members or case-folding twins, registered
//!    claims of their registered types. Keys in the header (`jwk`, `jku`, `x5u`, `x5c`) are not even kept.
//! 2. **The claims** are compared with what the trust entry expects, before any key is looked for. A token that would
//!    not pass anyway costs no signature check and, above all, causes no request: only a token of the right issuer,
//!    audience, kind and time can make Obol ask that issuer for keys (RFC 8725 section 3.10).
//! 3. **The key** comes from the trust entry alone. `kid` chooses among its keys and nothing else; a key serves one
//!    algorithm, which the header must name and the trust entry must allow. So there is no algorithm to confuse:
//!    `none` and HMAC are not values of `Alg`, an RSA key has no way to be read as an HMAC secret.
//! 4. **The signature** is checked last, and only then is a `Verified` made. Its type carries the purpose, its value the
//!    trust entry. Neither can be changed afterwards.
//!
//! A caller that needs two purposes makes two verifiers. What a token binds itself to (`cnf`) and to whom it was issued
//! (`azp`) is not judged here but surfaced; replay is the caller's too, since some issuers' tokens are meant to be reused.

use ambient::Time;

use crate::keyset::Signed;
use crate::purpose::Untyped;
use crate::rejected::Excerpt;
use crate::{Alg, Expect, Keys, Purpose, Rejected, Trust, UnverifiedJwt, Verified};

/// Verifies tokens for purpose `P` under one trust entry. Made at load, shared by all requests.
#[derive(Debug, Clone)]
pub struct Verifier<P: Purpose> {
    trust: Trust,
    keys: Keys,
    expect: Expect<P>,
}

impl<P: Purpose> Verifier<P> {
    /// Binds a trust entry's keys to what is expected of its tokens.
    pub fn new(trust: Trust, keys: impl Into<Keys>, expect: Expect<P>) -> Self {
        Self { trust, keys: keys.into(), expect }
    }

    /// The trust entry.
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Where its keys come from.
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What it expects.
    pub const fn expect(&self) -> &Expect<P> {
        &self.expect
    }

    /// Verifies; waits for the issuer's keys only if they are not at hand.
    ///
    /// # Errors
    /// [`Rejected`]; [`Rejected::is_temporary`] tells an outage from a bad token.
    pub async fn verify(&self, token: UnverifiedJwt<'_>, now: Time) -> Result<Verified<P>, Rejected> {
        let alg = self.expect.check(&token, now)?;
        let imported = self.keys.check(signed(&token, alg)).await?;
        self.pass(token, alg, imported)
    }

    /// Verifies with the keys that are at hand and never waits: for Obol's own and for configured keys.
    ///
    /// # Errors
    /// As [`Verifier::verify`]; [`Rejected::KeysUnavailable`] if an issuer's keys were not fetched yet.
    pub fn verify_at_hand(&self, token: UnverifiedJwt<'_>, now: Time) -> Result<Verified<P>, Rejected> {
        let alg = self.expect.check(&token, now)?;
        let imported = self.keys.check_at_hand(signed(&token, alg))?;
        self.pass(token, alg, imported)
    }

    /// The only place where a [`Verified`] is made.
    fn pass(&self, token: UnverifiedJwt<'_>, alg: Alg, imported: bool) -> Result<Verified<P>, Rejected> {
        if token.kind().is_none() && P::UNTYPED == Untyped::UnderImportedKeys && !imported {
            return Err(Rejected::Kind(Excerpt::of(None), P::NAME));
        }
        Ok(Verified::new(token, self.trust.clone(), alg))
    }
}

fn signed<'a>(token: &'a UnverifiedJwt<'_>, alg: Alg) -> Signed<'a> {
    Signed {
        kid: token.unverified_key_id(),
        alg,
        input: token.jws.signing_input.as_bytes(),
        signature: &token.jws.signature,
    }
}
