//! The queue behind both APIs, and its two locks.
//!
//! Producers push into `tail`, consumers pop from `head`, and take over everything in `tail` at once
//! when they need it. So the two sides meet once a batch instead of once an item.
//!
//! The order of the locks is `head`, `tail`. No user's code runs under a lock but `Ord`, and no waiter is
//! woken under one.

use std::collections::VecDeque;

use crate::store::Store;
use crate::sync::{AtomicBool, AtomicUsize, CachePadded, Mutex, MutexGuard, Ordering, lock};
use crate::wait_queue::{WaitQueue, Waiter, Wake, Wakers, wake};

pub(crate) struct Shared<T> {
    pub(crate) head: CachePadded<Mutex<Head<T>>>,
    /// Number of items that ever left the queue: written under `head`.
    pub(crate) taken: CachePadded<AtomicUsize>,
    /// Whether few items have arrived last, and all of them are taken: written under `head`.
    keeps_up: AtomicBool,
    pub(crate) tail: CachePadded<Mutex<Tail<T>>>,
    /// Number of items that were ever put: written under `tail`.
    pub(crate) pushed: CachePadded<AtomicUsize>,
    /// Number of slots that permits have reserved: written under `tail`.
    pub(crate) reserved: AtomicUsize,
    /// `usize::MAX` if unbounded: memory ends before.
    pub(crate) capacity: usize,
}

/// So few arrivals are hardly worth a meeting of the two sides.
const FEW: usize = 64;

pub(crate) struct Head<T> {
    pub(crate) store: Store<T>,
    pub(crate) putters: WaitQueue,
    /// The number of arrived items at the last look.
    arrived: usize,
}

