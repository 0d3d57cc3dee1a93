use super::batch::{Batch, Sent};
use super::beats::Beats;
use super::keepalive::{Keepalive, Liveness};
use super::rejected::Continuation;
use super::requests::{Due, Flush, Flushes, Queue, Refusal, Waiting};
use super::writing::WITHOUT_BARRIER_FOR;
use crate::completion::{Completer, Completion};
use crate::dialect::Dialect;
use crate::protocol::{self, Token};
use crate::runner::Runner;
use crate::stomp::{self, Agreed, ReceiptId};
use crate::{Doubt, Error, Event, Link, Options, WhenFull};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;
use switchboard_driver::Deadline;
use switchboard_wire::stomp::Decoder;

/// Bytes of a frame of SEND beside its names, headers and data, at most.
const STOMP_FRAME: usize = 64;

/// The publishing connection: what was published and is not confirmed.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(super) options: Arc<Options>,
    runner: Arc<Runner>,
    pub(super) dialect: Dialect,
    /// Encoded publishes, behind everything else.
    pub(super) filling: Vec<u8>,
    pub(super) messages: u64,
    /// Offset of the last message in `filling`.
    pub(super) last: usize,
    pub(super) spare: Vec<u8>,
    /// Batches to be written again, before `filling`.
    pub(super) again: VecDeque<Batch>,
    pub(super) writing: Option<(Batch, usize)>,
    pub(super) writing_barrier: Option<u64>,
    pub(super) unconfirmed: VecDeque<Sent>,
    pub(super) unconfirmed_bytes: usize,
    pub(super) without_barrier_since: Option<Instant>,
    /// Bytes charged to the buffer's bound.
    pub(super) buffered: usize,
    pub(super) flushes: Flushes,
    pub(super) waiting: Queue,
    /// In doubt, and no flush has reported it.
    pub(super) lost: Doubt,
    /// A refusal that no flush has reported.
    pub(super) refusal: Refusal,
    /// Messages that are not to be sent again.
    pub(super) rejected: BTreeSet<ReceiptId>,
    pub(super) continuation: Continuation,
    pub(super) up: Option<(Token, Keepalive)>,
    pub(super) barriers: u64,
    pub(super) barriers_back: u64,
    pub(super) must_ask: bool,
    pub(super) paused: bool,
    pub(super) wants_probe: bool,
    pub(super) input: Vec<u8>,
    /// The reader of STOMP's frames.
    pub(super) decoder: Option<Decoder>,
    pub(super) beats: Beats,
    /// Progress over a connection whose server promises signs of life: these come from one that pauses us, too.
    pub(super) progress: Option<Keepalive>,
    /// The server has promised signs of life, and sends none.
    pub(super) dead: bool,
    /// Disconnects since a barrier came back.
    pub(super) attempts: u32,
    /// A barrier came back over this connection.
    pub(super) has_confirmed: bool,
    /// Disconnects within the message that is to be written next.
    pub(super) stuck: u32,
    pub(super) asleep: bool,
    /// Something was published, or a flush was asked for: the connection is wanted.
    needed: bool,
    /// The connection goes unless it is needed.
    retiring: bool,
    pub(super) closing: Option<Deadline>,
    pub(super) ended: bool,
    pub(super) due: Due,
}

impl Publisher {
    pub(crate) fn new(options: Arc<Options>, runner: Arc<Runner>) -> Publisher {
        Publisher {
            options,
            runner,
            dialect: Dialect::Native,
            filling: Vec::new(),
            messages: 0,
            last: 0,
            spare: Vec::new(),
            again: VecDeque::new(),
            writing: None,
            writing_barrier: None,
            unconfirmed: VecDeque::new(),
            unconfirmed_bytes: 0,
            without_barrier_since: None,
            buffered: 0,
            flushes: Flushes::default(),
            waiting: Queue::default(),
            lost: Doubt::default(),
            refusal: Refusal::default(),
            rejected: BTreeSet::new(),
            continuation: Continuation::default(),
            up: None,
            barriers: 0,
            barriers_back: 0,
            must_ask: false,
            paused: false,
            wants_probe: false,
            input: Vec::new(),
            decoder: None,
            beats: Beats::default(),
            progress: None,
            dead: false,
            attempts: 0,
            has_confirmed: false,
            stuck: 0,
            asleep: false,
            needed: false,
            retiring: false,
            closing: None,
            ended: false,
            due: Due::default(),
        }
    }

    /// Takes the caller's work, to do without a lock.
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

    /// Returns true if nothing is accepted any more.
    pub(crate) fn is_closing(&self) -> bool {
        self.ended || self.closing.is_some()
    }

