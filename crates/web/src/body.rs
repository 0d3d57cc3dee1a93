//! Request bodies, read whole before a handler sees them: within a size, a time and a budget for all together.

use crate::errors::{close, plain};
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Bodies of the greatest size that fit into memory at a time.
const BODIES: usize = 16;
/// The unit of the budget: a semaphore counts no further than 2^29 on 32 bits.
const UNIT: usize = 1 << 10;

/// State that all connections of a service share.
#[derive(Clone, Debug)]
pub(crate) struct Bodies {
    limit: usize,
    time: Duration,
    budget: Arc<Semaphore>,
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    TooLarge(usize),
    TooSlow(Duration),
    NoRoom,
    Broken,
}

impl Bodies {
    pub(crate) fn new(limit: usize, time: Duration) -> Bodies {
        let units = limit.div_ceil(UNIT).saturating_mul(BODIES).min(Semaphore::MAX_PERMITS);
        Bodies { limit, time, budget: Arc::new(Semaphore::new(units)) }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Refused::TooLarge(limit) => plain(
                StatusCode::PAYLOAD_TOO_LARGE,
                &format!("a body of more than {limit} bytes is not taken (limit: body)"),
            ),
            Refused::TooSlow(time) => plain(
                StatusCode::REQUEST_TIMEOUT,
                &format!("the body was not complete within {time:?} (limit: http.body-timeout)"),
            ),
            Refused::NoRoom => plain(StatusCode::SERVICE_UNAVAILABLE, "too many bodies are sent at a time; try again"),
            Refused::Broken => plain(StatusCode::BAD_REQUEST, "the body is broken"),
        }
    }
}

/// The layer that reads the body. Until it is there the connection counts as one without a complete request.
pub(crate) async fn read(State(bodies): State<Bodies>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bodies.limit as u64) {
        return close(Refused::TooLarge(bodies.limit).into_response());
    }
    let (bytes, _room) = match collect(body, bodies.limit, bodies.time, Some(&bodies.budget)).await {
        Ok(read) => read,
        Err(refused) => return close(refused.into_response()),
    };
    // The room is given back with the answer.
    next.run(Request::from_parts(parts, Body::from(bytes))).await
}

/// Reads a body of at most `limit` bytes within `time`, with room from the budget for each part as it comes.
pub(crate) async fn collect(
    mut body: Body,
    limit: usize,
    time: Duration,
    budget: Option<&Arc<Semaphore>>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refused> {
    let deadline = Instant::now() + time;
    let mut read = BytesMut::new();
    let mut room: Option<OwnedSemaphorePermit> = None;
    loop {
        let frame = timeout_at(deadline, poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))).await;
        match frame.map_err(|_| Refused::TooSlow(time))? {
            None => return Ok((read.freeze(), room)),
            Some(Err(_)) => return Err(Refused::Broken),
            Some(Ok(frame)) => {
                // Trailers say nothing that is used.
                let Ok(data) = frame.into_data() else { continue };
                if data.len() > limit - read.len() {
                    return Err(Refused::TooLarge(limit));
                }
                let units = (read.len() + data.len()).div_ceil(UNIT)
                    - room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
                if let (Some(budget), 1..) = (budget, units) {
                    let units = u32::try_from(units).map_err(|_| Refused::NoRoom)?;
                    let more = budget.clone().try_acquire_many_owned(units).map_err(|_| Refused::NoRoom)?;
                    match &mut room {
                        Some(room) => room.merge(more),
                        none => *none = Some(more),
                    }
                }
                read.extend_from_slice(&data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn collected(
        length: usize,
        limit: usize,
        budget: &Arc<Semaphore>,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refused> {
        collect(Body::from(vec![7; length]), limit, Duration::from_secs(60), Some(budget)).await
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        let budget = Arc::new(Semaphore::new(100));
        for (length, expected) in [(0, Ok(0)), (999, Ok(999)), (1000, Ok(1000)), (1001, Err(Refused::TooLarge(1000)))] {
            assert_eq!(collected(length, 1000, &budget).await.map(|(bytes, _)| bytes.len()), expected);
        }
        assert_eq!(budget.available_permits(), 100);
    }

    #[tokio::test]
    async fn all_bodies_together_have_a_budget_that_comes_back() {
        let budget = Arc::new(Semaphore::new(3));
        let first = collected(2 * UNIT, 1 << 20, &budget).await.unwrap();
        assert_eq!(budget.available_permits(), 1);
        assert_eq!(collected(UNIT + 1, 1 << 20, &budget).await.unwrap_err(), Refused::NoRoom);
        assert_eq!(collected(UNIT, 1 << 20, &budget).await.unwrap().0.len(), UNIT);
        drop(first);
        assert_eq!(budget.available_permits(), 3);
    }

    #[tokio::test]
    async fn each_part_of_a_body_counts_until_the_whole_is_given_back() {
        struct Parts(usize);
        impl HttpBody for Parts {
            type Data = Bytes;
            type Error = std::convert::Infallible;
            fn poll_frame(
                mut self: Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
                let Some(left) = self.0.checked_sub(1) else { return std::task::Poll::Ready(None) };
                self.0 = left;
                std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(vec![7; UNIT].into()))))
            }
        }
        let budget = Arc::new(Semaphore::new(3));
        let read =
            async |parts| collect(Body::new(Parts(parts)), 1 << 20, Duration::from_secs(60), Some(&budget)).await;
        assert_eq!(read(4).await.unwrap_err(), Refused::NoRoom);
        assert_eq!(budget.available_permits(), 3);
        let held = read(3).await.unwrap();
        assert_eq!((held.0.len(), budget.available_permits()), (3 * UNIT, 0));
        drop(held);
        assert_eq!(budget.available_permits(), 3);
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        struct Silent;
        impl HttpBody for Silent {
            type Data = Bytes;
            type Error = std::convert::Infallible;
            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
                std::task::Poll::Pending
            }
        }
        let time = Duration::from_millis(1);
        assert_eq!(collect(Body::new(Silent), 10, time, None).await.unwrap_err(), Refused::TooSlow(time));
    }
}
