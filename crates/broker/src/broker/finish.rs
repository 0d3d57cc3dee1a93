//! Messages that come in pieces while memory is short.
//!
//! Each connection keeps what has come of its message, and waits for memory for the rest. If all that have a part wait so,
//! nobody could finish, and nobody would give anything back. Then one of them, the one that has waited for longest, may go
//! on beyond the budget: by one message at most, and for as long as [`Limits::write_timeout`](crate::Limits) if others
//! wait. Meanwhile small messages go on: parts of large ones leave some memory free for them.

use super::connection::Phase;
use super::making::need_of_channel;
use super::pause::Blocked;
use super::pending::Pending;
use super::{Broker, Timer};
use crate::slots::ConnectionSlot;
use crate::{CloseReason, ConnectionId, Time, cost};

/// Connections that are looked at for the one that may go on.
const LOOKED_AT: usize = 64;

/// Bytes of a frame's length.
const LENGTH: usize = 4;

/// The connection that may go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finisher {
    slot: ConnectionSlot,
    id: ConnectionId,
    since: Time,
}

impl Broker {
    /// Whether a connection may have so many bytes more for its message though memory is short.
    pub(super) fn may_finish(&mut self, slot: ConnectionSlot, more: usize) -> bool {
        let most = self.limits.message.saturating_add(LENGTH);
        // That they wait costs each of them a little.
        if self.budget.beyond(more, self.paused * cost::PENDING) > most {
            return false;
        }
        let id = self.connections[slot].id;
        if let Some(finisher) = self.finisher.filter(|finisher| self.is_finishing(*finisher)) {
            let is_it = finisher.id == id;
            if is_it {
                self.budget.set_granted(self.budget.granted() + more);
            }
            return is_it;
        }
        let others = self.arriving - usize::from(self.connections[slot].is_arriving());
        // Nobody overtakes those that wait.
        if others > 0 && !self.waits_long(slot) || self.first_unfinished(Some(slot)).is_some_and(|first| first != slot)
        {
            return false;
        }
        self.finisher = Some(Finisher { slot, id, since: self.now });
        self.budget.set_granted(more);
        self.watch_finish(id, self.now);
        true
    }

    /// Files a connection by what it needs of memory, if it waits for some.
    pub(super) fn note_need(&mut self, slot: ConnectionSlot) {
        let row = &self.connections[slot];
        let need = match row.pending.front().filter(|_| row.blocked == Some(Blocked::Memory)) {
            Some(&Pending::Reserve { bytes, whole }) => {
                Some(self.budget.needed_for_part(bytes.saturating_sub(row.reserved), whole))
            }
            Some(Pending::Publish { channel, .. }) => {
                let channel = channel.clone();
                Some(need_of_channel(&channel, self.count_patterns(&channel)))
            }
            _ => (row.blocked == Some(Blocked::Memory)).then_some(0),
        };
        let before = self.connections[slot].need;
        if before == need {
            return;
        }
        let now = self.now;
        let row = self.connections.quietly().row(slot);
        row.need = need;
        if before.is_none() {
            row.needs_since = now;
        }
        if let Some(before) = before {
            self.needs.remove(&(before, slot));
        }
        if let Some(need) = need {
            self.needs.insert((need, slot));
        }
    }

    /// Lets those go on that need no more than is free, those that need least first: many small messages would otherwise
    /// wait for a few large ones that nobody finishes.
    pub(super) fn wake_needs(&mut self) -> bool {
        while let Some(&(need, slot)) = self.needs.first()
            && need <= self.budget.free()
        {
            if !self.spend(16) {
                return false;
            }
            self.advance(slot);
            if self.needs.contains(&(need, slot)) {
                break;
            }
        }
        true
    }

    /// Whether it has waited for as long as nobody should.
    fn waits_long(&self, slot: ConnectionSlot) -> bool {
        let (row, limit) = (&self.connections[slot], self.limits.write_timeout);
        row.need.is_some() && !limit.is_zero() && self.now >= row.needs_since + limit
    }

    /// Sets what is reserved for a connection's message, which is counted elsewhere.
    pub(super) fn set_reserved(&mut self, slot: ConnectionSlot, bytes: usize) {
        let row = self.connections.edit(slot);
        let (id, before) = (row.id, row.is_arriving());
        row.reserved = bytes;
        let after = row.is_arriving();
        if self.budget.granted() > bytes && self.finisher.is_some_and(|finisher| finisher.id == id) {
            self.budget.set_granted(bytes);
        }
        self.note_arriving(before, after);
    }

    /// Counts those that have a part of a message and are read.
    pub(super) fn note_arriving(&mut self, before: bool, after: bool) {
        self.arriving = self.arriving + usize::from(after) - usize::from(before);
        // The last of them has ended: one that waits may go on.
        self.wakes_memory |= before && self.arriving == 0 && !self.memory_waiters.is_empty();
    }

    /// Lets the one that has waited for longest go on, if nobody else has a part of a message and is read, or it has waited
    /// too long.
    pub(super) fn wake_unfinished(&mut self) {
        if let Some(first) = self.first_unfinished(None)
            && (self.arriving == 0 || self.waits_long(first))
        {
            self.advance(first);
        }
    }

    /// The first that waits for a part of a message, of those that wait for memory. The command of the one that asks is not
    /// among what is pending.
    fn first_unfinished(&self, asks: Option<ConnectionSlot>) -> Option<ConnectionSlot> {
        let mut next = self.memory_waiters.first;
        for _ in 0..LOOKED_AT {
            let slot = next?;
            if asks == Some(slot) || matches!(self.connections[slot].pending.front(), Some(Pending::Reserve { .. })) {
                return Some(slot);
            }
            next = self.connections[slot].wait.next;
        }
        None
    }

    fn watch_finish(&mut self, id: ConnectionId, since: Time) {
        if !self.limits.write_timeout.is_zero() {
            self.timers.insert((since + self.limits.write_timeout, Timer::Finish(id)));
        }
    }

    /// Whether it still has a part of a message.
    fn is_finishing(&self, finisher: Finisher) -> bool {
        let row = self.connections.get(finisher.slot).filter(|row| row.id == finisher.id);
        row.is_some_and(|row| row.reserved > 0 && row.phase < Phase::Closing)
    }

    /// Ends a connection that has gone on for long enough, if others wait for what it has.
    pub(super) fn finish_is_late(&mut self, id: ConnectionId) {
        let Some(finisher) = self.finisher.filter(|finisher| finisher.id == id && self.is_finishing(*finisher)) else {
            return;
        };
        if self.now < finisher.since + self.limits.write_timeout {
            // Another message than that for which the timer was set, which has one of its own.
            return;
        }
        if self.memory_waiters.is_empty() {
            let since = self.now;
            self.finisher = Some(Finisher { since, ..finisher });
            return self.watch_finish(id, since);
        }
        self.close(finisher.slot, CloseReason::Unfinished);
    }
}
