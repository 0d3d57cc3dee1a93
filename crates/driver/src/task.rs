use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// A task has ended without a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// It was aborted, or its runtime was shut down.
    #[error("the task was aborted, or its runtime has ended")]
    Aborted,
    /// It panicked.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// A panic, with its message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task panicked: {0}")]
pub struct Panicked(pub String);

impl Panicked {
    fn new(payload: &(dyn Any + Send)) -> Panicked {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Panicked(text.unwrap_or_else(|| "it has no message".into()))
    }
}

/// Runs `future`, and returns its panic instead of passing it on. What the future owned is dropped before this returns.
///
/// # Errors
///
/// [`Panicked`] if a poll of the future panicked.
pub async fn catch_panic<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(payload) => Poll::Ready(Err(Panicked::new(&*payload))),
    })
    .await
}

/// A future that runs on a [`Driver`](crate::Driver). Awaiting it works on any executor; dropping it detaches the future.
#[derive(Debug)]
pub struct Task<T>(JoinHandle<T>);

impl<T> Task<T> {
    pub(crate) fn new(handle: JoinHandle<T>) -> Task<T> {
        Task(handle)
    }

    /// Stops it at its next await. Harmless if it has ended.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Returns true if it has ended, in whatever way.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, Ended>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(result.map_err(|error| match error.try_into_panic() {
            Ok(payload) => Ended::Panicked(Panicked::new(&*payload)),
            Err(_) => Ended::Aborted,
        }))
    }
}
