//! The open connections of one service, and which of them goes when there are too many.

use crate::wish::{Signal, Wish};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

/// Time without reading after which a client can be closed in favor of a new one.
const STALLED: Duration = Duration::from_secs(1);

/// The way that a request came: an extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct Via {
    pub(crate) listener: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) slot: Arc<Slot>,
}

/// All connections of a service, over its listeners.
#[derive(Debug)]
pub(crate) struct Connections {
    limit: usize,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Connections that were not told to end.
    open: HashMap<u64, Entry>,
    /// By the order of their coming there.
    waiting: BTreeMap<u64, u64>,
    stalled: BTreeMap<u64, (Instant, u64)>,
    /// Number of connections that still have a socket.
    alive: usize,
}

#[derive(Debug)]
struct Entry {
    phase: Phase,
    order: u64,
    /// The slot's generation, and what it was when the order was given.
    generation: Arc<AtomicU64>,
    seen: u64,
    signal: Arc<Signal>,
}

/// The activity of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It has no complete request: it is idle, or sends one.
    Waiting,
    /// Its request is being answered.
    Busy,
    /// It does not read its answer.
    Stalled,
}

/// The place of one connection, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    connections: Arc<Connections>,
    id: u64,
    signal: Arc<Signal>,
    /// Odd from the end of a request's head to the end of its answer.
    generation: Arc<AtomicU64>,
    /// Whether the request at hand is complete, and not answered.
    is_busy: AtomicBool,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Connections {
    pub(crate) fn new(limit: usize) -> Connections {
        Connections { limit, state: Mutex::default(), changed: Notify::new() }
    }

    /// Takes a new connection. At the limit the oldest one without a complete request ends, else the one that has not
    /// read for longest; `None` if all others are being answered.
    pub(crate) fn admit(self: &Arc<Connections>) -> Option<Arc<Slot>> {
        self.admit_at(Instant::now())
    }

    fn admit_at(self: &Arc<Connections>, now: Instant) -> Option<Arc<Slot>> {
        let mut state = self.state.lock();
        if state.open.len() >= self.limit && !state.evict(now) {
            return None;
        }
        let id = state.next();
        let signal = Arc::new(Signal::default());
        let generation = Arc::new(AtomicU64::new(0));
        let entry =
            Entry { phase: Phase::Waiting, order: id, generation: generation.clone(), seen: 0, signal: signal.clone() };
        state.open.insert(id, entry);
        state.waiting.insert(id, id);
        state.alive += 1;
        let is_busy = AtomicBool::new(false);
        Some(Arc::new(Slot { connections: self.clone(), id, signal, generation, is_busy, permit: Mutex::default() }))
    }

    /// Ends one connection as [`Connections::admit`] does, so that its file becomes free.
    pub(crate) fn evict(&self) -> bool {
        self.state.lock().evict(Instant::now())
    }

    /// Ends all of them.
    pub(crate) fn end_all(&self) {
        let mut state = self.state.lock();
        state.waiting.clear();
        state.stalled.clear();
        for (_, entry) in state.open.drain() {
            entry.signal.tell(Wish::End);
        }
    }

    /// Asks all of them to end behind the request at hand.
    pub(crate) fn finish_all(&self) {
        for entry in self.state.lock().open.values() {
            entry.signal.tell(Wish::Finish);
        }
    }

    /// Returns when no connection has a socket any more.
    pub(crate) async fn empty(&self) {
        loop {
            let changed = self.changed.notified();
            if self.state.lock().alive == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn evict(&mut self, now: Instant) -> bool {
        let is_long = |since: Instant| now.saturating_duration_since(since) >= STALLED;
        let stalled = self.stalled.values().next().filter(|(since, _)| is_long(*since)).map(|(_, id)| *id);
        let Some(id) = self.longest_idle().or(stalled) else { return false };
        if let Some(entry) = self.remove(id) {
            entry.signal.tell(Wish::End);
        }
        true
    }

    /// The connection that has waited for longest. One that was answered at once meanwhile comes behind those that were
    /// not: nobody has told before, for that would cost each of its requests a lock.
    fn longest_idle(&mut self) -> Option<u64> {
        for _ in 0..self.waiting.len() {
            let id = *self.waiting.values().next()?;
            let entry = self.open.get(&id)?;
            // A head without its body keeps its place.
            if entry.generation.load(Ordering::Relaxed) / 2 == entry.seen / 2 {
                return Some(id);
            }
            self.set(id, Phase::Waiting);
        }
        self.waiting.values().next().copied()
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.open.remove(&id)?;
        self.waiting.remove(&entry.order);
        self.stalled.remove(&entry.order);
        Some(entry)
    }

    fn set(&mut self, id: u64, phase: Phase) {
        let order = self.next();
        let Some(entry) = self.open.get_mut(&id) else { return };
        self.waiting.remove(&entry.order);
        self.stalled.remove(&entry.order);
        (entry.phase, entry.order, entry.seen) = (phase, order, entry.generation.load(Ordering::Relaxed));
        match phase {
            Phase::Waiting => drop(self.waiting.insert(order, id)),
            Phase::Stalled => drop(self.stalled.insert(order, (Instant::now(), id))),
            Phase::Busy => {}
        }
    }
}

impl Slot {
    /// Even while a head is awaited or read, and another number for each.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// A request's head is complete.
    pub(crate) fn begin(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// A request is complete; what it holds is given back with its answer.
    pub(crate) fn complete(&self, permit: Option<OwnedSemaphorePermit>) {
        *self.permit.lock() = permit;
        self.is_busy.store(true, Ordering::Relaxed);
        self.connections.state.lock().set(self.id, Phase::Busy);
    }

    /// A request is answered.
    pub(crate) fn finish(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        // One that was never called complete was answered at once.
        if !self.is_busy.swap(false, Ordering::Relaxed) {
            return;
        }
        drop(self.permit.lock().take());
        let mut state = self.connections.state.lock();
        // The end of the answer still waits for a client that does not read.
        if state.open.get(&self.id).is_some_and(|entry| entry.phase != Phase::Stalled) {
            state.set(self.id, Phase::Waiting);
        }
    }

    /// The client does not take what is written to it.
    pub(crate) fn stall(&self) {
        self.connections.state.lock().set(self.id, Phase::Stalled);
    }

    /// The client takes it again.
    pub(crate) fn resume(&self) {
        let phase = if self.generation().is_multiple_of(2) { Phase::Waiting } else { Phase::Busy };
        self.connections.state.lock().set(self.id, phase);
    }

    /// The wish that others have of the connection; the task is woken when there is a new one. One task asks.
    pub(crate) fn poll_wish(&self, cx: &Context<'_>) -> Wish {
        self.signal.poll(cx)
    }

    /// Returns when the connection is to end at once.
    pub(crate) async fn ended(&self) {
        poll_fn(|cx| if self.poll_wish(cx) == Wish::End { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.connections.state.lock();
        state.remove(self.id);
        state.alive -= 1;
        drop(state);
        self.connections.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn is_ended(slot: &Slot) -> bool {
        slot.poll_wish(&Context::from_waker(Waker::noop())) == Wish::End
    }

    fn busy(connections: &Arc<Connections>) -> Arc<Slot> {
        let slot = connections.admit().unwrap();
        slot.begin();
        slot.complete(None);
        slot
    }

    #[test]
    fn at_the_limit_the_oldest_without_a_complete_request_goes_first() {
        let connections = Arc::new(Connections::new(3));
        let first = busy(&connections);
        let (second, third) = (connections.admit().unwrap(), connections.admit().unwrap());
        // Its head is there, its body is not.
        second.begin();
        assert!(!is_ended(&second));
        let fourth = connections.admit().unwrap();
        assert!(is_ended(&second) && !is_ended(&first) && !is_ended(&third));
        // It was idle more recently than the fourth has come.
        third.begin();
        third.complete(None);
        third.finish();
        let fifth = connections.admit().unwrap();
        assert!(is_ended(&fourth) && !is_ended(&third) && !is_ended(&first));
        // Answered, it waits again.
        let _sixth = connections.admit().unwrap();
        assert!(is_ended(&third) && !is_ended(&fifth) && !is_ended(&first));
    }

    #[test]
    fn at_the_limit_those_that_were_answered_at_once_meanwhile_stay() {
        let connections = Arc::new(Connections::new(3));
        let slots = [(); 3].map(|()| connections.admit().unwrap());
        for slot in &slots[..2] {
            slot.begin();
            slot.finish();
        }
        let fourth = connections.admit().unwrap();
        assert!(is_ended(&slots[2]) && !is_ended(&slots[0]) && !is_ended(&slots[1]) && !is_ended(&fourth));
        // All have been: the one that was filed first goes.
        for slot in slots[..2].iter().chain([&fourth]) {
            slot.begin();
            slot.finish();
        }
        assert!(connections.evict());
        assert_eq!(slots[..2].iter().chain([&fourth]).filter(|slot| is_ended(slot)).count(), 1);
    }

    #[test]
    fn where_all_are_answered_nobody_goes_and_a_place_comes_back() {
        let connections = Arc::new(Connections::new(2));
        let (first, second) = (busy(&connections), busy(&connections));
        assert!(connections.admit().is_none() && !connections.evict());
        drop(first);
        let third = connections.admit().unwrap();
        assert!(!is_ended(&second) && !is_ended(&third));
    }

    #[test]
    fn who_does_not_read_for_a_second_goes_after_those_that_wait() {
        let connections = Arc::new(Connections::new(2));
        let (first, second) = (busy(&connections), busy(&connections));
        first.stall();
        second.stall();
        let later = Instant::now() + STALLED;
        assert!(connections.admit().is_none());
        // It has the rest of an answer to read still.
        first.finish();
        let third = connections.admit_at(later).unwrap();
        assert!(is_ended(&first) && !is_ended(&second));
        let fourth = connections.admit_at(later).unwrap();
        assert!(is_ended(&third) && !is_ended(&second));
        fourth.begin();
        fourth.complete(None);
        second.resume();
        assert!(connections.admit_at(later).is_none());
    }

    #[test]
    fn a_wish_is_heard_and_a_stronger_one_stays() {
        let connections = Arc::new(Connections::new(2));
        let (first, second) = (connections.admit().unwrap(), connections.admit().unwrap());
        let cx = Context::from_waker(Waker::noop());
        assert_eq!(first.poll_wish(&cx), Wish::GoOn);
        connections.finish_all();
        assert_eq!((first.poll_wish(&cx), second.poll_wish(&cx)), (Wish::Finish, Wish::Finish));
        assert!(connections.evict());
        connections.finish_all();
        assert_eq!((first.poll_wish(&cx), second.poll_wish(&cx)), (Wish::End, Wish::Finish));
    }

    #[tokio::test]
    async fn the_end_of_all_is_awaited() {
        let connections = Arc::new(Connections::new(2));
        let (first, second) = (busy(&connections), connections.admit().unwrap());
        connections.end_all();
        assert!(is_ended(&first) && is_ended(&second));
        let waiting = tokio::spawn({
            let connections = connections.clone();
            async move { connections.empty().await }
        });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
    }
}
