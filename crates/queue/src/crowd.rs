//! Those who wait, in order.
//!
//! Not `event-listener`: it wakes while it holds its own lock, so that whoever is woken runs into
//! that lock at once. Going to and fro between a thread and a task took four times as long.

use std::collections::VecDeque;
use std::task::Waker;

use crate::sync::Thread;

/// How to wake one.
#[derive(Debug)]
pub(crate) enum Wake {
    Task(Waker),
    Thread(Thread),
}

impl Wake {
    fn wake(self) {
        match self {
            Self::Task(waker) => waker.wake(),
            Self::Thread(thread) => thread.unpark(),
        }
    }
}

/// Those who wait for one thing, under the lock that guards this thing.
///
/// After every change it holds that as many have been called and have not come back as there are things to be
/// had, or that all have been called. So nobody sleeps beside something that nobody comes for, and
/// while somebody is on the way, no other is called for the same thing.
#[derive(Default)]
pub(crate) struct Crowd {
    /// In the order of their turns.
    waiting: VecDeque<(u64, Wake)>,
    /// How many were called and have not come back yet.
    called: usize,
    turns: u64,
}

/// One's place among those who wait. Whoever has entered comes back or gives up.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Kept after a call that was in vain, for the next wait.
    turn: Option<u64>,
    entered: bool,
}

impl Place {
    pub(crate) fn is_entered(&self) -> bool {
        self.entered
    }
}

impl Crowd {
    pub(crate) fn enter(&mut self, place: &mut Place, wake: Wake) {
        let turn = *place.turn.get_or_insert_with(|| {
            self.turns += 1;
            self.turns
        });
        place.entered = true;
        let at = self.waiting.partition_point(|(other, _)| *other < turn);
        self.waiting.insert(at, (turn, wake));
    }

    fn find(&self, place: &Place) -> Option<usize> {
        self.waiting.binary_search_by_key(&place.turn?, |(turn, _)| *turn).ok()
    }

    /// Ends the wait of someone who was called. If that one was not, keeps the wait, and from now on wakes by
    /// `wake`; then what was to wake before is returned, to be dropped where no lock is held.
    pub(crate) fn come_back(&mut self, place: &mut Place, wake: Wake) -> Wake {
        if let Some(at) = self.find(place) {
            return std::mem::replace(&mut self.waiting[at].1, wake);
        }
        self.called -= 1;
        place.entered = false;
        wake
    }

    /// Ends the wait of someone who comes for nothing any more. Then `call` has to follow.
    pub(crate) fn give_up(&mut self, place: &mut Place) -> Option<Wake> {
        place.entered = false;
        let Some(at) = self.find(place) else {
            self.called -= 1;
            return None;
        };
        self.waiting.remove(at).map(|(_, wake)| wake)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Calls as many as `ready` things need, if so many have not been called yet.
    pub(crate) fn call(&mut self, ready: usize) -> Calls {
        let count = ready.saturating_sub(self.called).min(self.waiting.len());
        self.called += count;
        (count > 0).then(|| self.waiting.drain(..count).map(|(_, wake)| wake).collect())
    }
}

/// Those who have been called, to be woken as soon as no lock is held: they will want it.
pub(crate) type Calls = Option<Vec<Wake>>;

#[inline]
pub(crate) fn wake(calls: Calls) {
    if let Some(calls) = calls {
        wake_all(calls);
    }
}

// Out of the way of those many who have nobody to wake.
#[cold]
fn wake_all(calls: Vec<Wake>) {
    calls.into_iter().for_each(Wake::wake);
}
