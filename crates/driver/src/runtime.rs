use crate::{Task, build_runtime, start_thread};
use parking_lot::Mutex;
use std::future::Future;
use std::io;
use std::task::{Context, Waker};
use tokio::runtime::{Builder, EnterGuard, Handle, RuntimeFlavor};
use tokio::task::coop::poll_proceed;

/// The shared thread could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the thread for input and output: {0}")]
pub struct NoThread(#[from] io::Error);

impl NoThread {
    /// Returns true if the limit of threads is the reason.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        self.0.kind() == io::ErrorKind::WouldBlock
    }
}

/// A runtime that I/O runs on. A clone is the same runtime.
#[derive(Clone, Debug)]
pub struct Driver {
    runtime: Handle,
    shared: bool,
}

impl Driver {
    /// The tokio runtime that the caller is in, or else the shared thread.
    ///
    /// A current-thread runtime that the caller has entered and does not run is no place for I/O: it stands still until
    /// somebody runs it. So the shared thread is used there, too.
    ///
    /// A runtime must have I/O and time enabled, as `#[tokio::main]` has. Tasks spawned on it live as long as it does, and
    /// make progress only while it is running: whoever blocks a current-thread runtime, or leaves its `block_on`, stops the
    /// I/O, too. [`Driver::shared`] depends on no caller.
    ///
    /// # Errors
    ///
    /// [`NoThread`] if there is no runtime and the shared thread cannot be started.
    pub fn current() -> Result<Driver, NoThread> {
        match Handle::try_current() {
            Ok(runtime) if runtime.runtime_flavor() != RuntimeFlavor::CurrentThread || is_polled() => {
                Ok(Driver { runtime, shared: false })
            }
            _ => Driver::shared(),
        }
    }

    /// The shared thread, wherever the caller is. It lives until the process ends; idle, it costs nothing but its stack. All
    /// users share one core: no task on it may block or compute for long.
    ///
    /// # Errors
    ///
    /// [`NoThread`] if the shared thread cannot be started. The next call tries again.
    pub fn shared() -> Result<Driver, NoThread> {
        static SHARED: Mutex<Option<Handle>> = Mutex::new(None);
        let mut shared = SHARED.lock();
        let runtime = match &*shared {
            Some(runtime) => runtime.clone(),
            None => shared.insert(start()?).clone(),
        };
        Ok(Driver { runtime, shared: true })
    }

    /// Returns true if this is the shared thread.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Runs a future here. It continues when the [`Task`] is dropped.
    pub fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Task::new(self.runtime.spawn(future))
    }

    /// Makes tokio's sockets and timers that the caller creates belong here, until the guard is dropped. Spawned futures need
    /// no guard.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }
}

/// Returns true if a tokio runtime is polling a future on this thread: in a task, or in its `block_on`.
///
/// tokio itself tells nobody, but gives each poll a budget of steps, and all other code an endless one. The steps that are taken
/// here are given back. A future in `tokio::task::unconstrained` counts as not polled.
#[must_use]
pub fn is_polled() -> bool {
    let mut steps = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    let is_polled = loop {
        match poll_proceed(&mut context) {
            std::task::Poll::Pending => break true,
            std::task::Poll::Ready(_) if steps.len() == LONGEST_BUDGET => break false,
            std::task::Poll::Ready(step) => steps.push(step),
        }
    };
    // Each gives back what was left before it, so the first has to be the last.
    while steps.pop().is_some() {}
    is_polled
}

/// More steps than tokio's budget, which counts in one byte, can have.
const LONGEST_BUDGET: usize = 256;

fn start() -> io::Result<Handle> {
    let runtime = build_runtime(&mut Builder::new_current_thread())?;
    let handle = runtime.handle().clone();
    start_thread("switchboard-io", move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}
