//! The proof that a token was checked: for one purpose, under one trust entry.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use ambient::Time;
use wire::claims::Claims;
use wire::json::Value;

use crate::{Alg, Purpose, UnverifiedJwt};

/// The name of a trust entry. Trust is keyed by it and never by `iss` alone: many clusters call themselves
/// `https://kubernetes.default.svc`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Trust(Arc<str>);

impl Trust {
    /// Names an entry (a connector's id, a proxy's issuer, `own`).
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A token that passed every check for purpose `P`. Only [`crate::Verifier`] makes it.
///
/// Nobody else can build one:
/// ```compile_fail,E0451
/// fn forge(claims: wire::claims::Claims) -> token::Verified<token::SubjectToken> {
///     token::Verified { claims, kind: None, trust: token::Trust::new("a"), alg: token::Alg::Es256, purpose: std::marker::PhantomData }
/// }
/// ```
/// ```compile_fail,E0624
/// fn forge(jwt: token::UnverifiedJwt<'_>) -> token::Verified<token::SubjectToken> {
///     token::Verified::new(jwt, token::Trust::new("a"), token::Alg::Es256)
/// }
/// ```
/// One purpose never becomes another:
/// ```compile_fail,E0277
/// fn launder(upstream: token::Verified<token::UpstreamIdToken>) -> token::Verified<token::SubjectToken> {
///     upstream.into()
/// }
/// ```
/// ```compile_fail,E0308
/// fn wants(_: &token::Verified<token::OwnAccessToken>) {}
/// fn gives(id_token: &token::Verified<token::OwnIdToken>) {
///     wants(id_token);
/// }
/// ```
/// And nobody else makes a purpose:
/// ```compile_fail,E0277
/// enum Mine {}
/// impl token::Purpose for Mine {
///     const NAME: &'static str = "Mine";
///     const KINDS: &'static [&'static str] = &["jwt"];
///     const UNTYPED: token::Untyped = token::Untyped::Serve;
/// }
/// ```
/// The same shapes compile where they are right:
/// ```
/// fn wants(_: &token::Verified<token::OwnIdToken>) {}
/// fn gives(id_token: &token::Verified<token::OwnIdToken>) {
///     wants(id_token);
/// }
/// ```
pub struct Verified<P: Purpose> {
    claims: Claims,
    kind: Option<String>,
    trust: Trust,
    alg: Alg,
    purpose: PhantomData<fn() -> P>,
}

impl<P: Purpose> Verified<P> {
    pub(crate) fn new(token: UnverifiedJwt<'_>, trust: Trust, alg: Alg) -> Self {
        Self { claims: token.claims, kind: token.jws.header.kind, trust, alg, purpose: PhantomData }
    }

    /// All claims.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// All claims, to keep.
    pub fn into_claims(self) -> Claims {
        self.claims
    }

    /// `iss`; one of those that the trust entry expects.
    pub fn issuer(&self) -> &str {
        self.claims.issuer().unwrap_or_default()
    }

    /// `sub`, if the token has one.
    pub fn subject(&self) -> Option<&str> {
        self.claims.subject()
    }

    /// `aud`; empty if the token has none and the trust entry is unrestricted.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.claims.audience()
    }

    /// `azp`: who the token was issued to, if that is not its audience.
    pub fn authorized_party(&self) -> Option<&str> {
        self.claims.str("azp")
    }

    /// `exp`.
    pub fn expires(&self) -> Time {
        Time::from_unix(self.claims.expires().unwrap_or_default())
    }

    /// `iat`.
    pub fn issued(&self) -> Option<Time> {
        self.claims.issued().map(Time::from_unix)
    }

    /// `cnf`: the token is worth something only together with a proof of this key (RFC 7800). Whoever acts on a token
    /// that has one must demand the proof.
    pub fn confirmation(&self) -> Option<&Value> {
        self.claims.get("cnf")
    }

    /// `typ`, lower case and without `application/`.
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// The trust entry it was checked under.
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The algorithm of its signature.
    pub const fn alg(&self) -> Alg {
        self.alg
    }
}

impl<P: Purpose> fmt::Debug for Verified<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verified<{}>({}, {:?})", P::NAME, self.trust, self.subject())
    }
}
