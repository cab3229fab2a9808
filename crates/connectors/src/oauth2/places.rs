//! Where an upstream's endpoints are: where the configuration says, or where the upstream's own document does (RFC 8414), which is
//! asked for when it is first needed and kept for a while.

use std::sync::Arc;
use std::time::Duration;

use ambient::{Clock, Fetch as _, Want};
use outbound::Client;
use provider::connector::UpstreamError;
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

/// See the module.
pub(crate) enum Places {
    Written(Arc<Endpoints>),
    Published(Box<Published>),
}

/// The endpoints of an authorization server.
pub(crate) struct Endpoints {
    pub(super) authorize: Url,
    pub(super) token: Url,
    /// The document that named them, which is a configured URL.
    pub(super) named_by: Option<Url>,
    /// What the server calls itself, if it says so.
    issuer: Option<String>,
    /// Whether it says so in each answer (RFC 9207 section 3).
    names_itself: bool,
}

/// A document that is still to be read.
pub(crate) struct Published {
    url: Url,
    client: Client,
    clock: Arc<dyn Clock>,
    /// Held while asking, so that one asks and the others wait. The client's deadline bounds the wait.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    endpoints: Option<(Arc<Endpoints>, Duration)>,
    /// Until when, and why, nobody is asked again: whoever waits for one answer does not wait for the next as well.
    failed: Option<(Duration, String)>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    issuer: Option<String>,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    authorization_response_iss_parameter_supported: Option<bool>,
}

impl Places {
    pub(crate) fn written(authorize: Url, token: Url) -> Self {
        let endpoints = Endpoints { authorize, token, named_by: None, issuer: None, names_itself: false };
        Self::Written(Arc::new(endpoints))
    }

    /// As the document at a configured URL says.
    pub(crate) fn published(url: Url, client: Client, clock: Arc<dyn Clock>) -> Self {
        Self::Published(Box::new(Published { url, client, clock, known: Mutex::default() }))
    }

    pub(super) async fn known(&self) -> Result<Arc<Endpoints>, UpstreamError> {
        match self {
            Self::Written(endpoints) => Ok(Arc::clone(endpoints)),
            Self::Published(published) => published.endpoints().await,
        }
    }
}

impl Published {
    async fn endpoints(&self) -> Result<Arc<Endpoints>, UpstreamError> {
        let mut known = self.known.lock().await;
        let now = self.clock.monotonic();
        let fresh = known.endpoints.as_ref().filter(|(_, at)| now.saturating_sub(*at) < FRESH);
        if let Some((endpoints, _)) = fresh {
            return Ok(Arc::clone(endpoints));
        }
        if let Some((_, why)) = known.failed.as_ref().filter(|(until, _)| now < *until) {
            return Err(UpstreamError::Unavailable(why.clone()));
        }
        let fetched = self.fetch().await;
        *known = match &fetched {
            Ok(endpoints) => Known { endpoints: Some((Arc::clone(endpoints), now)), failed: None },
            Err(why) => {
                Known { endpoints: None, failed: Some((self.clock.monotonic() + PAUSE, why.to_string())) }
            }
        };
        drop(known);
        fetched
    }

    async fn fetch(&self) -> Result<Arc<Endpoints>, UpstreamError> {
        let want = Want {
            url: &self.url,
            named_by: None,
            accept: "application/json",
            bearer: None,
            cap: super::CAP,
        };
        let fetched = self.client.fetch(want).await;
        let fetched = fetched.map_err(|why| UpstreamError::Unavailable(why.to_string()))?;
        let unread = |_| UpstreamError::Invalid("its document names no endpoints".into());
        let document: Document = serde_json::from_slice(&fetched.body).map_err(unread)?;
        Ok(Arc::new(Endpoints {
            authorize: self.safe(&document.authorization_endpoint)?,
            token: self.safe(&document.token_endpoint)?,
            named_by: Some(self.url.clone()),
            issuer: document.issuer.filter(|issuer| !issuer.is_empty()),
            names_itself: document.authorization_response_iss_parameter_supported == Some(true),
        }))
    }

    /// A document that came by https names https alone: the browser brings the person's password there, and we our secret.
    fn safe(&self, text: &str) -> Result<Url, UpstreamError> {
        let by_http = self.url.scheme() == "http";
        let url = Url::parse(text).ok();
        let url = url.filter(|url| url.scheme() == "https" || by_http && url.scheme() == "http");
        url.ok_or_else(|| UpstreamError::Invalid("its document names an endpoint that is not https".into()))
    }
}

impl Endpoints {
    /// What is wrong with an answer that says it is of this issuer, or does not say (RFC 9207 section 2.4). A server that has no
    /// document is compared by where it is, for lack of a name.
    pub(super) fn refuses(&self, iss: Option<&str>) -> Option<&'static str> {
        let is_own = |iss: &str| match &self.issuer {
            Some(issuer) => issuer == iss,
            None => Url::parse(iss).is_ok_and(|iss| iss.origin() == self.authorize.origin()),
        };
        match iss {
            Some(iss) if is_own(iss) => None,
            Some(_) => Some("the answer is another issuer's (iss, RFC 9207)"),
            None if self.names_itself => Some("the answer names no issuer (iss, RFC 9207)"),
            None => None,
        }
    }
}

const FRESH: Duration = Duration::from_hours(1);
const PAUSE: Duration = Duration::from_secs(5);
