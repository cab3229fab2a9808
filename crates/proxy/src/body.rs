//! The bodies of requests and answers: a document of ours, or somebody's stream as it comes.
//!
//! A stream that has a deadline ends at it whether or not anybody reads: a reader who takes nothing would otherwise keep the
//! stream, and what is ready for a slow one would never run out.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use ambient::Tasks;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::oneshot;

use crate::deadline::Deadline;

/// The body of a request or an answer.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    /// A document of our own.
    Whole(Option<Bytes>),
    /// Frame by frame as it comes, trailers too. Nothing is gathered: a watch event is worth something at once.
    Stream(Incoming),
    /// The same, until a deadline.
    Timed(Timed),
}

#[derive(Debug)]
struct Timed {
    flow: Arc<Mutex<Flow>>,
    until: Deadline,
    cut: Cut,
    /// Its end tells who waits for the deadline.
    _read: oneshot::Sender<()>,
}

/// A stream, which whoever is first at the deadline takes away.
#[derive(Debug)]
struct Flow {
    stream: Option<Incoming>,
    reader: Option<Waker>,
}

/// How a stream ends at its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// As if it had ended by itself: watches and logs are used to that.
    Close,
    /// As broken: what is incomplete must not pass for whole.
    Break,
}

/// A body that does not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Its sender broke off.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    /// The caller's token ended.
    #[error("the caller's token ended while this was under way")]
    Ended,
}

impl Body {
    /// The API server's answer. At the deadline it ends, cleanly if nobody can tell how long it would have been.
    pub(crate) fn answer(stream: Incoming, until: Option<Deadline>, tasks: &Tasks) -> Self {
        let cut = if stream.size_hint().exact().is_some() { Cut::Break } else { Cut::Close };
        Self::until(stream, until, cut, tasks)
    }

    /// A caller's request. At the deadline it breaks off.
    pub(crate) fn request(stream: Incoming, until: Option<Deadline>, tasks: &Tasks) -> Self {
        Self::until(stream, until, Cut::Break, tasks)
    }

    pub(crate) const fn empty() -> Self {
        Self(Kind::Whole(None))
    }

    fn until(stream: Incoming, until: Option<Deadline>, cut: Cut, tasks: &Tasks) -> Self {
        let Some(until) = until.filter(|_| !stream.is_end_stream()) else {
            return Self(Kind::Stream(stream));
        };
        let flow = Arc::new(Mutex::new(Flow { stream: Some(stream), reader: None }));
        let (read, unread) = oneshot::channel::<()>();
        let (ended, passed) = (Arc::clone(&flow), until.passed());
        tasks.spawn_until_stop(async move {
            tokio::select! {
                () = passed => take(&ended),
                _ = unread => {}
            }
        });
        Self(Kind::Timed(Timed { flow, until, cut, _read: read }))
    }
}

impl From<Vec<u8>> for Body {
    fn from(document: Vec<u8>) -> Self {
        Self(Kind::Whole(Some(document.into())))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.get_mut().0 {
            Kind::Whole(document) => Poll::Ready(document.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream(stream) => Pin::new(stream).poll_frame(cx).map_err(BodyError::from),
            Kind::Timed(timed) => timed.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(document) => document.is_none(),
            Kind::Stream(stream) => stream.is_end_stream(),
            Kind::Timed(timed) => timed.look(Incoming::is_end_stream, timed.cut == Cut::Close),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(document) => SizeHint::with_exact(document.as_ref().map_or(0, |d| d.len() as u64)),
            Kind::Stream(stream) => stream.size_hint(),
            Kind::Timed(timed) => timed.look(Incoming::size_hint, SizeHint::default()),
        }
    }
}

impl Timed {
    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut flow = self.flow.lock().unwrap_or_else(PoisonError::into_inner);
        // Before anything that is ready: a slow reader could always find something.
        if self.until.has_passed() {
            flow.stream = None;
        }
        let Some(stream) = &mut flow.stream else {
            return Poll::Ready((self.cut == Cut::Break).then_some(Err(BodyError::Ended)));
        };
        let polled = Pin::new(stream).poll_frame(cx);
        if polled.is_pending() {
            flow.reader = Some(cx.waker().clone());
        }
        polled.map_err(BodyError::from)
    }

    fn look<T>(&self, look: impl FnOnce(&Incoming) -> T, cut: T) -> T {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner).stream.as_ref().map_or(cut, look)
    }
}

/// Takes the stream away from its reader, who is told.
fn take(flow: &Mutex<Flow>) {
    let (stream, reader) = {
        let mut flow = flow.lock().unwrap_or_else(PoisonError::into_inner);
        (flow.stream.take(), flow.reader.take())
    };
    drop(stream);
    if let Some(reader) = reader {
        reader.wake();
    }
}
