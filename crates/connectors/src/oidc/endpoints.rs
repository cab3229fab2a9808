//! Where the upstream's endpoints are: its discovery document, asked for when it is first needed and kept for a while.

use std::sync::Arc;
use std::time::Duration;

use ambient::Clock;
use outbound::Client;
use tokio::sync::Mutex;
use url::Url;
use wire::discovery::Upstream;

pub(super) struct Endpoints {
    url: Url,
    issuers: Vec<Arc<str>>,
    client: Client,
    clock: Arc<dyn Clock>,
    /// Held while asking, so that one asks and the others wait for the answer. The client's deadline bounds the wait.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    document: Option<(Arc<Upstream>, Duration)>,
    /// Until when, and why, nobody is asked again.
    failed: Option<(Duration, String)>,
}

impl Endpoints {
    pub(super) fn new(url: Url, issuers: Vec<Arc<str>>, client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { url, issuers, client, clock, known: Mutex::default() }
    }

    /// Where the document is.
    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    /// The document; an old one while the upstream is in trouble, within a bound.
    pub(super) async fn document(&self) -> Result<Arc<Upstream>, String> {
        let mut known = self.known.lock().await;
        let now = self.clock.monotonic();
        let aged =
            known.document.as_ref().map(|(document, at)| (Arc::clone(document), now.saturating_sub(*at)));
        if let Some((document, age)) = &aged
            && *age < FRESH
        {
            return Ok(Arc::clone(document));
        }
        let usable = aged.filter(|(_, age)| *age < STALE).map(|(document, _)| document);
        if let Some((until, why)) = known.failed.as_ref().filter(|(until, _)| now < *until) {
            tracing::debug!(%why, ?until, "not asking for the discovery document again yet");
            return usable.ok_or_else(|| why.clone());
        }
        match token::discover(&self.client, &self.url, &self.issuers).await {
            Ok((document, _)) => {
                let document = Arc::new(document);
                *known = Known { document: Some((Arc::clone(&document), now)), failed: None };
                Ok(document)
            }
            Err(why) => {
                known.failed = Some((self.clock.monotonic() + PAUSE, why.to_string()));
                usable.ok_or_else(|| why.to_string())
            }
        }
    }
}

const FRESH: Duration = Duration::from_hours(1);
const STALE: Duration = Duration::from_hours(24);
const PAUSE: Duration = Duration::from_secs(5);
