//! What is to be sent: a pipe for each peer, and one open buffer that they share.
//!
//! A message is encoded once, at the end of the open buffer, and a pipe that gets it remembers the range. So a message costs a
//! subscriber an addition, not a copy. When a peer's task takes what its pipe has, the buffer is sealed: it cannot
//! change any more, and all pipes keep their part of it.

mod pipe;
mod segment;
mod subscribers;
#[cfg(test)]
mod tests;

pub(crate) use segment::{InFlight, Segment};
pub(crate) use subscribers::TooManySubscriptions;

use crate::options::Bound;
use crate::payload::sealed::Payload;
use crate::prefixes::Prefixes;
use crate::wait::Waiters;
use bytes::{BufMut, BytesMut};
use pipe::Pipe;
use std::sync::Arc;
use switchboard_wire::zmtp::frame;
use tokio::sync::Notify;

/// The open buffer is sealed when it has so many bytes.
const BUFFER: usize = 64 << 10;
/// A part of so many bytes is not copied into the buffer if it can be shared.
const LARGE: usize = 16 << 10;
/// So many bytes are taken at a time, or one message.
const TAKEN: usize = 256 << 10;

/// Which of a socket's pipes.
pub(crate) type PipeId = usize;

#[derive(Debug)]
pub(crate) struct Outbox {
    open: BytesMut,
    pipes: Vec<Option<Pipe>>,
    /// Whose turn it is.
    next: PipeId,
    bound: Bound,
    conflate: bool,
    subscribers: Prefixes<Vec<PipeId>>,
    /// How many messages were accepted.
    number: u64,
    chosen: Vec<PipeId>,
    dropped: u64,
    pub(crate) waiters: Waiters,
    /// The runtime is gone.
    pub(crate) ended: bool,
}

