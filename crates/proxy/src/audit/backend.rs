//! One place where events go, and what a request waits for: a mode, a bounded room, batches.
//!
//! What is bounded: the events and bytes that wait or are under way. What finds no room is lost and counted; a request is
//! refused for it in one mode alone, `blocking-strict`, and only before anything was sent on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use ambient::{BoxFuture, Clock, Tasks};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::batch::{self, Batch};

/// Stores lines somewhere.
pub(super) trait Sink: Send + Sync + 'static {
    /// Its name in metrics and messages: `log`, `webhook`.
    fn name(&self) -> &'static str;
    /// Begins at once; the future resolves when they are stored, or never will be, and why.
    fn store(&self, lines: Vec<Bytes>) -> BoxFuture<'static, Result<(), String>>;
}

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// For nothing: events are gathered and stored in batches.
    Batch,
    /// Until its event is stored, or that has failed.
    Blocking,
    /// As blocking; and it is refused if its first event cannot be stored.
    BlockingStrict,
}

/// How events are stored.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What a request waits for.
    pub mode: Mode,
    /// How they are gathered in batch mode.
    pub batch: Batch,
    /// An event of more bytes goes without its objects or, if that is not enough, not at all; `None`: as it is.
    pub most_event: Option<usize>,
    /// Bytes in one batch.
    pub most_batch: usize,
}

/// A sink and what stands before it.
pub(super) struct Backend {
    pub(super) delivery: Delivery,
    sink: Arc<dyn Sink>,
    room: Arc<Room>,
    health: Arc<Health>,
    queue: mpsc::UnboundedSender<Item>,
    storing: Tasks,
}

/// What stands in the queue.
pub(super) enum Item {
    Line(Bytes, Place),
    /// Everything before it is to be stored at once.
    Flush(oneshot::Sender<()>),
}

/// How much may wait or be under way.
struct Room {
    events: AtomicUsize,
    bytes: AtomicUsize,
    most_events: usize,
}

/// Room that is taken until this is dropped.
pub(super) struct Place {
    room: Arc<Room>,
    bytes: usize,
}

/// Whether events are stored, told once when it changes.
pub(super) struct Health {
    name: &'static str,
    lost: AtomicU64,
    failing: AtomicBool,
    full: AtomicBool,
}

impl Backend {
    pub(super) fn start(
        sink: Arc<dyn Sink>,
        delivery: Delivery,
        clock: &Arc<dyn Clock>,
        tasks: &Tasks,
    ) -> Self {
        let (queue, items) = mpsc::unbounded_channel();
        let name = sink.name();
        let health = Arc::new(Health {
            name,
            lost: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            full: AtomicBool::new(false),
        });
        let most_events = delivery.batch.queued;
        let room = Arc::new(Room { events: AtomicUsize::new(0), bytes: AtomicUsize::new(0), most_events });
        let storing = Tasks::default();
        let backend = Self { delivery, sink, room, health, queue, storing };
        tasks.spawn(batch::gather(items, backend.storer(), backend.delivery.clone(), Arc::clone(clock)));
        backend
    }

    /// Hands a line over. Where a request waits, the receiver says whether it was stored.
    pub(super) fn submit(&self, line: Bytes) -> Option<oneshot::Receiver<bool>> {
        let place = Room::enter(&self.room, line.len());
        let Some(place) = place else {
            self.health.no_room();
            let (tell, told) = oneshot::channel();
            let _ = tell.send(false);
            return (self.delivery.mode != Mode::Batch).then_some(told);
        };
        self.health.has_room();
        if self.delivery.mode == Mode::Batch {
            let _ = self.queue.send(Item::Line(line, place));
            return None;
        }
        let (tell, told) = oneshot::channel();
        self.storer().store(vec![line], vec![place], move |stored| _ = tell.send(stored));
        Some(told)
    }

    /// Counts an event that was too large for this backend.
    pub(super) fn refuse(&self) {
        self.health.failed(1, "an event is too large even without its objects");
    }

