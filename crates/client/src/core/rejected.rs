//! Messages that the server has rejected: they are not sent again, and its ERROR may be the end of the session.

use super::Publisher;
use super::requests::Refusal;
use crate::Doubt;
use crate::options::Receipts;
use crate::protocol::Token;
use crate::stomp::{self, ReceiptId, Refused};
use switchboard_wire::stomp::Frame;

/// Whether the session goes on behind an ERROR. By the specification it ends; ours says in a header that it does not, and other
/// servers go on without a word. A message on a session that ends would be in doubt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Continuation {
    /// Nothing speaks against it.
    #[default]
    Sure,
    /// The server is to be asked, and nothing is published until it has answered.
    Unsure,
    /// The barrier of this number is the answer.
    Asked(u64),
}

impl Publisher {
    /// The receipt that an ERROR is about, if that is awaited: on this connection, or on an earlier one whose messages were sent
    /// again.
    pub(super) fn awaited(&self, token: Token, frame: &Frame<'_>) -> Option<ReceiptId> {
        let id = ReceiptId::answered(frame)?;
        let is_awaited = self.barriers_back < id.number && id.number <= self.barriers;
        (id.token != token || is_awaited).then_some(id)
    }

    /// Messages were not taken: that which the answer names, and without receipts of each message perhaps others between the barrier
    /// before this one and it. They are not sent again: the server would refuse them again.
    pub(super) fn refused(&mut self, token: Token, of: ReceiptId, frame: &Frame<'_>) {
        if self.continuation == Continuation::Sure && !stomp::is_passing(frame) {
            self.continuation = Continuation::Unsure;
        }
        if self.rejected.contains(&of) {
            return;
        }
        // More than are on their way cannot be rejected: a server that says so must not take memory.
        if (self.rejected.len() as u64) < self.on_their_way() {
            self.rejected.insert(of);
        }
        let refusal = Refusal { rejected: None, reason: Some(Refused::of(frame).0.into()) };
        let one = Doubt { messages: 1, bytes: 0 };
        if of.token != token {
            if !self.tell_parked(one, &refusal) && self.flushes.is_empty() {
                self.lost.add(one);
                self.refusal.add(&refusal);
            }
            return self.flushes.add(one, &refusal);
        }
        let doubt = if self.options.receipts == Receipts::Message { one } else { self.since_barrier_before(of.number) };
        let is_told = self.tell_parked(doubt, &refusal);
        if !self.flushes.refuse(of.number, doubt, &refusal) && !is_told {
            self.lost.add(doubt);
            self.refusal.add(&refusal);
        }
        if of.part.is_none() {
            self.confirmed(of.number);
        }
    }

    fn since_barrier_before(&self, number: u64) -> Doubt {
        let behind = |bound: u64| {
            let last = self.unconfirmed.iter().rposition(|sent| sent.barrier.is_some_and(|barrier| barrier < bound));
            last.map_or(0, |last| last + 1)
        };
        let mut doubt = Doubt::default();
        self.unconfirmed.range(behind(number)..behind(number + 1)).for_each(|sent| doubt.add(sent.doubt));
        doubt
    }

    /// A barrier is back: what was rejected before it need not be remembered, and the server goes on if it was asked so.
    pub(super) fn confirmed_beside_rejected(&mut self, number: u64) {
        if matches!(self.continuation, Continuation::Asked(asked) if asked <= number) {
            self.continuation = Continuation::Sure;
        }
        let Some((token, _)) = self.up else { return };
        // The message of a barrier may be rejected while it is being written: it is remembered until then.
        let is_over =
            |id: &ReceiptId| id.token == token && id.number <= number && self.writing_barrier != Some(id.number);
        self.rejected.retain(|id| !is_over(id));
    }

    /// The doubt about messages whose bytes are gone, without those that were rejected, which was told.
    pub(super) fn doubt_beside_rejected(&self, doubt: Doubt, token: Token, barrier: Option<u64>) -> Doubt {
        let of = |number| self.rejected.iter().filter(|id| id.token == token && id.number == number).count() as u64;
        Doubt { messages: doubt.messages.saturating_sub(barrier.map_or(0, of)), ..doubt }
    }
}
