//! Audit by a policy: what is recorded of which requests, and what becomes of events when they cannot be stored.

mod delivery;
mod events;
mod generate;
mod peer;
mod secrets;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ambient::{Clock, Tasks};
use config::Faults;
use proxy::audit::{Audit, Batch, Delivery, Format, LogFile, Mode, Policy, Receiver, Settings};
use serde_json::Value;
use tempfile::TempDir;
use testkit::{FakeClock, SeededRandom};

use crate::front::{Front, Plan};

/// An audit log in a folder that goes with it.
struct Recorder {
    audit: Arc<Audit>,
    clock: FakeClock,
    path: PathBuf,
    _folder: TempDir,
}

/// How it differs from the usual one.
struct Shape {
    rules: String,
    mode: Mode,
    path: Option<PathBuf>,
    webhook: Option<(Receiver, Delivery)>,
    most_event: Option<usize>,
    most_body: usize,
}

impl Shape {
    /// Rules of a policy, in YAML; events go to a log that requests wait for.
    fn of(rules: &str) -> Self {
        Self {
            rules: rules.into(),
            mode: Mode::Blocking,
            path: None,
            webhook: None,
            most_event: None,
            most_body: 1 << 20,
        }
    }

    fn start(self) -> Recorder {
        let folder = tempfile::tempdir().unwrap();
        let clock = FakeClock::default();
        let path = self.path.unwrap_or_else(|| folder.path().join("audit.log"));
        let file = LogFile { path: path.clone(), most_bytes: 0, most_backups: 0, most_age: Duration::ZERO };
        let delivery = Delivery { most_event: self.most_event, ..delivery(self.mode) };
        let settings = Settings {
            policy: policy(&self.rules),
            log: Some((file, Format::Json, delivery)),
            webhook: self.webhook,
            most_body: self.most_body,
        };
        let handed: Arc<dyn Clock> = Arc::new(clock.clone());
        let random = Arc::new(SeededRandom::new(1));
        let audit = Audit::start(settings, handed, random, &Tasks::default()).unwrap();
        Recorder { audit, clock, path, _folder: folder }
    }
}

impl Recorder {
    /// A proxy that it records.
    async fn front(&self) -> Front {
        self.plan().start().await
    }

    fn plan(&self) -> Plan {
        Plan { audit: Some(Arc::clone(&self.audit)), clock: self.clock.clone(), ..Plan::default() }
    }

    fn text(&self) -> String {
        read(&self.path)
    }

    fn events(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The events, once there are so many: for requests whose end nobody waits for.
    async fn until(&self, count: usize) -> Vec<Value> {
        for _ in 0..20_000 {
            self.audit.written().await;
            let events = self.events();
            if events.len() >= count {
                return events;
            }
            tokio::task::yield_now().await;
        }
        panic!("there are only {:?}", self.events());
    }
}

fn delivery(mode: Mode) -> Delivery {
    let batch = Batch { queued: 1000, most: 1, wait: Duration::from_secs(30), throttle: None };
    Delivery { mode, batch, most_event: None, most_batch: 10 << 20 }
}

fn policy(rules: &str) -> Policy {
    let faults = Faults::new();
    let text = format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n{rules}\n");
    Policy::read(&text, "", &faults).unwrap_or_else(|| panic!("{faults}"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn stages(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["stage"].as_str().unwrap()).collect()
}