    pub(super) fn name(&self) -> &'static str {
        self.health.name
    }

    /// Events that were not stored.
    pub(super) fn lost(&self) -> u64 {
        self.health.lost.load(Ordering::Relaxed)
    }

    /// Resolves when everything so far is stored, or never will be.
    pub(super) async fn flush(&self) {
        let (tell, told) = oneshot::channel();
        if self.queue.send(Item::Flush(tell)).is_ok() {
            let _ = told.await;
        }
        self.storing.ended().await;
    }

    fn storer(&self) -> Storer {
        Storer {
            sink: Arc::clone(&self.sink),
            health: Arc::clone(&self.health),
            storing: self.storing.clone(),
        }
    }
}

/// Stores lines in the background, whoever goes away meanwhile.
#[derive(Clone)]
pub(super) struct Storer {
    sink: Arc<dyn Sink>,
    health: Arc<Health>,
    pub(super) storing: Tasks,
}

impl Storer {
    pub(super) fn store(
        &self,
        lines: Vec<Bytes>,
        places: Vec<Place>,
        then: impl FnOnce(bool) + Send + 'static,
    ) {
        let (count, health) = (lines.len(), Arc::clone(&self.health));
        let stored = self.sink.store(lines);
        self.storing.spawn(async move {
            let stored = stored.await;
            match &stored {
                Ok(()) => health.succeeded(),
                Err(why) => health.failed(count, why),
            }
            drop(places);
            then(stored.is_ok());
        });
    }
}

impl Room {
    fn enter(room: &Arc<Self>, bytes: usize) -> Option<Place> {
        let events = room.events.fetch_add(1, Ordering::Relaxed);
        let held = room.bytes.fetch_add(bytes, Ordering::Relaxed);
        // Gives the room back by itself where it is too little.
        let place = Place { room: Arc::clone(room), bytes };
        let fits = events < room.most_events && (events == 0 || held.saturating_add(bytes) <= MOST_BYTES);
        fits.then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.events.fetch_sub(1, Ordering::Relaxed);
        self.room.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Health {
    fn failed(&self, count: usize, why: &str) {
        self.lost.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(backend = self.name, why, "audit events cannot be stored and are lost");
        }
    }

    fn succeeded(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            let lost = self.lost.load(Ordering::Relaxed);
            tracing::warn!(backend = self.name, lost, "audit events are stored again");
        }
    }

    fn no_room(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        if !self.full.swap(true, Ordering::Relaxed) {
            tracing::error!(
                backend = self.name,
                "audit events come faster than they are stored and are lost"
            );
        }
    }

    fn has_room(&self) {
        // Read first: it is nearly always so, and a write would be everybody's cache line.
        if self.full.load(Ordering::Relaxed) && self.full.swap(false, Ordering::Relaxed) {
            let lost = self.lost.load(Ordering::Relaxed);
            tracing::warn!(backend = self.name, lost, "there is room for audit events again");
        }
    }
}

/// What waits for one backend holds at most so much memory, however large its events.
const MOST_BYTES: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_25_the_room_is_bounded_in_events_and_in_bytes() {
        let room = |most_events| {
            Arc::new(Room { events: AtomicUsize::new(0), bytes: AtomicUsize::new(0), most_events })
        };
        let few = room(2);
        let held: Vec<_> = (0..3).map(|_| Room::enter(&few, 1)).collect();
        assert_eq!(held.iter().flatten().count(), 2);
        drop(held);
        assert!(Room::enter(&few, 1).is_some());
        let heavy = room(1000);
        let held: Vec<_> = (0..100).map(|_| Room::enter(&heavy, MOST_BYTES / 8)).collect();
        assert_eq!(held.iter().flatten().count(), 8);
        drop(held);
        assert_eq!(heavy.bytes.load(Ordering::Relaxed), 0);
        assert!(Room::enter(&heavy, MOST_BYTES * 2).is_some(), "one that is alone always fits");
    }
}
