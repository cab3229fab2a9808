//! Step 1, authenticate: who sent this request? A bearer token of a configured issuer, one that the API server knows where
//! that is asked for, nobody where nobody may come, or a 401.

use std::net::IpAddr;
use std::sync::Arc;

use ambient::{Clock, Time};
use arc_swap::ArcSwap;
use http::{HeaderMap, StatusCode};
use token::{Rejected, UnverifiedJwt};

use crate::bearer::Bearer;
use crate::cache::{Cache, Digest};
use crate::failures::Failures;
use crate::identity::KubeUser;
use crate::issuers::{Issuer, Issuers};
use crate::passthrough::Passthrough;
use crate::refusal::Refusal;
use crate::regulars::Regulars;

pub(crate) struct Authenticate {
    living: ArcSwap<Living>,
    passthrough: Option<Passthrough>,
    failures: Failures,
    regulars: Regulars,
    clock: Arc<dyn Clock>,
}

/// What is configured now, and whom it has let in: with the one goes the other.
struct Living {
    issuers: Issuers,
    cache: Cache<Caller>,
}

/// Who sent a request.
#[derive(Debug)]
pub(crate) struct Caller {
    /// As the configured claims name them; not yet judged.
    pub(crate) user: KubeUser,
    /// The token's `jti`, so that audit events can be joined with the issuer's.
    pub(crate) token_id: Option<String>,
    /// Who says so.
    pub(crate) issuer: Arc<str>,
    /// How it is known.
    pub(crate) way: Way,
    /// When what proved it ends.
    pub(crate) ends: Time,
}

/// How a caller is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By a token of a configured issuer.
    Token,
    /// By the API server's own word for its token, which goes on as it is.
    Review,
    /// Not at all.
    Anonymous,
}

impl Authenticate {
    pub(crate) fn new(
        issuers: Issuers,
        passthrough: Option<Passthrough>,
        failures: Failures,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let living = ArcSwap::from_pointee(Living::new(issuers, &clock));
        Self { living, passthrough, failures, regulars: Regulars::default(), clock }
    }

    /// Replaces what is configured, from the next request on. Nobody who was let in before is remembered.
    pub(crate) fn replace<E>(&self, build: impl FnOnce(&Issuers) -> Result<Issuers, E>) -> Result<(), E> {
        let issuers = build(&self.living.load().issuers)?;
        self.living.store(Arc::new(Living::new(issuers, &self.clock)));
        Ok(())
    }

    /// The caller, and the token that says so.
    pub(crate) async fn caller(
        &self,
        headers: &HeaderMap,
        path: &str,
        from: IpAddr,
    ) -> Result<(Arc<Caller>, Option<Bearer>), Refusal> {
        let living = self.living.load_full();
        let bearer = match Bearer::read(headers) {
            Ok(bearer) => bearer,
            Err(Refusal::NoToken) if living.issuers.anonymous.allows(path) => {
                return Ok((Arc::new(Caller::anonymous()), None));
            }
            Err(refusal) => return Err(refusal),
        };
        let caller = self.bearer(&living, bearer.token(), from).await?;
        Ok((caller, Some(bearer)))
    }

    /// Whose a token is. Who is known passes; a token that passed before is looked at again, whatever its neighbours did; any
    /// other one takes a place among the failures first.
    async fn bearer(&self, living: &Living, token: &str, from: IpAddr) -> Result<Arc<Caller>, Refusal> {
        let digest = Digest::of(token);
        if let Some(known) = living.cache.find(&digest) {
            return Ok(known);
        }
        let is_regular = self.regulars.knows(&digest, self.clock.now());
        let tried =
            if is_regular { None } else { Some(self.failures.begin(from).ok_or(Refusal::TooManyFailures)?) };
        let found = self.unknown(living, token, digest).await;
        match &found {
            Ok(caller) => self.regulars.remember(digest, caller.ends),
            // What is not its bearer's fault does not count.
            Err(refusal) if refusal.status() != StatusCode::UNAUTHORIZED || refusal.is_temporary() => {}
            Err(_) => {
                self.regulars.forget(&digest);
                return found;
            }
        }
        if let Some(tried) = tried {
            tried.was_no_failure();
        }
        found
    }

