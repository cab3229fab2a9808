//! The audit log: one line per decision, written by a thread of its own in batches, so that no request waits for it.
//! Nobody is let in while it is behind by more than its queue, and the process does not end before it is written.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use ambient::Observer;
use provider::event::{Decision, Event};
use serde_json::Value;
use tokio::sync::oneshot;

use super::lines;
use super::logs::Logger;

/// Takes events and lets a thread write them.
pub(crate) struct Audit {
    queue: SyncSender<Entry>,
    state: Arc<State>,
    lost: AtomicU64,
}

/// What the thread tells of itself.
#[derive(Default)]
struct State {
    /// What stands in the queue: a channel does not say.
    waiting: AtomicUsize,
    /// The last write did not succeed.
    failing: AtomicBool,
}

enum Entry {
    Event(Event),
    /// Somebody waits until everything before this is written.
    Mark(oneshot::Sender<()>),
}

impl Audit {
    /// Starts the thread. It ends when the last sender is gone.
    pub(crate) fn start(logger: &Logger) -> std::io::Result<Self> {
        Self::onto(std::io::stderr(), logger)
    }

    fn onto(to: impl Write + Send + 'static, logger: &Logger) -> std::io::Result<Self> {
        let (queue, entries) = sync_channel(QUEUED + SPARE);
        let state = Arc::<State>::default();
        let (logger, told) = (logger.clone(), Arc::clone(&state));
        std::thread::Builder::new()
            .name("audit".into())
            .stack_size(STACK)
            .spawn(move || write(to, &entries, &told, &logger))?;
        Ok(Self { queue, state, lost: AtomicU64::new(0) })
    }

    /// How many lines could not be written because the queue was full.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Resolves when every line so far is written, or never will be.
    pub(crate) async fn written(&self) {
        let (told, written) = oneshot::channel();
        if self.queue.try_send(Entry::Mark(told)).is_ok() {
            let _ = written.await;
        }
    }
}

impl Observer<Event> for Audit {
    fn observe(&self, event: &Event) {
        let granted = matches!(event, Event::Decision(decision) if decision.allowed);
        if !granted && !self.listens() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.state.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(Entry::Event(event.clone())).is_err() {
            self.state.waiting.fetch_sub(1, Ordering::Relaxed);
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn listens(&self) -> bool {
        self.state.waiting.load(Ordering::Relaxed) < QUEUED && !self.state.failing.load(Ordering::Relaxed)
    }
}

fn write(mut to: impl Write, entries: &Receiver<Entry>, state: &State, logger: &Logger) {
    let mut batch = String::new();
    while let Ok(first) = entries.recv() {
        let (mut next, mut taken) = (Some(first), 0);
        let mut mark = None;
        while let Some(entry) = next {
            match entry {
                Entry::Event(event) => line(&mut batch, &event, logger),
                Entry::Mark(told) => {
                    mark = Some(told);
                    break;
                }
            }
            taken += 1;
            next = if batch.len() < BATCH { entries.try_recv().ok() } else { None };
        }
        persist(&mut to, batch.as_bytes(), &state.failing);
        batch.clear();
        state.waiting.fetch_sub(taken, Ordering::Relaxed);
        if let Some(told) = mark {
            let _ = told.send(());
        }
    }
}

/// Writes it all, however long that takes: while it does not succeed nobody is let in, and no line is lost.
fn persist(to: &mut impl Write, mut rest: &[u8], failing: &AtomicBool) {
    while !rest.is_empty() {
        match to.write(rest) {
            Ok(written @ 1..) => {
                rest = rest.get(written..).unwrap_or_default();
                failing.store(false, Ordering::Relaxed);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => {
                failing.store(true, Ordering::Relaxed);
                std::thread::sleep(AGAIN);
            }
        }
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

/// Lines that may wait before requests are refused; about 30 MiB at worst.
const QUEUED: usize = 16 * 1024;
/// Room beyond that for what was granted to requests that were let in before.
const SPARE: usize = 4 * 1024;
/// Between tries to write what could not be written.
const AGAIN: Duration = Duration::from_millis(200);
const BATCH: usize = 64 * 1024;
const STACK: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use config::{Faults, KeyStyle, Section};

    use super::*;

    /// A log file whose every write waits for the test.
    struct Slow {
        go: Receiver<()>,
        lines: mpsc::Sender<usize>,
    }

    impl Write for Slow {
        fn write(&mut self, batch: &[u8]) -> std::io::Result<usize> {
            let _ = self.go.recv();
            let _ = self.lines.send(batch.iter().filter(|byte| **byte == b'\n').count());
            Ok(batch.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn decision(allowed: bool) -> Event {
        let mut decision = Decision::new(ambient::Time::from_unix(0), "id".into(), None, "test");
        decision.allowed = allowed;
        Event::Decision(Box::new(decision))
    }

    #[tokio::test]
    async fn nobody_is_let_in_while_the_log_is_behind_and_it_recovers() {
        let (go, going) = mpsc::channel();
        let (lines, written) = mpsc::channel();
        let faults = Faults::new();
        let logger = Logger::read(Section::empty("logger").fields(KeyStyle::Dex, &faults));
        let audit = Audit::onto(Slow { go: going, lines }, &logger).unwrap();
        while audit.listens() {
            audit.observe(&decision(false));
        }
        for _ in 0..SPARE {
            audit.observe(&decision(true));
        }
        assert_eq!(audit.lost(), 0, "what was let in before is heard");
        for _ in 0..3 {
            audit.observe(&decision(false));
        }
        assert_eq!(audit.lost(), 3, "what is refused takes no room from what was granted, and is counted");
        drop(go);
        audit.written().await;
        assert!(audit.listens());
        assert_eq!(written.try_iter().sum::<usize>(), QUEUED + SPARE);
    }

    /// A full disk, and then none.
    struct Full {
        full: Arc<AtomicBool>,
        tried: mpsc::Sender<()>,
        lines: mpsc::Sender<usize>,
    }

    impl Write for Full {
        fn write(&mut self, batch: &[u8]) -> std::io::Result<usize> {
            let _ = self.tried.send(());
            if self.full.load(Ordering::SeqCst) {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            let some = batch.len().min(7);
            let _ = self.lines.send(batch.iter().take(some).filter(|byte| **byte == b'\n').count());
            Ok(some)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn nobody_is_let_in_while_lines_cannot_be_written_and_none_is_lost() {
        let (full, (tried, tries), (lines, written)) =
            (Arc::new(AtomicBool::new(true)), mpsc::channel(), mpsc::channel());
        let faults = Faults::new();
        let logger = Logger::read(Section::empty("logger").fields(KeyStyle::Dex, &faults));
        let audit = Audit::onto(Full { full: Arc::clone(&full), tried, lines }, &logger).unwrap();
        audit.observe(&decision(true));
        // The second try comes after the first has failed.
        let _ = (tries.recv(), tries.recv());
        assert!(!audit.listens());
        full.store(false, Ordering::SeqCst);
        audit.written().await;
        assert!(audit.listens());
        assert_eq!((written.try_iter().sum::<usize>(), audit.lost()), (1, 0));
    }
}
