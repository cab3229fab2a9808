//! Prometheus metrics. No label comes from a claim or a request: they are names of our own and of the configuration.

use std::sync::Arc;

use ambient::Observer;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use provider::event::{Decision, Event};

use super::Audit;

/// All metrics, and the audit log behind them.
pub(crate) struct Metrics {
    registry: Registry,
    decisions: Family<Labels, Counter>,
    troubles: Family<Part, Counter>,
    panics: Counter,
    handshakes: Counter,
    audit: Audit,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    action: String,
    outcome: &'static str,
    error: &'static str,
    connector: String,
    policy: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Part {
    part: &'static str,
}

impl Metrics {
    /// With the audit log that hears the same events.
    pub(crate) fn new(audit: Audit) -> Arc<Self> {
        let mut registry = Registry::default();
        let version = [("version".into(), env!("CARGO_PKG_VERSION").into())];
        registry.sub_registry_with_labels(version.into_iter()).register(
            "obol_build_info",
            "The running version",
            ConstGauge::new(1i64),
        );
        let (decisions, troubles, panics, handshakes) =
            (Family::default(), Family::default(), Counter::default(), Counter::default());
        registry.register(
            "obol_decisions",
            "Decisions by action, outcome and policy",
            Family::clone(&decisions),
        );
        registry.register(
            "obol_troubles",
            "Trouble that only an operator can mend",
            Family::clone(&troubles),
        );
        registry.register("obol_panics", "Requests that ended in a panic", Counter::clone(&panics));
        registry.register(
            "obol_failed_tls_handshakes",
            "Connections that never became one",
            Counter::clone(&handshakes),
        );
        Arc::new(Self { registry, decisions, troubles, panics, handshakes, audit })
    }

    /// The text that Prometheus reads.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let _ = encode(&mut text, &self.registry);
        let lost = self.audit.lost();
        // Before the end mark.
        text.replace(
            "# EOF\n",
            &format!("# TYPE obol_audit_lost counter\nobol_audit_lost_total {lost}\n# EOF\n"),
        )
    }

    /// Waits until the audit lines so far are written.
    pub(crate) fn flush(&self) {
        self.audit.flush();
    }

    fn count(&self, decision: &Decision) {
        let labels = Labels {
            action: decision.action.to_string(),
            outcome: if decision.allowed { "allow" } else { "deny" },
            error: decision.error.unwrap_or(""),
            connector: decision.connector.as_deref().unwrap_or("").to_owned(),
            policy: decision.policy.as_deref().unwrap_or("").to_owned(),
        };
        self.decisions.get_or_create(&labels).inc();
    }
}

impl Observer<Event> for Metrics {
    fn observe(&self, event: &Event) {
        match event {
            Event::Decision(decision) => self.count(decision),
            Event::Trouble(trouble) => {
                self.troubles.get_or_create(&Part { part: trouble.part }).inc();
            }
            Event::Keys(_) => {}
        }
        self.audit.observe(event);
    }
}

impl Observer<inbound::Event> for Metrics {
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
