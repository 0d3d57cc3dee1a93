//! An answer that comes later, for code of any world.

use crate::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What was asked for goes on whether or not anybody looks at its reply. Three ways to look:
///
/// - `reply.await`, on any executor;
/// - [`reply.wait()`](Reply::wait), in a plain thread;
/// - [`reply.on_done(f)`](Reply::on_done), which returns at once.
///
/// Every reply comes: each has a time-out ([`Options`](crate::Options)). It is [`Error::Closed`] if the client has ended.
#[derive(Debug)]
#[must_use = "it may be an error: await it, wait() for it, or give it a callback with on_done()"]
pub struct Reply<T>(State<T>);

#[derive(Debug)]
enum State<T> {
    /// Known from the start: no allocation, no lock.
    Known(Option<Result<T, Error>>),
    Later(Arc<Slot<T>>),
}

#[derive(Debug)]
struct Slot<T> {
    cell: Mutex<Cell<T>>,
    arrived: Condvar,
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

impl<T> std::fmt::Debug for Cell<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Cell::Due(_) => "Due",
            Cell::Here(_) => "Here",
            Cell::Taken => "Taken",
        })
    }
}

/// The side that answers. If it is dropped, the answer is [`Error::Closed`].
#[derive(Debug)]
pub(crate) struct Promise<T>(Option<Arc<Slot<T>>>);

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Cell<T>> {
        self.cell.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Promise<T> {
    pub(crate) fn new() -> (Promise<T>, Reply<T>) {
        let slot = Arc::new(Slot { cell: Mutex::new(Cell::Due(Interest::Nobody)), arrived: Condvar::new() });
        (Promise(Some(slot.clone())), Reply(State::Later(slot)))
    }

    /// Runs a callback here if there is one: hold no lock that it might want.
    pub(crate) fn fulfil(mut self, result: Result<T, Error>) {
        self.answer(result);
    }

    fn answer(&mut self, result: Result<T, Error>) {
        let Some(slot) = self.0.take() else { return };
        let mut cell = slot.lock();
        match std::mem::replace(&mut *cell, Cell::Taken) {
            Cell::Due(Interest::Callback(callback)) => {
                drop(cell);
                callback(result);
            }
            Cell::Due(interest) => {
                *cell = Cell::Here(result);
                drop(cell);
                slot.arrived.notify_all();
                if let Interest::Task(waker) = interest {
                    waker.wake();
                }
            }
            Cell::Here(_) | Cell::Taken => unreachable!("a promise is fulfilled once"),
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.answer(Err(Error::Closed));
    }
}

impl<T> Reply<T> {
    pub(crate) fn known(result: Result<T, Error>) -> Reply<T> {
        Reply(State::Known(Some(result)))
    }

    /// Blocks the thread until the reply is here.
    ///
    /// Not for async code: there it would block the executor, and for ever if the client's I/O runs on
    /// that same thread (option `driver=shared` makes sure that it does not).
    ///
    /// # Errors
    ///
    /// Those of what was asked for.
    ///
    /// # Panics
    ///
    /// If the reply was polled to its end already.
    pub fn wait(self) -> Result<T, Error> {
        match self.0 {
            State::Known(result) => result.expect("a reply is taken once"),
            State::Later(slot) => {
                let due = slot.arrived.wait_while(slot.lock(), |cell| matches!(cell, Cell::Due(_)));
                let mut cell = due.unwrap_or_else(PoisonError::into_inner);
                match std::mem::replace(&mut *cell, Cell::Taken) {
                    Cell::Here(result) => result,
                    Cell::Due(_) | Cell::Taken => panic!("a reply is taken once"),
                }
            }
        }
    }

    /// Calls `f` with the reply: at once if it is here, else later on the thread that does the
    /// client's I/O, which `f` must not block.
    ///
    /// # Panics
    ///
    /// If the reply was polled to its end already.
    pub fn on_done(self, f: impl FnOnce(Result<T, Error>) + Send + 'static) {
        match self.0 {
            State::Known(result) => f(result.expect("a reply is taken once")),
            State::Later(slot) => {
                let mut cell = slot.lock();
                match std::mem::replace(&mut *cell, Cell::Taken) {
                    Cell::Due(_) => *cell = Cell::Due(Interest::Callback(Box::new(f))),
                    Cell::Here(result) => {
                        drop(cell);
                        f(result);
                    }
                    Cell::Taken => panic!("a reply is taken once"),
                }
            }
        }
    }
}

// Nothing in it is ever pinned.
impl<T> Unpin for Reply<T> {}

impl<T> Future for Reply<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Known(result) => Poll::Ready(result.take().expect("a reply is taken once")),
            State::Later(slot) => {
                let mut cell = slot.lock();
                match std::mem::replace(&mut *cell, Cell::Taken) {
                    Cell::Here(result) => Poll::Ready(result),
                    Cell::Due(_) => {
                        *cell = Cell::Due(Interest::Task(context.waker().clone()));
                        Poll::Pending
                    }
                    Cell::Taken => panic!("a reply is taken once"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn a_reply_can_be_awaited_waited_for_or_called_back() {
        for early in [true, false] {
            type Way = fn(Reply<u32>) -> Result<u32, Error>;
            let ways: [Way; 3] = [smol::block_on, Reply::wait, |reply| {
                let (tell, told) = mpsc::channel();
                reply.on_done(move |result| tell.send(result).unwrap());
                told.recv().unwrap()
            }];
            for way in ways {
                let (promise, reply) = Promise::new();
                let answer = move || promise.fulfil(Ok(7));
                let late = if early {
                    answer();
                    None
                } else {
                    Some(thread::spawn(answer))
                };
                assert_eq!(way(reply).unwrap(), 7);
                late.into_iter().for_each(|thread| thread.join().unwrap());
            }
        }
    }

    #[test]
    fn a_known_reply_is_the_same_in_all_worlds() {
        assert_eq!(Reply::known(Ok(1)).wait().unwrap(), 1);
        assert_eq!(smol::block_on(Reply::known(Ok(2))).unwrap(), 2);
        let (tell, told) = mpsc::channel();
        Reply::known(Ok(3)).on_done(move |result| tell.send(result).unwrap());
        assert_eq!(told.recv().unwrap().unwrap(), 3);
    }

    #[test]
    fn a_broken_promise_is_an_answer() {
        let (promise, reply) = Promise::<()>::new();
        drop(promise);
        assert!(matches!(reply.wait(), Err(Error::Closed)));
    }

    #[test]
    fn nobody_has_to_look() {
        let (promise, reply) = Promise::new();
        drop(reply);
        promise.fulfil(Ok(()));
    }
}