    #[cfg(test)]
    pub(super) fn publish(&mut self, channel: &[u8], data: &[u8], now: impl FnOnce() -> Instant) -> Completion<()> {
        self.publish_with(channel, &[], data, now)
    }

    /// Accepts a message if there is room, which is nearly always: so time is asked for only if not. `lines` are header lines
    /// of the dialect's version.
    #[inline]
    pub(crate) fn publish_with(
        &mut self,
        channel: &[u8],
        lines: &[u8],
        data: &[u8],
        now: impl FnOnce() -> Instant,
    ) -> Completion<()> {
        if self.is_closing() {
            return Completion::ready(Err(Error::Closed));
        }
        self.needed = true;
        let size = match self.dialect {
            Dialect::Native => protocol::size(channel, data),
            // At most: the few bytes that escapes and lengths take are not worth counting before.
            Dialect::Stomp(_) => STOMP_FRAME + 2 * channel.len() + lines.len() + data.len(),
        };
        if self.waiting.0.is_empty() && self.has_room(size) {
            self.last = self.filling.len();
            self.dialect.message(channel, lines, data, &mut self.filling);
            self.messages += 1;
            self.buffered += self.filling.len() - self.last;
            return Completion::ready(Ok(()));
        }
        if self.options.when_full == WhenFull::Fail {
            return Completion::ready(Err(Error::Full {
                buffered: self.buffered,
                limit: self.options.buffer,
                option: "buffer",
            }));
        }
        let mut frames = Vec::with_capacity(size);
        self.dialect.message(channel, lines, data, &mut frames);
        self.park(Some(frames), "a publish that waits for room", now())
    }

    fn has_room(&self, size: usize) -> bool {
        self.buffered == 0 || self.buffered + size <= self.options.buffer
    }

    fn park(&mut self, frames: Option<Vec<u8>>, what: &'static str, now: Instant) -> Completion<()> {
        let (buffered, limit) = (self.waiting.0.len(), self.options.waiting);
        if buffered >= limit {
            return Completion::ready(Err(Error::Full { buffered, limit, option: "waiting" }));
        }
        let (mut flush, completion) = self.request(what, now);
        if frames.is_none() {
            flush.doubt = std::mem::take(&mut self.lost);
            flush.refusal = std::mem::take(&mut self.refusal);
        }
        self.waiting.0.push_back(Waiting { frames, flush });
        completion
    }

    fn request(&self, what: &'static str, now: Instant) -> (Flush, Completion<()>) {
        let (completer, completion) = Completer::new(&self.runner);
        let deadline = Deadline::after(now, self.options.timeout);
        (Flush { completer, deadline, what, doubt: Doubt::default(), refusal: Refusal::default() }, completion)
    }

    /// Returns true once if the writer sleeps, and has to be woken.
    #[inline]
    pub(crate) fn takes_wake_up(&mut self) -> bool {
        std::mem::take(&mut self.asleep)
    }

    /// Completes when everything before it is confirmed, except for what is in doubt.
    pub(crate) fn flush(&mut self, what: &'static str, now: Instant) -> Completion<()> {
        if self.is_closing() {
            return Completion::ready(Err(Error::Closed));
        }
        self.needed = true;
        if !self.waiting.0.is_empty() {
            return self.park(None, what, now);
        }
        let (flush, completion) = self.request(what, now);
        let (doubt, refusal) = (std::mem::take(&mut self.lost), std::mem::take(&mut self.refusal));
        self.flushes.push(Flush { doubt, refusal, ..flush });
        completion
    }

    /// Accepts nothing more; done when all that was accepted is confirmed.
    pub(crate) fn close(&mut self, now: Instant) -> Completion<()> {
        let nothing =
            self.buffered == 0 && self.unconfirmed.is_empty() && self.waiting.0.is_empty() && self.refusal.is_none();
        let completion = if nothing && self.lost.messages == 0 && self.closing.is_none() && !self.ended {
            Completion::ready(Ok(()))
        } else {
            self.flush("close", now)
        };
        self.closing.get_or_insert(Deadline::after(now, self.options.timeout));
        completion
    }

    /// Nothing will be sent any more.
    pub(crate) fn end(&mut self, error: &Error) {
        self.ended = true;
        self.flushes.fail(error, &mut self.due);
        let waiting = self.waiting.0.drain(..);
        self.due.completions.extend(waiting.map(|waiting| (waiting.flush.completer, Err(error.clone()))));
    }

    /// The broker has answered on a new connection.
    pub(crate) fn connected(&mut self, token: Token, now: Instant) {
        self.up = Some((token, Keepalive::new(self.options.heartbeat, now)));
        self.due.events.push(Event::Connected(Link::Publisher));
    }

