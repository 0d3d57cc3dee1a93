//! Receipts: each comes once, in order, when all before it is carried out, and says whether all that it is for was taken.

use super::{Checked, Oracle, promise};
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Range;
use switchboard_broker::{Batch, Refusal};

/// A receipt that was asked for.
#[derive(Debug)]
struct Asked {
    batch: Batch,
    /// Messages that were sent before.
    sent: usize,
    /// The publishes that it is for.
    publishes: Range<usize>,
}

/// The receipts of a connection.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// Receipts that it has not got, in order.
    asked: VecDeque<Asked>,
    /// Number and bytes of those that it got and has not read.
    pub(super) unread: usize,
    unread_bytes: usize,
    /// Of each of its publishes, the channel if some of it was refused or rejected.
    refused: Vec<Option<Bytes>>,
}

impl Receipts {
    pub(super) fn is_waiting(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The connection publishes: the number of the publish. `refused` is for one that is refused as a whole.
    pub(super) fn publish(&mut self, channel: &Bytes, refused: bool) -> usize {
        self.refused.push(refused.then(|| channel.clone()));
        self.refused.len() - 1
    }

    /// The last `messages` of a publish are rejected: the connection had sent `first` others before them.
    pub(super) fn reject(&mut self, publish: usize, channel: &Bytes, messages: usize, first: usize) {
        self.refused[publish] = Some(channel.clone());
        let behind = self.asked.iter_mut().filter(|asked| asked.sent > first);
        behind.for_each(|asked| asked.sent -= messages);
    }

    /// Asks for a receipt of the last `publishes`, behind `sent` messages.
    pub(super) fn ask(&mut self, batch: &Batch, publishes: usize, sent: usize) {
        let end = self.refused.len();
        self.asked.push_back(Asked { batch: batch.clone(), sent, publishes: end.saturating_sub(publishes)..end });
    }
}

impl Oracle {
    /// A receipt says that all was taken, or, with a channel, that it was not. It counts with so many bytes until it is read.
    pub(super) fn check_receipt(
        &mut self,
        id: u64,
        receipt: &Batch,
        rejected: Option<&(Bytes, Refusal)>,
        bytes: usize,
    ) -> Checked {
        let bound = self.settings.limits.outbox;
        self.counts.unconfirmed += u64::from(rejected.is_some());
        let link = self.link(id);
        promise!(!link.gone, "{id} gets a receipt, and is gone");
        let taken = link.taken;
        let receipts = &mut link.receipts;
        let Some(asked) = receipts.asked.pop_front() else {
            return Err(format!("{id} gets a receipt that it did not ask for"));
        };
        promise!(asked.batch == *receipt, "{id} gets another receipt than it asked for next");
        promise!(taken >= asked.sent, "{id} gets a receipt before what it had sent was carried out");
        let refused = receipts.refused[asked.publishes.clone()].iter().rev().flatten().next();
        promise!(
            rejected.map(|(channel, _)| channel) == refused,
            "the receipt of publishes {:?} of {id} says {rejected:?}, and the last that was not taken is of {refused:?}",
            asked.publishes
        );
        receipts.unread += receipt.len();
        receipts.unread_bytes += bytes;
        promise!(
            receipts.unread == receipt.len() || receipts.unread_bytes <= bound,
            "{id} has {} bytes of receipts that it has not read, over the bound of {bound}",
            receipts.unread_bytes
        );
        Ok(())
    }

    /// A connection asks for a receipt of its last publishes.
    pub(super) fn ask_receipt(&mut self, id: u64, receipt: &Batch, publishes: usize) {
        self.overshoot = self.overshoot.max(receipt.bytes());
        let link = self.link(id);
        link.receipts.ask(receipt, publishes, link.sent.len());
    }

    /// A connection has read receipts.
    pub(super) fn read_receipts(&mut self, id: u64, count: usize, bytes: usize) {
        let receipts = &mut self.link(id).receipts;
        receipts.unread -= count;
        receipts.unread_bytes -= bytes;
    }
}
