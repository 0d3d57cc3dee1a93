//! Which thread runs a client's I/O, and so must not wait for it.

use crate::Error;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use switchboard_driver::is_polled;
use tokio::runtime::{Handle, Id, RuntimeFlavor};

static THREADS: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static THREAD: u64 = THREADS.fetch_add(1, Ordering::Relaxed);
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// The threads of a client's tasks.
#[derive(Debug, Default)]
pub(crate) struct Runner(Option<Single>);

/// A runtime that runs all tasks on one thread.
#[derive(Debug)]
struct Single {
    runtime: Id,
    /// The thread that has polled a task last; 0 before the first poll.
    thread: AtomicU64,
}

impl Runner {
    /// For tasks on the runtime that this is called in.
    pub(crate) fn of(runtime: &Handle) -> Runner {
        let single = runtime.runtime_flavor() == RuntimeFlavor::CurrentThread;
        Runner(single.then(|| Single { runtime: runtime.id(), thread: AtomicU64::new(0) }))
    }

    /// Returns true if the calling thread is the only one that runs the tasks, and does so now.
    fn is_here(&self) -> bool {
        let (Some(single), Ok(current)) = (&self.0, Handle::try_current()) else { return false };
        // A thread may enter a runtime that another thread runs.
        let is_inside = || is_polled() || single.thread.load(Ordering::Relaxed) == THREAD.with(|thread| *thread);
        current.id() == single.runtime && is_inside()
    }

    /// Calls `wait` until it has a result: first with false, to look and not to block, then with true.
    ///
    /// Fails where the result can never come: the thread that would have to make it is this one.
    pub(crate) fn block<R>(&self, mut wait: impl FnMut(bool) -> Option<R>) -> Result<R, Error> {
        if let Some(result) = wait(false) {
            return Ok(result);
        }
        if IN_CALLBACK.get() {
            return Err(Error::CannotWait { place: "in a callback" });
        }
        if self.is_here() {
            return Err(Error::CannotWait { place: "on the only thread of the runtime that does the I/O" });
        }
        let mut for_ever = || {
            loop {
                if let Some(result) = wait(true) {
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
            if let Some(single) = &runner.0 {
                single.thread.store(THREAD.with(|thread| *thread), Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::{Builder, Runtime};

    fn one_thread() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    /// Whether a wait blocks until it has a result; else it fails at once.
    fn blocks(runner: &Runner) -> bool {
        let mut looks = Vec::new();
        let result = runner.block(|may_block| {
            looks.push(may_block);
            may_block.then_some(())
        });
        assert_eq!(looks, if result.is_ok() { vec![false, true] } else { vec![false] });
        result.is_ok()
    }

    #[test]
    fn before_any_task_has_begun_a_wait_fails_at_once_on_the_thread_that_would_begin_it_and_blocks_on_all_others() {
        let runtime = one_thread();
        let runner = Runner::of(runtime.handle());
        assert!(!runtime.block_on(async { blocks(&runner) }));
        assert!(!runtime.block_on(async {
            let runner = Runner::of(&Handle::current());
            tokio::spawn(async move { blocks(&runner) }).await.unwrap()
        }));
        // Outside, entered, in another runtime, and in a thread of the same one that runs no task.
        assert!(blocks(&runner));
        {
            let _entered = runtime.enter();
            assert!(blocks(&runner));
        }
        assert!(one_thread().block_on(async { blocks(&runner) }));
        let runner = Arc::new(runner);
        assert!(runtime.block_on(async { tokio::task::spawn_blocking(move || blocks(&runner)).await.unwrap() }));
    }

    #[test]
    fn the_thread_that_has_run_the_tasks_may_wait_in_another_runtime() {
        let runtime = one_thread();
        let runner = Arc::new(Runner::of(runtime.handle()));
        runtime.block_on(runner.track(async {}));
        assert!(blocks(&runner));
        assert!(one_thread().block_on(async { blocks(&runner) }));
        assert!(!runtime.block_on(async { tokio::task::unconstrained(async { blocks(&runner) }).await }));
    }
}
