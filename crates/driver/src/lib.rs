//! Where I/O runs when a library is asked from any executor, or from none.
//!
//! A library that needs sockets and timers needs a reactor. If its caller is inside a tokio runtime,
//! that one is used; else one thread, shared by all who ask in this process, and started by the
//! first of them. The caller's own executor, whatever it is, only waits for what comes of it.
//!
//! ```
//! use switchboard_driver::Driver;
//! use std::sync::mpsc;
//!
//! // No executor here, so this runs on the shared thread.
//! let (tell, told) = mpsc::channel();
//! let driver = Driver::current()?;
//! drop(driver.spawn(async move { tell.send(6 * 7) }));
//! assert_eq!(told.recv(), Ok(42));
//! assert!(driver.is_shared());
//! # Ok::<(), switchboard_driver::NoThread>(())
//! ```

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::task::JoinHandle;

/// The shared thread could not be started.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot start the thread for input and output: {0}; the process may have reached its limit of threads or files"
)]
pub struct NoThread(#[from] io::Error);

/// A task has ended without a result: it was aborted, it panicked, or its runtime was shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task has ended without a result")]
pub struct Ended;

/// A place where I/O runs. A clone is the same place.
#[derive(Clone, Debug)]
pub struct Driver {
    runtime: Handle,
    shared: bool,
}

impl Driver {
    /// The tokio runtime that the caller is in, or else the shared thread.
    ///
    /// A runtime must have I/O and time enabled, as `#[tokio::main]` has. What is spawned on it
    /// lives as long as it does, and makes progress only while somebody runs it: who blocks a
    /// current-thread runtime, or leaves its `block_on`, stops the I/O, too. [`Driver::shared`]
    /// depends on nobody.
    ///
    /// # Errors
    ///
    /// [`NoThread`] if there is no runtime and the shared thread cannot be started.
    pub fn current() -> Result<Driver, NoThread> {
        Handle::try_current().map_or_else(|_| Driver::shared(), |runtime| Ok(Driver { runtime, shared: false }))
    }

    /// The shared thread, wherever the caller is. It lives until the process ends, and idle costs
    /// nothing but its stack. All who use it share one core: nothing on it may block or compute for long.
    ///
    /// # Errors
    ///
    /// [`NoThread`] if the shared thread cannot be started. The next call tries again.
    pub fn shared() -> Result<Driver, NoThread> {
        static SHARED: Mutex<Option<Handle>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = match &*shared {
            Some(runtime) => runtime.clone(),
            None => shared.insert(start()?).clone(),
        };
        Ok(Driver { runtime, shared: true })
    }

    /// Whether this is the shared thread.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Runs a future here. It goes on when the [`Task`] is dropped.
    pub fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Task(self.runtime.spawn(future))
    }

    /// Makes tokio's sockets and timers that the caller creates belong here, until the guard is
    /// dropped. Within a spawned future they do so anyway.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }
}

fn start() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("switchboard-io".into())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}

/// Something that runs on a [`Driver`]. To await it works on any executor; to drop it detaches it.
#[derive(Debug)]
pub struct Task<T>(JoinHandle<T>);

impl<T> Task<T> {
    /// Stops it at its next await. Harmless if it has ended.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether it has ended, in whatever way.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, Ended>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(context)).map_err(|_| Ended))
    }
}
