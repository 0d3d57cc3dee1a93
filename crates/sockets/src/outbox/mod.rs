//! Messages to be sent: a pipe for each peer, and one open buffer that they share.
//!
//! A message is encoded once, at the end of the open buffer, and each pipe that gets it remembers the range. So a message costs a
//! subscriber an addition, not a copy. When a peer's task takes what its pipe has, the buffer is sealed: it cannot
//! change any more, and each pipe keeps its part of it.
//!
//! No operation for one message or one peer visits peers that it does not concern.

mod encode;
mod flush;
mod pipe;
mod pipes;
mod segment;
mod subscribers;
#[cfg(test)]
mod tests;

pub(crate) use flush::FlushTarget;
pub(crate) use pipes::PipeId;
pub(crate) use segment::{InFlight, Segment};
pub(crate) use subscribers::{Subscribed, TooManySubscriptions};

use crate::options::HighWaterMark;
use crate::payload::sealed::Payload;
use crate::prefixes::Prefixes;
use crate::wait::Waiters;
use bytes::BytesMut;
use pipe::Pipe;
use pipes::Pipes;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// Maximum size of a take in bytes, or one message.
const TAKEN: usize = 256 << 10;
/// Bytes that wait for a peer, above which a sender without a limit is ahead of its I/O.
const AHEAD: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Outbox {
    open: BytesMut,
    /// The pipes that have a range of the open buffer.
    open_pipes: Vec<PipeId>,
    headers: BytesMut,
    pipes: Pipes,
    /// Round robin over the pipes that may have room. One that was found without leaves, and returns when it has some.
    ring: VecDeque<PipeId>,
    high_water_mark: HighWaterMark,
    conflate: bool,
    subscribers: Prefixes<Vec<PipeId>>,
    /// The number of accepted messages.
    accepted: u64,
    chosen: Vec<PipeId>,
    /// Bytes that were copied since a sender let others run.
    pub(crate) run_bytes: usize,
    dropped: u64,
    /// Waiters for room.
    pub(crate) waiters: Waiters,
    /// Waiters for the end of all writes.
    pub(crate) flushers: Waiters,
    /// The runtime has ended.
    pub(crate) ended: bool,
    /// Pipes that were visited, to test what an operation costs.
    #[cfg(test)]
    pub(crate) steps: u64,
}

/// The tasks to wake when the lock is released.
#[derive(Debug, Default)]
pub(crate) struct Wakes(Vec<Arc<Notify>>);

impl Wakes {
    #[inline]
    pub(crate) fn wake(self) {
        for wake in self.0 {
            wake.notify_one();
        }
    }
}

impl Outbox {
    pub(crate) fn new(high_water_mark: HighWaterMark, conflate: bool) -> Outbox {
        Outbox {
            open: BytesMut::new(),
            open_pipes: Vec::new(),
            headers: BytesMut::new(),
            pipes: Pipes::default(),
            ring: VecDeque::new(),
            high_water_mark,
            conflate,
            subscribers: Prefixes::default(),
            accepted: 0,
            chosen: Vec::new(),
            run_bytes: 0,
            dropped: 0,
            waiters: Waiters::default(),
            flushers: Waiters::default(),
            ended: false,
            #[cfg(test)]
            steps: 0,
        }
    }

    #[inline]
    fn step(&mut self) {
        #[cfg(test)]
        {
            self.steps += 1;
        }
    }

    /// A pipe for a new peer. Senders that wait for room are to be woken.
    pub(crate) fn add_pipe(&mut self, wake: Arc<Notify>) -> PipeId {
        let id = self.pipes.add(Pipe::new(wake));
        self.enter_ring(id);
        id
    }

    fn enter_ring(&mut self, id: PipeId) {
        let slot = self.pipes.slot(id);
        if !std::mem::replace(&mut slot.in_ring, true) {
            self.ring.push_back(id);
        }
    }

    /// Nothing more is added for this peer; what waits is still sent.
    pub(crate) fn retire(&mut self, id: PipeId) {
        if let Some(pipe) = self.pipes.get_mut(id) {
            pipe.retired = true;
        }
    }

