use crate::Task;
use parking_lot::Mutex;
use std::future::Future;
use std::io;
use tokio::runtime::{Builder, EnterGuard, Handle};

/// The shared thread could not be started.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot start the thread for input and output: {0}; the process may have reached its limit of threads or files"
)]
pub struct NoThread(#[from] io::Error);

/// A runtime that I/O runs on. A clone is the same runtime.
#[derive(Clone, Debug)]
pub struct Driver {
    runtime: Handle,
    shared: bool,
}

impl Driver {
    /// The tokio runtime that the caller is in, or else the shared thread.
    ///
    /// A runtime must have I/O and time enabled, as `#[tokio::main]` has. Tasks spawned on it live as long as it does, and
    /// make progress only while it is running: whoever blocks a current-thread runtime, or leaves its `block_on`, stops the
    /// I/O, too. [`Driver::shared`] depends on no caller.
    ///
    /// # Errors
    ///
    /// [`NoThread`] if there is no runtime and the shared thread cannot be started.
    pub fn current() -> Result<Driver, NoThread> {
        Handle::try_current().map_or_else(|_| Driver::shared(), |runtime| Ok(Driver { runtime, shared: false }))
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

fn start() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("switchboard-io".into())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}
