//! The one queue behind both faces, and its two locks.
//!
//! Producers push into `tail`, consumers pop from `head`, and take over everything in `tail` at once
//! when they need it. So the two sides meet once a batch instead of once an item.
//!
//! Who holds both locks took `head` first. No user's code runs under a lock but `Ord`, and nobody is
//! woken under one.

use std::collections::VecDeque;

use crate::crowd::{Calls, Crowd, Place, Wake, wake};
use crate::store::Store;
use crate::sync::{Apart, AtomicBool, AtomicUsize, Mutex, MutexGuard, Ordering, lock};

pub(crate) struct Shared<T> {
    pub(crate) head: Apart<Mutex<Head<T>>>,
    /// How many items ever left the queue: written under `head`.
    pub(crate) taken: Apart<AtomicUsize>,
    /// Whether few items have arrived last, and all of them are taken: written under `head`.
    keeps_up: AtomicBool,
    pub(crate) tail: Apart<Mutex<Tail<T>>>,
    /// How many items were ever put: written under `tail`.
    pub(crate) pushed: Apart<AtomicUsize>,
    /// How many places are promised by permits: written under `tail`.
    pub(crate) reserved: AtomicUsize,
    /// `usize::MAX` if unbounded: memory ends before.
    pub(crate) capacity: usize,
}

/// So few arrivals are hardly worth a meeting of the two sides.
const FEW: usize = 64;

pub(crate) struct Head<T> {
    pub(crate) store: Store<T>,
    pub(crate) putters: Crowd,
    /// How many came in when somebody last looked.
    arrived: usize,
}

pub(crate) struct Tail<T> {
    pub(crate) inbox: VecDeque<T>,
    pushed: usize,
    pub(crate) reserved: usize,
    /// What `taken` was when last looked at: while there is room by this figure, consumers are left alone.
    taken: usize,
    pub(crate) unfinished: usize,
    pub(crate) getters: Crowd,
    pub(crate) joiners: Crowd,
    pub(crate) phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// Nothing comes in but what has a permit; what is there comes out.
    Draining,
    /// Nothing comes in, nothing is there.
    Over,
}

/// Why something was not done at once.
pub(crate) enum NotNow {
    Never,
    Later,
}

/// Who waits, and for what: a getter for items, a putter for room, a joiner for all to be done.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Getter,
    Putter,
    Joiner,
}

impl<T> Shared<T> {
    pub(crate) fn new(store: Store<T>, capacity: usize) -> Self {
        let tail = Tail {
            inbox: VecDeque::new(),
            pushed: 0,
            reserved: 0,
            taken: 0,
            unfinished: 0,
            getters: Crowd::default(),
            joiners: Crowd::default(),
            phase: Phase::Open,
        };
        Self {
            head: Apart(Mutex::new(Head { store, putters: Crowd::default(), arrived: 0 })),
            taken: Apart(AtomicUsize::new(0)),
            keeps_up: AtomicBool::new(false),
            tail: Apart(Mutex::new(tail)),
            pushed: Apart(AtomicUsize::new(0)),
            reserved: AtomicUsize::new(0),
            capacity,
        }
    }

    /// Puts what `fill` pushes, up to the number of places that it is told: at least one, and as many as `wanted`
    /// if there are so many.
    pub(crate) fn put<R>(&self, wanted: usize, fill: impl FnOnce(&mut VecDeque<T>, usize) -> R) -> Result<R, NotNow> {
        let mut tail = lock(&self.tail);
        let room = self.room(&mut tail, wanted)?;
        let before = tail.inbox.len();
        let result = fill(&mut tail.inbox, room);
        let count = tail.inbox.len() - before;
        self.count_in(tail, count);
        Ok(result)
    }

    /// Promises a place to a permit.
    pub(crate) fn reserve(&self) -> Result<(), NotNow> {
        let mut tail = lock(&self.tail);
        self.room(&mut tail, 1)?;
        tail.reserved += 1;
        self.reserved.store(tail.reserved, Ordering::Release);
        Ok(())
    }

    /// Puts into a promised place.
    pub(crate) fn put_reserved(&self, item: T) -> Result<(), T> {
        let mut tail = lock(&self.tail);
        tail.reserved -= 1;
        self.reserved.store(tail.reserved, Ordering::Release);
        if tail.phase == Phase::Over {
            return Err(item);
        }
        tail.inbox.push_back(item);
        self.count_in(tail, 1);
        Ok(())
    }

    /// Takes a promise back.
    pub(crate) fn unreserve(&self) {
        let mut head = lock(&self.head);
        let mut tail = lock(&self.tail);
        tail.reserved -= 1;
        self.reserved.store(tail.reserved, Ordering::Release);
        let getters = self.call_getters(&mut tail);
        drop(tail);
        let putters = self.call_putters(&mut head);
        drop(head);
        wake(getters);
        wake(putters);
    }

