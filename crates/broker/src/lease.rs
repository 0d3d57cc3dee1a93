use crate::delivery::Tries;
use crate::slots::{AllocationSlot, MemberSlot};
use crate::{Attributes, Batch, Time};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// Messages of one lease at most: a look for one of them is bounded by this.
pub(crate) const LEASE_MESSAGES: usize = 256;

/// One bit for each message of a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bits([u64; LEASE_MESSAGES / 64]);

impl Bits {
    fn get(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 == 1
    }

    fn set(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }
}

/// Messages of a queue that were given to one consumer together and wait for their acks.
///
/// Message `i` has the tag `first_tag + i` and the sequence number `first_seq + i * step`.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) member: MemberSlot,
    pub(crate) allocation: AllocationSlot,
    pub(crate) first_tag: u64,
    /// Of all messages, as they were when they were leased.
    pub(crate) tries: Tries,
    /// When the ack time-out of what was handed out ends.
    pub(crate) due: Option<Time>,
    first_seq: u64,
    step: u64,
    count: u32,
    /// Messages that are not settled.
    pub(crate) left: u32,
    settled: Bits,
    /// Messages that are no longer in the batch, because it was compacted.
    absent: Bits,
    batch: Batch,
}

/// Unsettled neighbors of a lease.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) batch: Batch,
    pub(crate) first: u64,
    pub(crate) step: u64,
}

impl Lease {
    pub(crate) fn new(
        member: MemberSlot,
        allocation: AllocationSlot,
        first_tag: u64,
        (first_seq, step): (u64, u64),
        tries: Tries,
        batch: Batch,
    ) -> Lease {
        debug_assert!(batch.len() <= LEASE_MESSAGES);
        let count = batch.len() as u32;
        let (settled, absent) = (Bits::default(), Bits::default());
        let due = None;
        Lease { member, allocation, first_tag, tries, due, first_seq, step, count, left: count, settled, absent, batch }
    }

    /// Attributes of all its messages.
    pub(crate) fn attributes(&self) -> Option<&Arc<Attributes>> {
        self.batch.attributes()
    }

    /// One more than the last tag.
    pub(crate) fn end_tag(&self) -> u64 {
        self.first_tag + u64::from(self.count)
    }

    /// The first tag of a range that is settled already.
    pub(crate) fn first_settled(&self, tags: &Range<u64>) -> Option<u64> {
        tags.clone().find(|tag| self.settled.get((tag - self.first_tag) as usize))
    }

    /// The first tag that is not settled; the end if all are.
    pub(crate) fn first_unsettled(&self) -> u64 {
        let mut tags = self.first_tag..self.end_tag();
        tags.find(|tag| !self.settled.get((tag - self.first_tag) as usize)).unwrap_or(self.end_tag())
    }

    /// Settles what is not in a range of this lease's tags: gives the number of messages.
    pub(crate) fn settle(&mut self, tags: Range<u64>) -> u32 {
        let before = self.left;
        for tag in tags {
            let index = (tag - self.first_tag) as usize;
            if !self.settled.get(index) {
                self.settled.set(index);
                self.left -= 1;
            }
        }
        before - self.left
    }

    /// The unsettled messages of a range of this lease's tags, as few pieces of the batch.
    pub(crate) fn pieces(&self, tags: Range<u64>) -> Vec<Piece> {
        let wanted = (tags.start - self.first_tag) as usize..(tags.end - self.first_tag) as usize;
        if self.left == self.count && self.batch.len() == self.count as usize && wanted.len() == self.count as usize {
            return vec![Piece { batch: self.batch.clone(), first: self.first_seq, step: self.step }];
        }
        let mut pieces = Vec::new();
        // The piece at hand: its first index, where it begins, its messages, and where it ends.
        let mut open: Option<(usize, usize, usize, usize)> = None;
        let mut offset = 0;
        let mut messages = self.batch.iter_packed();
        for index in 0..wanted.end {
            if self.absent.get(index) {
                // The neighbors of what is absent are neighbors in the batch, but not in the queue.
                self.close(&mut open, &mut pieces);
                continue;
            }
            let Some(message) = messages.next() else { break };
            let end = offset + message.len();
            if wanted.contains(&index) && !self.settled.get(index) {
                let (first, begin, count, _) = open.unwrap_or((index, offset, 0, offset));
                open = Some((first, begin, count + 1, end));
            } else {
                self.close(&mut open, &mut pieces);
            }
            offset = end;
        }
        self.close(&mut open, &mut pieces);
        pieces
    }

