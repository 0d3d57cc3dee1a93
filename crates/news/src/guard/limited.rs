//! A body that has to end in time.

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

/// A body that is cut off at a deadline, at which the connection ends as well.
pub(super) struct Limited {
    body: Incoming,
    end: Pin<Box<Sleep>>,
}

impl Limited {
    pub(super) fn new(body: Incoming, end: Instant) -> Limited {
        Limited { body, end: Box::pin(sleep_until(end)) }
    }
}

impl Body for Limited {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        Pin::new(&mut self.body).poll_frame(context).map_err(io::Error::other)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
