use super::batch::{Batch, Sent};
use super::pulse::{Feel, Pulse};
use super::requests::{Due, Flush, Flushes, Queue, Waiting};
use super::writing::UNMARKED_FOR;
use crate::clock::later;
use crate::protocol::{self, Token};
use crate::reply::{Promise, Reply};
use crate::{Doubt, Error, Event, Link, Options, WhenFull};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// The publishing connection: what was published and is not confirmed.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(super) options: Arc<Options>,
    /// Where publishes are encoded to, behind everything else.
    pub(super) filling: Vec<u8>,
    pub(super) messages: u64,
    pub(super) spare: Vec<u8>,
    /// What a cut has brought back, to be written before `filling`.
    pub(super) again: VecDeque<Batch>,
    pub(super) writing: Option<(Batch, usize)>,
    pub(super) writing_mark: Option<u64>,
    pub(super) unconfirmed: VecDeque<Sent>,
    pub(super) unconfirmed_bytes: usize,
    pub(super) unmarked_since: Option<Instant>,
    /// What counts against the buffer's bound.
    pub(super) buffered: usize,
    pub(super) flushes: Flushes,
    pub(super) waiting: Queue,
    /// In doubt, and no flush was told.
    pub(super) lost: Doubt,
    pub(super) up: Option<(Token, Pulse)>,
    pub(super) marks: u64,
    pub(super) marks_back: u64,
    pub(super) must_ask: bool,
    pub(super) held: bool,
    pub(super) suspects: bool,
    pub(super) input: Vec<u8>,
    /// Cuts since a mark came back.
    pub(super) attempts: u32,
    pub(super) asleep: bool,
    pub(super) closing: Option<Instant>,
    pub(super) ended: bool,
    pub(super) due: Due,
}

impl Publisher {
    pub(crate) fn new(options: Arc<Options>) -> Publisher {
        Publisher {
            options,
            filling: Vec::new(),
            messages: 0,
            spare: Vec::new(),
            again: VecDeque::new(),
            writing: None,
            writing_mark: None,
            unconfirmed: VecDeque::new(),
            unconfirmed_bytes: 0,
            unmarked_since: None,
            buffered: 0,
            flushes: Flushes::default(),
            waiting: Queue::default(),
            lost: Doubt::default(),
            up: None,
            marks: 0,
            marks_back: 0,
            must_ask: false,
            held: false,
            suspects: false,
            input: Vec::new(),
            attempts: 0,
            asleep: false,
            closing: None,
            ended: false,
            due: Due::default(),
        }
    }