pub(crate) struct Tail<T> {
    pub(crate) inbox: VecDeque<T>,
    pushed: usize,
    pub(crate) reserved: usize,
    /// The value of `taken` at the last look: while there is room by this figure, consumers are left alone.
    taken: usize,
    pub(crate) unfinished: usize,
    pub(crate) getters: WaitQueue,
    pub(crate) joiners: WaitQueue,
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
pub(crate) enum TryError {
    Closed,
    WouldBlock,
}

/// Kinds of waiters: a getter for items, a putter for room, a joiner for all to be done.
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
            getters: WaitQueue::default(),
            joiners: WaitQueue::default(),
            phase: Phase::Open,
        };
        Self {
            head: CachePadded(Mutex::new(Head { store, putters: WaitQueue::default(), arrived: 0 })),
            taken: CachePadded(AtomicUsize::new(0)),
            keeps_up: AtomicBool::new(false),
            tail: CachePadded(Mutex::new(tail)),
            pushed: CachePadded(AtomicUsize::new(0)),
            reserved: AtomicUsize::new(0),
            capacity,
        }
    }

    /// Puts what `fill` pushes, up to the number of slots that it is given: at least one, and as many as `wanted`
    /// if there are so many.
    pub(crate) fn put<R>(&self, wanted: usize, fill: impl FnOnce(&mut VecDeque<T>, usize) -> R) -> Result<R, TryError> {
        let mut tail = lock(&self.tail);
        let room = self.room(&mut tail, wanted)?;
        let before = tail.inbox.len();
        let result = fill(&mut tail.inbox, room);
        let count = tail.inbox.len() - before;
        self.count_in(tail, count);
        Ok(result)
    }

    /// Reserves a slot for a permit.
    pub(crate) fn reserve(&self) -> Result<(), TryError> {
        let mut tail = lock(&self.tail);
        self.room(&mut tail, 1)?;
        tail.reserved += 1;
        self.reserved.store(tail.reserved, Ordering::Release);
        Ok(())
    }

    /// Puts into a reserved slot.
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

    /// Releases a reserved slot.
    pub(crate) fn unreserve(&self) {
        let mut head = lock(&self.head);
        let mut tail = lock(&self.tail);
        tail.reserved -= 1;
        self.reserved.store(tail.reserved, Ordering::Release);
        let getters = self.notify_getters(&mut tail);
        drop(tail);
        let putters = self.notify_putters(&mut head);
        drop(head);
        wake(getters);
        wake(putters);
    }

    /// Returns the free slots, or fewer if these suffice for the wanted ones.
    fn room(&self, tail: &mut Tail<T>, wanted: usize) -> Result<usize, TryError> {
        if tail.phase != Phase::Open {
            return Err(TryError::Closed);
        }
        let room = |tail: &Tail<T>| self.capacity - (tail.pushed.wrapping_sub(tail.taken) + tail.reserved);
        if room(tail) < wanted {
            tail.taken = self.taken.load(Ordering::Acquire);
        }
        match room(tail) {
            0 => Err(TryError::WouldBlock),
            room => Ok(room),
        }
    }

    fn count_in(&self, mut tail: MutexGuard<'_, Tail<T>>, count: usize) {
        tail.pushed = tail.pushed.wrapping_add(count);
        tail.unfinished += count;
        self.pushed.store(tail.pushed, Ordering::Release);
        let wakers = self.notify_getters(&mut tail);
        drop(tail);
        wake(wakers);
    }

    /// Lets `take` take up to `wanted` items out of a store that is not empty.
    pub(crate) fn get<R>(&self, wanted: usize, take: impl FnOnce(&mut Store<T>) -> R) -> Result<R, TryError> {
        let mut head = lock(&self.head);
        if head.store.needs_arrivals(wanted) {
            let mut tail = lock(&self.tail);
            head.arrived = tail.inbox.len();
            head.store.arrive(&mut tail.inbox);
            if head.store.is_empty() {
                return Err(if tail.is_closed_and_empty() { TryError::Closed } else { TryError::WouldBlock });
            }
            drop(tail);
            head.store.sort_in();
        }
        let result = take(&mut head.store);
        if head.arrived < FEW && head.store.is_empty() {
            self.keeps_up.store(true, Ordering::Relaxed);
        }
        self.taken.store(head.store.taken(), Ordering::Release);
        let wakers = self.notify_putters(&mut head);
        drop(head);
        wake(wakers);
        Ok(result)
    }

    /// Returns true once if the consumer should yield first: one that keeps up would contend for the lock on every item.
    pub(crate) fn should_yield(&self) -> bool {
        self.keeps_up.load(Ordering::Relaxed) && self.keeps_up.swap(false, Ordering::Relaxed)
    }

    /// Lets a waiter wait, unless what it waits for has come by now: a second look, under both locks.
    pub(crate) fn enter(&self, role: Role, waiter: &mut Waiter, wake: Wake) {
        // Both, since a slot is free when something has left at the head.
        let mut head = lock(&self.head);
        let mut tail = lock(&self.tail);
        match role {
            Role::Getter if tail.inbox.is_empty() && head.store.is_empty() && !tail.is_closed_and_empty() => {
                tail.getters.enter(waiter, wake);
            }
            Role::Putter if matches!(self.room(&mut tail, 1), Err(TryError::WouldBlock)) => {
                head.putters.enter(waiter, wake);
            }
            Role::Joiner if tail.is_unfinished() => tail.joiners.enter(waiter, wake),
            Role::Getter | Role::Putter | Role::Joiner => {}
        }
    }

    /// Returns true if the waiter was notified, and so has to try again. If not, it goes on
    /// waiting, to be woken by `wake`.
    pub(crate) fn poll_notified(&self, role: Role, waiter: &mut Waiter, wake: Wake) -> bool {
        let unused = match role {
            Role::Getter => lock(&self.tail).getters.poll_notified(waiter, wake),
            Role::Putter => lock(&self.head).putters.poll_notified(waiter, wake),
            Role::Joiner => lock(&self.tail).joiners.poll_notified(waiter, wake),
        };
        drop(unused);
        !waiter.is_entered()
    }

    /// Ends the wait of a waiter that will not try again. If it had been notified, the next one is notified instead.
    pub(crate) fn give_up(&self, role: Role, waiter: &mut Waiter) {
        if !waiter.is_entered() {
            return;
        }
        let (unused, wakers) = match role {
            Role::Getter => {
                let mut tail = lock(&self.tail);
                (tail.getters.give_up(waiter), self.notify_getters(&mut tail))
            }
            Role::Putter => {
                let mut head = lock(&self.head);
                (head.putters.give_up(waiter), self.notify_putters(&mut head))
            }
            Role::Joiner => (lock(&self.tail).joiners.give_up(waiter), None),
        };
        drop(unused);
        wake(wakers);
    }

    pub(crate) fn notify_getters(&self, tail: &mut Tail<T>) -> Wakers {
        if tail.getters.is_empty() {
            return None;
        }
        let ready = if tail.is_closed_and_empty() {
            // All of them learn the same.
            usize::MAX
        } else {
            // An old figure of what was taken is a lower one, and wakers too many rather than too few.
            tail.pushed.wrapping_sub(self.taken.load(Ordering::Acquire))
        };
        tail.getters.notify(ready)
    }

    fn notify_putters(&self, head: &mut Head<T>) -> Wakers {
        if head.putters.is_empty() {
            return None;
        }
        let held = self.pushed.load(Ordering::Acquire).wrapping_sub(head.store.taken());
        let used = held + self.reserved.load(Ordering::Acquire);
        head.putters.notify(self.capacity.saturating_sub(used))
    }
}

