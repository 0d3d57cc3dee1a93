//! Receipts: given at once when their turn has come, whatever waits to be written to the connection.

use super::Broker;
use super::pause::{Blocked, Stop};
use super::pending::Pending;
use super::publish::Taken;
use crate::slots::ConnectionSlot;
use crate::{Batch, Event, PauseReason, cost};

impl Broker {
    /// Gives a receipt, or says that the messages right before it were not all taken. A connection that reads no receipts
    /// is paused at the bound of an outbox.
    pub(super) fn receipt(&mut self, slot: ConnectionSlot, batch: Batch, of_messages: bool) -> Result<Taken, Stop> {
        let (charge, limit) = (cost::receipts(batch.len(), batch.bytes()), self.limits.outbox);
        let row = self.connections.edit(slot);
        if row.receipts > 0 && row.receipts.saturating_add(charge) > limit {
            let reason = PauseReason::Receipts { limit };
            return Err(Stop {
                rest: Pending::Receipt { batch, of_messages },
                on: Blocked::Subscriber(slot),
                reason,
                channel: None,
            });
        }
        row.receipts += charge;
        let (connection, was_rejected) = (row.id, of_messages && row.was_rejected);
        self.budget.charge(charge);
        self.events.push_back(match was_rejected {
            false => Event::Receipt { connection, batch },
            true => Event::Unconfirmed { connection, receipt: batch },
        });
        Ok(None)
    }

    /// Releases the charge of written receipts; those that wait for room go on.
    pub(super) fn receipts_written(&mut self, slot: ConnectionSlot, receipts: usize, bytes: usize) {
        let row = self.connections.edit(slot);
        let charge = cost::receipts(receipts, bytes).min(row.receipts);
        row.receipts -= charge;
        let waits = matches!(row.reason, Some(PauseReason::Receipts { .. }));
        self.budget.release(charge);
        if waits {
            // A full outbox is no reason to wait.
            self.advance(slot);
        }
    }
}
