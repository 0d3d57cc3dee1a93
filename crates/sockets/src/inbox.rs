//! What has come, from the tasks that read to whoever receives.

use crate::chunk::Chunk;
use crate::options::Bound;
use crate::wants::Wants;
use crate::{Error, Message};
use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;

/// One peer's way in: how much of it waits.
#[derive(Debug)]
pub(crate) struct Lane {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    bound: Bound,
    /// Whether the peer is not read.
    held: AtomicBool,
    /// Wakes the peer's task.
    wake: Arc<Notify>,
}

impl Lane {
    pub(crate) fn new(bound: Bound, wake: Arc<Notify>) -> Lane {
        Lane { messages: AtomicUsize::new(0), bytes: AtomicUsize::new(0), bound, held: AtomicBool::new(false), wake }
    }

    /// Whether the peer may be read; if not, its task is woken when it may.
    pub(crate) fn has_room(&self) -> bool {
        let load = || (self.messages.load(Ordering::SeqCst), self.bytes.load(Ordering::SeqCst));
        let (messages, bytes) = load();
        if self.bound.has_room(messages, bytes) {
            return true;
        }
        self.held.store(true, Ordering::SeqCst);
        // Taken in between, perhaps, by somebody who did not yet see that it is held.
        let (messages, bytes) = load();
        self.bound.is_low(messages, bytes)
    }

    fn add(&self, messages: usize, bytes: usize) {
        self.messages.fetch_add(messages, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    fn taken(&self, messages: usize, bytes: usize) {
        let messages = self.messages.fetch_sub(messages, Ordering::SeqCst) - messages;
        let bytes = self.bytes.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        if self.bound.is_low(messages, bytes) && self.held.swap(false, Ordering::SeqCst) {
            self.wake.notify_one();
        }
    }
}

#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// Whether there are arrivals, to be known without the lock.
    fresh: AtomicBool,
    conflate: bool,
}

#[derive(Debug, Default)]
struct State {
    arrivals: Vec<(Arc<Lane>, Chunk)>,
    waker: Option<Waker>,
    ended: bool,
}

impl Inbox {
    pub(crate) fn new(conflate: bool) -> Inbox {
        Inbox { state: Mutex::default(), fresh: AtomicBool::new(false), conflate }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts in what one read of a peer has brought, whether or not there is room. Whoever waits for it is to be woken,
    /// without any lock.
    #[must_use = "somebody waits for it"]
    pub(crate) fn put(&self, lane: &Arc<Lane>, chunks: &mut Vec<Chunk>) -> Option<Waker> {
        if chunks.is_empty() {
            return None;
        }
        let mut state = self.lock();
        for mut chunk in chunks.drain(..) {
            if self.conflate {
                chunk.keep_last();
                state.arrivals.retain(|(other, _)| !Arc::ptr_eq(other, lane));
            } else {
                lane.add(chunk.messages(), chunk.size());
            }
            state.arrivals.push((lane.clone(), chunk));
        }
        self.fresh.store(true, Ordering::Release);
        state.waker.take()
    }

    /// Nothing more will come.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The end of the inbox that receives. It takes one message of each peer in turn.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    ring: Vec<Queue>,
    next: usize,
    arrived: Vec<(Arc<Lane>, Chunk)>,
    /// Messages since it last let others run.
    run: u32,
}

/// What is here of one peer.
#[derive(Debug)]
struct Queue {
    lane: Arc<Lane>,
    now: Chunk,
    later: VecDeque<Chunk>,
    /// Taken, and not told to the lane yet.
    messages: usize,
    bytes: usize,
}

impl Receiver {
    /// The next message that is here.
    #[inline]
    pub(crate) fn take(&mut self, inbox: &Inbox, wants: &Wants) -> Option<Message> {
        loop {
            if inbox.fresh.load(Ordering::Acquire) {
                self.collect(inbox);
            }
            let queue = self.ring.get_mut(self.next)?;
            let before = queue.now.size();
            let filtered = queue.now.filtered;
            let message = queue.now.next();
            if !inbox.conflate {
                queue.messages += 1;
                queue.bytes += before - queue.now.size();
            }
            if queue.now.messages() == 0 {
                self.turn_over(inbox.conflate);
            } else {
                if queue.messages >= queue.lane.bound.step() {
                    queue.tell();
                }
                self.next += 1;
                if self.next >= self.ring.len() {
                    self.next = 0;
                }
            }
            match message {
                // Unsubscribed from since it came.
                Some(message) if filtered != wants.cancelled() && !wants.matches(message.data()) => {}
                message => return message,
            }
        }
    }

    /// The chunk of the queue whose turn it is has come to its end.
    #[cold]
    fn turn_over(&mut self, conflate: bool) {
        let queue = &mut self.ring[self.next];
        if !conflate {
            queue.tell();
        }
        match queue.later.pop_front() {
            Some(chunk) => {
                queue.now = chunk;
                self.next += 1;
            }
            None => drop(self.ring.remove(self.next)),
        }
        if self.next >= self.ring.len() {
            self.next = 0;
        }
    }

    #[cold]
    fn collect(&mut self, inbox: &Inbox) {
        let mut state = inbox.lock();
        mem::swap(&mut state.arrivals, &mut self.arrived);
        inbox.fresh.store(false, Ordering::Relaxed);
        drop(state);
        for (lane, chunk) in self.arrived.drain(..) {
            match self.ring.iter_mut().find(|queue| Arc::ptr_eq(&queue.lane, &lane)) {
                Some(queue) if inbox.conflate => queue.now = chunk,
                Some(queue) => queue.later.push_back(chunk),
                None => self.ring.push(Queue { lane, now: chunk, later: VecDeque::new(), messages: 0, bytes: 0 }),
            }
        }
    }

    /// As [`Receiver::take`], or waits.
    pub(crate) fn poll(
        &mut self,
        inbox: &Inbox,
        wants: &Wants,
        context: &mut Context<'_>,
    ) -> Poll<Result<Message, Error>> {
        // Others have their turn also where messages come faster than they are taken.
        self.run += 1;
        if self.run > RUN {
            self.run = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if let Some(message) = self.take(inbox, wants) {
                return Poll::Ready(Ok(message));
            }
            let mut state = inbox.lock();
            if !state.arrivals.is_empty() {
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
    fn tell(&mut self) {
        self.lane.taken(mem::take(&mut self.messages), mem::take(&mut self.bytes));
    }
}
