//! What every server measures alike: its version, what goes wrong at its listeners, and lines of the audit log that found no
//! room; and the text in which Prometheus reads all of it.

use std::hash::Hash;

use ambient::Observer;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// Where metrics hang.
pub(crate) struct Board {
    registry: Registry,
    panics: Counter,
    handshakes: Counter,
    crowded: Counter,
}

impl Board {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let version = [("version".into(), env!("CARGO_PKG_VERSION").into())];
        registry.sub_registry_with_labels(version.into_iter()).register(
            "obol_build_info",
            "The running version",
            ConstGauge::new(1i64),
        );
        let (panics, handshakes, crowded) = Default::default();
        let mut board = Self { registry, panics, handshakes, crowded };
        board.panics = board.counter("obol_panics", "Requests that ended in a panic");
        board.handshakes = board.counter("obol_failed_tls_handshakes", "Connections that never became one");
        board.crowded =
            board.counter("obol_crowded_connections", "Connections beyond what one peer may have");
        board
    }

    /// Hangs up one more counter.
    pub(crate) fn counter(&mut self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.registry.register(name, help, Counter::clone(&counter));
        counter
    }

    /// Hangs up one more counter for each set of labels.
    pub(crate) fn family<L>(&mut self, name: &str, help: &str) -> Family<L, Counter>
    where
        L: EncodeLabelSet + Clone + Hash + Eq + std::fmt::Debug + Send + Sync + 'static,
    {
        let family = Family::default();
        self.registry.register(name, help, Family::clone(&family));
        family
    }

    /// The text that Prometheus reads, with the count of lines that the audit log lost and `more` lines of the same kind.
    pub(crate) fn text(&self, lost: u64, more: &str) -> String {
        let mut text = String::new();
        let _ = encode(&mut text, &self.registry);
        let lost = format!("# TYPE obol_audit_lost counter\nobol_audit_lost_total {lost}\n");
        // Before the end mark.
        text.replace("# EOF\n", &format!("{lost}{more}# EOF\n"))
    }
}

impl Observer<inbound::Event> for Board {
    fn observe(&self, event: &inbound::Event) {
        match event {
            inbound::Event::Panicked { peer } => {
                self.panics.inc();
                tracing::error!(
                    part = "listener",
                    "a request from {peer} ended in a panic and was answered with 500; please report it"
                );
            }
            inbound::Event::Handshake { peer, reason } => {
                self.handshakes.inc();
                tracing::debug!(part = "listener", "no TLS with {peer}: {reason}");
            }
            inbound::Event::Crowded { peer } => {
                self.crowded.inc();
                tracing::debug!(part = "listener", "{peer} has as many connections as it may");
            }
            inbound::Event::Unaccepted(reason) => {
                tracing::error!(part = "listener", "a connection cannot be accepted: {reason}");
            }
            inbound::Event::PairReplaced => {
                tracing::info!(part = "listener", "the new certificate is in use");
            }
            inbound::Event::PairRefused(reason) => {
                tracing::error!(
                    part = "listener",
                    "the new certificate cannot be used, the last good one stays: {reason}"
                );
            }
        }
    }
}

/// The kind of [`Board::text`].
pub(crate) const METRICS_KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
