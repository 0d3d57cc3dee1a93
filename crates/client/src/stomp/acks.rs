//! Acks of one subscription, from the program to its connection.

use crate::Error;
use crate::completion::{Completer, Completion};
use crate::protocol::Token;
use crate::runner::Runner;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use switchboard_driver::Deadline;
use switchboard_wire::stomp::{FrameWriter, Version};
use tokio::sync::Notify;

/// Outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Acked,
    /// Tried without success: again, or to the dead letters.
    Nacked {
        requeue: bool,
    },
}

/// The program's side and the connection's side of a subscription with acks. Connections are counted: a message that came over
/// an earlier one cannot be settled any more, for it comes again.
#[derive(Debug)]
pub(crate) struct Acks {
    state: Mutex<State>,
    pub(crate) changed: Notify,
    runner: Arc<Runner>,
    timeout: Duration,
}

#[derive(Debug)]
struct State {
    /// The number of the connection that is up; 0 if there is none.
    connection: u64,
    connections: u64,
    version: Version,
    frames: Vec<u8>,
    /// Given to the program, and neither settled nor dropped.
    outstanding: u64,
    /// No message is given out any more.
    draining: bool,
    /// Settled, and not confirmed yet.
    unconfirmed: u64,
    /// Settled on connections that broke before they had confirmed it.
    lost: u64,
    wanted: VecDeque<Flush>,
    asked: VecDeque<(u64, u64, Vec<Flush>)>,
}

#[derive(Debug)]
struct Flush {
    completer: Completer<()>,
    deadline: Deadline,
}

impl Acks {
    pub(crate) fn new(runner: Arc<Runner>, timeout: Duration) -> Acks {
        let state = State {
            connection: 0,
            connections: 0,
            version: Version::V1_2,
            frames: Vec::new(),
            outstanding: 0,
            draining: false,
            unconfirmed: 0,
            lost: 0,
            wanted: VecDeque::new(),
            asked: VecDeque::new(),
        };
        Acks { state: Mutex::new(state), changed: Notify::new(), runner, timeout }
    }

    /// A new connection; its number.
    pub(crate) fn connected(&self, version: Version) -> u64 {
        let mut state = self.state.lock();
        state.connections += 1;
        (state.connection, state.version) = (state.connections, version);
        state.connection
    }

    /// Unsettled messages of the connection come again.
    pub(crate) fn disconnected(&self) {
        let mut state = self.state.lock();
        state.connection = 0;
        state.outstanding = 0;
        state.frames = Vec::new();
        let unconfirmed = std::mem::take(&mut state.unconfirmed);
        let asked: Vec<Flush> = state.asked.drain(..).flat_map(|(_, _, flushes)| flushes).collect();
        let flushes: Vec<Flush> = asked.into_iter().chain(state.wanted.drain(..)).collect();
        if flushes.is_empty() {
            state.lost += unconfirmed;
        }
        let lost = unconfirmed + if flushes.is_empty() { 0 } else { std::mem::take(&mut state.lost) };
        drop(state);
        for flush in flushes {
            flush.completer.complete(if lost > 0 { Err(Error::Unsettled { messages: lost }) } else { Ok(()) });
        }
    }

    /// Gives a message to the program; false if it comes again over another connection.
    pub(crate) fn take(&self, connection: u64) -> bool {
        let mut state = self.state.lock();
        let is_due = state.connection == connection && !state.draining;
        state.outstanding += u64::from(is_due);
        is_due
    }

