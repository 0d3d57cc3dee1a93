//! Messages of a higher priority go before those that consumers have and that are not written yet.

use super::Broker;
use super::connection::Sweep;
use crate::outbox::Origin;
use crate::slots::{ChannelSlot, ConnectionSlot};
use crate::{Batch, Time};
use std::time::Duration;

/// Time between two reclaims of what the consumers of a queue have, for messages of a higher priority.
const BETWEEN: Duration = Duration::from_millis(5);

/// Entries of an outbox that are looked at for messages of a lower priority. What is behind them is behind enough.
const LOOKED_AT: usize = 64;

impl Broker {
    /// A queue gets messages of this rank.
    #[cold]
    pub(super) fn note_rank(&mut self, slot: ChannelSlot, rank: u8) {
        let channel = self.channels.quietly().row(slot);
        if rank < channel.worst_rank {
            channel.is_urgent |= channel.in_flight() > 0;
        }
        channel.worst_rank = channel.worst_rank.max(rank);
    }

    /// Begins to take back what consumers have not been written yet, if it has not just been.
    pub(super) fn begin_urgent(&mut self, slot: ChannelSlot) {
        // Its timer is armed in any case: a mark would lead here again at once.
        let channel = self.channels.quietly().row(slot);
        let is_needed = channel.backlog.first_rank().is_some_and(|rank| rank < channel.worst_rank);
        if !is_needed {
            channel.is_urgent = false;
        } else if self.now >= channel.urgent_after {
            (channel.is_urgent, channel.takes_back) = (false, false);
            channel.pauses = channel.everybody.first;
        }
    }

    /// When it may be begun.
    pub(super) fn urgent_due(&self, slot: ChannelSlot) -> Option<Time> {
        let channel = &self.channels[slot];
        channel.is_urgent.then_some(channel.urgent_after)
    }

    /// Takes what was not written back from consumers, some of them a step: all of a paused queue that is not handed out,
    /// and otherwise all, where some of it has a lower priority than what waits.
    pub(super) fn take_back_unwritten(&mut self, slot: ChannelSlot) {
        while let Some(member) = self.channels[slot].pauses {
            if !self.spend(4) {
                self.channels.edit(slot);
                return;
            }
            let row = &self.members[member];
            let connection = row.connection;
            let channel = self.channels.quietly().row(slot);
            channel.pauses = row.in_channel.next;
            let is_paused = channel.is_paused;
            if !self.connections[connection].outbox.has_queue_entries() {
                continue;
            }
            if is_paused {
                let row = self.connections.edit(connection);
                row.wanted = row.wanted.max(Sweep::Ended);
                self.check_leaving(connection);
            } else {
                self.take_back_lower(slot, connection);
            }
        }
        let channel = self.channels.edit(slot);
        if channel.takes_back {
            channel.urgent_after = self.now + BETWEEN;
        } else {
            // Nothing of a lower priority is with a consumer any more.
            channel.worst_rank = channel.backlog.last_rank().map_or(Batch::RANK, |rank| rank.max(Batch::RANK));
        }
    }

    fn take_back_lower(&mut self, slot: ChannelSlot, connection: ConnectionSlot) {
        let Some(rank) = self.channels[slot].backlog.first_rank() else { return };
        self.spend(16);
        let row = &self.connections[connection];
        let is_own = |origin: Origin| {
            origin.is_of_queue() && origin.member().is_some_and(|member| self.members[member].channel == slot)
        };
        let mut entries = row.outbox.waiting().take(LOOKED_AT);
        let Some(first) = entries.position(|(origin, other)| other > rank && is_own(origin)) else { return };
        drop(entries);
        self.channels.edit(slot).takes_back = true;
        let row = &self.connections[connection];
        if row.recalling {
            return;
        }
        if first < row.outbox.in_flight().count() {
            self.recall(connection);
        } else {
            self.sweep_queues(connection);
        }
    }
}
