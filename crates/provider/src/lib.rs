//! The rules of the provider: login, grants, policy, issuing, records. No web framework, no database.
//!
//! Requests come in as wire values and leave as wire values or as an [`error::Error`]. The dangerous doors have their
//! essays: [`grants`], [`login`], [`store`].

mod authentication;
mod client_groups;
pub mod clients;
pub mod connector;
pub mod discovery;
pub mod error;
pub mod event;
pub mod grants;
pub mod introspection;
mod issue;
pub mod keys;
mod likeness;
mod limits;
pub mod login;
mod own;
pub mod policy;
pub mod records;
mod reserved;
pub mod response_type;
mod revocation;
pub mod scope;
pub mod settings;
pub mod store;
pub mod sweep;
pub mod userinfo;

use std::net::IpAddr;
use std::sync::Arc;

use ambient::{Clock, Observer, Random, Tasks, Time};
use arc_swap::ArcSwap;
use token::KeyRing;

use connector::Opened;
use event::{Decision, Event};
use records::Records;
use settings::Settings;

/// One provider: one issuer.
pub struct Provider {
    living: ArcSwap<Living>,
    records: Records,
    ring: Arc<KeyRing>,
    cookies: Arc<login::Cookies>,
    limits: limits::Limits,
    around: Around,
}

/// What is handed in.
#[derive(Clone)]
pub struct Around {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// Background work.
    pub tasks: Tasks,
    /// Who hears what happened.
    pub events: Arc<dyn Observer<Event>>,
}

/// What a reload replaces as one: every use looks here, so what was removed is dead at its next use.
pub struct Living {
    /// The configuration.
    pub settings: Settings,
    /// The connectors, in order, the provider's own tokens last.
    pub connectors: Vec<Opened>,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The request's id.
    pub request_id: Arc<str>,
    /// The address, as far as trusted proxies tell.
    pub address: Option<IpAddr>,
}

/// One request on its way: what it may look at, and the decision that is being written down.
pub struct Cx<'a> {
    /// The provider.
    pub provider: &'a Provider,
    /// The configuration as of this request.
    pub living: Arc<Living>,
    /// One moment for the whole request.
    pub now: Time,
    /// For the audit log.
    pub decision: Decision,
}

impl Provider {
    /// Puts a provider together. The keys must have been loaded ([`keys::Keeper`]).
    pub fn new(
        living: Living,
        records: Records,
        ring: Arc<KeyRing>,
        cookies: login::Cookies,
        around: Around,
    ) -> Arc<Self> {
        let living = ArcSwap::from_pointee(with_own(living, &ring));
        Arc::new(Self {
            living,
            records,
            ring,
            cookies: Arc::new(cookies),
            limits: limits::Limits::default(),
            around,
        })
    }

    /// Replaces the configuration.
    pub fn replace(&self, living: Living) {
        self.living.store(Arc::new(with_own(living, &self.ring)));
    }

    /// The configuration as it is now.
    pub fn living(&self) -> Arc<Living> {
        self.living.load_full()
    }

    /// The signing keys.
    pub const fn ring(&self) -> &Arc<KeyRing> {
        &self.ring
    }

    /// What was handed in.
    pub const fn around(&self) -> &Around {
        &self.around
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn check_store(&self) -> Result<(), store::StoreError> {
        self.records.store().get(<keys::KeysRecord as records::Record>::KIND, "signing").await.map(|_| ())
    }

    /// Begins a request.
    pub fn begin(&self, peer: &Peer, action: impl Into<std::borrow::Cow<'static, str>>) -> Cx<'_> {
        let now = self.around.clock.now();
        let decision = Decision::new(now, Arc::clone(&peer.request_id), peer.address, action);
        Cx { provider: self, living: self.living(), now, decision }
    }
}

impl Living {
    /// The connector of that id.
    pub fn connector(&self, id: &str) -> Option<&Opened> {
        self.connectors.iter().find(|opened| *opened.id == *id)
    }
}

impl Cx<'_> {
    /// The settings as of this request.
    pub fn settings(&self) -> &Settings {
        &self.living.settings
    }

    /// Nothing is granted that the audit log cannot take.
    fn must_be_heard(&self) -> Result<(), error::Fault> {
        if self.provider.around.events.listens() {
            return Ok(());
        }
        Err(error::Fault::Busy { retry_after: UNHEARD })
    }

    /// Writes the decision down. One event per decision, allow and deny alike.
    pub fn close<T>(mut self, outcome: &Result<T, error::Error>) {
        match outcome {
            Ok(_) => self.decision.allowed = true,
            Err(error::Error::Refusal(refusal)) => {
                self.decision.error = Some(refusal.code.as_str());
                self.decision.reason = Some(refusal.reason.clone());
            }
            Err(error::Error::Fault(fault)) => {
                self.decision.error = Some(fault.code().as_str());
                self.decision.reason = Some(fault.to_string().into());
            }
        }
        self.provider.around.events.observe(&Event::Decision(Arc::new(self.decision)));
    }
}

impl Living {
    /// A configuration that nothing is issued under: for explanations without a running provider.
    pub fn on_paper(settings: Settings, connectors: Vec<Opened>) -> Self {
        with_own(Self { settings, connectors }, &Arc::new(KeyRing::default()))
    }
}

/// Obol's own tokens may be handed in like anybody's: they come through the same seam.
fn with_own(mut living: Living, ring: &Arc<KeyRing>) -> Living {
    living.connectors.push(own::opened(&living.settings.issuer, ring));
    living
}

/// How long an asker waits while the audit log is behind.
const UNHEARD: std::time::Duration = std::time::Duration::from_secs(5);
