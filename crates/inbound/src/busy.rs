//! What a connection is used for: requests under way, and answers whose reader takes nothing more of them.
//!
//! HTTP/2 lets a peer open no window and answer pings for ever. So a small answer is done when it is given, and a large or
//! endless one when its reader has taken nothing of it for too long; one that waits for its own next part is not the reader's
//! fault.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ambient::Clock;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The use of one connection.
pub(crate) struct Busy {
    clock: Arc<dyn Clock>,
    begun: AtomicUsize,
    under_way: AtomicUsize,
    /// When each large answer was last taken on, in milliseconds; [`OURS`]: its reader is not what it waits for.
    sending: Mutex<HashMap<usize, Arc<AtomicU64>>>,
}

/// One request, from its head to the end of its answer.
pub(crate) struct UnderWay {
    busy: Arc<Busy>,
    number: usize,
}

/// An answer's body, watched while it is sent.
pub(crate) struct Sent<B> {
    body: B,
    reading: Option<Reading>,
}

struct Reading {
    under_way: UnderWay,
    taken: Arc<AtomicU64>,
}

impl Busy {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let (begun, under_way, sending) = Default::default();
        Arc::new(Self { clock, begun, under_way, sending })
    }

    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay { busy: Arc::clone(self), number }
    }

    /// How many requests have begun.
    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0
    }

    /// Whether somebody has taken nothing of an answer for so long.
    pub(crate) fn has_stalled(&self, span: Duration) -> bool {
        let (now, span) = (self.now(), millis(span));
        let sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        sending.values().any(|taken| now.saturating_sub(taken.load(Ordering::Relaxed)) > span)
    }

    fn now(&self) -> u64 {
        millis(self.clock.monotonic())
    }

    fn watch(&self, number: usize) -> Arc<AtomicU64> {
        let taken = Arc::new(AtomicU64::new(self.now()));
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        sending.insert(number, Arc::clone(&taken));
        taken
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.busy.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let UnderWay { busy, number } = &self.under_way;
        busy.sending.lock().unwrap_or_else(PoisonError::into_inner).remove(number);
    }
}

/// The same body; what is under way ends with it, or now if that is all but done.
pub(crate) fn until_sent<B: Body>(body: B, under_way: UnderWay) -> Sent<B> {
    let is_small = body.size_hint().exact().is_some_and(|bytes| bytes <= SMALL);
    let reading = (!is_small).then(|| Reading { taken: under_way.busy.watch(under_way.number), under_way });
    Sent { body, reading }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Sent<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Self { body, reading } = self.get_mut();
        let polled = Pin::new(body).poll_frame(cx);
        if let Some(Reading { under_way, taken }) = reading {
            let since = if polled.is_ready() { under_way.busy.now() } else { OURS };
            taken.store(since, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The answer waits for its own next part.
const OURS: u64 = u64::MAX;

/// An answer of so many bytes and no more has cost what it will cost.
const SMALL: u64 = 64 * 1024;