    /// Whose a token is that was not seen lately. The API server is asked about what no issuer here has to do with: it may
    /// trust the same issuer with other rules, and what was refused by the rules here stays refused.
    async fn unknown(&self, living: &Living, token: &str, digest: Digest) -> Result<Arc<Caller>, Refusal> {
        let (issuer, unverified) = match (living.route(token), &self.passthrough) {
            (Ok(routed), _) => routed,
            (Err(refusal), Some(passthrough)) if refusal.is_of_no_issuer(token) => {
                return passthrough.caller(token, digest, refusal).await;
            }
            (Err(refusal), _) => return Err(refusal),
        };
        let caller = Arc::new(Caller::verify(issuer, unverified, self.clock.now()).await?);
        living.cache.keep(digest, &caller, caller.ends);
        Ok(caller)
    }

    /// What is looked at by the probe and the metrics.
    pub(crate) fn with_issuers<T>(&self, look: impl FnOnce(&Issuers) -> T) -> T {
        look(&self.living.load().issuers)
    }
}

impl Living {
    fn new(issuers: Issuers, clock: &Arc<dyn Clock>) -> Self {
        Self { issuers, cache: Cache::new(Arc::clone(clock)) }
    }

    /// The issuer that a token names.
    fn route<'a>(&self, token: &'a str) -> Result<(&Arc<Issuer>, UnverifiedJwt<'a>), Refusal> {
        let unverified = UnverifiedJwt::parse(token)?;
        match self.issuers.of(&unverified) {
            Some(issuer) => Ok((issuer, unverified)),
            None => {
                let named = token::Excerpt::of(unverified.unverified_issuer());
                Err(Refusal::Token(Rejected::Issuer(named)))
            }
        }
    }
}

impl Refusal {
    /// Whether a token that met this on its way to an issuer is one of none here: a JWT of another one, or no JWT at all. Of
    /// one that cannot be read nobody knows.
    fn is_of_no_issuer(&self, token: &str) -> bool {
        match self {
            Self::Token(Rejected::Issuer(_)) => true,
            Self::Token(Rejected::Malformed(_) | Rejected::Claims(_)) => !is_like_a_jwt(token),
            _ => false,
        }
    }
}

/// Whether somebody more forgiving could read a JWT here: three parts, of which the second begins as a JSON object does.
fn is_like_a_jwt(token: &str) -> bool {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let start = payload.get(..4).and_then(wire::b64::decode).unwrap_or_default();
    start.iter().find(|byte| !byte.is_ascii_whitespace()).is_none_or(|byte| *byte == b'{')
        && !start.is_empty()
}

impl Caller {
    async fn verify(issuer: &Issuer, unverified: UnverifiedJwt<'_>, now: Time) -> Result<Self, Refusal> {
        let verified = issuer.verifier.verify(unverified, now).await?;
        if verified.confirmation().is_some() {
            // RFC 7800: without a proof of its key such a token is worth nothing, and here no proof can be brought.
            return Err(Refusal::Claims("the token is bound to a key and came without proof of it".into()));
        }
        Ok(Self {
            user: issuer.mapping().user(&verified)?,
            token_id: verified.claims().id().map(str::to_owned),
            issuer: Arc::clone(issuer.url()),
            way: Way::Token,
            ends: verified.expires(),
        })
    }

    /// The API server adds the group `system:unauthenticated` by itself.
    fn anonymous() -> Self {
        Self {
            user: KubeUser { name: "system:anonymous".into(), ..KubeUser::default() },
            token_id: None,
            issuer: "".into(),
            way: Way::Anonymous,
            ends: Time::MAX,
        }
    }
}