    /// The peer is gone for good. Returns how many messages waited for it.
    pub(crate) fn remove_pipe(&mut self, id: PipeId) -> usize {
        self.pipes.remove(id).messages
    }

    /// The number of accepted messages.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Returns the number of dropped messages.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn count_dropped(&mut self, messages: usize) {
        self.dropped += messages as u64;
    }

    /// Gives a message to the next peer that has room; returns false if there is none.
    #[inline]
    pub(crate) fn dispatch(&mut self, message: &(impl Payload + ?Sized), wakes: &mut Wakes) -> bool {
        while let Some(id) = self.ring.pop_front() {
            self.step();
            let has_room = self.pipes.get(id).is_some_and(|pipe| {
                !pipe.retired && (self.conflate || self.high_water_mark.has_room(pipe.messages, pipe.bytes))
            });
            if has_room {
                self.ring.push_back(id);
                self.accepted += 1;
                self.chosen.clear();
                self.chosen.push(id);
                self.append(message, wakes);
                return true;
            }
            self.pipes.slot(id).in_ring = false;
        }
        false
    }

    /// Publishes a message to the subscribers that it matches and that have room.
    #[inline]
    pub(crate) fn publish(&mut self, message: &(impl Payload + ?Sized), wakes: &mut Wakes) {
        self.accepted += 1;
        self.chosen.clear();
        let Outbox { pipes, accepted, high_water_mark, conflate, chosen, dropped, subscribers, .. } = self;
        subscribers.each_match(message.part(0), |ids| {
            for &id in ids {
                let pipe = pipes.get_mut(id).expect("subscribers have pipes");
                // Several of its prefixes may match.
                if pipe.chosen == *accepted || pipe.retired {
                    continue;
                }
                pipe.chosen = *accepted;
                if *conflate || high_water_mark.has_room(pipe.messages, pipe.bytes) {
                    chosen.push(id);
                } else {
                    *dropped += 1;
                }
            }
        });
        if !self.chosen.is_empty() {
            self.append(message, wakes);
        }
    }

    /// Moves what waits for a peer to what its connection writes, as much as is written at a time. `into` must be empty: what was
    /// taken before is written. If there is nothing, the peer's task is woken by the next message.
    pub(crate) fn take(&mut self, id: PipeId, into: &mut InFlight) {
        let pipe = self.pipes.expect(id);
        pipe.in_flight = 0;
        if pipe.has_open() && pipe.sealed_bytes() < TAKEN {
            self.seal();
        }
        let pipe = self.pipes.expect(id);
        let mut taken = 0;
        while taken < TAKEN || pipe.continues() {
            let Some(segment) = pipe.take() else { break };
            taken += segment.bytes.len();
            pipe.in_flight += segment.messages;
            into.push(segment);
        }
        if taken == 0 {
            pipe.awake = false;
        }
        if !pipe.retired && self.high_water_mark.has_room(pipe.messages, pipe.bytes) {
            self.enter_ring(id);
        }
    }

    /// Returns true if there is room where none was: those who wait for it are to be woken.
    pub(crate) fn is_low(&self, id: PipeId) -> bool {
        self.pipes.get(id).is_some_and(|pipe| self.high_water_mark.is_low(pipe.messages, pipe.bytes))
    }

    /// Returns true if nothing limits a sender, and much waits for each of the peers that the last message was for: a slow one
    /// among them holds nobody back.
    pub(crate) fn is_outrun(&self) -> bool {
        let waiting = self.chosen.iter().filter_map(|&id| self.pipes.get(id)).map(|pipe| pipe.bytes);
        self.high_water_mark.is_none() && waiting.min().is_some_and(|least| least > AHEAD)
    }

    /// Returns the number of messages that wait for a peer.
    pub(crate) fn waiting(&self, id: PipeId) -> usize {
        self.pipes.get(id).map_or(0, |pipe| pipe.messages)
    }
}
