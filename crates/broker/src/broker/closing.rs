//! The end of a connection: by itself, because it is done, or while the broker drains.

use super::connection::{Phase, Sweep};
use super::round::Round;
use super::{Broker, Timer, shrink};
use crate::slots::ConnectionSlot;
use crate::{CloseReason, Event, cost};

impl Broker {
    pub(super) fn disconnect(&mut self, slot: ConnectionSlot) {
        // A publisher that comes, fills a queue and leaves, again and again, must not fill all memory.
        let is_let_go = std::mem::take(&mut self.connections.edit(slot).is_let_go);
        self.let_go -= usize::from(is_let_go);
        let no_room = is_let_go || self.budget.free() == 0 || self.gone >= self.limits.connections;
        self.abandon_outbox(slot);
        self.note_gone(slot);
        let connection = self.connections.edit(slot);
        connection.phase = Phase::Gone;
        (connection.full, connection.resume_ahead) = (None, None);
        connection.wakes_all = true;
        (connection.stalled, connection.recalling, connection.has_lapsed) = (false, false, false);
        let (reserved, id) = (connection.reserved, connection.id);
        self.note_departed(slot);
        let connection = self.connections.edit(slot);
        let receipts = std::mem::take(&mut connection.receipts);
        if let Some(time) = connection.expiry_timer.take() {
            self.timers.remove(&(time, Timer::Expiry(id)));
        }
        if let Some(time) = connection.grace_ends.take() {
            self.timers.remove(&(time, Timer::Grace(id)));
        }
        self.set_reserved(slot, 0);
        self.gone += 1;
        self.budget.charge(cost::GONE);
        self.budget.release(reserved + receipts);
        self.ids.remove(&id);
        shrink(&mut self.ids);
        self.leave_all(slot);
        self.leave_pending(slot, no_room);
    }

    /// Messages that it had sent count as sent, except those without room.
    fn leave_pending(&mut self, slot: ConnectionSlot, no_room: bool) {
        if no_room {
            self.abandon_pending(slot);
        }
        if self.connections[slot].is_going() {
            // They go behind what comes back to their queues.
            self.set_blocked(slot, None);
        } else if self.connections[slot].blocked.is_some() {
            self.advance(slot);
        }
    }

    /// Removes a connection that is gone once nothing of it is left.
    pub(super) fn remove_if_done(&mut self, slot: ConnectionSlot) {
        let row = &self.connections[slot];
        let has_left = row.subscriptions.is_empty() && row.ending.is_empty() && row.returning.is_empty();
        if has_left
            && !row.has_anything()
            && row.settling.is_empty()
            && row.pending.is_empty()
            && row.joining.is_empty()
            && row.blocked.is_none()
            && row.waiters.is_empty()
            && row.temporary.is_empty()
        {
            debug_assert!(!row.is_owed && row.skipped.is_empty() && row.lapsed.is_empty());
            self.connections.remove(slot);
            self.troubled.remove(&slot);
            self.tied.remove(&slot);
            self.gone -= 1;
            self.budget.release(cost::GONE);
        }
    }

    /// Closes a connection that has got everything: because it wants to, or because all are to.
    pub(super) fn close_if_done(&mut self, slot: ConnectionSlot) {
        let row = &self.connections[slot];
        if row.is_closing() || row.is_owed() {
            return;
        }
        let reason = if row.phase == Phase::Finishing && row.pending.is_empty() && row.sweep == Sweep::No {
            CloseReason::Finished
        } else if self.draining && !self.awaits_room() && !self.has_waiting_queue(slot) {
            CloseReason::Drained
        } else {
            return;
        };
        self.close(slot, reason);
    }

    pub(super) fn close(&mut self, slot: ConnectionSlot, reason: CloseReason) {
        let connection = self.connections.edit(slot);
        if !connection.is_closing() {
            connection.phase = Phase::Closing;
            self.events.push_back(Event::Close { connection: connection.id, reason });
            self.note_departed(slot);
        }
    }

    /// The peer of a connection sends nothing more, whatever of it is not read.
    pub(super) fn depart(&mut self, slot: ConnectionSlot) {
        self.connections.edit(slot).departed.get_or_insert(self.now);
        self.note_departed(slot);
    }

    /// Files a connection that has left and waits for room, or takes it out.
    pub(super) fn note_departed(&mut self, slot: ConnectionSlot) {
        let row = &self.connections[slot];
        let Some(since) = row.departed else { return };
        if !row.is_departed() {
            self.leave_departed(slot);
        } else if self.departed.insert((since, row.id)) {
            self.note_gone(slot);
        }
    }

    /// Takes a connection out of those that have left and wait for room.
    pub(super) fn leave_departed(&mut self, slot: ConnectionSlot) {
        let row = &self.connections[slot];
        if row.departed.is_some_and(|since| self.departed.remove(&(since, row.id))) {
            self.paused_gone -= 1;
            if let Some(channel) = row.paused_on {
                // It is only listed so: nothing follows.
                self.channels.quietly().row(channel).gone_publishers -= 1;
            }
        }
    }

    /// Closes the connection that has left first and waits for room still: what lets memory drain must find a place.
    /// Returns false if there is none.
    pub(super) fn let_departed_go(&mut self) -> bool {
        let oldest = self.departed.first().and_then(|(_, id)| self.ids.get(id).copied());
        if let Some(slot) = oldest {
            self.connections.edit(slot).is_let_go = true;
            self.let_go += 1;
            self.close(slot, CloseReason::Departed);
        }
        oldest.is_some()
    }

    /// Closes all that are done, some a step, while the broker drains.
    pub(super) fn close_all(&mut self) {
        if !self.start_all_acks() {
            return;
        }
        if self.awaits_room() {
            // The end of that is looked at.
            self.drained_to = None;
        }
        // Messages that are to be dispatched first may be for one that is looked at.
        while self.drained_to.is_some() && self.channels.is_clean() {
            if !self.spend(1) {
                return;
            }
            let next = Round::step(&mut self.drained_to, self.connections.end());
            if let Some((slot, _)) = next.and_then(|index| self.connections.at(index)) {
                self.close_if_done(slot);
            }
        }
    }

    /// All connections are looked at from now on, of which some may be done.
    pub(super) fn drain_anew(&mut self) {
        Round::begin(&mut self.drained_to);
    }

    /// Looks at all connections anew once nobody is waited for any more, while the broker drains.
    pub(super) fn check_drain(&mut self) {
        let awaits = self.awaits_room();
        if std::mem::replace(&mut self.awaited, awaits) && !awaits {
            self.drain_anew();
        }
    }

    /// Whether somebody is paused who may yet go on while the broker drains. Room comes from those
    /// who take what is theirs, and nobody subscribes any more.
    fn awaits_room(&self) -> bool {
        self.paused > self.stuck && self.owed > 0
    }

    /// Whether a queue has something for the connection, and waits for it.
    fn has_waiting_queue(&mut self, slot: ConnectionSlot) -> bool {
        if !self.channels.is_clean() {
            // Something may be dispatched yet; the end of that is looked at anew.
            self.drain_anew();
            return true;
        }
        loop {
            let row = &self.connections[slot];
            let Some(member) = row.skipped.first.or(row.lapsed.first) else { return false };
            let channel = &self.channels[self.members[member].channel];
            let has_some = channel.backlog.has_ready() || channel.backlog.has_bound(member);
            if has_some && !channel.is_paused {
                return true;
            }
            self.unskip(member);
            if !self.spend(1) {
                self.drain_anew();
                return true;
            }
        }
    }
}
