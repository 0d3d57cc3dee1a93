//! Which thread runs a client's I/O, and so must not wait for it.

use crate::Error;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::{Handle, RuntimeFlavor};

/// A runtime that has not begun the client's tasks within this time is the one that the caller blocks.
const BEGIN: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(20);

static THREADS: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static THREAD: u64 = THREADS.fetch_add(1, Ordering::Relaxed);
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// The threads of a client's tasks.
#[derive(Debug, Default)]
pub(crate) struct Runner {
    /// One thread runs all of them: this one, by now; 0 before the first has begun.
    single: Option<AtomicU64>,
}

enum Place {
    /// The caller runs the tasks.
    Here,
    Elsewhere,
    /// No task has begun yet, and the caller is inside a runtime that may be theirs.
    Unknown,
}

impl Runner {
    /// For tasks on the runtime that this is called in.
    pub(crate) fn of(runtime: &Handle) -> Runner {
        let single = runtime.runtime_flavor() == RuntimeFlavor::CurrentThread;
        Runner { single: single.then(|| AtomicU64::new(0)) }
    }

    fn place(&self) -> Place {
        let Some(single) = &self.single else { return Place::Elsewhere };
        // A thread outside a runtime runs none.
        let Ok(current) = Handle::try_current() else { return Place::Elsewhere };
        match single.load(Ordering::Relaxed) {
            0 if current.runtime_flavor() == RuntimeFlavor::CurrentThread => Place::Unknown,
            thread if thread == THREAD.with(|thread| *thread) => Place::Here,
            _ => Place::Elsewhere,
        }
    }

    /// Blocks until `wait` has a result; it blocks for the time that it is given, or for ever.
    ///
    /// Fails where the result can never come: the thread that would have to make it is this one.
    pub(crate) fn block<R>(&self, mut wait: impl FnMut(Option<Duration>) -> Option<R>) -> Result<R, Error> {
        if let Some(result) = wait(Some(Duration::ZERO)) {
            return Ok(result);
        }
        if IN_CALLBACK.get() {
            return Err(Error::CannotWait { place: "in a callback" });
        }
        let mut waited = Duration::ZERO;
        loop {
            match self.place() {
                Place::Unknown if waited < BEGIN => {
                    if let Some(result) = wait(Some(STEP)) {
                        return Ok(result);
                    }
                    waited += STEP;
                }
                Place::Here | Place::Unknown => {
                    return Err(Error::CannotWait { place: "on the only thread of the runtime that does the I/O" });
                }
                Place::Elsewhere => break,
            }
        }
        let mut for_ever = || {
            loop {
                if let Some(result) = wait(None) {
                    return result;
                }
            }
        };
        // A runtime of several threads gives the tasks that this one would run next to another.
        let several = Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
        Ok(if several { tokio::task::block_in_place(for_ever) } else { for_ever() })
    }

    /// Makes a task of the client out of a future.
    pub(crate) fn track<F: Future>(self: &Arc<Self>, future: F) -> impl Future<Output = F::Output> + use<F> {
        let mut future = Box::pin(future);
        let runner = self.clone();
        std::future::poll_fn(move |context: &mut Context<'_>| -> Poll<F::Output> {
            if let Some(single) = &runner.single {
                single.store(THREAD.with(|thread| *thread), Ordering::Relaxed);
            }
            Pin::new(&mut future).poll(context)
        })
    }
}

/// Marks the calling thread as one that runs a callback, which must not wait.
pub(crate) fn in_callback<R>(callback: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            IN_CALLBACK.set(self.0);
        }
    }
    let _restore = Restore(IN_CALLBACK.replace(true));
    callback()
}