    /// The same over STOMP. All connections of a client are of one version.
    pub(crate) fn connected_by_stomp(&mut self, token: Token, agreed: Agreed, now: Instant) {
        self.dialect = Dialect::Stomp(agreed.version);
        let mut decoder = Decoder::new(stomp::limits(self.options.max_frame));
        decoder.set_version(agreed.version);
        self.decoder = Some(decoder);
        self.beats = Beats::new(agreed, now);
        self.connected(token, now);
        if let (Some((_, keepalive)), Some(silence)) = (&mut self.up, self.beats.silence(self.options.heartbeat)) {
            *keepalive = Keepalive::new(silence, now);
            self.progress = Some(Keepalive::new(self.options.heartbeat, now));
        }
    }

    /// Gives up a connection that was not needed yet; the first publish or flush opens the next one. Returns true if the
    /// writer has to be woken.
    pub(crate) fn retire(&mut self) -> bool {
        self.retiring = !self.needed;
        self.retiring
    }

    /// Returns true if the connection is to be given up now.
    pub(super) fn is_retiring(&self) -> bool {
        self.retiring && !self.needed
    }

    /// It was given up in good order: nothing was on it.
    pub(crate) fn retired(&mut self) {
        self.up = None;
        self.barriers_back = self.barriers;
        self.input.clear();
        (self.beats, self.progress) = (Beats::default(), None);
        self.continuation = Continuation::Sure;
        (self.must_ask, self.paused, self.wants_probe, self.retiring) = (false, false, false, false);
    }

    pub(crate) fn is_needed(&self) -> bool {
        self.needed
    }

    /// Accepts publishes that wait, once half of the buffer is free.
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
                    self.last = self.filling.len();
                    self.filling.extend_from_slice(&frames);
                    self.messages += 1;
                    self.buffered += frames.len();
                    self.due.completions.push((flush.completer, Ok(())));
                }
                None => self.flushes.push(flush),
            }
        }
    }

    pub(crate) fn timeout(&self) -> Deadline {
        let keepalive = self.up.as_ref().map(|(_, keepalive)| keepalive.due());
        let unmarked = self
            .without_barrier_since
            .filter(|_| self.barriers == self.barriers_back && self.writing.is_none())
            .map(|since| Deadline::after(since, WITHOUT_BARRIER_FOR));
        [
            keepalive,
            unmarked,
            self.beats.due().filter(|_| self.writing.is_none()),
            self.progress.filter(|_| self.waits() && !self.paused).map(|progress| progress.due()),
            self.flushes.deadline(),
            self.waiting.deadline(),
            self.closing,
        ]
        .into_iter()
        .flatten()
        .fold(Deadline::NEVER, Deadline::earlier)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let after = self.options.timeout;
        self.flushes.expire(now, after, &mut self.due);
        self.waiting.expire(now, after, &mut self.due);
        if self.closing.is_some_and(|deadline| deadline.has_passed(now)) {
            self.end(&Error::Closed);
        }
        let waiting = self.waits();
        match self.up.as_mut().map(|(_, keepalive)| keepalive.poll(now, waiting)) {
            Some(Liveness::Check) => self.must_ask = true,
            // One that has promised signs of life sends them however long it does not read.
            Some(Liveness::Silent) if self.beats.expects() => self.dead = true,
            Some(Liveness::Silent) => self.wants_probe = true,
            Some(Liveness::Alive) | None => {}
        }
        let stands = self.progress.as_mut().map(|progress| progress.poll(now, waiting));
        if stands == Some(Liveness::Silent) {
            self.pause();
        }
    }

    /// Returns true if the broker has not taken or not confirmed something.
    fn waits(&self) -> bool {
        self.barriers > self.barriers_back || self.writing.is_some()
    }

    /// The broker lives, and takes nothing.
    fn pause(&mut self) {
        if !std::mem::replace(&mut self.paused, true) {
            self.due.events.push(Event::Paused);
        }
    }

    /// Returns true once if another connection is to probe the broker. A broker may pause a publisher for as
    /// long as it likes, and answers nothing meanwhile: silence alone proves nothing.
    pub(crate) fn takes_probe(&mut self) -> bool {
        std::mem::take(&mut self.wants_probe)
    }

    /// Returns true if the server has been silent for longer than it has promised.
    pub(crate) fn is_dead(&self) -> bool {
        self.dead
    }

    /// Another connection was answered.
    pub(crate) fn probe_ok(&mut self, now: Instant) {
        if let Some((_, keepalive)) = &mut self.up {
            keepalive.heard(now);
            self.pause();
        }
    }

    pub(crate) fn note(&mut self, event: Event) {
        self.due.events.push(event);
    }
}
