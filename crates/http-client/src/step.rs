//! The step that a request is in, so that a time-out can name it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

tokio::task_local! {
    static CURRENT: Steps;
}

/// A step of a request, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The look-up of the host's name. Only a [`Dial`](crate::Dial) of its own tells it from [`Step::Connect`].
    Resolve,
    /// The TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The request is sent, and the answer's head has not come.
    Headers,
    /// The answer's head has come, and its body is not complete.
    Body,
}

impl Step {
    const ALL: [Step; 5] = [Step::Resolve, Step::Connect, Step::Tls, Step::Headers, Step::Body];

    /// Sets the step of the request that this task sends, if it sends one. For a [`Dial`](crate::Dial) of its own.
    pub fn enter(self) {
        let _ = CURRENT.try_with(|steps| steps.set(self));
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Resolve => "resolve",
            Step::Connect => "connect",
            Step::Tls => "TLS",
            Step::Headers => "headers",
            Step::Body => "body",
        })
    }
}

/// The current step of one request, for a caller that ends it before its own time-out. Clones share it.
#[derive(Clone, Debug)]
pub struct Steps(Arc<AtomicU8>);

impl Default for Steps {
    fn default() -> Steps {
        // A connection that is kept needs none of the steps before.
        Steps(Arc::new(AtomicU8::new(Step::Headers as u8)))
    }
}

impl Steps {
    /// The step that the request is in, or ended in.
    #[must_use]
    pub fn current(&self) -> Step {
        Step::ALL.get(usize::from(self.0.load(Ordering::Relaxed))).copied().unwrap_or(Step::Headers)
    }

    pub(crate) fn set(&self, step: Step) {
        self.0.store(step as u8, Ordering::Relaxed);
    }

    /// Runs a request, whose steps these are.
    pub(crate) async fn scope<F: Future>(&self, request: F) -> F::Output {
        CURRENT.scope(self.clone(), request).await
    }
}
