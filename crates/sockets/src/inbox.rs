//! Arrived messages, from the tasks that read to the one that receives.

use crate::change::{Change, ChangeQueue};
use crate::chunk::Chunk;
use crate::lane::{Lane, NONE};
use crate::subscriptions::Subscriptions;
use crate::{Error, Message};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// There are arrivals or changes, to be known without the lock.
    fresh: AtomicBool,
    conflate: bool,
}

#[derive(Debug, Default)]
struct State {
    arrivals: Vec<(Arc<Lane>, Chunk)>,
    /// Of an XPUB: subscriptions of its peers.
    changes: ChangeQueue,
    waker: Option<Waker>,
    ended: bool,
}

impl Inbox {
    pub(crate) fn new(conflate: bool) -> Inbox {
        Inbox { state: Mutex::default(), fresh: AtomicBool::new(false), conflate }
    }

    /// Puts in what one read of a peer has brought, whether or not there is room. The waker is to be woken without any lock.
    #[must_use = "the receiver waits for it"]
    pub(crate) fn put(&self, lane: &Arc<Lane>, chunks: &mut Vec<Chunk>) -> Option<Waker> {
        if chunks.is_empty() {
            return None;
        }
        let mut state = self.state.lock();
        for mut chunk in chunks.drain(..) {
            if self.conflate {
                chunk.keep_last();
                let at = lane.arrival.load(Ordering::Relaxed);
                if let Some(arrival) = state.arrivals.get_mut(at) {
                    arrival.1 = chunk;
                    continue;
                }
                lane.arrival.store(state.arrivals.len(), Ordering::Relaxed);
            } else {
                lane.add(chunk.messages(), chunk.size());
            }
            state.arrivals.push((lane.clone(), chunk));
        }
        self.fresh.store(true, Ordering::Release);
        state.waker.take()
    }

    /// Puts in a subscription of an XPUB's peer. The waker is to be woken without any lock.
    #[must_use = "the receiver waits for it"]
    pub(crate) fn put_change(&self, change: Change) -> Option<Waker> {
        let mut state = self.state.lock();
        state.changes.push(change);
        self.fresh.store(true, Ordering::Release);
        state.waker.take()
    }

    /// Nothing more will come.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        state.ended = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The end of the inbox that receives: round robin, one message of each peer.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    /// By [`Lane::queue`].
    queues: Vec<Option<Queue>>,
    free: Vec<usize>,
    /// The queues that have something; the first is next.
    ring: VecDeque<usize>,
    arrived: Vec<(Arc<Lane>, Chunk)>,
    /// Messages since it last let others run.
    run: u32,
    /// Queues that were visited, to test what an operation costs.
    #[cfg(test)]
    steps: u64,
}

/// The messages of one peer.
#[derive(Debug)]
struct Queue {
    lane: Arc<Lane>,
    now: Chunk,
    later: VecDeque<Chunk>,
    /// Taken, and not reported to the lane yet.
    messages: usize,
    bytes: usize,
}

impl Receiver {
    /// The next message that is here.
    #[inline]
    pub(crate) fn take(&mut self, inbox: &Inbox, subscriptions: &Subscriptions) -> Option<Message> {
        loop {
            if inbox.fresh.load(Ordering::Acquire)
                && let Some(change) = self.collect(inbox)
            {
                return Some(change.into());
            }
            self.step();
            let id = *self.ring.front()?;
            let queue = self.queues[id].as_mut().expect("a queue in the ring");
            let before = queue.now.size();
            let filtered = queue.now.filtered;
            let message = queue.now.next();
            if !inbox.conflate {
                queue.messages += 1;
                queue.bytes += before - queue.now.size();
            }
            if queue.now.messages() == 0 {
                self.next_chunk(inbox.conflate);
            } else if queue.messages >= queue.lane.high_water_mark.step() {
                queue.report();
            }
            if self.ring.len() > 1 && self.ring.front() == Some(&id) {
                self.ring.rotate_left(1);
            }
            match message {
                // Unsubscribed from since it came.
                Some(message) if filtered != subscriptions.cancelled() && !subscriptions.matches(message.data()) => {}
                message => return message,
            }
        }
    }

