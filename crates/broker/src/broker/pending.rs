//! Commands of paused connections, and what is counted for them.

use super::Broker;
use crate::slots::ConnectionSlot;
use crate::{Batch, Refusal, cost};
use bytes::Bytes;

/// A command that a connection sent and nobody could take yet.
#[derive(Debug)]
pub(super) enum Pending {
    Publish {
        channel: Bytes,
        batch: Batch,
    },
    Barrier {
        batch: Batch,
    },
    /// It confirms so many publishes right before it.
    Receipt {
        batch: Batch,
        publishes: usize,
    },
    /// A publish was refused: the channel that it named, as far as a name may be long.
    Refused {
        channel: Bytes,
        refusal: Refusal,
    },
    Reserve {
        bytes: usize,
        whole: usize,
    },
}

impl Pending {
    pub(super) fn charge(&self) -> usize {
        match self {
            Pending::Publish { channel, batch } => {
                cost::PENDING + cost::text(channel.len()) + cost::buffer(batch.footprint())
            }
            Pending::Barrier { batch } | Pending::Receipt { batch, .. } => {
                cost::PENDING + cost::buffer(batch.footprint())
            }
            Pending::Refused { channel, .. } => cost::PENDING + cost::text(channel.len()),
            Pending::Reserve { .. } => cost::PENDING,
        }
    }

    pub(super) fn messages(&self) -> usize {
        match self {
            Pending::Publish { batch, .. } => batch.len(),
            _ => 0,
        }
    }

    /// The bytes that it takes of [`Limits::read_ahead`](crate::Limits::read_ahead), overhead included.
    pub(super) fn ahead(&self) -> usize {
        match self {
            Pending::Reserve { bytes, .. } => self.charge().saturating_add(*bytes),
            _ => self.charge(),
        }
    }
}

impl Broker {
    /// Counts a command that is about to wait.
    pub(super) fn note_pending(&mut self, slot: ConnectionSlot, command: &Pending) {
        self.budget.charge(command.charge());
        self.pending_charge += command.charge();
        self.pending += command.messages();
        let row = self.connections.edit(slot);
        row.pending_ahead += command.ahead();
        row.pending_messages += command.messages();
        row.has_pending_size |= matches!(command, Pending::Reserve { .. });
    }

    pub(super) fn wait_before(&mut self, slot: ConnectionSlot, command: Pending) {
        self.note_pending(slot, &command);
        self.connections.edit(slot).pending.push_front(command);
    }

    /// Counts a command that no longer waits, but for its charge.
    pub(super) fn unnote_pending(&mut self, slot: ConnectionSlot, command: &Pending) {
        self.pending_charge -= command.charge();
        self.pending -= command.messages();
        let row = self.connections.edit(slot);
        row.pending_ahead -= command.ahead();
        row.pending_messages -= command.messages();
        row.has_pending_size &= !matches!(command, Pending::Reserve { .. });
    }

    /// A command no longer waits.
    pub(super) fn forget_pending(&mut self, slot: ConnectionSlot, command: &Pending) {
        self.budget.release(command.charge());
        self.unnote_pending(slot, command);
    }

    /// Drops the messages that a connection had sent and nobody could take. Their memory becomes free in steps.
    pub(super) fn abandon_pending(&mut self, slot: ConnectionSlot) {
        let row = self.connections.edit(slot);
        let (pending, messages) = (std::mem::take(&mut row.pending), std::mem::take(&mut row.pending_messages));
        (row.pending_ahead, row.has_pending_size) = (0, false);
        self.pending -= messages;
        self.totals.dropped_publisher_gone += messages as u64;
        if !pending.is_empty() {
            self.abandoned.push_back(pending);
        }
    }

    /// Frees what was abandoned; false if this call has done enough.
    pub(super) fn collect_abandoned(&mut self) -> bool {
        while let Some(commands) = self.abandoned.front_mut() {
            let Some(command) = commands.pop_front() else {
                self.abandoned.pop_front();
                continue;
            };
            self.budget.release(command.charge());
            self.pending_charge -= command.charge();
            if !self.spend(2) {
                return false;
            }
        }
        true
    }
}
