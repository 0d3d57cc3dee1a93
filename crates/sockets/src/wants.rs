//! What a SUB or XSUB has subscribed to.

use crate::prefixes::Prefixes;
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A subscription that begins, or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) begins: bool,
    pub(crate) prefix: Bytes,
}

/// Each prefix is subscribed to as often as it was asked for, and told to the publishers once.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    state: Mutex<State>,
    /// How many subscriptions have ended.
    cancelled: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    counts: Prefixes<usize>,
    /// The publishers that are connected, and what each is still to be told.
    publishers: Vec<(Arc<Notify>, Vec<Change>)>,
}

impl Wants {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Subscribes, or unsubscribes. `false` if there was nothing to unsubscribe from.
    pub(crate) fn change(&self, begins: bool, prefix: &[u8]) -> bool {
        let mut state = self.lock();
        if begins {
            let count = state.counts.get_or_insert_with(prefix, || 0);
            *count += 1;
            if *count > 1 {
                return true;
            }
        } else {
            let Some(count) = state.counts.get_mut(prefix) else { return false };
            *count -= 1;
            if *count > 0 {
                return true;
            }
            state.counts.remove(prefix);
            self.cancelled.fetch_add(1, Ordering::Relaxed);
        }
        let change = Change { begins, prefix: Bytes::copy_from_slice(prefix) };
        for (wake, changes) in &mut state.publishers {
            changes.push(change.clone());
            wake.notify_one();
        }
        true
    }

    #[inline]
    pub(crate) fn cancelled(&self) -> u64 {
        self.cancelled.load(Ordering::Relaxed)
    }

    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        self.lock().counts.matches(name)
    }

    /// Looks at many names under one lock: with what they are filtered by, and a function that tells
    /// whether a name is wanted.
    pub(crate) fn filter<R>(&self, work: impl FnOnce(u64, &dyn Fn(&[u8]) -> bool) -> R) -> R {
        let state = self.lock();
        work(self.cancelled(), &|name| state.counts.matches(name))
    }

    /// A publisher is there, and is to be told everything.
    pub(crate) fn join(&self, wake: &Arc<Notify>) {
        let mut state = self.lock();
        let all =
            state.counts.iter().map(|(prefix, _)| Change { begins: true, prefix: Bytes::copy_from_slice(prefix) });
        let all = all.collect();
        state.publishers.push((wake.clone(), all));
    }

    pub(crate) fn leave(&self, wake: &Arc<Notify>) {
        self.lock().publishers.retain(|(other, _)| !Arc::ptr_eq(other, wake));
    }

    /// What a publisher is to be told now.
    pub(crate) fn take_changes(&self, wake: &Arc<Notify>) -> Vec<Change> {
        let mut state = self.lock();
        let publisher = state.publishers.iter_mut().find(|(other, _)| Arc::ptr_eq(other, wake));
        publisher.map(|(_, changes)| std::mem::take(changes)).unwrap_or_default()
    }
}
