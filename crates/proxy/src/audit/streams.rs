//! Bodies that an event may need, as they stream by: the request's on its way to the API server, the answer's on its way to
//! the client. Without a recording both are what they were before.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ambient::BoxFuture;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::object::Capture;
use super::recording::Recording;
use crate::body::Body;

/// The body of a request on its way to the API server.
pub(crate) struct Sent {
    body: Incoming,
    kept: Option<Capture>,
}

/// The body of an answer on its way to the client.
pub struct Served {
    body: Body,
    recorded: Option<Box<Recorded>>,
}

struct Recorded {
    recording: Box<Recording>,
    /// The last event is being stored, and the last frame held until it is.
    waiting: Option<(BoxFuture<'static, bool>, Option<Frame<Bytes>>)>,
}

impl Sent {
    pub(crate) fn new(body: Incoming, recording: Option<&mut Recording>) -> Self {
        Self { body, kept: recording.and_then(Recording::keep_sent) }
    }
}

impl Served {
    pub(crate) const fn plain(body: Body) -> Self {
        Self { body, recorded: None }
    }

    pub(super) fn recorded(body: Body, recording: Box<Recording>) -> Self {
        Self { body, recorded: Some(Box::new(Recorded { recording, waiting: None })) }
    }

    /// The next frame, after the event that it ends is stored.
    fn poll_recorded(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        loop {
            let Some(recorded) = &mut self.recorded else { return Pin::new(&mut self.body).poll_frame(cx) };
            if let Some((stored, last)) = &mut recorded.waiting {
                ready!(stored.as_mut().poll(cx));
                let last = last.take();
                self.recorded = None;
                return Poll::Ready(last.map(Ok));
            }
            let last = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        recorded.recording.keep(data);
                    }
                    if !self.body.is_end_stream() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    Some(frame)
                }
                // What is dropped here ends the recording.
                Some(Err(error)) => {
                    self.recorded = None;
                    return Poll::Ready(Some(Err(error)));
                }
                None => None,
            };
            match recorded.recording.complete() {
                Some(stored) => recorded.waiting = Some((stored, last)),
                None => {
                    self.recorded = None;
                    return Poll::Ready(last.map(Ok));
                }
            }
        }
    }
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let (Some(kept), Some(Ok(frame))) = (&this.kept, &frame)
            && let Some(data) = frame.data_ref()
        {
            kept.add(data);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl http_body::Body for Served {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        if this.recorded.is_none() {
            return Pin::new(&mut this.body).poll_frame(cx);
        }
        this.poll_recorded(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.recorded.as_ref().is_none_or(|recorded| recorded.waiting.is_none()) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.recorded {
            Some(recorded) if recorded.waiting.is_some() => SizeHint::default(),
            _ => self.body.size_hint(),
        }
    }
}