    /// How many may be put now. May say too few if that is enough for those that are wanted.
    fn room(&self, tail: &mut Tail<T>, wanted: usize) -> Result<usize, NotNow> {
        if tail.phase != Phase::Open {
            return Err(NotNow::Never);
        }
        let room = |tail: &Tail<T>| self.capacity - (tail.pushed.wrapping_sub(tail.taken) + tail.reserved);
        if room(tail) < wanted {
            tail.taken = self.taken.load(Ordering::Acquire);
        }
        match room(tail) {
            0 => Err(NotNow::Later),
            room => Ok(room),
        }
    }

    fn count_in(&self, mut tail: MutexGuard<'_, Tail<T>>, count: usize) {
        tail.pushed = tail.pushed.wrapping_add(count);
        tail.unfinished += count;
        self.pushed.store(tail.pushed, Ordering::Release);
        let calls = self.call_getters(&mut tail);
        drop(tail);
        wake(calls);
    }

    /// Lets `take` take up to `wanted` items out of a store that is not empty.
    pub(crate) fn get<R>(&self, wanted: usize, take: impl FnOnce(&mut Store<T>) -> R) -> Result<R, NotNow> {
        let mut head = lock(&self.head);
        if head.store.needs_arrivals(wanted) {
            let mut tail = lock(&self.tail);
            head.arrived = tail.inbox.len();
            head.store.arrive(&mut tail.inbox);
            if head.store.is_empty() {
                return Err(if tail.is_dry() { NotNow::Never } else { NotNow::Later });
            }
            drop(tail);
            head.store.sort_in();
        }
        let result = take(&mut head.store);
        if head.arrived < FEW && head.store.is_empty() {
            self.keeps_up.store(true, Ordering::Relaxed);
        }
        self.taken.store(head.store.taken(), Ordering::Release);
        let calls = self.call_putters(&mut head);
        drop(head);
        wake(calls);
        Ok(result)
    }

    /// Whether somebody who comes for the next item had better come a moment later; says so once. Consumers that
    /// keep up with producers would otherwise meet them at their lock for every single item.
    pub(crate) fn is_too_early(&self) -> bool {
        self.keeps_up.load(Ordering::Relaxed) && self.keeps_up.swap(false, Ordering::Relaxed)
    }

    /// Enters someone among those who wait, unless there is something to be had or learnt by now.
    pub(crate) fn enter(&self, role: Role, place: &mut Place, wake: Wake) {
        // Both, since a place is free when something has left at the head.
        let mut head = lock(&self.head);
        let mut tail = lock(&self.tail);
        match role {
            Role::Getter if tail.inbox.is_empty() && head.store.is_empty() && !tail.is_dry() => {
                tail.getters.enter(place, wake);
            }
            Role::Putter if matches!(self.room(&mut tail, 1), Err(NotNow::Later)) => head.putters.enter(place, wake),
            Role::Joiner if tail.is_unfinished() => tail.joiners.enter(place, wake),
            Role::Getter | Role::Putter | Role::Joiner => {}
        }
    }

    /// Whether the one who waits at this place was called, and so has to try again. If not, goes on
    /// waiting, to be woken by `wake`.
    pub(crate) fn come_back(&self, role: Role, place: &mut Place, wake: Wake) -> bool {
        let unused = match role {
            Role::Getter => lock(&self.tail).getters.come_back(place, wake),
            Role::Putter => lock(&self.head).putters.come_back(place, wake),
            Role::Joiner => lock(&self.tail).joiners.come_back(place, wake),
        };
        drop(unused);
        !place.is_entered()
    }

    /// Ends the wait of someone who will not try again. If that one had been called, another is called instead.
    pub(crate) fn give_up(&self, role: Role, place: &mut Place) {
        if !place.is_entered() {
            return;
        }
        let (unused, calls) = match role {
            Role::Getter => {
                let mut tail = lock(&self.tail);
                (tail.getters.give_up(place), self.call_getters(&mut tail))
            }
            Role::Putter => {
                let mut head = lock(&self.head);
                (head.putters.give_up(place), self.call_putters(&mut head))
            }
            Role::Joiner => (lock(&self.tail).joiners.give_up(place), None),
        };
        drop(unused);
        wake(calls);
    }

    pub(crate) fn call_getters(&self, tail: &mut Tail<T>) -> Calls {
        if tail.getters.is_empty() {
            return None;
        }
        let ready = if tail.is_dry() {
            // What they are to learn is there for all.
            usize::MAX
        } else {
            // An old figure of what was taken is a lower one, and calls too many rather than too few.
            tail.pushed.wrapping_sub(self.taken.load(Ordering::Acquire))
        };
        tail.getters.call(ready)
    }

    fn call_putters(&self, head: &mut Head<T>) -> Calls {
        if head.putters.is_empty() {
            return None;
        }
        let held = self.pushed.load(Ordering::Acquire).wrapping_sub(head.store.taken());
        let used = held + self.reserved.load(Ordering::Acquire);
        head.putters.call(self.capacity.saturating_sub(used))
    }
}

impl<T> Tail<T> {
    /// Whether nothing will come in any more.
    fn is_dry(&self) -> bool {
        self.phase != Phase::Open && self.reserved == 0
    }

    /// Whether there is something to wait for before all is done.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.unfinished > 0 && self.phase != Phase::Over
    }
}
