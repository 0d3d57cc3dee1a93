//! The lock of the hub: what follows from a change, and what becomes of a panic.

use super::Hub;
use super::state::State;
use crate::sync::{MutexGuard, Ordering, unlock_fairly};
use std::ops::{Deref, DerefMut};
use std::thread::panicking;

/// The state under the lock. What follows from a change is done when it is dropped.
pub(super) struct Locked<'a> {
    hub: &'a Hub,
    state: Option<MutexGuard<'a, State>>,
    /// Whether others have to get the lock before this task gets it again.
    pub(super) fair: bool,
    was_panicking: bool,
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.state.as_deref().expect("locked until it is dropped")
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.state.as_deref_mut().expect("locked until it is dropped")
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let Some(mut state) = self.state.take() else { return };
        if panicking() && !self.was_panicking {
            return self.hub.fail();
        }
        self.hub.pressed.store(state.broker.memory_pressed(), Ordering::Relaxed);
        let due = state.broker.poll_timeout();
        // A deadline that has gone, or is later now, only costs the timer a wake-up.
        let earlier = due.is_some_and(|due| state.armed.is_none_or(|armed| due < armed));
        if earlier {
            state.armed = due;
        }
        let lines = std::mem::take(&mut state.lines);
        if self.fair {
            unlock_fairly(state);
        } else {
            drop(state);
        }
        if earlier {
            self.hub.earlier.notify_one();
        }
        lines.into_iter().for_each(|line| line.log(&self.hub.log_quota));
    }
}

/// Ends the server if a panic passes by: some book may be half changed.
pub(super) struct FailOnPanic<'a>(&'a Hub, bool);

impl<'a> FailOnPanic<'a> {
    pub(super) fn new(hub: &'a Hub) -> FailOnPanic<'a> {
        FailOnPanic(hub, panicking())
    }
}

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        if panicking() && !self.1 {
            self.0.fail();
        }
    }
}

impl Hub {
    /// `None` if the books cannot be trusted.
    pub(super) fn lock(&self) -> Option<Locked<'_>> {
        let state = self.state.lock();
        if self.has_failed() {
            return None;
        }
        Some(Locked { hub: self, state: Some(state), fair: false, was_panicking: panicking() })
    }
}
