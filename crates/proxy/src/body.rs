//! The body of an answer: a document of ours, or the API server's stream as it comes.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ambient::{BoxFuture, Clock};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

/// The body of an answer.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    /// A document of our own.
    Whole(Option<Bytes>),
    /// Frame by frame as it comes, trailers too. Nothing is gathered: a watch event is worth something at once.
    Stream(Incoming, Option<Box<Deadline>>),
}

/// When a stream ends although nobody ended it.
pub(crate) struct Deadline {
    after: Duration,
    clock: Arc<dyn Clock>,
    /// Made when there is something to wait for: most answers are there at once.
    waiting: Option<BoxFuture<'static, ()>>,
}

impl Deadline {
    pub(crate) fn new(after: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { after, clock, waiting: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { after, clock, waiting } = self;
        waiting.get_or_insert_with(|| clock.sleep(*after)).as_mut().poll(cx)
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deadline").field(&self.after).finish()
    }
}

impl Body {
    /// The API server's answer, which ends at the deadline, if there is one.
    pub(crate) fn stream(stream: Incoming, until: Option<Deadline>) -> Self {
        Self(Kind::Stream(stream, until.map(Box::new)))
    }

    pub(crate) const fn empty() -> Self {
        Self(Kind::Whole(None))
    }
}

impl From<Vec<u8>> for Body {
    fn from(document: Vec<u8>) -> Self {
        Self(Kind::Whole(Some(document.into())))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.get_mut().0 {
            Kind::Whole(document) => Poll::Ready(document.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream(stream, until) => {
                if let Poll::Ready(frame) = Pin::new(stream).poll_frame(cx) {
                    return Poll::Ready(frame);
                }
                match until {
                    Some(deadline) => deadline.poll(cx).map(|()| None),
                    None => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(document) => document.is_none(),
            Kind::Stream(stream, _) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(document) => SizeHint::with_exact(document.as_ref().map_or(0, |d| d.len() as u64)),
            Kind::Stream(stream, _) => stream.size_hint(),
        }
    }
}
