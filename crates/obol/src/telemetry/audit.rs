//! The audit log: one line per decision. Nobody is let in while it is behind by more than its queue, and the process does not
//! end before it is written.

use ambient::{Clock as _, Observer, SystemClock, Time};
use provider::event::{Decision, Event, Shadow};

use super::lines::Line;
use super::logs::Logger;
use super::scribe::{Entry, Scribe};

/// Takes events and lets a thread write them.
pub(crate) struct Audit(Scribe<Event>);

impl Audit {
    /// Starts the thread. It ends when the last sender is gone.
    pub(crate) fn start(logger: &Logger) -> std::io::Result<Self> {
        let (logger, clock) = (logger.clone(), SystemClock::default());
        let words = move |out: &mut String, entry: Entry<'_, Event>| match entry {
            Entry::Told(event) => line(out, event, &logger),
            Entry::Lost(count) => {
                let what = format!("{count} lines about refused requests found no room");
                plain(out, &logger, clock.now(), "ERROR", "audit", &what);
            }
        };
        Scribe::start(std::io::stderr(), words).map(Self)
    }

    /// How many lines could not be written because the queue was full.
    pub(crate) fn lost(&self) -> u64 {
        self.0.lost()
    }

    /// Resolves when every line so far is written, or never will be.
    pub(crate) async fn written(&self) {
        self.0.written().await;
    }
}

impl Observer<Event> for Audit {
    fn observe(&self, event: &Event) {
        let granted = matches!(event, Event::Decision(decision) if decision.allowed);
        self.0.tell(|| event.clone(), granted);
    }

    fn listens(&self) -> bool {
        self.0.listens()
    }
}

fn line(out: &mut String, event: &Event, logger: &Logger) {
    match event {
        Event::Decision(decision) => decided(out, decision, logger),
        Event::Keys(keys) => plain(out, logger, keys.at, "INFO", "signing keys", &keys.what),
        Event::Reloaded(reloaded) => plain(out, logger, reloaded.at, "INFO", "configuration", &reloaded.what),
        Event::Trouble(trouble) => plain(out, logger, trouble.at, "ERROR", trouble.part, &trouble.what),
    }
}

fn decided(out: &mut String, decision: &Decision, logger: &Logger) {
    let (level, outcome) = if decision.allowed { ("INFO", "allow") } else { ("WARN", "deny") };
    let mut line = Line::begin(out, logger, decision.at, level, "decision");
    line.text("action", &decision.action);
    line.text("request_id", &decision.request_id);
    line.maybe("client_remote_addr", decision.address.map(|address| address.to_string()).as_deref());
    line.text("outcome", outcome);
    line.maybe("reason", decision.reason.as_deref());
    line.maybe("error", decision.error);
    line.maybe("client_id", decision.client.as_deref());
    line.maybe("connector_id", decision.connector.as_deref());
    line.maybe("upstream_issuer", decision.issuer.as_deref());
    line.maybe("upstream_subject", decision.upstream_subject.as_deref());
    line.maybe("upstream_jti", decision.upstream_token_id.as_deref());
    line.maybe("policy", decision.policy.as_deref());
    line.maybe("subject", decision.subject.as_deref());
    line.list("audience", decision.audience.iter());
    line.maybe("jti", decision.token_id.as_deref());
    if let Some(lifetime) = decision.lifetime {
        line.number("lifetime_seconds", lifetime.as_secs());
    }
    let shadow =
        |shadow: &Shadow| format!("{}: {}", shadow.policy, if shadow.allowed { "allow" } else { "deny" });
    line.list("shadow", decision.shadows.iter().map(shadow));
    line.end();
}

fn plain(out: &mut String, logger: &Logger, at: Time, level: &str, message: &str, what: &str) {
    let mut line = Line::begin(out, logger, at, level, message);
    line.text("action", what);
    line.end();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn every_shadow_policy_is_told() {
        let mut decision = Decision::new(Time::from_unix(0), Arc::from("r"), None, "login");
        for (policy, allowed) in [("one", true), ("two", false)] {
            decision.shadows.push(Shadow { policy: policy.into(), allowed });
        }
        let mut out = String::new();
        line(&mut out, &Event::Decision(Arc::new(decision)), &Logger::of_flags("info", true).unwrap());
        let told: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(told["shadow"], serde_json::json!(["one: allow", "two: deny"]));
    }
}
