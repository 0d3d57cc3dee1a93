//! A pass over the connections that wait for something: each of them is looked at once, some a step.

use crate::slots::ConnectionSlot;

/// A pass that is begun again while it runs is not restarted: it goes on to its end, and another follows. So a stream of
/// causes, each of which begins it, keeps no waiter from being looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pass {
    next: Option<ConnectionSlot>,
    /// Another one follows.
    again: bool,
}

impl Pass {
    /// Begins a pass at the first waiter of a list.
    pub(super) fn begin(&mut self, first: Option<ConnectionSlot>) {
        match self.next {
            Some(_) => self.again = true,
            None => self.next = first,
        }
    }

    /// A waiter leaves the list: `behind` is the one behind it.
    pub(super) fn leave(&mut self, waiter: ConnectionSlot, behind: Option<ConnectionSlot>) {
        if self.next == Some(waiter) {
            self.next = behind;
        }
    }

    /// The next waiter, of a list that has this first one now; `None` at the end of the last pass.
    pub(super) fn next(&mut self, first: Option<ConnectionSlot>) -> Option<ConnectionSlot> {
        if self.next.is_none() && std::mem::take(&mut self.again) {
            self.next = first;
        }
        self.next
    }

    pub(super) fn is_over(&self) -> bool {
        self.next.is_none() && !self.again
    }
}
