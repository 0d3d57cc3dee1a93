//! Who is held, and what happens when there is room again.

use super::Broker;
use crate::outbox::{Origin, OutboxEntry};
use crate::{Batch, Event, PauseReason, Refusal};
use bytes::Bytes;

/// What a connection sent and nobody could take yet.
#[derive(Debug)]
pub(super) enum Pending {
    Publish { channel: Bytes, batch: Batch },
    Barrier { batch: Batch },
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
pub(super) enum Effect {
    /// Deal a queue's backlog.
    Dispatch(usize),
    /// The connection's outbox has room.
    OutboxFreed(usize),
    /// Let those go on who wait for this.
    Retry(Blocked),
    Forget(usize),
    Reap(usize),
}

/// A command that could not be carried out wholly: its rest, and what it waits for.
pub(super) struct Stop {
    pub(super) rest: Pending,
    pub(super) on: Blocked,
    pub(super) reason: PauseReason,
}

impl Broker {
    /// Takes what a connection sends, behind what it sent before.
    pub(super) fn accept(&mut self, place: usize, command: Pending) {
        if let Pending::Publish { channel, batch } = &command {
            let longest = || batch.iter().map(<[u8]>::len).max().unwrap_or(0);
            if channel.len() > self.limits.channel_name {
                let refusal = Refusal::NameTooLong { length: channel.len(), limit: self.limits.channel_name };
                return self.refuse(place, Some(channel.clone()), refusal);
            }
            if batch.bytes() > self.limits.message && longest() > self.limits.message {
                let refusal = Refusal::MessageTooLong { length: longest(), limit: self.limits.message };
                return self.refuse(place, Some(channel.clone()), refusal);
            }
        }
        if let Pending::Publish { batch, .. } | Pending::Barrier { batch } = &command {
            // What was reserved for it while it came is its own.
            let covered = self.connections[place].reserved.min(batch.bytes());
            self.connections[place].reserved -= covered;
            self.budget.used += batch.bytes() - covered;
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
                    let budget = self.budget.budget;
                    now = Some((Blocked::Share(channel), PauseReason::Memory { budget }));
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
                self.paused.push_back(place);
                self.events.push_back(Event::Pause { connection: id, reason: reason.clone() });
            }
            (Some(_), None) => {
                self.paused.retain(|&held| held != place);
                if !connection.gone {
                    self.events.push_back(Event::Resume { connection: id });
                }
            }
            _ => {}
        }
        self.connections[place].blocked = now;
        self.effects.push_back(Effect::Reap(place));
    }

    fn attempt(&mut self, place: usize, command: Pending) -> Result<Option<usize>, Stop> {
        match command {
            Pending::Publish { channel, batch } => self.publish(place, channel, batch),
            Pending::Barrier { batch } => self.barrier(place, batch),
            Pending::Reserve { bytes } => self.grow_reserve(place, bytes),
        }
    }

    fn barrier(&mut self, place: usize, batch: Batch) -> Result<Option<usize>, Stop> {
        let connection = &mut self.connections[place];
        if !connection.fits(batch.bytes(), self.limits.outbox) {
            connection.set_full(batch.bytes(), self.limits.outbox);
            let reason =
                PauseReason::SlowSubscriber { channel: Bytes::from_static(crate::ECHO), subscriber: connection.id };
            return Err(Stop { rest: Pending::Barrier { batch }, on: Blocked::Subscriber(place), reason });
        }
        // Its bytes stay counted as they were when it came, until they are written.
        self.push_entry(place, OutboxEntry { batch, block: None, origin: Origin::Barrier });
        Ok(None)
    }

    fn grow_reserve(&mut self, place: usize, bytes: usize) -> Result<Option<usize>, Stop> {
        let reserved = self.connections[place].reserved;
        let more = bytes.saturating_sub(reserved);
        if more > self.budget.free() && self.budget.used > reserved {
            let reason = PauseReason::Memory { budget: self.budget.budget };
            return Err(Stop { rest: Pending::Reserve { bytes }, on: Blocked::Memory, reason });
        }
        self.connections[place].reserved = bytes.max(reserved);
        self.budget.used += more;
        Ok(None)
    }

    /// Whether a channel has more than is free: so the fullest are held first, and each has its
    /// share however many there are (the dynamic threshold of shared-memory switches).
    fn over_share(&self, channel: usize) -> bool {
        self.channels.get(channel).is_some_and(|channel| channel.load > self.budget.free())
    }

    /// Bytes are no longer buffered.
    pub(super) fn uncount(&mut self, bytes: usize) {
        if bytes > 0 {
            self.budget.used -= bytes;
            self.memory_freed();
        }
    }

    pub(super) fn memory_freed(&mut self) {
        let retry = Effect::Retry(Blocked::Memory);
        if !self.paused.is_empty() && !self.effects.contains(&retry) {
            self.effects.push_back(retry);
        }
    }

    /// Does what follows from a command, until nothing does.
    pub(super) fn run_effects(&mut self) {
        while let Some(work) = self.effects.pop_front() {
            match work {
                Effect::Dispatch(channel) => self.dispatch_backlog(channel),
                Effect::OutboxFreed(place) => self.serve(place),
                Effect::Retry(cause) => self.retry(cause),
                Effect::Forget(channel) => self.forget_if_unused(channel),
                Effect::Reap(place) => self.leave(place),
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
            self.dispatch_backlog(channel);
        }
        self.retry(Blocked::Subscriber(place));
    }

    fn retry(&mut self, cause: Blocked) {
        let waiting: Vec<usize> = self.paused.iter().copied().filter(|&place| self.waits_for(place, cause)).collect();
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
            self.paused.retain(|&held| held != place);
            self.connections.remove(place);
        } else if connection.finishing {
            self.close_if_done(place, false);
        }
    }
}
