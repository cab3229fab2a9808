//! Events gathered into batches: until there are enough, or the first has waited long enough, and not more batches a second
//! than a receiver may be asked to take.

use std::sync::Arc;
use std::time::Duration;

use ambient::Clock;
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

use super::backend::{Delivery, Item, Place, Storer};

/// How events are gathered.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Events that may wait or be under way; more are lost. In every mode.
    pub queued: usize,
    /// Events in one batch.
    pub most: usize,
    /// How long the first of a batch waits for more.
    pub wait: Duration,
    /// Batches a second, and how many at once after a pause; `None`: as many as there are.
    pub throttle: Option<Throttle>,
}

/// Batches a second, and how many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throttle {
    /// Batches a second.
    pub per_second: f64,
    /// At once.
    pub burst: u32,
}

/// Gathers and stores until the last sender is gone.
pub(super) async fn gather(
    mut items: mpsc::UnboundedReceiver<Item>,
    storer: Storer,
    delivery: Delivery,
    clock: Arc<dyn Clock>,
) {
    let under_way = Arc::new(Semaphore::new(UNDER_WAY));
    let mut throttle = delivery.batch.throttle.map(|throttle| Bucket::new(throttle, &clock));
    let mut kept = None;
    loop {
        let first = match kept.take() {
            Some(line) => Some(line),
            None => match items.recv().await {
                Some(Item::Line(line, place)) => Some((line, place)),
                Some(Item::Flush(done)) => {
                    storer.storing.ended().await;
                    let _ = done.send(());
                    continue;
                }
                None => return,
            },
        };
        let mut gathered = Gathered::default();
        gathered.extend(first);
        let mut flushed = None;
        if delivery.batch.most > 1 {
            (kept, flushed) = fill(&mut gathered, &mut items, &delivery, &clock).await;
        }
        if let Some(bucket) = &mut throttle {
            bucket.wait(&clock).await;
        }
        let Ok(permit) = Arc::clone(&under_way).acquire_owned().await else { return };
        let Gathered { lines, places, .. } = gathered;
        storer.store(lines, places, move |_| drop(permit));
        if let Some(done) = flushed {
            storer.storing.ended().await;
            let _ = done.send(());
        }
    }
}

type Flushed = Option<tokio::sync::oneshot::Sender<()>>;

/// Takes more until the batch is full. What did not fit any more is given back, and who waits for it all.
async fn fill(
    gathered: &mut Gathered,
    items: &mut mpsc::UnboundedReceiver<Item>,
    delivery: &Delivery,
    clock: &Arc<dyn Clock>,
) -> (Option<(Bytes, Place)>, Flushed) {
    let mut waited = clock.sleep(delivery.batch.wait);
    while gathered.lines.len() < delivery.batch.most {
        tokio::select! {
            biased;
            item = items.recv() => match item {
                Some(Item::Line(line, place)) if gathered.bytes + line.len() > delivery.most_batch => {
                    return (Some((line, place)), None);
                }
                Some(Item::Line(line, place)) => gathered.extend([(line, place)]),
                Some(Item::Flush(done)) => return (None, Some(done)),
                None => break,
            },
            () = &mut waited => break,
        }
    }
    (None, None)
}

/// One batch, and the room it takes.
#[derive(Default)]
struct Gathered {
    lines: Vec<Bytes>,
    places: Vec<Place>,
    bytes: usize,
}

impl Extend<(Bytes, Place)> for Gathered {
    fn extend<I: IntoIterator<Item = (Bytes, Place)>>(&mut self, more: I) {
        for (line, place) in more {
            self.bytes += line.len();
            self.lines.push(line);
            self.places.push(place);
        }
    }
}

/// A token bucket.
struct Bucket {
    throttle: Throttle,
    left: f64,
    at: Duration,
}

impl Bucket {
    fn new(throttle: Throttle, clock: &Arc<dyn Clock>) -> Self {
        Self { throttle, left: throttle.burst.into(), at: clock.monotonic() }
    }

    async fn wait(&mut self, clock: &Arc<dyn Clock>) {
        self.refill(clock.monotonic());
        if self.left < 1.0 {
            clock.sleep(Duration::from_secs_f64((1.0 - self.left) / self.throttle.per_second)).await;
            self.refill(clock.monotonic());
        }
        self.left -= 1.0;
    }

    fn refill(&mut self, now: Duration) {
        let since = now.saturating_sub(self.at).as_secs_f64();
        self.left = (self.left + since * self.throttle.per_second).min(self.throttle.burst.into());
        self.at = now;
    }
}

/// Batches on their way at once. A receiver that is down holds each for more than a minute, and the room behind them is
/// bounded too.
const UNDER_WAY: usize = 16;
