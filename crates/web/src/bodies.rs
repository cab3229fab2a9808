//! Bodies that strangers send: read within one budget of memory for all of them together, and within a time. Who sends
//! many halves of requests fills the budget, not the machine.

use std::sync::Arc;
use std::time::Duration;

use ambient::Clock;
use axum::body::Body;
use http_body_util::BodyExt as _;
use provider::error::{Error, Fault, Refusal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The budget.
pub(crate) struct Bodies {
    /// A permit is a byte.
    room: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

/// A body, and the room it takes until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) bytes: Vec<u8>,
    pub(crate) room: Option<Room>,
}

/// A part of the budget.
pub(crate) type Room = OwnedSemaphorePermit;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    TooLarge,
    BrokeOff,
    TooSlow,
    NoRoom,
}

impl Bodies {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { room: Arc::new(Semaphore::new(BUDGET)), clock }
    }

    /// Reads a body of at most `most` bytes.
    pub(crate) async fn read(&self, body: Body, most: usize) -> Result<Held, Unread> {
        tokio::select! {
            read = self.collect(body, most) => read,
            () = self.clock.sleep(PATIENCE) => Err(Unread::TooSlow),
        }
    }

    async fn collect(&self, mut body: Body, most: usize) -> Result<Held, Unread> {
        let mut held = Held { bytes: Vec::new(), room: None };
        while let Some(frame) = body.frame().await {
            // Trailers are not for us.
            let Ok(data) = frame.map_err(|_| Unread::BrokeOff)?.into_data() else { continue };
            if data.len() > most.saturating_sub(held.bytes.len()) {
                return Err(Unread::TooLarge);
            }
            let more = u32::try_from(data.len()).map_err(|_| Unread::TooLarge)?;
            let more = Arc::clone(&self.room).try_acquire_many_owned(more).map_err(|_| Unread::NoRoom)?;
            match &mut held.room {
                Some(room) => room.merge(more),
                None => held.room = Some(more),
            }
            held.bytes.extend_from_slice(&data);
        }
        Ok(held)
    }
}

impl From<Unread> for Error {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => Refusal::request("the body is too large").into(),
            Unread::BrokeOff => Refusal::request("the body broke off").into(),
            Unread::TooSlow => Refusal::request("the body did not arrive in time").into(),
            Unread::NoRoom => Fault::Busy { retry_after: Duration::from_secs(1) }.into(),
        }
    }
}

/// Bytes of all bodies together that are being read or worked on.
const BUDGET: usize = 64 * 1024 * 1024;

/// For the whole of a body.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll};

    use axum::body::{Bytes, HttpBody};
    use http_body::Frame;
    use testkit::FakeClock;

    use super::*;

    /// A body whose second half never comes.
    struct Half(Option<Bytes>);

    impl HttpBody for Half {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.take().map_or(Poll::Pending, |half| Poll::Ready(Some(Ok(Frame::data(half)))))
        }
    }

    fn half(bytes: usize) -> Body {
        Body::new(Half(Some(Bytes::from(vec![b'x'; bytes]))))
    }

    #[tokio::test]
    async fn attack_25_unfinished_bodies_share_one_budget_and_have_an_end() {
        let clock = FakeClock::default();
        let bodies = Bodies::new(Arc::new(clock.clone()));
        let mut waiting: Vec<_> =
            (0..BUDGET / MOST).map(|_| Box::pin(bodies.read(half(MOST), MOST))).collect();
        for read in &mut waiting {
            assert!(std::future::poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending())).await);
        }
        assert_eq!(bodies.read(Body::from("a=b"), MOST).await.err(), Some(Unread::NoRoom));
        clock.advance(PATIENCE);
        for read in waiting {
            assert_eq!(read.await.err(), Some(Unread::TooSlow));
        }
        let held = bodies.read(Body::from("a=b"), MOST).await.unwrap();
        assert_eq!((&*held.bytes, bodies.room.available_permits()), (&b"a=b"[..], BUDGET - 3));
        drop(held);
        assert_eq!(bodies.room.available_permits(), BUDGET);
    }

    #[tokio::test]
    async fn a_body_ends_at_its_bound() {
        let bodies = Bodies::new(Arc::new(FakeClock::default()));
        assert!(bodies.read(Body::from("12345"), 5).await.is_ok());
        assert_eq!(bodies.read(Body::from("123456"), 5).await.err(), Some(Unread::TooLarge));
        let mut read = pin!(bodies.read(half(6), 5));
        let first = std::future::poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await;
        assert!(matches!(first, Poll::Ready(Err(Unread::TooLarge))));
    }

    const MOST: usize = 64 * 1024;
}
