//! A token that was taken apart and not believed. It tells only what routing needs: whose token it claims to be.

use wire::claims::Claims;
use wire::jose::Compact;

use crate::Rejected;

/// A JWT before verification.
#[derive(Debug, Clone)]
pub struct UnverifiedJwt<'a> {
    pub(crate) jws: Compact<'a>,
    pub(crate) claims: Claims,
}

impl<'a> UnverifiedJwt<'a> {
    /// Takes a compact JWS with a claim set apart. The claims are parsed here, once, and moved into
    /// [`crate::Verified`] later.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] and [`Rejected::Claims`].
    pub fn parse(token: &'a str) -> Result<Self, Rejected> {
        let jws = Compact::parse(token)?;
        let claims = Claims::parse(&jws.payload)?;
        Ok(Self { jws, claims })
    }

    /// The `iss` it claims.
    pub fn unverified_issuer(&self) -> Option<&str> {
        self.claims.issuer()
    }

    /// The `sub` it claims.
    pub fn unverified_subject(&self) -> Option<&str> {
        self.claims.subject()
    }

    /// The `aud` it claims.
    pub fn unverified_audience(&self) -> impl Iterator<Item = &str> {
        self.claims.audience()
    }

    /// The `kid` it claims.
    pub fn unverified_key_id(&self) -> Option<&str> {
        self.jws.header.key_id.as_deref()
    }

    /// The `typ` it claims, lower case and without `application/`.
    pub fn kind(&self) -> Option<&str> {
        self.jws.header.kind.as_deref()
    }

    /// Names of header members beyond `alg`, `kid` and `typ`: a JWT-SVID may have none.
    pub fn other_headers(&self) -> &[String] {
        &self.jws.header.others
    }

    /// What the signature covers. A replay record hashes this and not the token, since an ECDSA signature has a twin.
    pub const fn signing_input(&self) -> &'a str {
        self.jws.signing_input
    }
}
