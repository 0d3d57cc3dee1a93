//! The right to fill one key, and the wait for somebody else's fill.

use super::freshness::Tenths;
use super::key::Key;
use super::sync::Mutex;
use super::{Cache, Row, TableId};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// One fill, shared by its lease, its slot and its waiters. Its address is the lease's token.
#[derive(Debug)]
pub(super) struct Flight(Mutex<State>);

#[derive(Debug)]
enum State {
    Pending(Vec<Waker>),
    Done(Option<Row>),
}

impl Flight {
    pub(super) fn new() -> Flight {
        Flight(Mutex::new(State::Pending(Vec::new())))
    }

    fn finish(&self, row: Option<Row>) {
        let before = std::mem::replace(&mut *self.0.lock(), State::Done(row));
        if let State::Pending(wakers) = before {
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

/// The right to fill one key. Dropped unfilled, it wakes its waiters, who try again.
///
/// Take the lease first, then begin the `SELECT`: a snapshot from before the lease may miss a write whose event
/// was applied already.
#[derive(Debug)]
#[must_use = "others wait for it"]
pub struct Lease {
    pub(super) cache: Arc<Cache>,
    pub(super) table: TableId,
    pub(super) hash: u64,
    pub(super) key: Key,
    pub(super) epoch: u64,
    /// Its row is read after this.
    pub(super) checked: Tenths,
    pub(super) flight: Arc<Flight>,
    pub(super) done: bool,
}

impl Lease {
    /// The key that is to be filled.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The table of the key.
    #[must_use]
    pub fn table(&self) -> TableId {
        self.table
    }

    /// Hands the row to all waiters, and installs it if no event, write or flush came since the lease was taken.
    /// Returns true if it is installed.
    pub fn fill(mut self, row: Row) -> bool {
        self.done = true;
        let installed = self.cache.install(&self, row.clone());
        self.flight.finish(Some(row));
        installed
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.done {
            self.cache.abandon(self);
            self.flight.finish(None);
        }
    }
}

/// The wait for a fill by somebody else: resolves to the row, or to `None` if the fill was abandoned.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Waiter {
    pub(super) flight: Arc<Flight>,
}

impl Future for Waiter {
    type Output = Option<Row>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Row>> {
        match &mut *self.flight.0.lock() {
            State::Done(row) => Poll::Ready(row.clone()),
            State::Pending(wakers) => {
                // A waiter that is polled again and again is one entry.
                if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                    wakers.push(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}
