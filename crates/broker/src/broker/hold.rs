//! Who is held, and what happens when there is room again.

use super::Broker;
use crate::outbox::{Origin, Parcel};
use crate::{Batch, Event, HoldReason, Refusal};
use bytes::Bytes;

/// What a connection sent and nobody could take yet.
#[derive(Debug)]
pub(super) enum Pending {
    Publish { channel: Bytes, batch: Batch },
    Confirm { batch: Batch },
    Reserve { bytes: usize },
}

/// What a held connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// Room in a channel's backlog.
    Channel(usize),
    /// Room in a connection's outbox.
    Subscriber(usize),
    /// Memory, because its channel has more than is free.
    Share(usize),
    /// Memory for a buffer.
    Memory,
}

/// What is to be done before a command is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Deal a queue's backlog.
    Deal(usize),
    /// The connection's outbox has room.
    Serve(usize),
    /// Let those go on who wait for this.
    Retry(Blocked),
    Forget(usize),
    Leave(usize),
}

/// A command that could not be carried out wholly: its rest, and what it waits for.
pub(super) struct Stop {
    pub(super) rest: Pending,
    pub(super) on: Blocked,
    pub(super) reason: HoldReason,
}

impl Broker {
    /// Takes what a connection sends, behind what it sent before.
    pub(super) fn accept(&mut self, place: usize, command: Pending) {
        if let Pending::Publish { channel, batch } = &command {
            let longest = || batch.iter().map(<[u8]>::len).max().unwrap_or(0);
            if channel.len() > self.limits.channel_name {
                let refusal = Refusal::NameTooLong { length: channel.len(), limit: self.limits.channel_name };
                return self.refuse(place, refusal);
            }
            if batch.bytes() > self.limits.message && longest() > self.limits.message {
                return self.refuse(place, Refusal::MessageTooLong { length: longest(), limit: self.limits.message });
            }
        }
        if let Pending::Publish { batch, .. } | Pending::Confirm { batch } = &command {
            // What was reserved for it while it came is its own.
            let covered = self.connections[place].reserved.min(batch.bytes());
            self.connections[place].reserved -= covered;
            self.ledger.used += batch.bytes() - covered;
        }
        self.connections[place].pending.push_back(command);
        if self.connections[place].blocked.is_none() {
            self.advance(place);
        }
    }

    pub(super) fn reserve(&mut self, place: usize, bytes: usize) {
        // A size that still waits for memory is replaced, or it would be reserved later for nothing.
        let pending = &mut self.connections[place].pending;
        let waited = matches!(pending.front(), Some(Pending::Reserve { .. }));
        pending.retain(|command| !matches!(command, Pending::Reserve { .. }));
        let reserved = self.connections[place].reserved;
        if bytes <= reserved {
            self.connections[place].reserved = bytes;
            self.uncount(reserved - bytes);
        } else {
            self.accept(place, Pending::Reserve { bytes });
        }
        if waited {
            self.advance(place);
        }
    }

    /// Carries out what is pending as far as it goes; holds or releases the connection.
    pub(super) fn advance(&mut self, place: usize) {
        let before = self.connections[place].blocked.take();
        let mut now = match &before {
            Some((Blocked::Share(channel), _)) if self.over_share(*channel) => before.clone(),
            _ => None,
        };
        while now.is_none() {
            let Some(next) = self.connections[place].pending.pop_front() else { break };
            match self.attempt(place, next) {
                Ok(Some(channel)) if self.over_share(channel) => {
                    let budget = self.ledger.budget;
                    now = Some((Blocked::Share(channel), HoldReason::Memory { budget }));
                }
                Ok(_) => {}
                Err(stop) => {
                    self.connections[place].pending.push_front(stop.rest);
                    now = Some((stop.on, stop.reason));
                }
            }
        }
        let connection = &mut self.connections[place];
        let id = connection.id;
        match (&before, &now) {
            (None, Some((_, reason))) => {
                self.held.push_back(place);
                self.events.push_back(Event::Hold { connection: id, reason: reason.clone() });
            }
            (Some(_), None) => {
                self.held.retain(|&held| held != place);
                if !connection.gone {
                    self.events.push_back(Event::Release { connection: id });
                }
            }
            _ => {}
        }
        self.connections[place].blocked = now;
        self.work.push_back(Work::Leave(place));
    }

