//! What a token must be to pass: everything that can be checked without a key, made once at load.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use ambient::Time;
use wire::claims::Claims;

use crate::purpose::Untyped;
use crate::rejected::Excerpt;
use crate::{ActorToken, Alg, AlgSet, Purpose, Rejected, SubjectToken, UnverifiedJwt};

/// The demands of one trust entry for purpose `P`. What is not set is at its strictest that real issuers pass.
#[derive(Clone)]
pub struct Expect<P: Purpose> {
    issuers: Vec<Arc<str>>,
    audience: Audience,
    algs: AlgSet,
    more_kinds: Vec<&'static str>,
    late_by: Duration,
    early_by: Duration,
    max_lifetime: Option<Duration>,
    max_age: Option<Duration>,
    purpose: PhantomData<fn() -> P>,
}

/// Whom a token must be meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// At least one of these must be in `aud`, compared byte for byte. An empty list refuses everything.
    AnyOf(Vec<Arc<str>>),
    /// Nobody looks at `aud` here: the caller judges it, or accepts whatever the issuer signed. Written out, never a default.
    Unrestricted,
}

impl Audience {
    /// [`Audience::AnyOf`] with one member.
    pub fn only(name: impl Into<Arc<str>>) -> Self {
        Self::AnyOf(vec![name.into()])
    }
}

impl<P: Purpose> Expect<P> {
    /// Demands `issuer`, byte for byte, and `audience`; all algorithms, 60 s for clocks that are ahead of ours, and as
    /// many for those behind (none where Obol or the API server is strict about `exp`; see [`Purpose::LATE_BY`]).
    pub fn new(issuer: impl Into<Arc<str>>, audience: Audience) -> Self {
        Self {
            issuers: vec![issuer.into()],
            audience,
            algs: AlgSet::ALL,
            more_kinds: Vec::new(),
            late_by: P::LATE_BY,
            early_by: Duration::from_secs(60),
            max_lifetime: None,
            max_age: None,
            purpose: PhantomData,
        }
    }

    /// A second spelling of the issuer that is accepted too.
    #[must_use]
    pub fn alias(mut self, issuer: impl Into<Arc<str>>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// Only these algorithms.
    #[must_use]
    pub const fn algs(mut self, algs: AlgSet) -> Self {
        self.algs = algs;
        self
    }

    /// How long after `exp` a token still passes.
    #[must_use]
    pub const fn late_by(mut self, span: Duration) -> Self {
        self.late_by = span;
        self
    }

    /// How far `nbf` and `iat` may lie ahead of our clock.
    #[must_use]
    pub const fn early_by(mut self, span: Duration) -> Self {
        self.early_by = span;
        self
    }

    /// Refuses tokens whose `exp` is more than `span` after their `iat`.
    #[must_use]
    pub const fn max_lifetime(mut self, span: Duration) -> Self {
        self.max_lifetime = Some(span);
        self
    }

    /// Refuses tokens that were issued more than `span` ago.
    #[must_use]
    pub const fn max_age(mut self, span: Duration) -> Self {
        self.max_age = Some(span);
        self
    }

    /// The issuers that pass, the configured one first.
    pub fn issuers(&self) -> &[Arc<str>] {
        &self.issuers
    }

    /// Every check that needs no key, before any key is looked for: a token that could not pass anyway costs no
    /// signature check and causes no fetch.
    pub(crate) fn check(&self, token: &UnverifiedJwt<'_>, now: Time) -> Result<Alg, Rejected> {
        let raw_alg = token.jws.header.algorithm.as_str();
        let alg = Alg::parse(raw_alg)
            .filter(|alg| self.algs.contains(*alg))
            .ok_or_else(|| Rejected::Algorithm(Excerpt::of(Some(raw_alg))))?;
        self.check_kind(token)?;
        self.check_issuer(token.unverified_issuer())?;
        self.check_audience(&token.claims)?;
        self.check_times(&token.claims, now)?;
        Ok(alg)
    }

    /// RFC 8725 section 3.11: a type that is present must be the expected one.
    fn check_kind(&self, token: &UnverifiedJwt<'_>) -> Result<(), Rejected> {
        let serves = match token.kind() {
            Some(kind) => P::KINDS.contains(&kind) || self.more_kinds.contains(&kind),
            // Whether the key is an imported one is known only after it was found.
            None => P::UNTYPED != Untyped::Refused,
        };
        if !serves {
            return Err(Rejected::Kind(Excerpt::of(token.kind()), P::NAME));
        }
        if token.claims.get("events").is_some() == P::EVENTS {
            Ok(())
        } else {
            Err(Rejected::Events(P::NAME))
        }
    }

    fn check_issuer(&self, issuer: Option<&str>) -> Result<(), Rejected> {
        match issuer {
            // Only `of_any_issuer` leaves the list empty.
            _ if self.issuers.is_empty() => Ok(()),
            Some(issuer) if self.issuers.iter().any(|expected| **expected == *issuer) => Ok(()),
            other => Err(Rejected::Issuer(Excerpt::of(other))),
        }
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), Rejected> {
        let meant = match &self.audience {
            Audience::Unrestricted => true,
            Audience::AnyOf(ours) => claims.audience().any(|aud| ours.iter().any(|our| **our == *aud)),
        };
        if meant { Ok(()) } else { Err(Rejected::Audience(Excerpt::of(claims.audience().next()))) }
    }

    /// RFC 7519 sections 4.1.4 to 4.1.6; a token is over at the moment `exp` names.
    fn check_times(&self, claims: &Claims, now: Time) -> Result<(), Rejected> {
        let expires = Time::from_unix(claims.expires().ok_or(Rejected::NoExpiry)?);
        if !P::EXPIRED_SERVES && expires + self.late_by <= now {
            return Err(Rejected::Expired);
        }
        let horizon = now + self.early_by;
        if claims.not_before().is_some_and(|nbf| Time::from_unix(nbf) > horizon) {
            return Err(Rejected::NotYet("nbf"));
        }
        let issued = claims.issued().map(Time::from_unix);
        if issued.is_some_and(|issued| issued > horizon) {
            return Err(Rejected::NotYet("iat"));
        }
        if let Some(most) = self.max_lifetime
            && expires.since(issued.ok_or(Rejected::NoIssueTime)?) > most
        {
            return Err(Rejected::LivesTooLong);
        }
        if let Some(most) = self.max_age
            && now.since(issued.ok_or(Rejected::NoIssueTime)?) > most
        {
            return Err(Rejected::TooOld);
        }
        Ok(())
    }
}

impl Expect<SubjectToken> {
    /// Does not look at `iss`: for SPIFFE, whose tokens need none. The caller binds the token to the trust entry by
    /// something else that the issuer signed (the trust domain in `sub`).
    pub fn of_any_issuer(audience: Audience) -> Self {
        Self { issuers: Vec::new(), ..Self::new("", audience) }
    }

    /// Another `typ` that this issuer's tokens may carry (`at+jwt` where access tokens are exchanged, `jose` for SPIFFE).
    #[must_use]
    pub fn also_of_kind(mut self, kind: &'static str) -> Self {
        self.more_kinds.push(kind);
        self
    }
}

impl Expect<ActorToken> {
    /// As [`Expect::<SubjectToken>::also_of_kind`].
    #[must_use]
    pub fn also_of_kind(mut self, kind: &'static str) -> Self {
        self.more_kinds.push(kind);
        self
    }
}

impl<P: Purpose> fmt::Debug for Expect<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(P::NAME)
            .field("issuers", &self.issuers)
            .field("audience", &self.audience)
            .field("algs", &self.algs)
            .finish_non_exhaustive()
    }
}
