//! The issuers whose tokens are accepted: each with its own keys, audiences and mapping, found by the `iss` of a token and
//! by nothing else.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use ambient::{Clock, Tasks};
use outbound::{BadTrust, Client, Dial, Identity, Options, Roots, Trust};
use token::{AlgSet, Audience, Expect, Keys, Pace, ProxyCaller, RemoteKeys, Source, UnverifiedJwt, Verifier};
use url::Url;

use crate::configuration::Anonymous;
use crate::identity::{CREDENTIAL_ID, Mapping};

/// An issuer as it is configured.
#[derive(Debug, Clone)]
pub struct IssuerSpec {
    /// As it stands in tokens, byte for byte.
    pub url: Arc<str>,
    /// Where its discovery document is, if not at the usual place.
    pub discovery: Option<Url>,
    /// Whose certificate it must have; the machine's roots if `None`.
    pub ca_pem: Option<Vec<u8>>,
    /// The certificate that is shown to it.
    pub identity: Option<Identity>,
    /// Tokens must be meant for one of these.
    pub audiences: Vec<Arc<str>>,
    /// How tokens may be signed.
    pub algs: AlgSet,
    /// How they become users.
    pub mapping: Arc<Mapping>,
}

/// An issuer that cannot be used; the operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum BadIssuer {
    /// Not https: keys that come by http are anybody's.
    #[error("the issuer {0:?} is not an https URL")]
    Url(Arc<str>),
    /// Its CA or our certificate for it.
    #[error("the issuer {url:?}: {source}")]
    Trust {
        /// Which.
        url: Arc<str>,
        /// Why.
        source: BadTrust,
    },
}

/// What issuers' keys are fetched with.
#[derive(Clone)]
pub struct Means {
    /// Opens connections to them.
    pub dial: Dial,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Carries the fetches.
    pub tasks: Tasks,
}

/// All issuers, and who needs none.
#[derive(Debug, Default)]
pub struct Issuers {
    by_url: HashMap<Arc<str>, Arc<Issuer>>,
    pub(crate) anonymous: Anonymous,
}

/// One issuer in use.
pub(crate) struct Issuer {
    spec: IssuerSpec,
    keys: Arc<RemoteKeys>,
    pub(crate) verifier: Verifier<ProxyCaller>,
}

impl Issuers {
    /// Makes them ready. Keys of `before` whose source is the same are kept: an unchanged issuer has no gap.
    ///
    /// # Errors
    /// [`BadIssuer`]
    pub fn new(
        specs: Vec<IssuerSpec>,
        anonymous: Anonymous,
        means: &Means,
        before: Option<&Self>,
    ) -> Result<Self, BadIssuer> {
        let mut by_url = HashMap::new();
        for spec in specs {
            let known = before.and_then(|before| before.by_url.get(&spec.url));
            let keys = match known.filter(|known| known.spec.has_source_of(&spec)) {
                Some(known) => Arc::clone(&known.keys),
                None => Arc::new(spec.keys(means)?),
            };
            by_url.insert(Arc::clone(&spec.url), Arc::new(Issuer::new(spec, keys)));
        }
        Ok(Self { by_url, anonymous })
    }

    /// Whose the token says that it is.
    pub(crate) fn of(&self, token: &UnverifiedJwt<'_>) -> Option<&Arc<Issuer>> {
        let unverified_issuer = token.unverified_issuer()?;
        // OpenID Connect Core section 15.6.2.
        let google = (unverified_issuer == "accounts.google.com").then_some(GOOGLE);
        self.by_url.get(google.unwrap_or(unverified_issuer))
    }

    /// The keys of all extra fields that their tokens may make.
    pub(crate) fn extra_keys(&self) -> BTreeSet<String> {
        let written = self.by_url.values().flat_map(|issuer| &issuer.spec.mapping.extra);
        written.map(|(key, _)| key.clone()).chain([CREDENTIAL_ID.to_owned()]).collect()
    }

    /// Whether their tokens may make UIDs.
    pub(crate) fn have_uids(&self) -> bool {
        self.by_url.values().any(|issuer| issuer.spec.mapping.uid.is_some())
    }

    /// Each issuer's name and keys, in a steady order.
    pub fn keys(&self) -> Vec<(Arc<str>, Arc<RemoteKeys>)> {
        let mut all: Vec<_> = self
            .by_url
            .values()
            .map(|issuer| (Arc::clone(&issuer.spec.url), Arc::clone(&issuer.keys)))
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

impl Issuer {
    fn new(spec: IssuerSpec, keys: Arc<RemoteKeys>) -> Self {
        let mut expect =
            Expect::new(Arc::clone(&spec.url), Audience::AnyOf(spec.audiences.clone())).algs(spec.algs);
        if &*spec.url == GOOGLE {
            expect = expect.alias("accounts.google.com");
        }
        let trust = token::Trust::new(Arc::clone(&spec.url));
        let verifier = Verifier::new(trust, Keys::Remote(Arc::clone(&keys)), expect);
        Self { spec, keys, verifier }
    }

    pub(crate) fn url(&self) -> &Arc<str> {
        &self.spec.url
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.spec.mapping
    }
}

impl IssuerSpec {
    /// Where its keys are published.
    fn source(&self) -> Result<Source, BadIssuer> {
        let bad = || BadIssuer::Url(Arc::clone(&self.url));
        if !self.url.starts_with("https://") {
            return Err(bad());
        }
        match &self.discovery {
            None => Source::of_issuer(&self.url).map_err(|_| bad()),
            Some(url) => Ok(Source::Discovery { url: url.clone(), issuers: vec![Arc::clone(&self.url)] }),
        }
    }

    fn keys(&self, means: &Means) -> Result<RemoteKeys, BadIssuer> {
        let source = self.source()?;
        let trust = Trust {
            roots: self.ca_pem.clone().map_or(Roots::System, Roots::Only),
            identity: self.identity.clone(),
            ..Trust::default()
        };
        let fetch = Client::new(&means.dial, Options { trust, ..Options::default() })
            .map_err(|source| BadIssuer::Trust { url: Arc::clone(&self.url), source })?;
        Ok(RemoteKeys::new(
            source,
            Pace::default(),
            Arc::new(fetch),
            Arc::clone(&means.clock),
            means.tasks.clone(),
        ))
    }

    fn has_source_of(&self, other: &Self) -> bool {
        let shown = |spec: &Self| spec.identity.as_ref().map(|identity| identity.chain_pem.clone());
        (&self.url, &self.discovery, &self.ca_pem, shown(self))
            == (&other.url, &other.discovery, &other.ca_pem, shown(other))
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Issuer").field(&self.spec.url).finish()
    }
}

const GOOGLE: &str = "https://accounts.google.com";
