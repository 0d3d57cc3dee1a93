//! A queue from the thread that does I/O to a task of any executor, or to a thread.

use crate::Error;
use crate::runner::Runner;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;

/// Bounded by what its items cost. The caller of `put` checks `is_full` first.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    limit: usize,
    /// Notified when there is room again.
    room: Notify,
    runner: Arc<Runner>,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(usize, T)>,
    cost: usize,
    waker: Option<Waker>,
    threads: usize,
    /// Nothing more will come.
    ended: bool,
}

impl<T> Mailbox<T> {
    /// `runner` runs the tasks that put items in.
    pub(crate) fn new(limit: usize, runner: Arc<Runner>) -> Mailbox<T> {
        let state = State { items: VecDeque::new(), cost: 0, waker: None, threads: 0, ended: false };
        Mailbox { state: Mutex::new(state), arrived: Condvar::new(), limit, room: Notify::new(), runner }
    }

    /// Puts in all of `items`, with what each costs, even if they are more than there is room for.
    pub(crate) fn put(&self, items: impl IntoIterator<Item = (usize, T)>) {
        let mut state = self.state.lock();
        for (cost, item) in items {
            state.cost += cost;
            state.items.push_back((cost, item));
        }
        self.wake(state);
    }

    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        state.ended = true;
        self.wake(state);
    }

    fn wake(&self, mut state: MutexGuard<'_, State<T>>) {
        let (waker, threads) = (state.waker.take(), state.threads);
        drop(state);
        if threads > 0 {
            self.arrived.notify_all();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.state.lock().cost >= self.limit
    }

    /// Ready, perhaps without a reason, when there is room again.
    pub(crate) async fn changed(&self) {
        self.room.notified().await;
    }

    fn take_from(&self, state: &mut State<T>) -> Option<T> {
        let (cost, item) = state.items.pop_front()?;
        let before = state.cost;
        state.cost -= cost;
        // Down to half first: a wake-up for every item would be too many.
        if before > self.limit / 2 && state.cost <= self.limit / 2 {
            self.room.notify_one();
        }
        Some(item)
    }

    /// `None` at the end.
    pub(crate) fn poll_take(&self, context: &Context<'_>) -> Poll<Option<T>> {
        let mut state = self.state.lock();
        match self.take_from(&mut state) {
            Some(item) => Poll::Ready(Some(item)),
            None if state.ended => Poll::Ready(None),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Never blocks.
    pub(crate) fn try_take(&self) -> Option<T> {
        self.take_from(&mut self.state.lock())
    }

    /// Blocks; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Error::CannotWait`] where nothing could ever come.
    pub(crate) fn take(&self) -> Result<Option<T>, Error> {
        self.runner.block(|may_block| {
            let mut state = self.state.lock();
            if may_block && state.items.is_empty() && !state.ended {
                state.threads += 1;
                self.arrived.wait(&mut state);
                state.threads -= 1;
            }
            match self.take_from(&mut state) {
                Some(item) => Some(Some(item)),
                None if state.ended => Some(None),
                None => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;

    #[test]
    fn a_full_mailbox_says_once_that_half_of_it_is_free_again() {
        let mailbox = Mailbox::new(10, Arc::default());
        let has_room = |wanted: bool| {
            let changed = pin!(mailbox.changed());
            assert_eq!(changed.poll(&mut Context::from_waker(Waker::noop())).is_ready(), wanted);
        };
        // Filled to its limit, and over it by the last item.
        for costs in [&[1; 10][..], &[1, 1, 1, 1, 1, 1, 1, 1, 1, 7]] {
            mailbox.put(costs.iter().map(|cost| (*cost, ())));
            assert!(mailbox.is_full());
            let until_half = costs.len() - if costs[9] == 1 { 5 } else { 0 };
            for _ in 1..until_half {
                mailbox.try_take().unwrap();
                has_room(false);
            }
            mailbox.try_take().unwrap();
            has_room(true);
            while mailbox.try_take().is_some() {
                has_room(false);
            }
        }
    }
}
