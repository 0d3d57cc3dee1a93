//! Receipts: given at once when their turn has come, whatever waits to be written to the connection.

use super::Broker;
use super::pause::{Blocked, Stop};
use super::pending::Pending;
use super::publish::Taken;
use crate::slots::ConnectionSlot;
use crate::{Batch, Event, PauseReason, Refusal, cost};
use bytes::Bytes;

impl Broker {
    /// Gives a receipt, or says that messages of the publishes right before it were not all taken. A connection that reads
    /// no receipts is paused at the bound of an outbox.
    pub(super) fn receipt(&mut self, slot: ConnectionSlot, batch: Batch, publishes: usize) -> Result<Taken, Stop> {
        let limit = self.limits.outbox;
        let row = self.connections.edit(slot);
        let rejected = row.rejected.as_deref().filter(|_| row.publishes_since <= publishes);
        let reason = rejected.map_or(0, |(channel, _)| cost::reason(channel.len()));
        let bytes = batch.bytes() + batch.len() * reason;
        let charge = cost::receipts(batch.len(), bytes);
        if row.receipts > 0 && row.receipts.saturating_add(charge) > limit {
            let reason = PauseReason::Receipts { limit };
            return Err(Stop {
                rest: Pending::Receipt { batch, publishes },
                on: Blocked::Receipts,
                reason,
                channel: None,
            });
        }
        row.receipts += charge;
        let connection = row.id;
        let rejected = row.rejected.take_if(|_| row.publishes_since <= publishes);
        self.budget.charge(charge);
        self.events.push_back(match rejected {
            None => Event::Receipt { connection, batch },
            Some(rejected) => Event::Unconfirmed { connection, receipt: batch, rejected, bytes },
        });
        Ok(None)
    }

    /// Messages of a publish are not taken, which the receipt that confirms it says. The publish is the first that counts.
    #[cold]
    pub(super) fn note_rejected(&mut self, slot: ConnectionSlot, channel: &Bytes, refusal: Refusal) {
        // A copy, and no longer than a name may be: it may be kept for long.
        let name = Bytes::copy_from_slice(&channel[..channel.len().min(self.limits.channel_name)]);
        let row = self.connections.quietly().row(slot);
        (row.rejected, row.publishes_since) = (Some(Box::new((name, refusal))), 1);
    }

    /// Releases the charge of written receipts; those that wait for room go on.
    pub(super) fn receipts_written(&mut self, slot: ConnectionSlot, receipts: usize, bytes: usize) {
        let row = self.connections.edit(slot);
        let charge = cost::receipts(receipts, bytes).min(row.receipts);
        row.receipts -= charge;
        let waits = row.blocked == Some(Blocked::Receipts);
        self.budget.release(charge);
        if waits {
            self.advance(slot);
        }
    }
}
