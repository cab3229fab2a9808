//! The audit log: one line per decision, written by a thread of its own in batches, so that no request waits for it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use ambient::Observer;
use provider::event::{Decision, Event};
use serde_json::{Map, Value};

use super::logs::{Format, Logger};

/// Takes events and lets a thread write them.
pub(crate) struct Audit {
    queue: SyncSender<Event>,
    lost: Arc<AtomicU64>,
}

impl Audit {
    /// Starts the thread. It ends when the last sender is gone.
    pub(crate) fn start(logger: &Logger) -> std::io::Result<Self> {
        let (queue, events) = sync_channel(QUEUED);
        let logger = logger.clone();
        std::thread::Builder::new()
            .name("audit".into())
            .stack_size(STACK)
            .spawn(move || write(&events, &logger))?;
        Ok(Self { queue, lost: Arc::default() })
    }

    /// How many lines could not be written because the queue was full.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Observer<Event> for Audit {
    fn observe(&self, event: &Event) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(event.clone())
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write(events: &Receiver<Event>, logger: &Logger) {
    let mut batch = String::new();
    while let Ok(first) = events.recv() {
        batch.clear();
        line(&mut batch, &first, logger);
        while batch.len() < BATCH
            && let Ok(next) = events.try_recv()
        {
            line(&mut batch, &next, logger);
        }
        let _ = std::io::stderr().lock().write_all(batch.as_bytes());
    }
}

fn line(out: &mut String, event: &Event, logger: &Logger) {
    let mut members = match event {
        Event::Decision(decision) => decided(decision),
        Event::Keys(keys) => plain(keys.at, "INFO", "signing keys", &keys.what),
        Event::Reloaded(reloaded) => plain(reloaded.at, "INFO", "configuration", &reloaded.what),
        Event::Trouble(trouble) => plain(trouble.at, "ERROR", trouble.part, &trouble.what),
    };
    members
        .retain(|(name, value)| !value.is_null() && !logger.excluded.iter().any(|excluded| excluded == name));
    match logger.format {
        Format::Json => {
            let object: Map<String, Value> =
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let _ = writeln!(out, "{}", Value::Object(object));
        }
        Format::Text => {
            // JSON strings are quoted and escaped: no claim can fake a line or a member.
            let text = members.iter().map(|(name, value)| match value.as_str() {
                Some(word) if !word.is_empty() && word.bytes().all(plain_byte) => format!("{name}={word}"),
                _ => format!("{name}={value}"),
            });
            let _ = writeln!(out, "{}", text.collect::<Vec<_>>().join(" "));
        }
    }
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

const fn plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'@')
}

/// Lines that may wait; about 30 MiB at worst.
const QUEUED: usize = 16 * 1024;
const BATCH: usize = 64 * 1024;
const STACK: usize = 256 * 1024;