/// Whom to wake when the lock is released.
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
    pub(crate) fn new(bound: Bound, conflate: bool) -> Outbox {
        Outbox {
            open: BytesMut::new(),
            pipes: Vec::new(),
            next: 0,
            bound,
            conflate,
            subscribers: Prefixes::default(),
            number: 0,
            chosen: Vec::new(),
            dropped: 0,
            waiters: Waiters::default(),
            ended: false,
        }
    }

    /// A pipe for a new peer. Who waits for one is to be woken.
    pub(crate) fn add_pipe(&mut self, wake: Arc<Notify>) -> PipeId {
        let id = self.pipes.iter().position(Option::is_none).unwrap_or(self.pipes.len());
        if id == self.pipes.len() {
            self.pipes.push(None);
        }
        self.pipes[id] = Some(Pipe::new(wake));
        id
    }

    /// Nothing more is added for this peer; what waits is still sent.
    pub(crate) fn retire(&mut self, id: PipeId) {
        if let Some(pipe) = &mut self.pipes[id] {
            pipe.retired = true;
        }
    }

    /// The peer is gone for good. Says how many messages waited for it.
    pub(crate) fn remove_pipe(&mut self, id: PipeId) -> usize {
        let pipe = self.pipes[id].take().expect("a pipe is removed once, by its peer");
        pipe.messages
    }

    /// How many messages were accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.number
    }

    /// How many messages were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn count_dropped(&mut self, messages: usize) {
        self.dropped += messages as u64;
    }

    /// Deals a message to the next peer that has room; `false` if there is none.
    #[inline]
    pub(crate) fn deal(&mut self, message: &(impl Payload + ?Sized), wakes: &mut Wakes) -> bool {
        let count = self.pipes.len();
        let (bound, conflate) = (self.bound, self.conflate);
        for step in 0..count {
            let id = self.next + step;
            let id = if id < count { id } else { id - count };
            if let Some(pipe) = &self.pipes[id]
                && !pipe.retired
                && (conflate || bound.has_room(pipe.messages, pipe.bytes))
            {
                self.number += 1;
                self.next = if id + 1 < count { id + 1 } else { 0 };
                self.chosen.clear();
                self.chosen.push(id);
                self.append(message, wakes);
                return true;
            }
        }
        false
    }

    /// Publishes a message to whom it matches and who has room.
    #[inline]
    pub(crate) fn publish(&mut self, message: &(impl Payload + ?Sized), wakes: &mut Wakes) {
        self.number += 1;
        self.chosen.clear();
        let Outbox { pipes, number, bound, conflate, chosen, dropped, subscribers, .. } = self;
        subscribers.each_match(message.part(0), |ids| {
            for &id in ids {
                let pipe = pipes[id].as_mut().expect("subscribers have pipes");
                // Several of its prefixes may match.
                if pipe.chosen == *number || pipe.retired {
                    continue;
                }
                pipe.chosen = *number;
                if *conflate || bound.has_room(pipe.messages, pipe.bytes) {
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

    /// To those that were chosen.
    #[inline]
    fn append(&mut self, message: &(impl Payload + ?Sized), wakes: &mut Wakes) {
        let parts = message.parts();
        if (0..parts).any(|number| message.part(number).len() >= LARGE) {
            return self.append_large(message, wakes);
        }
        let size: usize = (0..parts).map(|number| frame::size(message.part(number).len())).sum();
        if self.open.len() + size > BUFFER {
            self.seal();
        }
        if self.open.capacity() - self.open.len() < size {
            self.open.reserve(BUFFER.max(size));
        }
        let start = self.open.len();
        for number in 0..parts {
            let part = message.part(number);
            let (header, size) = frame::header_bytes(part.len(), number + 1 < parts);
            self.open.put_slice(&header[..size]);
            self.open.put_slice(part);
        }
        let range = start..self.open.len();
        for &id in &self.chosen {
            let pipe = self.pipes[id].as_mut().expect("a pipe that was chosen");
            if self.conflate {
                pipe.clear();
            }
            pipe.add_open(range.clone());
            rouse(pipe, wakes);
        }
    }

    /// Long parts are segments of their own.
    #[cold]
    fn append_large(&mut self, message: &(impl Payload + ?Sized), wakes: &mut Wakes) {
        self.seal();
        let mut segments = Vec::new();
        let mut small = BytesMut::new();
        let parts = message.parts();
        let mut push = |bytes: bytes::Bytes| {
            let first = segments.is_empty();
            let segment = Segment { bytes, messages: usize::from(first), continues: !first, command: false };
            segments.push(segment);
        };
        for number in 0..parts {
            let part = message.part(number);
            let (header, size) = frame::header_bytes(part.len(), number + 1 < parts);
            small.put_slice(&header[..size]);
            if part.len() < LARGE {
                small.put_slice(part);
                continue;
            }
            push(small.split().freeze());
            push(message.shared(number).unwrap_or_else(|| bytes::Bytes::copy_from_slice(part)));
        }
        if !small.is_empty() {
            push(small.freeze());
        }
        for &id in &self.chosen {
            let pipe = self.pipes[id].as_mut().expect("a pipe that was chosen");
            if self.conflate {
                pipe.clear();
            }
            pipe.add_segments(&segments);
            rouse(pipe, wakes);
        }
    }

    fn seal(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let buffer = self.open.split().freeze();
        let mut last = None;
        for pipe in self.pipes.iter_mut().flatten() {
            pipe.seal(&buffer, &mut last);
        }
    }

    /// Moves what waits for a peer to what its connection writes, as much as is written at a time. If that is nothing, the
    /// peer's task is woken by the next message.
    pub(crate) fn take(&mut self, id: PipeId, into: &mut InFlight) {
        let pipe = self.pipes[id].as_ref().expect("the pipe of a peer");
        if pipe.has_open() && pipe.sealed_bytes() < TAKEN {
            self.seal();
        }
        let pipe = self.pipes[id].as_mut().expect("the pipe of a peer");
        let mut taken = 0;
        while taken < TAKEN || pipe.continues() {
            let Some(segment) = pipe.take() else { break };
            taken += segment.bytes.len();
            into.push(segment);
        }
        if taken == 0 {
            pipe.awake = false;
        }
    }

    /// Whether there is room where none was: who waits for it is to be woken.
    pub(crate) fn is_low(&self, id: PipeId) -> bool {
        self.pipes[id].as_ref().is_some_and(|pipe| self.bound.is_low(pipe.messages, pipe.bytes))
    }

    /// How many messages wait for a peer.
    pub(crate) fn waiting(&self, id: PipeId) -> usize {
        self.pipes[id].as_ref().map_or(0, |pipe| pipe.messages)
    }
}

#[inline]
fn rouse(pipe: &mut Pipe, wakes: &mut Wakes) {
    if !pipe.awake {
        pipe.awake = true;
        wakes.0.push(pipe.wake.clone());
    }
}