    fn close(&self, open: &mut Option<(usize, usize, usize, usize)>, pieces: &mut Vec<Piece>) {
        if let Some((index, begin, count, end)) = open.take() {
            let batch = self.part(self.batch.packed().slice(begin..end), count);
            pieces.push(Piece { batch, first: self.first_seq + index as u64 * self.step, step: self.step });
        }
    }

    /// Messages that are left of the batch.
    fn part(&self, packed: Bytes, count: usize) -> Batch {
        Batch::from_parts(packed, count, self.batch.attributes().cloned())
    }

    /// Drops the settled messages from the batch if they are more than half of it: gives the bytes
    /// that the new buffer is charged for.
    pub(crate) fn compact(&mut self) -> Option<usize> {
        if self.left == 0 || self.left as usize * 2 >= self.batch.len() {
            return None;
        }
        let mut packed = Vec::new();
        let batch = self.batch.clone();
        let mut messages = batch.iter_packed();
        for index in 0..self.count as usize {
            if self.absent.get(index) {
                continue;
            }
            let Some(message) = messages.next() else { break };
            if self.settled.get(index) {
                self.absent.set(index);
            } else {
                packed.extend_from_slice(message);
            }
        }
        packed.shrink_to_fit();
        let bytes = packed.len() + self.batch.extra();
        self.batch = self.part(packed.into(), self.left as usize);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Packer;
    use crate::slots::Key;
    use proptest::prelude::*;

    fn lease(count: u64) -> Lease {
        let mut packer = Packer::default();
        (0..count).for_each(|i| packer.push(&(7 + i * 3).to_be_bytes()[8 - (1 + i as usize % 8)..]));
        let batch = packer.finish().expect("a message");
        Lease::new(MemberSlot::new(0), AllocationSlot::new(0), 100, (7, 3), Tries::NONE, batch)
    }

    fn sequence(pieces: &[Piece]) -> Vec<u64> {
        let of_piece = |piece: &Piece| (0..piece.batch.len() as u64).map(|i| piece.first + i * piece.step).collect();
        pieces.iter().flat_map(|piece| -> Vec<u64> { of_piece(piece) }).collect()
    }

    proptest! {
        #[test]
        fn what_is_not_settled_stays_whatever_is_and_however_often_it_is_compacted(
            count in 1..=LEASE_MESSAGES as u64,
            settled in prop::collection::vec((0..256u64, 1..20u64, any::<bool>()), 0..60),
            wanted in (0..256u64, 0..256u64),
        ) {
            let whole = lease(count);
            let mut lease = lease(count);
            let mut left: Vec<u64> = (100..100 + count).collect();
            for (first, length, compacts) in settled {
                let tags = (100 + first.min(count))..(100 + (first + length).min(count));
                let before = left.len();
                left.retain(|tag| !tags.contains(tag));
                prop_assert_eq!(lease.settle(tags) as usize, before - left.len());
                if compacts {
                    lease.compact();
                }
            }
            prop_assert_eq!(lease.left as usize, left.len());
            let wanted = 100 + wanted.0.min(count)..100 + wanted.1.min(count).max(wanted.0.min(count));
            let pieces = lease.pieces(wanted.clone());
            let expected: Vec<u64> = left.iter().filter(|tag| wanted.contains(tag)).map(|tag| 7 + (tag - 100) * 3).collect();
            prop_assert_eq!(sequence(&pieces), expected);
            for piece in &pieces {
                for (index, body) in piece.batch.iter().enumerate() {
                    let at = ((piece.first - 7) / 3) as usize + index;
                    prop_assert_eq!(Some(body), whole.batch.iter().nth(at));
                }
            }
        }
    }

    #[test]
    fn a_lease_is_compacted_when_more_than_half_of_it_is_settled() {
        let mut lease = lease(4);
        assert_eq!(lease.settle(100..102), 2);
        assert_eq!(lease.compact(), None);
        assert_eq!(lease.settle(100..103), 1);
        assert_eq!(lease.first_settled(&(103..104)), None);
        assert_eq!(lease.first_settled(&(102..104)), Some(102));
        assert_eq!(lease.compact(), Some(4 + 4));
        assert_eq!(lease.compact(), None);
    }
}