    /// The message that was given out on `connection` is settled, with the frame that `write` makes, which returns false if it
    /// was settled already.
    pub(crate) fn settle(
        &self,
        connection: u64,
        write: impl FnOnce(Version, &mut Vec<u8>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.connection != connection {
            return Err(Error::Stale);
        }
        let version = state.version;
        if !write(version, &mut state.frames)? {
            return Ok(());
        }
        state.unconfirmed += 1;
        state.outstanding = state.outstanding.saturating_sub(1);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The program has dropped a message without settling it.
    pub(crate) fn release(&self, connection: u64) {
        let mut state = self.state.lock();
        if state.connection == connection {
            state.outstanding = state.outstanding.saturating_sub(1);
            drop(state);
            self.changed.notify_one();
        }
    }

    pub(crate) fn drain(&self) {
        self.state.lock().draining = true;
        self.changed.notify_one();
    }

    /// Returns true if the program has nothing left to settle.
    pub(crate) fn is_settled(&self) -> bool {
        self.state.lock().outstanding == 0
    }

    /// Completes when the broker has dealt with every ack so far.
    pub(crate) fn flush(&self, now: Instant) -> Completion<()> {
        let mut state = self.state.lock();
        if state.unconfirmed == 0 || state.connection == 0 {
            let lost = std::mem::take(&mut state.lost);
            return Completion::ready(if lost > 0 { Err(Error::Unsettled { messages: lost }) } else { Ok(()) });
        }
        let (completer, completion) = Completer::new(&self.runner);
        state.wanted.push_back(Flush { completer, deadline: Deadline::after(now, self.timeout) });
        drop(state);
        self.changed.notify_one();
        completion
    }

    /// Moves what is to be written to `out`, with a barrier behind it if somebody waits for one.
    pub(crate) fn write(&self, token: Token, asked: &mut u64, out: &mut Vec<u8>) {
        self.state.lock().write(token, asked, out);
    }

    /// The same before a frame that asks for a receipt. Returns the number of that receipt, which confirms the acks, too.
    pub(crate) fn write_before_receipt(&self, token: Token, asked: &mut u64, out: &mut Vec<u8>) -> u64 {
        let mut state = self.state.lock();
        state.write(token, asked, out);
        *asked += 1;
        let unconfirmed = state.unconfirmed;
        state.asked.push_back((*asked, unconfirmed, Vec::new()));
        *asked
    }

    pub(crate) fn confirm(&self, number: u64) {
        let mut done = Vec::new();
        let mut state = self.state.lock();
        while state.asked.front().is_some_and(|(asked, ..)| *asked <= number) {
            let Some((_, confirmed, flushes)) = state.asked.pop_front() else { break };
            state.unconfirmed = state.unconfirmed.saturating_sub(confirmed);
            for (_, before, _) in &mut state.asked {
                *before = before.saturating_sub(confirmed);
            }
            // Flushes that were late have not reported it: the next one does.
            let lost = if flushes.is_empty() { 0 } else { std::mem::take(&mut state.lost) };
            done.extend(flushes.into_iter().map(|flush| (flush, lost)));
        }
        drop(state);
        for (flush, lost) in done {
            flush.completer.complete(if lost > 0 { Err(Error::Unsettled { messages: lost }) } else { Ok(()) });
        }
    }

    /// The server has not taken an ack: the next flush says so.
    pub(crate) fn refused(&self) {
        self.state.lock().lost += 1;
    }

    /// The time at which the first flush is late.
    pub(crate) fn deadline(&self) -> Deadline {
        let state = self.state.lock();
        let asked = state.asked.iter().flat_map(|(_, _, flushes)| flushes).next();
        asked.or(state.wanted.front()).map_or(Deadline::NEVER, |flush| flush.deadline)
    }

    pub(crate) fn expire(&self, now: Instant) {
        let mut late = Vec::new();
        let mut state = self.state.lock();
        let State { wanted, asked, .. } = &mut *state;
        for (_, _, flushes) in asked.iter_mut() {
            late.extend(flushes.extract_if(.., |flush| flush.deadline.has_passed(now)));
        }
        while wanted.front().is_some_and(|flush| flush.deadline.has_passed(now)) {
            late.extend(wanted.pop_front());
        }
        drop(state);
        for flush in late {
            flush.completer.complete(Err(Error::TimedOut { what: "flush", after: self.timeout, option: "timeout" }));
        }
    }
}

impl State {
    fn write(&mut self, token: Token, asked: &mut u64, out: &mut Vec<u8>) {
        out.append(&mut self.frames);
        if !self.wanted.is_empty() {
            *asked += 1;
            let flushes = self.wanted.drain(..).collect();
            self.asked.push_back((*asked, self.unconfirmed, flushes));
            super::barrier(token, *asked, self.version, out);
        }
    }
}

impl Settled {
    pub(crate) fn frame(self, version: Version, out: &mut Vec<u8>) -> Result<FrameWriter<'_>, Error> {
        let nacks = matches!(self, Settled::Nacked { .. });
        if nacks && version == Version::V1_0 {
            return Err(Error::Unsupported { what: "a nack", protocol: "STOMP 1.0" });
        }
        let frame = FrameWriter::new(if nacks { b"NACK" } else { b"ACK" }, version, out);
        Ok(match self {
            Settled::Nacked { requeue: false } => frame.header(b"requeue", b"false"),
            Settled::Nacked { requeue: true } | Settled::Acked => frame,
        })
    }
}
