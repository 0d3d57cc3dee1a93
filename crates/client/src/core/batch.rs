use crate::Doubt;
use crate::dialect::Dialect;
use crate::stomp::{self, ReceiptId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Messages on their way to the socket, or back from it. `bytes` may have a barrier behind them.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) dialect: Dialect,
    pub(crate) bytes: Arc<Vec<u8>>,
    /// The messages' bytes are from `start` to `end`.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) messages: u64,
}

impl Batch {
    pub(crate) fn size(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn doubt(&self) -> Doubt {
        Doubt { messages: self.messages, bytes: self.size() as u64 }
    }

    /// The connection broke at `written`: what was wholly written, and what was not.
    pub(crate) fn split_at(self, written: usize) -> (Batch, Batch) {
        let written = written.clamp(self.start, self.end) - self.start;
        let (messages, whole) = self.dialect.whole(&self.bytes[self.start..self.end], written);
        let middle = self.start + whole;
        let rest = Batch { start: middle, messages: self.messages - messages, bytes: self.bytes.clone(), ..self };
        (Batch { end: middle, messages, ..self }, rest)
    }

    /// Leaves out the messages with these receipts.
    pub(crate) fn without(self, receipts: &BTreeSet<ReceiptId>) -> Batch {
        let Dialect::Stomp(version) = self.dialect else { return self };
        if receipts.is_empty() {
            return self;
        }
        match stomp::without(version, &self.bytes[self.start..self.end], receipts) {
            None => self,
            Some((bytes, dropped)) => {
                Batch { start: 0, end: bytes.len(), bytes: Arc::new(bytes), messages: self.messages - dropped, ..self }
            }
        }
    }

    /// Returns true if the first message has one of these receipts.
    pub(crate) fn begins_with(&self, receipts: &BTreeSet<ReceiptId>) -> bool {
        match self.dialect {
            Dialect::Stomp(version) if !receipts.is_empty() => {
                let first = stomp::first_receipt(version, &self.bytes[self.start..self.end]);
                first.is_some_and(|id| receipts.contains(&id))
            }
            _ => false,
        }
    }
}

/// A batch that was written, until the broker confirms it. Its bytes are kept only where they may be
/// sent again.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) doubt: Doubt,
    pub(crate) again: Option<Batch>,
    /// The number of the first barrier behind it, once there is one.
    pub(crate) barrier: Option<u64>,
}
