//! Waiting: a thread for a future, and senders for room.

use std::cell::OnceCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

struct Parker {
    thread: Thread,
    woken: AtomicBool,
    /// The number of nested waits of this thread: a future may drop a socket, which waits.
    depth: AtomicUsize,
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

/// A wait within another one may take a wake that was meant for that.
struct Nested<'a>(&'a Parker);

impl<'a> Nested<'a> {
    fn enter(parker: &'a Parker) -> Nested<'a> {
        parker.depth.fetch_add(1, Ordering::Relaxed);
        Nested(parker)
    }
}

impl Drop for Nested<'_> {
    fn drop(&mut self) {
        if self.0.depth.fetch_sub(1, Ordering::Relaxed) > 1 {
            self.0.woken.store(true, Ordering::Release);
        }
    }
}

thread_local! {
    static PARKER: OnceCell<(Arc<Parker>, Waker)> = const { OnceCell::new() };
}

/// Blocks this thread for `future`; `None` if the deadline comes first.
pub(crate) fn block_on<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    let mut future = pin!(future);
    PARKER.with(|parker| {
        let (parker, waker) = parker.get_or_init(|| {
            let parker = Arc::new(Parker {
                thread: thread::current(),
                woken: AtomicBool::new(false),
                depth: AtomicUsize::new(0),
            });
            (parker.clone(), parker.into())
        });
        let _nested = Nested::enter(parker);
        let mut context = Context::from_waker(waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Some(output);
            }
            while !parker.woken.swap(false, Ordering::AcqRel) {
                match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                    None => thread::park(),
                    Some(left) if left.is_zero() => return None,
                    Some(left) => thread::park_timeout(left),
                }
            }
        }
    })
}

/// Waiters for one thing, each under a key of its own, so that one that gives up leaves nothing behind.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Waiters {
    /// Waits, or goes on to wait.
    pub(crate) fn wait(&mut self, key: &mut Option<usize>, waker: &Waker) {
        let slot = match *key {
            Some(key) => key,
            None => {
                let free = self.free.pop().unwrap_or(self.wakers.len());
                if free == self.wakers.len() {
                    self.wakers.push(None);
                }
                *key = Some(free);
                free
            }
        };
        match &mut self.wakers[slot] {
            Some(known) => known.clone_from(waker),
            empty => *empty = Some(waker.clone()),
        }
    }

    /// Waits no longer.
    pub(crate) fn leave(&mut self, key: &mut Option<usize>) {
        if let Some(key) = key.take()
            && self.wakers[key].take().is_some()
        {
            self.free.push(key);
        }
    }

    /// Returns the waiters to wake. They stay until they leave, for there may be no room for all of them.
    pub(crate) fn all(&self) -> Vec<Waker> {
        if self.wakers.len() == self.free.len() { Vec::new() } else { self.wakers.iter().flatten().cloned().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, poll_fn};
    use std::time::Duration;

    #[test]
    fn a_thread_waits_until_it_is_woken_or_out_of_time() {
        assert_eq!(block_on(async { 7 }, None), Some(7));
        assert_eq!(block_on(pending::<()>(), Some(Instant::now() + Duration::from_millis(1))), None);
        let mut polls = 0;
        let woken = poll_fn(|context| {
            polls += 1;
            let waker = context.waker().clone();
            thread::spawn(move || waker.wake());
            if polls > 3 { Poll::Ready(polls) } else { Poll::Pending }
        });
        assert_eq!(block_on(woken, None), Some(4));
    }

    #[test]
    fn a_wait_within_a_wait_takes_no_wake_from_it() {
        let mut polls = 0;
        let outer = poll_fn(|context| {
            polls += 1;
            if polls == 1 {
                // The outer future is woken, and the inner wait is woken by that.
                context.waker().wake_by_ref();
                assert_eq!(block_on(pending::<()>(), Some(Instant::now() + Duration::from_millis(1))), None);
                return Poll::Pending;
            }
            Poll::Ready(polls)
        });
        assert_eq!(block_on(outer, Some(Instant::now() + Duration::from_secs(30))), Some(2));
    }

    #[test]
    fn who_gives_up_leaves_nothing_behind() {
        let mut waiters = Waiters::default();
        let (mut first, mut second) = (None, None);
        for _ in 0..3 {
            waiters.wait(&mut first, Waker::noop());
            waiters.wait(&mut second, Waker::noop());
            assert_eq!(waiters.all().len(), 2);
            waiters.leave(&mut first);
            waiters.leave(&mut first);
            assert_eq!(waiters.all().len(), 1);
            waiters.leave(&mut second);
        }
        assert_eq!((waiters.all().len(), waiters.wakers.len()), (0, 2));
    }
}
