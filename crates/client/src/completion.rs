//! A result that comes later, for code of any world.

use crate::Error;
use crate::runner::{Runner, in_callback};
use parking_lot::{Condvar, Mutex};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The result of an operation, when it is complete. There are three ways to get it:
///
/// - `completion.await`, on any executor;
/// - [`completion.wait()`](Completion::wait), in a plain thread;
/// - [`completion.on_done(f)`](Completion::on_done), which returns at once.
///
/// An operation goes on when its completion is dropped, except for `subscribe`, which is canceled. Every operation
/// completes: each has a time-out ([`Options`](crate::Options)), and fails with [`Error::Closed`] if the client ends.
#[derive(Debug)]
#[must_use = "it may be an error: await it, wait() for it, or give it a callback with on_done()"]
pub struct Completion<T>(State<T>);

#[derive(Debug)]
enum State<T> {
    /// Known from the start: no allocation, no lock.
    Ready(Option<Result<T, Error>>),
    Later(Claim<T>),
}

/// Cancels the operation when it is dropped unanswered.
#[derive(Debug)]
struct Claim<T>(Arc<Slot<T>>);

struct Slot<T> {
    cell: Mutex<Cell<T>>,
    arrived: Condvar,
    runner: Arc<Runner>,
    cancel: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

enum Cell<T> {
    Due(Interest<T>),
    Here(Result<T, Error>),
    Taken,
}

enum Interest<T> {
    Nobody,
    Task(Waker),
    Callback(Box<dyn FnOnce(Result<T, Error>) + Send>),
}

impl<T> std::fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match *self.cell.lock() {
            Cell::Due(_) => "Due",
            Cell::Here(_) => "Here",
            Cell::Taken => "Taken",
        })
    }
}

impl<T> Drop for Claim<T> {
    fn drop(&mut self) {
        if matches!(*self.0.cell.lock(), Cell::Due(Interest::Nobody | Interest::Task(_))) {
            let cancel = self.0.cancel.lock().take();
            if let Some(cancel) = cancel {
                cancel();
            }
        }
    }
}

/// The side that completes. If it is dropped, the result is [`Error::Closed`].
#[derive(Debug)]
pub(crate) struct Completer<T>(Option<Arc<Slot<T>>>);

impl<T> Completer<T> {
    /// `runner` runs the tasks that will complete it.
    pub(crate) fn new(runner: &Arc<Runner>) -> (Completer<T>, Completion<T>) {
        Completer::make(runner, None)
    }

    /// `cancel` is called if the completion is dropped before it is complete.
    pub(crate) fn with_cancel(
        runner: &Arc<Runner>,
        cancel: impl FnOnce() + Send + 'static,
    ) -> (Completer<T>, Completion<T>) {
        Completer::make(runner, Some(Box::new(cancel)))
    }

    fn make(runner: &Arc<Runner>, cancel: Option<Box<dyn FnOnce() + Send>>) -> (Completer<T>, Completion<T>) {
        let slot = Arc::new(Slot {
            cell: Mutex::new(Cell::Due(Interest::Nobody)),
            arrived: Condvar::new(),
            runner: runner.clone(),
            cancel: Mutex::new(cancel),
        });
        (Completer(Some(slot.clone())), Completion(State::Later(Claim(slot))))
    }

    /// Runs a callback here if there is one: hold no lock that it might want. A panic of the callback ends here: it
    /// must not end the client for everybody else.
    pub(crate) fn complete(mut self, result: Result<T, Error>) {
        self.set(result);
    }

    fn set(&mut self, result: Result<T, Error>) {
        let Some(slot) = self.0.take() else { return };
        let mut cell = slot.cell.lock();
        match std::mem::replace(&mut *cell, Cell::Taken) {
            Cell::Due(Interest::Callback(callback)) => {
                drop(cell);
                call(callback, result);
            }
            Cell::Due(interest) => {
                *cell = Cell::Here(result);
                drop(cell);
                slot.arrived.notify_all();
                if let Interest::Task(waker) = interest {
                    waker.wake();
                }
            }
            Cell::Here(_) | Cell::Taken => unreachable!("an operation completes once"),
        }
    }
}

/// The same wherever it happens, so that it does not depend on which is faster, the result or the callback.
fn call<T>(callback: impl FnOnce(T), result: T) {
    // The panic hook has reported it.
    let _ = catch_unwind(AssertUnwindSafe(|| in_callback(|| callback(result))));
}

impl<T> Drop for Completer<T> {
    fn drop(&mut self) {
        self.set(Err(Error::Closed));
    }
}

impl<T> Completion<T> {
    pub(crate) fn ready(result: Result<T, Error>) -> Completion<T> {
        Completion(State::Ready(Some(result)))
    }

