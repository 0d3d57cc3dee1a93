//! The subscriptions of a SUB or XSUB.

use crate::change::{Change, ChangeQueue};
use crate::prefixes::Prefixes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// Each prefix has a count. Publishers are told of every subscription, as libzmq tells them, and of the end of the last one.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    state: Mutex<State>,
    /// The number of subscriptions that have ended.
    cancelled: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    counts: Prefixes<usize>,
    /// The publishers that are connected. A publisher knows its slot.
    publishers: Vec<Option<Arc<Publisher>>>,
    free: Vec<usize>,
}

/// A connected publisher: what it is still to be told.
#[derive(Debug)]
struct Publisher {
    changes: Mutex<ChangeQueue>,
    /// There are changes, to be known without the lock.
    pending: AtomicBool,
    wake: Arc<Notify>,
}

impl Publisher {
    fn push(&self, change: Change) {
        self.changes.lock().push(change);
        self.pending.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

/// A publisher's place among those that are told. Leaving it is up to its owner: [`Subscriptions::leave`].
#[derive(Debug)]
pub(crate) struct Joined {
    publisher: Arc<Publisher>,
    slot: usize,
}

impl Joined {
    /// Takes the changes that the publisher is to be told now.
    pub(crate) fn take_changes(&self) -> VecDeque<Change> {
        if !self.publisher.pending.swap(false, Ordering::Acquire) {
            return VecDeque::new();
        }
        self.publisher.changes.lock().take()
    }
}

impl Subscriptions {
    /// Subscribes, or unsubscribes. Returns false if there was nothing to unsubscribe from.
    pub(crate) fn change(&self, begins: bool, prefix: &[u8]) -> bool {
        let mut state = self.state.lock();
        let first = if begins {
            let count = state.counts.get_or_insert_with(prefix, || 0);
            *count += 1;
            *count == 1
        } else {
            let Some(count) = state.counts.get_mut(prefix) else { return false };
            *count -= 1;
            if *count > 0 {
                return true;
            }
            state.counts.remove(prefix);
            self.cancelled.fetch_add(1, Ordering::Relaxed);
            false
        };
        let change = Change::new(begins, first, prefix);
        state.publishers.iter().flatten().for_each(|publisher| publisher.push(change.clone()));
        true
    }

    /// Passes on a subscription of an XPUB, which reports the end of a prefix once, however often it has reported its beginning.
    pub(crate) fn pass_on(&self, begins: bool, prefix: &[u8]) {
        let mut state = self.state.lock();
        if !begins || state.counts.get_mut(prefix).is_none() {
            drop(state);
            self.change(begins, prefix);
            return;
        }
        let change = Change::new(true, false, prefix);
        state.publishers.iter().flatten().for_each(|publisher| publisher.push(change.clone()));
    }

    #[inline]
    pub(crate) fn cancelled(&self) -> u64 {
        self.cancelled.load(Ordering::Relaxed)
    }

    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        self.state.lock().counts.matches(name)
    }

    /// Looks at many names under one lock: with the number of cancellations that they are filtered by, and a function that
    /// returns true for a name that is subscribed to.
    pub(crate) fn filter<R>(&self, work: impl FnOnce(u64, &dyn Fn(&[u8]) -> bool) -> R) -> R {
        let state = self.state.lock();
        work(self.cancelled(), &|name| state.counts.matches(name))
    }

    /// A publisher is connected, and is to be told everything.
    pub(crate) fn join(&self, wake: &Arc<Notify>) -> Joined {
        let mut state = self.state.lock();
        let mut changes = ChangeQueue::default();
        state.counts.each(|prefix, _| changes.push(Change::new(true, true, prefix)));
        let publisher = Arc::new(Publisher {
            pending: AtomicBool::new(!changes.is_empty()),
            changes: Mutex::new(changes),
            wake: wake.clone(),
        });
        let slot = state.free.pop().unwrap_or(state.publishers.len());
        if slot == state.publishers.len() {
            state.publishers.push(None);
        }
        state.publishers[slot] = Some(publisher.clone());
        Joined { publisher, slot }
    }

    pub(crate) fn leave(&self, joined: Joined) {
        let mut state = self.state.lock();
        state.publishers[joined.slot] = None;
        state.free.push(joined.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes_of(joined: &Joined) -> Vec<(bool, Vec<u8>)> {
        joined.take_changes().into_iter().map(|change| (change.begins, change.prefix.to_vec())).collect()
    }

    #[test]
    fn a_publisher_is_told_of_every_subscription_and_of_the_end_of_the_last() {
        let subscriptions = Subscriptions::default();
        subscriptions.change(true, b"before");
        let joined = subscriptions.join(&Arc::default());
        assert_eq!(changes_of(&joined), [(true, b"before".to_vec())]);
        assert!(changes_of(&joined).is_empty());
        for begins in [true, true, false] {
            assert!(subscriptions.change(begins, b"a"));
        }
        assert!(subscriptions.matches(b"ab"));
        assert!(subscriptions.change(false, b"a") && !subscriptions.change(false, b"a"));
        assert!(!subscriptions.matches(b"ab"));
        assert_eq!(changes_of(&joined), [(true, b"a".to_vec()), (true, b"a".to_vec()), (false, b"a".to_vec())]);
        assert_eq!(subscriptions.cancelled(), 1);
        subscriptions.leave(joined);
        assert!(subscriptions.change(true, b"c"));
    }

    #[test]
    fn a_repetition_that_is_passed_on_is_told_and_ends_once() {
        let subscriptions = Subscriptions::default();
        let joined = subscriptions.join(&Arc::default());
        for begins in [true, true, false] {
            subscriptions.pass_on(begins, b"a");
        }
        assert_eq!(changes_of(&joined), [true, true, false].map(|begins| (begins, b"a".to_vec())));
        assert!(!subscriptions.matches(b"a"));
    }

    #[test]
    fn a_slot_is_used_again_and_a_publisher_that_has_left_is_told_nothing() {
        let subscriptions = Subscriptions::default();
        let (one, two) = (subscriptions.join(&Arc::default()), subscriptions.join(&Arc::default()));
        let publisher = one.publisher.clone();
        subscriptions.leave(one);
        let three = subscriptions.join(&Arc::default());
        assert_eq!((two.slot, three.slot, subscriptions.state.lock().publishers.len()), (1, 0, 2));
        subscriptions.change(true, b"x");
        assert!(publisher.changes.lock().is_empty());
        assert_eq!((changes_of(&two).len(), changes_of(&three).len()), (1, 1));
    }

    #[test]
    fn a_publisher_that_reads_nothing_is_owed_no_more_than_is_subscribed_to() {
        let subscriptions = Subscriptions::default();
        let joined = subscriptions.join(&Arc::default());
        for number in 0..50_000u32 {
            subscriptions.change(true, &number.to_be_bytes());
            subscriptions.change(false, &number.to_be_bytes());
        }
        assert!(joined.take_changes().len() <= 1024);
    }
}