    fn attempt(&mut self, place: usize, command: Pending) -> Result<Option<usize>, Stop> {
        match command {
            Pending::Publish { channel, batch } => self.publish(place, channel, batch),
            Pending::Confirm { batch } => self.confirm(place, batch),
            Pending::Reserve { bytes } => self.grow_reserve(place, bytes),
        }
    }

    fn confirm(&mut self, place: usize, batch: Batch) -> Result<Option<usize>, Stop> {
        let connection = &mut self.connections[place];
        if !connection.fits(batch.bytes(), self.limits.outbox) {
            connection.set_full(batch.bytes(), self.limits.outbox);
            let reason =
                HoldReason::SlowSubscriber { channel: Bytes::from_static(crate::ECHO), subscriber: connection.id };
            return Err(Stop { rest: Pending::Confirm { batch }, on: Blocked::Subscriber(place), reason });
        }
        // Its bytes stay counted as they were when it came, until they are written.
        self.push_parcel(place, Parcel { batch, block: None, origin: Origin::Confirm });
        Ok(None)
    }

    fn grow_reserve(&mut self, place: usize, bytes: usize) -> Result<Option<usize>, Stop> {
        let reserved = self.connections[place].reserved;
        let more = bytes.saturating_sub(reserved);
        if more > self.ledger.free() && self.ledger.used > reserved {
            let reason = HoldReason::Memory { budget: self.ledger.budget };
            return Err(Stop { rest: Pending::Reserve { bytes }, on: Blocked::Memory, reason });
        }
        self.connections[place].reserved = bytes.max(reserved);
        self.ledger.used += more;
        Ok(None)
    }

    /// Whether a channel has more than is free: so the fullest are held first, and each has its
    /// share however many there are (the dynamic threshold of shared-memory switches).
    fn over_share(&self, channel: usize) -> bool {
        self.channels.get(channel).is_some_and(|channel| channel.load > self.ledger.free())
    }

    /// Bytes are no longer buffered.
    pub(super) fn uncount(&mut self, bytes: usize) {
        if bytes > 0 {
            self.ledger.used -= bytes;
            self.memory_freed();
        }
    }

    pub(super) fn memory_freed(&mut self) {
        let retry = Work::Retry(Blocked::Memory);
        if !self.held.is_empty() && !self.work.contains(&retry) {
            self.work.push_back(retry);
        }
    }

    /// Does what follows from a command, until nothing does.
    pub(super) fn settle(&mut self) {
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Deal(channel) => self.deal_backlog(channel),
                Work::Serve(place) => self.serve(place),
                Work::Retry(cause) => self.retry(cause),
                Work::Forget(channel) => self.forget_if_unused(channel),
                Work::Leave(place) => self.leave(place),
            }
        }
        if self.draining && !self.awaits_room() {
            let places: Vec<usize> = self.connections.iter().map(|(place, _)| place).collect();
            for place in places {
                self.close_if_done(place, true);
            }
        }
    }

    fn serve(&mut self, place: usize) {
        if self.connections.get(place).is_none() {
            return;
        }
        for channel in self.queues_of(place) {
            self.deal_backlog(channel);
        }
        self.retry(Blocked::Subscriber(place));
    }

    fn retry(&mut self, cause: Blocked) {
        let waiting: Vec<usize> = self.held.iter().copied().filter(|&place| self.waits_for(place, cause)).collect();
        for place in waiting {
            self.advance(place);
        }
    }

    pub(super) fn waits_for(&self, place: usize, cause: Blocked) -> bool {
        match self.connections[place].blocked {
            Some((Blocked::Share(_) | Blocked::Memory, _)) if cause == Blocked::Memory => true,
            Some((on, _)) => on == cause,
            None => false,
        }
    }

    /// Lets a connection go once its last messages are where they belong.
    fn leave(&mut self, place: usize) {
        let Some(connection) = self.connections.get(place) else { return };
        if connection.gone && connection.pending.is_empty() {
            self.held.retain(|&held| held != place);
            self.connections.remove(place);
        } else if connection.finishing {
            self.close_if_done(place, false);
        }
    }
}
