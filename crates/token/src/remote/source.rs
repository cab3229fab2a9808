//! Where an issuer publishes its keys, and fetching them once.

use std::sync::Arc;
use std::time::Duration;

use ambient::{Fetch, Want};
use url::Url;
use wire::discovery::Upstream;
use wire::json::{Object, Value};

use super::{Shared, Snapshot, Unavailable};
use crate::KeySet;
use crate::keyset::{self, MAX_KEY_SET};

/// Where an issuer publishes its keys.
#[derive(Debug, Clone)]
pub enum Source {
    /// A discovery document, which names the key set and must be of one of these issuers.
    Discovery {
        /// Where the document is; [`Source::of_issuer`] knows the usual place.
        url: Url,
        /// The issuers that it may speak for, the configured one first.
        issuers: Vec<Arc<str>>,
    },
    /// The key set itself.
    Jwks(Url),
    /// A SPIFFE bundle endpoint.
    SpiffeBundle(Url),
}

impl Source {
    /// The discovery document of an issuer at its usual place (OpenID Connect Discovery section 4).
    ///
    /// # Errors
    /// If the issuer is not a URL.
    pub fn of_issuer(issuer: &str) -> Result<Self, url::ParseError> {
        let url = Url::parse(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))?;
        Ok(Self::Discovery { url, issuers: vec![issuer.into()] })
    }
}

/// Fetches a discovery document and checks whom it is of. Says for how long the answer may be kept.
///
/// # Errors
/// [`Unavailable`]
pub async fn discover(
    fetch: &dyn Fetch,
    url: &Url,
    issuers: &[Arc<str>],
) -> Result<(Upstream, Option<Duration>), Unavailable> {
    let want = Want { url, named_by: None, accept: "application/json", bearer: None, cap: MAX_DISCOVERY };
    let fetched = fetch.fetch(want).await?;
    let document: Upstream =
        serde_json::from_slice(&fetched.body).map_err(|e| Unavailable::Discovery(e.to_string()))?;
    if issuers.iter().any(|issuer| **issuer == *document.issuer) {
        return Ok((document, fetched.fresh_for));
    }
    let expected = issuers.first().map(ToString::to_string).unwrap_or_default();
    Err(Unavailable::Issuer { said: document.issuer.chars().take(200).collect(), expected })
}

impl Shared {
    /// One fetch, within its deadline, ending in a new snapshot.
    pub(super) async fn fly(&self) -> Result<(), Unavailable> {
        tokio::select! {
            snapshot = self.fetch_snapshot() => {
                self.current.store(Some(Arc::new(snapshot?)));
                Ok(())
            }
            () = self.clock.sleep(self.pace.deadline) => Err(Unavailable::Late),
        }
    }

    async fn fetch_snapshot(&self) -> Result<Snapshot, Unavailable> {
        let (url, named_by) = match &self.source {
            Source::Jwks(url) | Source::SpiffeBundle(url) => (url.clone(), None),
            Source::Discovery { url, issuers } => {
                let (document, _) = discover(&*self.fetch, url, issuers).await?;
                (jwks_uri(&document, url)?, Some(url))
            }
        };
        let want = Want {
            url: &url,
            named_by,
            accept: "application/jwk-set+json, application/json",
            bearer: None,
            cap: MAX_KEY_SET,
        };
        let fetched = self.fetch.fetch(want).await?;
        let document = keyset::document(&fetched.body)?;
        let (required_use, sequence, hint) = match self.source {
            Source::SpiffeBundle(_) => {
                (Some("jwt-svid"), self.check_sequence(&document)?, refresh_hint(&document))
            }
            _ => (None, None, None),
        };
        Ok(Snapshot {
            keys: Arc::new(KeySet::from_document(&document, required_use)?),
            fetched: self.clock.monotonic(),
            fresh_for: self.pace.fresh_for(hint.or(fetched.fresh_for)),
            sequence,
        })
    }

    /// SPIFFE Trust Domain and Bundle section 4.1.1: a bundle with a lower number is an old one.
    fn check_sequence(&self, document: &Object) -> Result<Option<i64>, Unavailable> {
        let now = document.get("spiffe_sequence").and_then(Value::as_int);
        let before = self.current.load().as_ref().and_then(|snapshot| snapshot.sequence);
        match (before, now) {
            (Some(before), Some(now)) if now < before => Err(Unavailable::Sequence(before, now)),
            _ => Ok(now.or(before)),
        }
    }
}

/// A document may name keys on another host but not over a weaker transport than its own.
fn jwks_uri(document: &Upstream, from: &Url) -> Result<Url, Unavailable> {
    let unfit = || Unavailable::JwksUri(document.jwks_uri.chars().take(200).collect());
    let url = Url::parse(&document.jwks_uri).map_err(|_| unfit())?;
    let fits = url.scheme() == "https" || (url.scheme() == "http" && from.scheme() == "http");
    if fits { Ok(url) } else { Err(unfit()) }
}

/// SPIFFE Trust Domain and Bundle section 4.1.2, in seconds.
fn refresh_hint(document: &Object) -> Option<Duration> {
    let seconds = document.get("spiffe_refresh_hint").and_then(Value::as_int)?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

const MAX_DISCOVERY: usize = 64 * 1024;
