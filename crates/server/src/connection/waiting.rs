//! When a connection's task has to look again though nothing has come.

use super::ending::Ending;
use super::{COMMANDS, Connection};
use crate::handle::CloseMode;
use crate::slice::Slice;
use crate::stomp::{self, Beat, Entry};
use std::time::Duration;
use switchboard_broker::{CloseReason, Command};
use tokio::io::Interest;
use tokio::time::Instant;

/// Interval of asking the kernel what was acknowledged, while the broker may wait for it.
const SOON: Duration = Duration::from_millis(1);
pub(super) const LATER: Duration = Duration::from_millis(64);

impl Connection<'_> {
    /// Sends a heart-beat if one is due, and gives when to look again; an error if the peer is dead.
    pub(super) fn beats(&mut self, reads: bool) -> Result<Option<Instant>, ()> {
        let (handle, now) = (self.handle, std::time::Instant::now());
        // One that has ended its session owes no more signs of life, and still gets its receipts.
        let is_over = self.session.is_ended();
        let Some(heartbeat) = self.session.stomp().and_then(|session| session.heartbeat()) else { return Ok(None) };
        loop {
            match heartbeat.poll(now, handle.stomp_written()) {
                Beat::At(at) => return Ok(Some(at.into())),
                Beat::Send => {
                    handle.incoming_stomp(Entry::Beat);
                    self.dirty.push(handle);
                }
                Beat::Dead if is_over => heartbeat.heard(now),
                // Bytes that wait to be read are a sign of life, however long nobody has had the time for them.
                Beat::Dead => match handle.socket().unread() {
                    // One that is paused may have ended its session with a half-close, which nobody has read.
                    Some(unread) if unread.bytes > 0 || unread.is_all => heartbeat.heard(now),
                    None if !reads => heartbeat.heard(now),
                    _ => return Err(()),
                },
            }
        }
    }

    /// The end of a peer that was silent for too long.
    pub(super) fn silent(&mut self) -> Ending {
        let heartbeat = self.session.stomp().and_then(|session| session.heartbeat());
        let silence = heartbeat.map(|heartbeat| heartbeat.silence()).unwrap_or_default();
        Ending::silent(self.hub, self.handle, silence)
    }

    /// Returns true if more is read of the peer. While the server drains, acks are read to the end, also those of a paused connection:
    /// they may be all that others wait for.
    pub(super) fn reads(&mut self) -> bool {
        if self.hub.is_draining() { self.drains() } else { !self.handle.is_paused() }
    }

    /// Returns true if what has been read is carried out. While the server drains, that of a peer with acks is, as it is read.
    pub(super) fn resumes(&mut self) -> bool {
        self.hub.is_draining() && self.drains() || !self.handle.is_paused()
    }

    /// The server drains. Returns true if the peer may ack: what it sends from now on is refused.
    fn drains(&mut self) -> bool {
        let session = self.session.stomp();
        session.map(stomp::Session::refuse_sends).is_some()
    }

    pub(super) fn interest(&self, reads: bool) -> Interest {
        // A reset is to be noticed also where nothing is to be read or written.
        let mut interest = Interest::ERROR;
        if reads {
            interest |= Interest::READABLE;
        } else if !self.has_departed {
            // Urgent data nobody sends; but also the peer's end is seen so, with unread bytes before it.
            interest |= Interest::PRIORITY;
        }
        if self.handle.is_blocked() {
            interest |= Interest::WRITABLE;
        }
        interest
    }

    /// Until when the next byte of the frame that was begun has to come. A connection that is not read is not blamed for
    /// what has come.
    pub(super) fn progress_ends(&mut self, reads: bool, more_may_come: bool) -> Option<Instant> {
        let limit = self.context.read_timeout;
        if !more_may_come || limit.is_zero() || self.session.missing() == 0 {
            self.progress = None;
            return None;
        }
        let was_read = std::mem::replace(&mut self.was_read, reads);
        if reads && !was_read {
            self.progress = None;
        }
        self.progress.get_or_insert_with(Instant::now).checked_add(limit)
    }

    /// Asks what was acknowledged where the broker may wait for it, soon at first, then ever more rarely. Returns when to
    /// ask again. It waits where a whole window is on its way, and where nothing else keeps the connection open.
    pub(super) fn asks(&mut self) -> Option<Instant> {
        let (handle, hub) = (self.handle, self.hub);
        let ends = self.session.is_ended() || hub.is_draining();
        let waits = ends && handle.consumes() && handle.unreported() > 0;
        if !waits && !handle.lags() {
            self.asks = None;
            return None;
        }
        let now = Instant::now();
        if self.asks.is_some_and(|(_, gap)| gap > SOON) && !handle.asks_late() {
            // Somebody else has seen an acknowledgement.
            self.asks = None;
        }
        let (at, gap) = self.asks.get_or_insert((now + SOON, SOON));
        if *at <= now {
            handle.sample();
            if handle.owes_credit() {
                // The broker is told in the next turn, which comes at once.
                handle.wake();
                *gap = SOON;
            } else {
                *gap = (*gap * 2).min(LATER);
                handle.set_asks_late();
            }
            *at = now + *gap;
        }
        Some(*at)
    }

    /// Tells the broker once that a peer that is not read has shut its side down.
    pub(super) fn note_departure(&mut self, has_departed: bool) {
        if has_departed && !std::mem::replace(&mut self.has_departed, true) {
            self.commands.push(Command::Depart);
        }
    }

    /// The server wants the connection to end.
    pub(super) fn end_as(&mut self, mode: &CloseMode) -> Ending {
        if matches!(mode, CloseMode::Broker(CloseReason::Departed)) {
            self.hand_over();
        }
        Ending::asked_for(self.hub, self.handle, mode)
    }

    /// Hands in what has been read of a peer that was let go, so that its messages are counted.
    fn hand_over(&mut self) {
        loop {
            if !self.commands.is_empty() {
                let id = self.handle.id();
                self.hub.apply(id, &mut self.commands, &mut self.dirty, &Slice::begin());
            } else if self.session.has_backlog() && self.wrong.is_none() {
                self.wrong = self.session.resume(COMMANDS, &mut self.commands).err();
            } else {
                return;
            }
        }
    }
}

/// Reserves nothing for what comes while the server drains: a message that is refused needs no memory, and waits for none.
pub(super) fn reserve_nothing(commands: &mut [Command]) {
    for command in commands {
        if let Command::Reserve { bytes, whole } = command {
            (*bytes, *whole) = (0, 0);
        }
    }
}
