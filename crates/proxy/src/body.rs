//! The body of an answer: a document of ours, or the API server's stream as it comes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

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
    Stream(Incoming),
}

impl Body {
    pub(crate) const fn empty() -> Self {
        Self(Kind::Whole(None))
    }
}

impl From<Vec<u8>> for Body {
    fn from(document: Vec<u8>) -> Self {
        Self(Kind::Whole(Some(document.into())))
    }
}

impl From<Incoming> for Body {
    fn from(stream: Incoming) -> Self {
        Self(Kind::Stream(stream))
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
            Kind::Stream(stream) => Poll::Ready(ready!(Pin::new(stream).poll_frame(cx))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(document) => document.is_none(),
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(document) => SizeHint::with_exact(document.as_ref().map_or(0, |d| d.len() as u64)),
            Kind::Stream(stream) => stream.size_hint(),
        }
    }
}