    /// What the outside has to do now, without a lock.
    pub(crate) fn take_due(&mut self) -> Due {
        std::mem::take(&mut self.due)
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    #[cfg(test)]
    pub(super) fn buffered_bytes(&self) -> usize {
        self.buffered
    }

    /// Whether nothing is accepted any more.
    pub(crate) fn is_closing(&self) -> bool {
        self.ended || self.closing.is_some()
    }

    /// Accepts a message if there is room, which is nearly always: so time is asked for only if not.
    #[inline]
    pub(crate) fn publish(&mut self, channel: &[u8], data: &[u8], now: impl FnOnce() -> Instant) -> Reply<()> {
        if self.is_closing() {
            return Reply::known(Err(Error::Closed));
        }
        let size = protocol::size(channel, data);
        if self.waiting.0.is_empty() && self.has_room(size) {
            protocol::message(channel, data, &mut self.filling);
            self.messages += 1;
            self.buffered += size;
            return Reply::known(Ok(()));
        }
        if self.options.when_full == WhenFull::Fail {
            return Reply::known(Err(Error::Full {
                buffered: self.buffered,
                limit: self.options.buffer,
                option: "buffer",
            }));
        }
        let mut frames = Vec::with_capacity(size);
        protocol::message(channel, data, &mut frames);
        self.park(Some(frames), "a publish that waits for room", now())
    }

    fn has_room(&self, size: usize) -> bool {
        self.buffered == 0 || self.buffered + size <= self.options.buffer
    }

    fn park(&mut self, frames: Option<Vec<u8>>, what: &'static str, now: Instant) -> Reply<()> {
        let (buffered, limit) = (self.waiting.0.len(), self.options.waiting);
        if buffered >= limit {
            return Reply::known(Err(Error::Full { buffered, limit, option: "waiting" }));
        }
        let (mut flush, reply) = self.request(what, now);
        if frames.is_none() {
            flush.doubt = std::mem::take(&mut self.lost);
        }
        self.waiting.0.push_back(Waiting { frames, flush });
        reply
    }

    fn request(&self, what: &'static str, now: Instant) -> (Flush, Reply<()>) {
        let (promise, reply) = Promise::new();
        (Flush { promise, deadline: later(now, self.options.timeout), what, doubt: Doubt::default() }, reply)
    }

    /// Whether the writer sleeps, and has to be woken; it is told once.
    #[inline]
    pub(crate) fn takes_wake_up(&mut self) -> bool {
        std::mem::take(&mut self.asleep)
    }

    /// Done when everything before it is confirmed, but for what is in doubt.
    pub(crate) fn flush(&mut self, what: &'static str, now: Instant) -> Reply<()> {
        if self.is_closing() {
            return Reply::known(Err(Error::Closed));
        }
        if !self.waiting.0.is_empty() {
            return self.park(None, what, now);
        }
        let (flush, reply) = self.request(what, now);
        self.flushes.push(Flush { doubt: std::mem::take(&mut self.lost), ..flush });
        reply
    }

    /// Accepts nothing more; done when all that was accepted is confirmed.
    pub(crate) fn close(&mut self, now: Instant) -> Reply<()> {
        let nothing = self.buffered == 0 && self.unconfirmed.is_empty() && self.waiting.0.is_empty();
        let reply = if nothing && self.lost.messages == 0 && self.closing.is_none() && !self.ended {
            Reply::known(Ok(()))
        } else {
            self.flush("close", now)
        };
        self.closing.get_or_insert(later(now, self.options.timeout));
        reply
    }

    /// Nothing will be sent any more.
    pub(crate) fn end(&mut self, error: &Error) {
        self.ended = true;
        self.flushes.fail(error, &mut self.due);
        let waiting = self.waiting.0.drain(..);
        self.due.replies.extend(waiting.map(|waiting| (waiting.flush.promise, Err(error.clone()))));
    }

    /// The broker has answered on a new connection.
    pub(crate) fn connected(&mut self, token: Token, now: Instant) {
        self.up = Some((token, Pulse::new(self.options.heartbeat, now)));
        self.due.events.push(Event::Connected(Link::Publisher));
    }

    /// Lets in those who wait, once half of the buffer is free.
    pub(super) fn admit(&mut self) {
        if self.buffered > self.options.buffer / 2 {
            return;
        }
        while let Some(first) = self.waiting.0.front() {
            if !self.has_room(first.frames.as_ref().map_or(0, Vec::len)) {
                return;
            }
            let Some(Waiting { frames, flush }) = self.waiting.0.pop_front() else { return };
            match frames {
                Some(frames) => {
                    self.filling.extend_from_slice(&frames);
                    self.messages += 1;
                    self.buffered += frames.len();
                    self.due.replies.push((flush.promise, Ok(())));
                }
                None => self.flushes.push(flush),
            }
        }
    }

    pub(crate) fn timeout(&self) -> Option<Instant> {
        let pulse = self.up.as_ref().map(|(_, pulse)| pulse.due());
        let unmarked = self
            .unmarked_since
            .filter(|_| self.marks == self.marks_back && self.writing.is_none())
            .map(|since| since + UNMARKED_FOR);
        [pulse, unmarked, self.flushes.deadline(), self.waiting.deadline(), self.closing].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let after = self.options.timeout;
        self.flushes.expire(now, after, &mut self.due);
        self.waiting.expire(now, after, &mut self.due);
        if self.closing.is_some_and(|deadline| deadline <= now) {
            self.end(&Error::Closed);
        }
        let waiting = self.marks > self.marks_back || self.writing.is_some();
        match self.up.as_mut().map(|(_, pulse)| pulse.feel(now, waiting)) {
            Some(Feel::Ask) => self.must_ask = true,
            Some(Feel::Silent) => self.suspects = true,
            Some(Feel::Well) | None => {}
        }
    }

    /// Whether somebody is to find out if the broker is there. A broker may hold a publisher for as
    /// long as it likes, and answers nothing meanwhile: silence alone proves nothing.
    pub(crate) fn takes_suspicion(&mut self) -> bool {
        std::mem::take(&mut self.suspects)
    }

    /// Another connection was answered.
    pub(crate) fn vouched(&mut self, now: Instant) {
        if let Some((_, pulse)) = &mut self.up {
            pulse.heard(now);
            if !std::mem::replace(&mut self.held, true) {
                self.due.events.push(Event::Held);
            }
        }
    }

    pub(crate) fn note(&mut self, event: Event) {
        self.due.events.push(event);
    }
}
