//! Prometheus metrics. No label comes from a claim or a request: they are names of our own and of the configuration.

use std::sync::Arc;

use ambient::Observer;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use provider::event::{Decision, Event};

use super::{Audit, Board};

/// All metrics, and the audit log behind them.
pub(crate) struct Metrics {
    board: Board,
    decisions: Family<Labels, Counter>,
    troubles: Family<Part, Counter>,
    reloads: Counter,
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
        let mut board = Board::new();
        let decisions = board.family("obol_decisions", "Decisions by action, outcome and policy");
        let troubles = board.family("obol_troubles", "Trouble that only an operator can mend");
        let reloads = board.counter("obol_reloads", "Configurations taken over without a restart");
        Arc::new(Self { board, decisions, troubles, reloads, audit })
    }

    /// The text that Prometheus reads.
    pub(crate) fn text(&self) -> String {
        self.board.text(self.audit.lost(), "")
    }

    /// Resolves when everything that was told so far is written.
    pub(crate) async fn written(&self) {
        self.audit.written().await;
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
            Event::Reloaded(_) => {
                self.reloads.inc();
            }
            Event::Keys(_) => {}
        }
        self.audit.observe(event);
    }

    fn listens(&self) -> bool {
        self.audit.listens()
    }
}

impl Observer<inbound::Event> for Metrics {
    fn observe(&self, event: &inbound::Event) {
        self.board.observe(event);
    }
}
