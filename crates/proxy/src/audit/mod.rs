//! Audit as the API server does it: a policy says what is recorded of which requests (`audit.k8s.io/v1`), and the events go to
//! a log, a webhook, or both.
//!
//! The way of one request: [`Recording`] begins before authentication, asks the [`Policy`] when the caller is known, and
//! tells each stage; bodies that are to be recorded are kept while they stream by, up to a bound. A [`Backend`] decides what
//! a request waits for. No event holds a credential: headers are never recorded but for `User-Agent`, what the request's
//! own token would add to a text is taken out, and objects that are made of credentials are left out whatever the policy says.

mod backend;
mod batch;
mod event;
mod log;
mod object;
mod policy;
mod policy_file;
mod query;
mod recording;
mod request_info;
mod selector;
mod streams;
mod webhook;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ambient::{BoxFuture, Clock, Random, Tasks};
use arc_swap::ArcSwap;

pub use backend::{Delivery, Mode};
pub use batch::{Batch, Throttle};
pub use log::LogFile;
pub use policy::{Level, Policy, Says, Stage, Stages};
pub use request_info::RequestInfo;
pub use streams::Served;
pub use webhook::Receiver;

use backend::Backend;
use event::Event;
use object::Memory;
pub(crate) use recording::Recording;
pub(crate) use streams::Sent;

/// What is recorded, and where it goes.
pub struct Settings {
    /// What is recorded.
    pub policy: Policy,
    /// Events as lines of a file.
    pub log: Option<(LogFile, Format, Delivery)>,
    /// Events sent to a receiver.
    pub webhook: Option<(Receiver, Delivery)>,
    /// Bytes of one body that are kept for an event; a longer one is left out.
    pub most_body: usize,
}

/// How an event is written in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As JSON.
    Json,
    /// As a line of text, with part of what is known.
    Legacy,
}

/// Records requests. Shared by all of them.
pub struct Audit {
    policy: ArcSwap<Policy>,
    backends: Vec<(Format, Backend)>,
    most_body: usize,
    memory: Arc<Memory>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    events: AtomicU64,
    rejected: AtomicU64,
    levels: [AtomicU64; 4],
}

/// Numbers for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Events that were made.
    pub events: u64,
    /// Requests that were refused because their first event could not be stored.
    pub rejected: u64,
    /// Requests by level.
    pub levels: Vec<(&'static str, u64)>,
    /// Events that were lost, by backend.
    pub lost: Vec<(&'static str, u64)>,
}

impl Audit {
    /// Opens the log and begins to gather. `tasks` hold what gathers, which ends when this is dropped.
    ///
    /// # Errors
    /// The log cannot be opened.
    pub fn start(
        settings: Settings,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        tasks: &Tasks,
    ) -> io::Result<Arc<Self>> {
        let Settings { policy, log, webhook, most_body } = settings;
        let mut backends = Vec::new();
        if let Some((file, format, delivery)) = log {
            let log = Arc::new(log::Log::start(file, Arc::clone(&clock))?);
            backends.push((format, Backend::start(log, delivery, &clock, tasks)));
        }
        if let Some((receiver, delivery)) = webhook {
            let (clock, random) = (Arc::clone(&clock), Arc::clone(&random));
            let webhook = Arc::new(webhook::Webhook { receiver, clock: Arc::clone(&clock), random });
            backends.push((Format::Json, Backend::start(webhook, delivery, &clock, tasks)));
        }
        Ok(Arc::new(Self {
            policy: ArcSwap::from_pointee(policy),
            backends,
            most_body,
            memory: Memory::new(MOST_MEMORY),
            clock,
            random,
            counts: Counts::default(),
        }))
    }

    /// Replaces the policy, from the next request on.
    pub fn replace_policy(&self, policy: Policy) {
        self.policy.store(Arc::new(policy));
    }

    /// Resolves when every event so far is stored, or never will be.
    pub async fn written(&self) {
        for (_, backend) in &self.backends {
            backend.flush().await;
        }
    }

    /// Numbers for metrics.
    pub fn counted(&self) -> Counted {
        let Counts { events, rejected, levels } = &self.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counted {
            events: read(events),
            rejected: read(rejected),
            levels: Level::ALL.iter().zip(levels).map(|(level, count)| (level.word(), read(count))).collect(),
            lost: self.backends.iter().map(|(_, backend)| (backend.name(), backend.lost())).collect(),
        }
    }

    /// What the policy says of a request.
    fn judge(&self, user: Option<(&str, &[String])>, info: &RequestInfo) -> Says {
        let says = self.policy.load().judge(user, info);
        if let Some(count) = self.counts.levels.get(says.level as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        says
    }

    fn count_rejected(&self) {
        self.counts.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// Hands an event to every backend. The future, where a request waits, says whether it may go on.
    fn process(&self, event: &Event) -> Option<BoxFuture<'static, bool>> {
        self.counts.events.fetch_add(1, Ordering::Relaxed);
        let mut json = None;
        let (mut waits, mut unrecorded) = (Vec::new(), false);
        for (format, backend) in &self.backends {
            let mut line = match format {
                Format::Json => json.get_or_insert_with(|| event.json()).clone(),
                Format::Legacy => event.legacy(),
            };
            let strict = backend.delivery.mode == Mode::BlockingStrict;
            let most = backend.delivery.most_event.unwrap_or(usize::MAX);
            if line.len() > most && event.level >= Level::Request {
                let less = event.without_objects();
                line = if *format == Format::Json { less.json() } else { less.legacy() };
            }
            if line.len() > most {
                backend.refuse();
                unrecorded |= strict;
                continue;
            }
            if let Some(stored) = backend.submit(line) {
                waits.push((stored, strict));
            }
        }
        if waits.is_empty() && !unrecorded {
            return None;
        }
        Some(Box::pin(async move {
            let mut may_go_on = !unrecorded;
            for (stored, strict) in waits {
                may_go_on &= stored.await.unwrap_or(false) || !strict;
            }
            may_go_on
        }))
    }
}

/// What all bodies that are kept for events may hold together. Beyond it they are left out, as too long ones are.
const MOST_MEMORY: usize = 128 * 1024 * 1024;
