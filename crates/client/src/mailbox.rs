//! A queue from the thread that does I/O to whoever takes: a task of any executor, or a thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;

/// Bounded by what its items cost; whoever puts something in has to look whether there is room.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    limit: usize,
    /// Told when there is room again.
    room: Notify,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(usize, T)>,
    cost: usize,
    waker: Option<Waker>,
    threads: usize,
    missed: usize,
    /// Nothing more will come.
    ended: bool,
}

impl<T> Mailbox<T> {
    pub(crate) fn new(limit: usize) -> Mailbox<T> {
        let state = State { items: VecDeque::new(), cost: 0, waker: None, threads: 0, missed: 0, ended: false };
        Mailbox { state: Mutex::new(state), arrived: Condvar::new(), limit, room: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts in all of `items`, with what each costs, even if they are more than there is room for.
    pub(crate) fn put(&self, items: impl IntoIterator<Item = (usize, T)>) {
        let mut state = self.lock();
        for (cost, item) in items {
            state.cost += cost;
            state.items.push_back((cost, item));
        }
        self.tell(state);
    }

    /// Makes room by leaving out the oldest, which is counted.
    pub(crate) fn put_or_miss(&self, item: T) {
        let mut state = self.lock();
        while state.cost >= self.limit && state.items.pop_front().is_some() {
            state.cost -= 1;
            state.missed += 1;
        }
        state.cost += 1;
        state.items.push_back((1, item));
        self.tell(state);
    }

    /// How many were left out since this was asked last.
    pub(crate) fn missed(&self) -> usize {
        std::mem::take(&mut self.lock().missed)
    }

    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        self.tell(state);
    }

    fn tell(&self, mut state: MutexGuard<'_, State<T>>) {
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
        self.lock().cost >= self.limit
    }

    /// Ready, perhaps without a reason, when there is room again.
    pub(crate) async fn changed(&self) {
        self.room.notified().await;
    }

    fn take_from(&self, state: &mut State<T>) -> Option<T> {
        let (cost, item) = state.items.pop_front()?;
        let before = state.cost;
        state.cost -= cost;
        // Down to half first: who is told at every item is told too often.
        if before > self.limit / 2 && state.cost <= self.limit / 2 {
            self.room.notify_one();
        }
        Some(item)
    }

    /// `None` at the end.
    pub(crate) fn poll_take(&self, context: &Context<'_>) -> Poll<Option<T>> {
        let mut state = self.lock();
        match self.take_from(&mut state) {
            Some(item) => Poll::Ready(Some(item)),
            None if state.ended => Poll::Ready(None),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// What is there now.
    pub(crate) fn try_take(&self) -> Option<T> {
        self.take_from(&mut self.lock())
    }

    /// Blocks; `None` at the end.
    pub(crate) fn take(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = self.take_from(&mut state) {
                return Some(item);
            }
            if state.ended {
                return None;
            }
            state.threads += 1;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.threads -= 1;
        }
    }
}