impl<T> Tail<T> {
    /// Returns true if nothing will come in any more.
    fn is_closed_and_empty(&self) -> bool {
        self.phase != Phase::Open && self.reserved == 0
    }

    /// Whether there is something to wait for before all is done.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.unfinished > 0 && self.phase != Phase::Over
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::queue::{move_in, take_one};
    use std::task::Waker;

    fn wake() -> Wake {
        Wake::Task(Waker::noop().clone())
    }

    fn put(shared: &Shared<u8>) {
        assert!(shared.put(1, move_in(&mut Some(1))).is_ok());
    }

    fn waits(shared: &Shared<u8>, role: Role) -> bool {
        let mut waiter = Waiter::default();
        shared.enter(role, &mut waiter, wake());
        let waits = waiter.is_entered();
        shared.give_up(role, &mut waiter);
        waits
    }

    /// A change between an attempt and the wait must be seen, or its wake-up is lost.
    #[test]
    fn nobody_waits_for_what_has_come_meanwhile() {
        let shared = Shared::new(Store::fifo(), 1);
        assert!(waits(&shared, Role::Getter) && !waits(&shared, Role::Putter) && !waits(&shared, Role::Joiner));
        put(&shared);
        assert!(!waits(&shared, Role::Getter) && waits(&shared, Role::Putter) && waits(&shared, Role::Joiner));
        assert!(shared.get(1, take_one).is_ok());
        assert!(waits(&shared, Role::Getter) && !waits(&shared, Role::Putter) && waits(&shared, Role::Joiner));
        assert!(shared.task_done().is_ok());
        assert!(!waits(&shared, Role::Joiner));
    }

    #[test]
    fn nobody_waits_for_a_queue_that_is_closed_but_for_permits() {
        let shared = Shared::<u8>::new(Store::fifo(), 1);
        assert!(shared.reserve().is_ok());
        shared.shut_down();
        assert!(waits(&shared, Role::Getter) && !waits(&shared, Role::Putter));
        shared.unreserve();
        assert!(!waits(&shared, Role::Getter) && !waits(&shared, Role::Putter));
    }

    /// An item that consumers have taken over, but not taken, is one to be had.
    #[test]
    fn a_getter_sees_what_is_at_the_head() {
        let shared = Shared::new(Store::fifo(), 8);
        put(&shared);
        put(&shared);
        assert!(shared.get(1, take_one).is_ok());
        assert!(!waits(&shared, Role::Getter));
    }

    #[test]
    fn a_waiter_that_gives_up_after_its_notification_passes_it_on() {
        for role in [Role::Getter, Role::Putter] {
            let shared = Shared::new(Store::fifo(), 1);
            if matches!(role, Role::Putter) {
                put(&shared);
            }
            let (mut first, mut second) = (Waiter::default(), Waiter::default());
            shared.enter(role, &mut first, wake());
            shared.enter(role, &mut second, wake());
            match role {
                Role::Putter => assert!(shared.get(1, take_one).is_ok()),
                _ => put(&shared),
            }
            // The first was notified, the second was not.
            shared.give_up(role, &mut first);
            assert!(shared.poll_notified(role, &mut second, wake()), "the notification was lost");
        }
    }

    #[test]
    fn a_consumer_that_keeps_up_yields_once() {
        let shared = Shared::new(Store::fifo(), usize::MAX);
        assert!(!shared.should_yield());
        put(&shared);
        assert!(shared.get(1, take_one).is_ok());
        assert!(shared.should_yield() && !shared.should_yield());
        for _ in 0..FEW {
            put(&shared);
        }
        while shared.get(1, take_one).is_ok() {}
        assert!(!shared.should_yield());
    }
}
