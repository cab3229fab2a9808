//! Step 1, authenticate: who sent this request? A bearer token of the configured issuer, or nobody.

use std::sync::Arc;

use ambient::Clock;
use http::HeaderMap;
use token::{ProxyCaller, UnverifiedJwt, Verifier};

use crate::bearer::Bearer;
use crate::cache::Cache;
use crate::identity::{KubeUser, Mapping};
use crate::refusal::Refusal;

pub(crate) struct Authenticate {
    verifier: Verifier<ProxyCaller>,
    mapping: Mapping,
    cache: Cache,
    clock: Arc<dyn Clock>,
}

/// Who sent a request.
#[derive(Debug)]
pub(crate) struct Caller {
    /// As the configured claims name them; not yet judged.
    pub(crate) user: KubeUser,
    /// The token's `jti`, so that audit events can be joined with the issuer's.
    pub(crate) token_id: Option<String>,
}

impl Authenticate {
    pub(crate) fn new(verifier: Verifier<ProxyCaller>, mapping: Mapping, clock: Arc<dyn Clock>) -> Self {
        Self { verifier, mapping, cache: Cache::new(Arc::clone(&clock)), clock }
    }

    /// The caller, and the token that says so.
    pub(crate) async fn caller(&self, headers: &HeaderMap) -> Result<(Arc<Caller>, Bearer), Refusal> {
        let bearer = Bearer::read(headers)?;
        if let Some(known) = self.cache.find(bearer.token()) {
            return Ok((known, bearer));
        }
        let verified = self.verifier.verify(UnverifiedJwt::parse(bearer.token())?, self.clock.now()).await?;
        if verified.confirmation().is_some() {
            // RFC 7800: without a proof of its key such a token is worth nothing, and here no proof can be brought.
            return Err(Refusal::Claims("the token is bound to a key and came without proof of it".into()));
        }
        let caller = Arc::new(Caller {
            user: self.mapping.user(&verified)?,
            token_id: verified.claims().id().map(str::to_owned),
        });
        self.cache.keep(bearer.token(), &caller, verified.expires());
        Ok((caller, bearer))
    }

    /// The name of the trust entry, for audit events.
    pub(crate) fn trust(&self) -> &str {
        self.verifier.trust().name()
    }
}
