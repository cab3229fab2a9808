//! The audit log: one line per decision, written by a thread of its own in batches, so that no request waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use ambient::Observer;
use provider::event::{Decision, Event};
use serde_json::Value;

use super::lines;
use super::logs::Logger;

/// Takes events and lets a thread write them.
pub(crate) struct Audit {
    queue: SyncSender<Item>,
    lost: Arc<AtomicU64>,
}

/// What stands in the queue.
enum Item {
    Line(Box<Event>),
    /// To be answered once all before it is written.
    Mark(SyncSender<()>),
}

impl Audit {
    /// Starts the thread. It ends when the last sender is gone.
    pub(crate) fn start(logger: &Logger) -> std::io::Result<Self> {
        let (audit, items) = Self::queued(QUEUED);
        let logger = logger.clone();
        std::thread::Builder::new()
            .name("audit".into())
            .stack_size(STACK)
            .spawn(move || write(&items, &logger, &mut std::io::stderr()))?;
        Ok(audit)
    }

    fn queued(most: usize) -> (Self, Receiver<Item>) {
        let (queue, items) = sync_channel(most);
        (Self { queue, lost: Arc::default() }, items)
    }

    /// Waits until everything that was told so far is written, but not for ever: somebody may have stopped reading.
    pub(crate) fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.queue.send(Item::Mark(done)).is_ok() {
            let _ = written.recv_timeout(PATIENCE);
        }
    }

    /// How many lines could not be written because the queue was full.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Observer<Event> for Audit {
    fn observe(&self, event: &Event) {
        let item = Item::Line(Box::new(event.clone()));
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(item) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write(items: &Receiver<Item>, logger: &Logger, out: &mut dyn std::io::Write) {
    let mut batch = String::new();
    while let Ok(first) = items.recv() {
        batch.clear();
        let mut marks = Vec::new();
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Item::Line(event) => line(&mut batch, &event, logger),
                Item::Mark(done) => marks.push(done),
            }
            next = if batch.len() < BATCH { items.try_recv().ok() } else { None };
        }
        let _ = out.write_all(batch.as_bytes()).and_then(|()| out.flush());
        for done in marks {
            let _ = done.try_send(());
        }
    }
}

fn line(out: &mut String, event: &Event, logger: &Logger) {
    let members = match event {
        Event::Decision(decision) => decided(decision),
        Event::Keys(keys) => plain(keys.at, "INFO", "signing keys", &keys.what),
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

/// Lines that may wait; about 30 MiB at worst.
const QUEUED: usize = 16 * 1024;
const BATCH: usize = 64 * 1024;
const STACK: usize = 256 * 1024;
/// How long the end waits for the last lines.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use ambient::Time;

    use super::*;
    use config::{Faults, KeyStyle, Section};

    fn event(action: &'static str) -> Event {
        Event::Decision(Box::new(Decision::new(Time::from_unix(0), "request-1".into(), None, action)))
    }

    fn logger() -> Logger {
        let faults = Faults::new();
        Logger::read(Section::empty("logger").fields(KeyStyle::Dex, &faults))
    }

    #[test]
    fn a_full_queue_loses_lines_and_counts_them() {
        let (audit, items) = Audit::queued(2);
        for action in ["first", "second", "third", "fourth"] {
            audit.observe(&event(action));
        }
        assert_eq!(audit.lost(), 2);
        // Once somebody writes again, new lines come through.
        drop(items.recv());
        audit.observe(&event("fifth"));
        assert_eq!(audit.lost(), 2);
        drop(audit);
        let mut written = Vec::new();
        write(&items, &logger(), &mut written);
        let written = String::from_utf8(written).unwrap();
        assert!(
            written.contains("second") && written.contains("fifth") && !written.contains("third"),
            "{written}"
        );
    }

    #[test]
    fn a_flush_returns_when_everything_before_it_is_written() {
        let (audit, items) = Audit::queued(8);
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let thread = std::thread::spawn(move || write(&items, &logger(), &mut writer));
        audit.observe(&event("last-request"));
        audit.flush();
        drop(audit);
        thread.join().unwrap();
        let mut written = String::new();
        std::io::Read::read_to_string(&mut reader, &mut written).unwrap();
        assert!(written.contains("action=last-request"), "{written}");
    }
}
