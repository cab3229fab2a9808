//! The audit log: one line per decision. Nobody is let in while it is behind by more than its queue, and the process does not
//! end before it is written.

use ambient::{Clock as _, Observer, SystemClock};
use provider::event::{Decision, Event};
use serde_json::Value;

use super::lines;
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
                lines::write(out, plain(clock.now(), "ERROR", "audit", &what), &logger);
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
    let members = match event {
        Event::Decision(decision) => decided(decision),
        Event::Keys(keys) => plain(keys.at, "INFO", "signing keys", &keys.what),
        Event::Reloaded(reloaded) => plain(reloaded.at, "INFO", "configuration", &reloaded.what),
        Event::Trouble(trouble) => plain(trouble.at, "ERROR", trouble.part, &trouble.what),
    };
    lines::write(out, members, logger);
}

fn decided(decision: &Decision) -> Vec<(&'static str, Value)> {
    let text = |value: Option<&str>| value.map_or(Value::Null, Value::from);
    let mut members =
        plain(decision.at, if decision.allowed { "INFO" } else { "WARN" }, "decision", &decision.action);
    members.extend([
        ("request_id", Value::from(&*decision.request_id)),
        (
            "client_remote_addr",
            decision.address.map_or(Value::Null, |address| Value::from(address.to_string())),
        ),
        ("outcome", Value::from(if decision.allowed { "allow" } else { "deny" })),
        ("reason", text(decision.reason.as_deref())),
        ("error", text(decision.error)),
        ("client_id", text(decision.client.as_deref())),
        ("connector_id", text(decision.connector.as_deref())),
        ("upstream_issuer", text(decision.issuer.as_deref())),
        ("upstream_subject", text(decision.upstream_subject.as_deref())),
        ("upstream_jti", text(decision.upstream_token_id.as_deref())),
        ("policy", text(decision.policy.as_deref())),
        ("subject", text(decision.subject.as_deref())),
        (
            "audience",
            if decision.audience.is_empty() {
                Value::Null
            } else {
                decision.audience.iter().map(|aud| Value::from(&**aud)).collect()
            },
        ),
        ("jti", text(decision.token_id.as_deref())),
        ("lifetime_seconds", decision.lifetime.map_or(Value::Null, |span| Value::from(span.as_secs()))),
    ]);
    for shadow in &decision.shadows {
        members.push((
            "shadow",
            Value::from(format!("{}: {}", shadow.policy, if shadow.allowed { "allow" } else { "deny" })),
        ));
    }
    members
}

fn plain(
    at: ambient::Time,
    level: &'static str,
    msg: &'static str,
    what: &str,
) -> Vec<(&'static str, Value)> {
    vec![
        ("time", Value::from(at.rfc3339())),
        ("level", Value::from(level)),
        ("msg", Value::from(msg)),
        ("action", Value::from(what)),
    ]
}
