//! Step 1, authenticate: who sent this request? A bearer token of a configured issuer, one that the API server knows where
//! that is asked for, nobody where nobody may come, or a 401.

use std::net::IpAddr;
use std::sync::Arc;

use ambient::{Clock, Time};
use arc_swap::ArcSwap;
use http::{HeaderMap, StatusCode};
use token::{Rejected, UnverifiedJwt};

use crate::bearer::Bearer;
use crate::cache::Cache;
use crate::failures::Failures;
use crate::identity::KubeUser;
use crate::issuers::Issuers;
use crate::passthrough::Passthrough;
use crate::refusal::Refusal;

pub(crate) struct Authenticate {
    living: ArcSwap<Living>,
    passthrough: Option<Passthrough>,
    failures: Failures,
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
        Self { living: ArcSwap::from_pointee(Living::new(issuers, &clock)), passthrough, failures, clock }
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
            // Who brings a credential that is not read is not anonymous.
            Err(Refusal::NoToken)
                if !headers.contains_key(http::header::AUTHORIZATION)
                    && living.issuers.anonymous.allows(path) =>
            {
                return Ok((Arc::new(Caller::anonymous()), None));
            }
            Err(refusal) => return Err(refusal),
        };
        if let Some(known) = living.cache.find(bearer.token()) {
            return Ok((known, Some(bearer)));
        }
        if !self.failures.may_try(from) {
            return Err(Refusal::TooManyFailures);
        }
        match self.unknown(&living, bearer.token()).await {
            Ok(caller) => Ok((caller, Some(bearer))),
            Err(refusal) => {
                // What is not its bearer's fault does not count.
                if refusal.status() == StatusCode::UNAUTHORIZED && !refusal.is_temporary() {
                    self.failures.count(from);
                }
                Err(refusal)
            }
        }
    }

    /// Whose a token is that was not seen lately.
    async fn unknown(&self, living: &Living, token: &str) -> Result<Arc<Caller>, Refusal> {
        let verified = living.verify(token, self.clock.now()).await;
        match (verified, &self.passthrough) {
            (Ok(caller), _) => {
                let caller = Arc::new(caller);
                living.cache.keep(token, &caller, caller.ends);
                Ok(caller)
            }
            (Err(refusal), None) => Err(refusal),
            (Err(refusal), Some(passthrough)) => passthrough.caller(token, refusal).await,
        }
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

    async fn verify(&self, token: &str, now: Time) -> Result<Caller, Refusal> {
        let unverified = UnverifiedJwt::parse(token)?;
        let Some(issuer) = self.issuers.of(&unverified) else {
            let named = token::Excerpt::of(unverified.unverified_issuer());
            return Err(Refusal::Token(Rejected::Issuer(named)));
        };
        let verified = issuer.verifier.verify(unverified, now).await?;
        if verified.confirmation().is_some() {
            // RFC 7800: without a proof of its key such a token is worth nothing, and here no proof can be brought.
            return Err(Refusal::Claims("the token is bound to a key and came without proof of it".into()));
        }
        Ok(Caller {
            user: issuer.mapping().user(&verified)?,
            token_id: verified.claims().id().map(str::to_owned),
            issuer: Arc::clone(issuer.url()),
            way: Way::Token,
            ends: verified.expires(),
        })
    }
}

impl Caller {
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
