//! What the configuration says to the provider, decoded and checked. One section a file.

mod clients;
mod expiry;
mod oauth2;
mod signer;

use std::sync::Arc;
use std::time::Duration;

use config::{Environment, Fields, HttpUrl};
use url::Url;

pub use expiry::Expiry;
pub use oauth2::OAuth2;
pub use signer::Signing;

use crate::clients::Clients;
use crate::policy::written::Policies;

/// Everything the provider is told.
#[derive(Debug)]
pub struct Settings {
    /// Who we are.
    pub issuer: Issuer,
    /// Lifetimes.
    pub expiry: Expiry,
    /// Flows that are switched on.
    pub oauth2: OAuth2,
    /// Registered clients.
    pub clients: Clients,
    /// `tokenExchange`: present, the written policies decide; absent, the implicit one.
    pub exchange: Option<Policies>,
    /// Signing keys.
    pub signer: Signing,
}

/// The issuer's URL: as it is written, because tokens carry it byte for byte, and taken apart.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// As configured.
    pub text: Arc<str>,
    /// Taken apart.
    pub url: Url,
}

impl Settings {
    /// Reads the provider's sections of a configuration. What is wrong is in the faults; the value is there whenever it
    /// makes sense to go on reading.
    pub fn read(root: &mut Fields<'_>, environment: &Environment) -> Option<Self> {
        let issuer = Issuer::read(root);
        let expiry = Expiry::read(root);
        let signer = Signing::read(root, environment, expiry.signing_keys);
        let oauth2 = OAuth2::read(root);
        let clients = clients::read(root, environment);
        let exchange = {
            let written = root.is_written("tokenExchange");
            let section = root.section("tokenExchange");
            // Written and empty is written: nothing is then allowed.
            written.then(|| Policies::read(&section, root.faults()))
        };
        Some(Self { issuer: issuer?, expiry, oauth2, clients, exchange, signer })
    }

    /// No token is issued that lives longer.
    pub fn longest_token(&self) -> Duration {
        let written = self.exchange.as_ref().map_or(Duration::ZERO, Policies::longest_lifetime);
        self.expiry.id_tokens.max(written)
    }
}

impl Issuer {
    /// From text that is a URL without query and fragment (OpenID Connect Discovery section 3).
    pub fn new(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let plain = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        (plain && url.has_host()).then(|| Self { text: Arc::from(text), url })
    }

    fn read(root: &mut Fields<'_>) -> Option<Self> {
        let url: HttpUrl = root.required("issuer")?;
        let issuer = Self::new(url.as_str());
        if issuer.is_none() {
            root.unfit("issuer", "write the URL without query, fragment, user and password");
        }
        issuer
    }

    /// The path that every route begins with: empty for a root issuer, `/dex` for `https://h/dex` and `https://h/dex/`.
    pub fn path(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    /// An endpoint's URL.
    pub fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.text.trim_end_matches('/'))
    }

    /// Whether browsers reach it over TLS.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }
}