    #[inline]
    fn step(&mut self) {
        #[cfg(test)]
        {
            self.steps += 1;
        }
    }

    /// The chunk of the next queue has come to its end.
    #[cold]
    fn next_chunk(&mut self, conflate: bool) {
        let id = self.ring[0];
        let queue = self.queues[id].as_mut().expect("a queue in the ring");
        if !conflate {
            queue.report();
        }
        match queue.later.pop_front() {
            Some(chunk) => queue.now = chunk,
            None => {
                queue.lane.queue.store(NONE, Ordering::Relaxed);
                self.queues[id] = None;
                self.free.push(id);
                self.ring.pop_front();
            }
        }
    }

    /// Takes over what has arrived. An XPUB has changes only, and takes them one by one.
    #[cold]
    fn collect(&mut self, inbox: &Inbox) -> Option<Change> {
        let mut state = inbox.state.lock();
        if let Some(change) = state.changes.pop() {
            return Some(change);
        }
        mem::swap(&mut state.arrivals, &mut self.arrived);
        inbox.fresh.store(false, Ordering::Relaxed);
        if inbox.conflate {
            self.arrived.iter().for_each(|(lane, _)| lane.arrival.store(NONE, Ordering::Relaxed));
        }
        drop(state);
        for (lane, chunk) in self.arrived.drain(..) {
            #[cfg(test)]
            {
                self.steps += 1;
            }
            let id = lane.queue.load(Ordering::Relaxed);
            match self.queues.get_mut(id).and_then(Option::as_mut) {
                Some(queue) if inbox.conflate => queue.now = chunk,
                Some(queue) => queue.later.push_back(chunk),
                None => {
                    let id = self.free.pop().unwrap_or(self.queues.len());
                    if id == self.queues.len() {
                        self.queues.push(None);
                    }
                    lane.queue.store(id, Ordering::Relaxed);
                    self.queues[id] = Some(Queue { lane, now: chunk, later: VecDeque::new(), messages: 0, bytes: 0 });
                    self.ring.push_back(id);
                }
            }
        }
        None
    }

    /// As [`Receiver::take`], or waits.
    pub(crate) fn poll(
        &mut self,
        inbox: &Inbox,
        subscriptions: &Subscriptions,
        context: &mut Context<'_>,
    ) -> Poll<Result<Message, Error>> {
        // Others run now and then, also where messages come faster than they are taken.
        self.run += 1;
        if self.run > RUN {
            self.run = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if let Some(message) = self.take(inbox, subscriptions) {
                return Poll::Ready(Ok(message));
            }
            let mut state = inbox.state.lock();
            if !state.arrivals.is_empty() || !state.changes.is_empty() {
                continue;
            }
            if state.ended {
                return Poll::Ready(Err(Error::Ended));
            }
            self.run = 0;
            match &mut state.waker {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            }
            return Poll::Pending;
        }
    }
}

/// After so many messages without a wait an async receiver lets others run.
const RUN: u32 = 256;