    /// Blocks the thread until the result is there.
    ///
    /// Not for async code: there it blocks the executor.
    ///
    /// # Errors
    ///
    /// Those of the operation. [`Error::CannotWait`], at once, where the result could never come: in a callback of a client,
    /// and on the thread of a current-thread runtime that does the client's I/O.
    ///
    /// # Panics
    ///
    /// If the result was taken already.
    pub fn wait(self) -> Result<T, Error> {
        let slot = match &self.0 {
            State::Ready(_) => {
                let State::Ready(result) = self.0 else { unreachable!("just matched") };
                return result.expect("a result is taken once");
            }
            State::Later(claim) => &claim.0,
        };
        slot.runner.block(|may_block| {
            let mut cell = slot.cell.lock();
            if may_block && matches!(*cell, Cell::Due(_)) {
                slot.arrived.wait(&mut cell);
            }
            match std::mem::replace(&mut *cell, Cell::Taken) {
                Cell::Here(result) => Some(result),
                due @ Cell::Due(_) => {
                    *cell = due;
                    None
                }
                Cell::Taken => panic!("a result is taken once"),
            }
        })?
    }

    /// Calls `f` with the result: at once if it is here, else later on the thread that does the client's I/O, which `f`
    /// must not block. If `f` panics, the panic ends there, and nothing else is harmed.
    ///
    /// # Panics
    ///
    /// If the result was taken already.
    pub fn on_done(self, f: impl FnOnce(Result<T, Error>) + Send + 'static) {
        match self.0 {
            State::Ready(result) => call(f, result.expect("a result is taken once")),
            State::Later(claim) => {
                let mut cell = claim.0.cell.lock();
                match std::mem::replace(&mut *cell, Cell::Taken) {
                    Cell::Due(_) => *cell = Cell::Due(Interest::Callback(Box::new(f))),
                    Cell::Here(result) => {
                        drop(cell);
                        call(f, result);
                    }
                    Cell::Taken => panic!("a result is taken once"),
                }
            }
        }
    }
}

// Nothing in it is ever pinned.
impl<T> Unpin for Completion<T> {}

impl<T> Future for Completion<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(result) => Poll::Ready(result.take().expect("a result is taken once")),
            State::Later(claim) => {
                let mut cell = claim.0.cell.lock();
                match std::mem::replace(&mut *cell, Cell::Taken) {
                    Cell::Here(result) => Poll::Ready(result),
                    Cell::Due(_) => {
                        *cell = Cell::Due(Interest::Task(context.waker().clone()));
                        Poll::Pending
                    }
                    Cell::Taken => panic!("a result is taken once"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::thread;

    fn pair<T>() -> (Completer<T>, Completion<T>) {
        Completer::new(&Arc::default())
    }

    #[test]
    fn a_result_can_be_awaited_waited_for_or_called_back() {
        for early in [true, false] {
            type Way = fn(Completion<u32>) -> Result<u32, Error>;
            let ways: [Way; 3] = [smol::block_on, Completion::wait, |completion| {
                let (give, taken) = mpsc::channel();
                completion.on_done(move |result| give.send(result).unwrap());
                taken.recv().unwrap()
            }];
            for way in ways {
                let (completer, completion) = pair();
                let complete = move || completer.complete(Ok(7));
                let late = if early {
                    complete();
                    None
                } else {
                    Some(thread::spawn(complete))
                };
                assert_eq!(way(completion).unwrap(), 7);
                late.into_iter().for_each(|thread| thread.join().unwrap());
            }
        }
    }

    #[test]
    fn a_known_result_is_the_same_in_all_worlds() {
        assert_eq!(Completion::ready(Ok(1)).wait().unwrap(), 1);
        assert_eq!(smol::block_on(Completion::ready(Ok(2))).unwrap(), 2);
        let (give, taken) = mpsc::channel();
        Completion::ready(Ok(3)).on_done(move |result| give.send(result).unwrap());
        assert_eq!(taken.recv().unwrap().unwrap(), 3);
    }

    #[test]
    fn a_dropped_completer_is_a_result() {
        let (completer, completion) = pair::<()>();
        drop(completer);
        assert!(matches!(completion.wait(), Err(Error::Closed)));
    }

    #[test]
    fn nobody_has_to_look() {
        let (completer, completion) = pair();
        drop(completion);
        completer.complete(Ok(()));
    }

    #[test]
    fn a_panic_in_a_callback_ends_in_it() {
        let (completer, completion) = pair::<()>();
        completion.on_done(|_| panic!("on purpose"));
        completer.complete(Ok(()));
        // Also when the result is that there is none, while another panic unwinds.
        let (completer, completion) = pair::<()>();
        completion.on_done(|_| panic!("on purpose, too"));
        let outer = thread::spawn(move || {
            let _completer = completer;
            panic!("the first one");
        });
        assert!(outer.join().is_err());
    }

    #[test]
    fn only_a_completion_that_nobody_looks_at_cancels() {
        let run = |look: fn(Completion<()>, Completer<()>)| {
            let canceled = Arc::new(AtomicBool::new(false));
            let flag = canceled.clone();
            let (completer, completion) =
                Completer::with_cancel(&Arc::default(), move || flag.store(true, Ordering::Relaxed));
            look(completion, completer);
            canceled.load(Ordering::Relaxed)
        };
        assert!(run(|completion, _completer| drop(completion)));
        assert!(!run(|completion, completer| {
            completer.complete(Ok(()));
            drop(completion);
        }));
        assert!(!run(|completion, _completer| completion.on_done(drop)));
        assert!(!run(|completion, completer| {
            completer.complete(Ok(()));
            completion.wait().unwrap();
        }));
    }
}
