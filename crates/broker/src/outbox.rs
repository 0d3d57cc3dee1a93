use crate::ledger::{BlockId, Ledger};
use crate::{Batch, DeliveryTag, SubscriptionId};
use std::collections::VecDeque;

/// Why a parcel is in an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Topic {
        channel: usize,
        subscription: SubscriptionId,
    },
    /// Message `i` of the batch has the place `first + i * step` in its queue.
    Queue {
        channel: usize,
        subscription: SubscriptionId,
        first: u64,
        step: u64,
    },
    /// One message of a queue that waits for its ack elsewhere too.
    Tagged {
        channel: usize,
        subscription: SubscriptionId,
        tag: DeliveryTag,
    },
    Confirm,
}

/// Room for so many parcels is kept.
const PARCELS: usize = 64;

impl Origin {
    pub(crate) fn is_of_queue(&self) -> bool {
        matches!(self, Origin::Queue { .. } | Origin::Tagged { .. })
    }
}

#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) batch: Batch,
    pub(crate) block: Option<BlockId>,
    pub(crate) origin: Origin,
}

/// What waits to be written to one connection. The first `handed` parcels are in the caller's
/// hands already.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    parcels: VecDeque<Parcel>,
    handed: usize,
    handed_bytes: usize,
    front_written: usize,
    bytes: usize,
}

impl Outbox {
    /// Unwritten bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Unwritten bytes in the caller's hands.
    pub(crate) fn handed_bytes(&self) -> usize {
        self.handed_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    pub(crate) fn has_handed(&self) -> bool {
        self.handed > 0
    }

    pub(crate) fn holds_queue_messages(&self) -> bool {
        self.parcels.iter().any(|parcel| parcel.origin.is_of_queue())
    }

    pub(crate) fn push(&mut self, parcel: Parcel) {
        self.bytes += parcel.batch.bytes();
        self.parcels.push_back(parcel);
    }

    /// The next parcel to hand out, unless a window's worth is out already.
    pub(crate) fn hand_out(&mut self, window: usize) -> Option<&Parcel> {
        if self.handed == self.parcels.len() || self.handed_bytes >= window {
            return None;
        }
        let parcel = &self.parcels[self.handed];
        self.handed += 1;
        self.handed_bytes += parcel.batch.bytes();
        Some(parcel)
    }

    /// Takes credit for written bytes; gives the parcels that are wholly written.
    pub(crate) fn credit(&mut self, bytes: usize, mut done: impl FnMut(Parcel)) {
        let bytes = bytes.min(self.handed_bytes);
        self.handed_bytes -= bytes;
        self.bytes -= bytes;
        self.front_written += bytes;
        while self.handed > 0 && self.front_written >= self.parcels[0].batch.bytes() {
            let parcel = self.parcels.pop_front().expect("a handed parcel");
            self.front_written -= parcel.batch.bytes();
            self.handed -= 1;
            done(parcel);
        }
        if self.parcels.is_empty() && self.parcels.capacity() > PARCELS {
            // A burst must not leave its bookkeeping behind with an idle connection.
            self.parcels = VecDeque::new();
        }
    }

    /// Takes out the oldest topic parcel that is not handed out.
    pub(crate) fn drop_oldest(&mut self) -> Option<Parcel> {
        let oldest = (self.handed..self.parcels.len())
            .find(|&place| matches!(self.parcels[place].origin, Origin::Topic { .. }))?;
        let parcel = self.parcels.remove(oldest)?;
        self.bytes -= parcel.batch.bytes();
        Some(parcel)
    }

    /// After a recall, only `kept` further bytes are in the caller's hands. Takes out the parcels
    /// behind them that `taken` names, and the unwritten rest of one that is cut.
    pub(crate) fn take_back(
        &mut self,
        kept: usize,
        ledger: &mut Ledger,
        taken: impl Fn(&Origin) -> bool,
    ) -> Vec<Parcel> {
        let mut limit = self.front_written + kept;
        let mut stay = Outbox { front_written: self.front_written, ..Outbox::default() };
        let mut out = Vec::new();
        for parcel in std::mem::take(&mut self.parcels) {
            let size = parcel.batch.bytes();
            if limit >= size {
                limit -= size;
                stay.handed += 1;
                stay.parcels.push_back(parcel);
                continue;
            }
            let (count, cut) = parcel.batch.whole_within(limit);
            limit = 0;
            let (block, origin) = (parcel.block, parcel.origin);
            let (written, rest) = parcel.batch.split(count, cut);
            let has_written = written.is_some();
            if let Some(batch) = written {
                stay.handed += 1;
                let block = if rest.is_some() { block.map(|block| ledger.share(block)) } else { block };
                stay.parcels.push_back(Parcel { batch, block, origin });
            }
            let Some(batch) = rest else { continue };
            let origin = if has_written { skip(origin, count) } else { origin };
            let parcel = Parcel { batch, block, origin };
            if taken(&parcel.origin) { out.push(parcel) } else { stay.parcels.push_back(parcel) }
        }
        // Where the socket failed, not even the rest of a message that was begun is kept.
        let handed: usize = stay.parcels.iter().take(stay.handed).map(|parcel| parcel.batch.bytes()).sum();
        stay.front_written = stay.front_written.min(handed);
        stay.handed_bytes = handed - stay.front_written;
        let total: usize = stay.parcels.iter().map(|parcel| parcel.batch.bytes()).sum();
        stay.bytes = total - stay.front_written;
        *self = stay;
        out
    }

    /// Everything, the front without its messages that are wholly written.
    pub(crate) fn take_all(&mut self) -> (Vec<Parcel>, Option<Parcel>) {
        let written = self.front_written;
        let mut parcels: VecDeque<Parcel> = std::mem::take(self).parcels;
        let mut done = None;
        if let Some(front) = parcels.pop_front() {
            let (count, cut) = front.batch.whole_within(written);
            let (head, rest) = front.batch.split(count, cut);
            let (mut block, origin) = (front.block, front.origin);
            if let Some(batch) = rest {
                parcels.push_front(Parcel { batch, block: block.take(), origin: skip(origin, count) });
            }
            done = head.map(|batch| Parcel { batch, block, origin });
        }
        (parcels.into(), done)
    }
}

/// The origin of what is behind the first `count` messages.
fn skip(origin: Origin, count: usize) -> Origin {
    match origin {
        Origin::Queue { channel, subscription, first, step } => {
            Origin::Queue { channel, subscription, first: first + step * count as u64, step }
        }
        other => other,
    }
}
