//! A publisher's output, and what becomes of it when it is written.

use super::Publisher;
use super::batch::{Batch, Sent};
use super::rejected::Continuation;
use crate::dialect::Dialect;
use crate::options::Receipts;
use crate::protocol::Token;
use crate::stomp;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most bytes, and the longest time, without a barrier behind what was written: a disconnect puts these in doubt.
/// Less would cost the broker more answers than it saves messages.
const WITHOUT_BARRIER: usize = 256 << 10;
pub(super) const WITHOUT_BARRIER_FOR: Duration = Duration::from_millis(100);
/// An idle client keeps no buffer larger than this.
const SPARE: usize = 64 << 10;

/// The writer's next step.
#[derive(Debug)]
pub(crate) enum Step {
    /// Write this range of the bytes; then say how many were written.
    Write(Arc<Vec<u8>>, Range<usize>),
    /// Write a line end, which says that we live; then say so.
    Beat,
    /// Nothing: it will be woken.
    Sleep,
    /// All that was accepted is confirmed, or was given up: end the session.
    Finish,
    /// The connection is not needed yet: end its session, without an event.
    Retire,
}

impl Publisher {
    /// Returns true if it was closed, and every operation is complete.
    pub(crate) fn is_finished(&self) -> bool {
        self.closing.is_some() && self.flushes.is_empty() && self.waiting.0.is_empty()
    }

    /// There is no connection: the next operation wakes the task that makes it.
    pub(crate) fn rest(&mut self) {
        self.asleep = true;
    }

    pub(crate) fn step(&mut self, now: Instant) -> Step {
        if self.is_finished() {
            return Step::Finish;
        }
        if self.is_retiring() {
            return Step::Retire;
        }
        if self.writing.is_none() {
            self.fetch(now);
            self.progress.iter_mut().filter(|_| self.writing.is_some()).for_each(|progress| progress.heard(now));
        }
        match &self.writing {
            Some((batch, written)) => Step::Write(batch.bytes.clone(), *written..self.writing_end(batch)),
            None if self.beats.is_due(now) => {
                self.beats.begin();
                Step::Beat
            }
            None => {
                self.asleep = true;
                if self.spare.capacity() > SPARE {
                    self.spare = Vec::new();
                }
                Step::Sleep
            }
        }
    }

    /// Excludes another connection's barrier, behind a batch that a disconnect brought back.
    fn writing_end(&self, batch: &Batch) -> usize {
        if self.writing_barrier.is_some() { batch.bytes.len() } else { batch.end }
    }

    /// Takes what is to be written next.
    fn fetch(&mut self, now: Instant) {
        let Some((token, _)) = self.up else { return };
        self.writing_barrier = None;
        if self.continuation != Continuation::Sure {
            return self.ask_for_continuation(token);
        }
        if let Some(batch) = self.again.pop_front() {
            let start = batch.start;
            self.writing = Some((batch, start));
            return;
        }
        if self.is_marked() {
            self.flushes.barrier(self.barriers);
        }
        let asks = self.wants_barrier(now);
        if self.filling.is_empty() && !asks {
            return;
        }
        let marks = asks && !self.filling.is_empty() && matches!(self.dialect, Dialect::Stomp(_));
        let mut bytes = std::mem::replace(&mut self.filling, std::mem::take(&mut self.spare));
        if let (true, Dialect::Stomp(version)) = (marks, self.dialect) {
            self.buffered += match self.options.receipts {
                Receipts::Write => stomp::mark(token, self.barriers + 1, self.last, &mut bytes),
                Receipts::Message => {
                    let marked = stomp::mark_each(token, self.barriers + 1, version, &bytes);
                    let more = marked.len() - bytes.len();
                    bytes = marked;
                    more
                }
            };
        }
        let batch_end = bytes.len();
        if asks {
            self.must_ask = false;
            self.without_barrier_since = None;
            self.barriers += 1;
            self.writing_barrier = Some(self.barriers);
            self.flushes.barrier(self.barriers);
            if !marks {
                self.dialect.barrier(token, self.barriers, &mut bytes);
            }
        }
        let messages = std::mem::take(&mut self.messages);
        let batch = Batch { dialect: self.dialect, bytes: Arc::new(bytes), start: 0, end: batch_end, messages };
        self.writing = Some((batch, 0));
    }

    /// Asks by a barrier alone, once, whether the session goes on.
    fn ask_for_continuation(&mut self, token: Token) {
        if self.continuation != Continuation::Unsure {
            return;
        }
        self.barriers += 1;
        self.continuation = Continuation::Asked(self.barriers);
        self.writing_barrier = Some(self.barriers);
        let mut bytes = Vec::new();
        self.dialect.barrier(token, self.barriers, &mut bytes);
        // No flush waits for it: messages before them may be held back.
        self.writing =
            Some((Batch { dialect: self.dialect, bytes: Arc::new(bytes), start: 0, end: 0, messages: 0 }, 0));
    }

    /// Returns true if flushes need no barrier of their own: the last message has one, which is not back.
    fn is_marked(&self) -> bool {
        matches!(self.dialect, Dialect::Stomp(_))
            && self.filling.is_empty()
            && self.barriers > self.barriers_back
            && self.unconfirmed.back().is_some_and(|sent| sent.barrier == Some(self.barriers))
    }

    fn wants_barrier(&self, now: Instant) -> bool {
        let bound = WITHOUT_BARRIER.min(self.options.buffer / 4);
        // Every write of STOMP has a receipt: then a flush has one already, and little is in doubt.
        matches!(self.dialect, Dialect::Stomp(_)) && !self.filling.is_empty()
            || self.flushes.wants_barrier()
            || self.must_ask
            || self.barriers == self.barriers_back
                && (self.unconfirmed_bytes + self.filling.len() >= bound.max(1)
                    || self.without_barrier_since.is_some_and(|since| since + WITHOUT_BARRIER_FOR <= now))
    }

    /// The socket has taken a line end.
    pub(crate) fn beat_written(&mut self, now: Instant) {
        self.beats.sent(now);
    }

    /// The socket has taken this many bytes of the step.
    pub(crate) fn written(&mut self, bytes: usize, now: Instant) {
        if let Some((_, keepalive)) = &mut self.up {
            keepalive.heard(now);
        }
        self.progress.iter_mut().for_each(|progress| progress.heard(now));
        self.beats.sent(now);
        let Some((batch, written)) = self.writing.take() else { return };
        if written + bytes < self.writing_end(&batch) {
            self.writing = Some((batch, written + bytes));
            return;
        }
        self.sent(batch, now);
        self.admit();
    }

    fn sent(&mut self, batch: Batch, now: Instant) {
        let keeps = self.options.resend > 0;
        let doubt = batch.doubt();
        self.unconfirmed_bytes += batch.size();
        if !keeps {
            self.buffered -= batch.size();
        }
        if self.writing_barrier.is_none() && doubt.messages > 0 {
            self.without_barrier_since.get_or_insert(now);
        }
        let again = if keeps {
            Some(batch)
        } else {
            // The buffer is used again, unless a disconnect has split it.
            if let Ok(mut spare) = Arc::try_unwrap(batch.bytes)
                && spare.capacity() <= self.options.buffer.saturating_mul(2).max(SPARE)
            {
                spare.clear();
                self.spare = spare;
            }
            None
        };
        self.unconfirmed.push_back(Sent { doubt, again, barrier: self.writing_barrier.take() });
    }
}