impl Queue {
    fn report(&mut self) {
        self.lane.taken(mem::take(&mut self.messages), mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::HighWaterMark;
    use switchboard_wire::zmtp::frame;

    fn lane(messages: usize) -> Arc<Lane> {
        Arc::new(Lane::new(HighWaterMark::new(messages, 0), Arc::default()))
    }

    fn chunk(messages: &[&str], filtered: u64) -> Chunk {
        let mut bytes = Vec::new();
        messages.iter().for_each(|message| frame::encode(message.as_bytes(), false, &mut bytes));
        Chunk::new(bytes.into(), messages.len(), filtered)
    }

    fn take(receiver: &mut Receiver, inbox: &Inbox) -> Option<String> {
        receiver.take(inbox, &Subscriptions::default()).map(|message| message.text().into_owned())
    }

    #[test]
    fn messages_of_several_peers_are_taken_in_turn() {
        let (inbox, mut receiver) = (Inbox::new(false), Receiver::default());
        let lanes = [lane(0), lane(0), lane(0)];
        for (lane, messages) in lanes.iter().zip([&["a1", "a2", "a3"][..], &["b1"], &["c1", "c2"]]) {
            drop(inbox.put(lane, &mut vec![chunk(messages, 0)]));
        }
        drop(inbox.put(&lanes[1], &mut vec![chunk(&["b2"], 0)]));
        let taken: Vec<_> = std::iter::from_fn(|| take(&mut receiver, &inbox)).collect();
        assert_eq!(taken, ["a1", "b1", "c1", "a2", "b2", "c2", "a3"]);
        assert_eq!((receiver.ring.len(), receiver.free.len()), (0, 3));
    }

    #[test]
    fn a_peer_is_paused_at_its_mark_and_its_task_is_woken_at_half_of_it() {
        let (inbox, mut receiver, lane) = (Inbox::new(false), Receiver::default(), lane(4));
        drop(inbox.put(&lane, &mut vec![chunk(&["1", "2", "3"], 0)]));
        assert!(lane.has_room());
        drop(inbox.put(&lane, &mut vec![chunk(&["4"], 0)]));
        assert!(!lane.has_room());
        let woken = || {
            let mut notified = std::pin::pin!(lane.wake.notified());
            notified.as_mut().enable()
        };
        assert!(!woken());
        take(&mut receiver, &inbox).unwrap();
        assert!(!woken());
        take(&mut receiver, &inbox).unwrap();
        assert!(woken() && lane.has_room());
    }

    #[test]
    fn what_was_unsubscribed_from_since_it_came_is_not_received() {
        let (inbox, mut receiver, subscriptions) = (Inbox::new(false), Receiver::default(), Subscriptions::default());
        subscriptions.change(true, b"a");
        subscriptions.change(true, b"b");
        let lane = lane(0);
        drop(inbox.put(&lane, &mut vec![chunk(&["a1", "b1", "a2"], subscriptions.cancelled())]));
        assert_eq!(receiver.take(&inbox, &subscriptions).unwrap(), "a1");
        subscriptions.change(false, b"a");
        drop(inbox.put(&lane, &mut vec![chunk(&["b2"], subscriptions.cancelled())]));
        assert_eq!(receiver.take(&inbox, &subscriptions).unwrap(), "b1");
        assert_eq!(receiver.take(&inbox, &subscriptions).unwrap(), "b2");
        assert!(receiver.take(&inbox, &subscriptions).is_none());
    }

    #[test]
    fn a_conflating_inbox_has_the_newest_of_each_peer() {
        let (inbox, mut receiver) = (Inbox::new(true), Receiver::default());
        let lanes = [lane(0), lane(0)];
        for round in 0..3 {
            // In another order, so that an old index would be another peer's.
            for peer in if round == 2 { [1, 0] } else { [0, 1] } {
                let newest = format!("{}{round}", ["a", "b"][peer]);
                drop(inbox.put(&lanes[peer], &mut vec![chunk(&["old", &newest], 0)]));
            }
            if round == 1 {
                assert_eq!(take(&mut receiver, &inbox).unwrap(), "a1");
            }
        }
        assert_eq!(take(&mut receiver, &inbox).unwrap(), "b2");
        assert_eq!(take(&mut receiver, &inbox).unwrap(), "a2");
        assert!(take(&mut receiver, &inbox).is_none());
    }

    #[test]
    fn a_message_costs_the_same_among_one_and_among_ten_thousand_peers() {
        let steps = |peers: usize| {
            let (inbox, mut receiver) = (Inbox::new(false), Receiver::default());
            let lanes: Vec<_> = (0..peers).map(|_| lane(0)).collect();
            let round = |receiver: &mut Receiver| {
                lanes.iter().for_each(|lane| drop(inbox.put(lane, &mut vec![chunk(&["x", "y"], 0)])));
                std::iter::from_fn(|| take(receiver, &inbox)).count()
            };
            assert_eq!(round(&mut receiver) + round(&mut receiver), 4 * peers);
            receiver.steps / peers as u64
        };
        assert!(steps(10_000) <= steps(1), "{} and {} steps", steps(10_000), steps(1));
    }
}
