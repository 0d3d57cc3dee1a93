//! Messages of a higher priority go before those that consumers have and that are not written yet.

use super::Broker;
use super::connection::Sweep;
use crate::Time;
use crate::outbox::Origin;
use crate::slots::{ChannelSlot, ConnectionSlot};
use std::time::Duration;

/// Time between two reclaims of what the consumers of a queue have, for messages of a higher priority.
const BETWEEN: Duration = Duration::from_millis(5);

/// Entries of an outbox that are looked at for messages of a lower priority. What is behind them is behind enough.
const LOOKED_AT: usize = 64;

impl Broker {
    /// Messages of this rank are ready in a queue: it gets them, their time has come, or they are back.
    #[cold]
    pub(super) fn note_rank(&mut self, slot: ChannelSlot, rank: u8) {
        let channel = self.channels.quietly().row(slot);
        if rank < channel.worst_rank {
            channel.is_urgent |= channel.in_flight() > 0;
        }
        // Nothing of a paused queue is handed out: what its consumers have is behind nothing.
        channel.is_urgent &= !channel.is_paused;
    }

    /// Consumers get messages of this rank.
    #[cold]
    pub(super) fn note_given(&mut self, slot: ChannelSlot, rank: u8) {
        let channel = self.channels.quietly().row(slot);
        channel.seen_rank = channel.seen_rank.max(rank);
        channel.worst_rank = channel.worst_rank.max(rank);
    }

    /// Whether messages wait for a reclaim that is about to begin, or goes on.
    #[inline]
    pub(super) fn is_reclaiming(&self, slot: ChannelSlot) -> bool {
        let channel = &self.channels[slot];
        channel.pauses.is_some() || channel.is_urgent && self.now >= channel.urgent_after
    }

    /// Begins to take back what consumers have not been written yet, if it has not just been.
    pub(super) fn begin_urgent(&mut self, slot: ChannelSlot) {
        // Its timer is armed in any case: a mark would lead here again at once.
        let channel = self.channels.quietly().row(slot);
        if channel.is_paused || channel.in_flight() == 0 {
            channel.is_urgent = false;
        } else if channel.pauses.is_none() && self.now >= channel.urgent_after {
            (channel.is_urgent, channel.seen_rank) = (false, 0);
            channel.urgent_after = self.now + BETWEEN;
            channel.pauses = channel.everybody.first;
        }
    }

    /// When it may be begun. One that goes on arms the timer at its end.
    pub(super) fn urgent_due(&self, slot: ChannelSlot) -> Option<Time> {
        let channel = &self.channels[slot];
        (channel.is_urgent && channel.pauses.is_none()).then_some(channel.urgent_after)
    }

    /// Takes what was not written back from consumers, some of them a step: all of a paused queue that is not handed out,
    /// and otherwise all, where some of it has a lower priority than what waits, or is behind it.
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
        if !channel.is_paused {
            channel.urgent_after = self.now + BETWEEN;
            channel.worst_rank = channel.seen_rank;
        }
    }

    fn take_back_lower(&mut self, slot: ChannelSlot, connection: ConnectionSlot) {
        let mut rank = self.channels[slot].backlog.first_rank().unwrap_or(u8::MAX);
        self.spend(16);
        let row = &self.connections[connection];
        let is_own = |origin: Origin| {
            origin.is_of_queue() && origin.member().is_some_and(|member| self.members[member].channel == slot)
        };
        let ranks = row.outbox.waiting().take(LOOKED_AT).map(|(origin, rank)| is_own(origin).then_some(rank));
        let ranks: Vec<Option<u8>> = ranks.collect();
        let mut first = None;
        for (at, other) in ranks.iter().enumerate().rev().filter_map(|(at, rank)| Some((at, (*rank)?))) {
            if other > rank {
                first = Some(at);
            }
            rank = rank.min(other);
        }
        let is_seen_whole = row.outbox.len() <= LOOKED_AT;
        let channel = self.channels.edit(slot);
        let worst = if is_seen_whole { ranks.into_iter().flatten().max() } else { Some(channel.worst_rank) };
        channel.seen_rank = channel.seen_rank.max(worst.unwrap_or(0));
        let Some(first) = first else { return };
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
