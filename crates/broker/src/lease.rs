use crate::batch::size_at;
use crate::delivery::Tries;
use crate::slots::{AllocationSlot, MemberSlot};
use crate::{Attributes, Batch, Time};
use bytes::Bytes;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;

/// Messages of one lease at most: a look for one of them is bounded by this.
pub(crate) const LEASE_MESSAGES: usize = 256;

const WORD: usize = u64::BITS as usize;

/// One bit for each message of a lease.
#[derive(Clone, Copy, Debug, Default)]
struct Bits([u64; LEASE_MESSAGES / WORD]);

impl Bits {
    fn get(&self, index: usize) -> bool {
        self.0[index / WORD] >> (index % WORD) & 1 == 1
    }

    /// Sets a bit: whether it was not set.
    fn set(&mut self, index: usize) -> bool {
        let (word, bit) = (&mut self.0[index / WORD], 1 << (index % WORD));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Sets the bits of a range: gives how many were not set.
    fn set_all(&mut self, range: Range<usize>) -> u32 {
        let mut count = 0;
        for (word, mask) in masks(range) {
            count += (mask & !self.0[word]).count_ones();
            self.0[word] |= mask;
        }
        count
    }

    /// The first bit of a range that is set, or is not.
    fn first(&self, range: Range<usize>, is_set: bool) -> Option<usize> {
        let wanted = |word: usize| if is_set { self.0[word] } else { !self.0[word] };
        let found = masks(range).map(|(word, mask)| (word, wanted(word) & mask)).find(|&(_, found)| found != 0);
        found.map(|(word, found)| word * WORD + found.trailing_zeros() as usize)
    }
}

/// The words that have bits of a range, and which bits of each.
fn masks(range: Range<usize>) -> impl Iterator<Item = (usize, u64)> {
    (range.start / WORD..range.end.div_ceil(WORD)).map(move |word| {
        let (begin, end) = (range.start.max(word * WORD), range.end.min((word + 1) * WORD));
        let unused = WORD - end.saturating_sub(begin);
        (word, u64::MAX.checked_shr(unused as u32).unwrap_or(0) << (begin % WORD))
    })
}

/// Outcome of the messages of a lease of which some are settled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    settled: Bits,
    /// Messages that are no longer in the batch, because it was compacted.
    absent: Bits,
}

/// Messages of a queue that were given to one consumer together and wait for their acks.
///
/// Message `i` has the tag `first_tag + i` and the sequence number `first_seq + i * step`.
///
/// Millions may be unacked, each in a lease of its own where each has headers of its own: a lease is kept small.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) member: MemberSlot,
    pub(crate) allocation: AllocationSlot,
    pub(crate) first_tag: u64,
    /// Of all messages, as they were when they were leased.
    pub(crate) tries: Tries,
    /// When the ack time-out of what was handed out ends, which is never [`Time::ZERO`].
    due: Option<NonZeroU64>,
    first_seq: u64,
    step: u64,
    count: u16,
    /// Messages that are not settled.
    left: u16,
    /// `None` until some of them are settled and others are not.
    marks: Option<Box<Marks>>,
    batch: Batch,
}

/// Properties that the messages of a lease have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) member: MemberSlot,
    pub(crate) allocation: AllocationSlot,
    pub(crate) tries: Tries,
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
        let count = batch.len() as u16;
        let (due, marks) = (None, None);
        Lease { member, allocation, first_tag, tries, due, first_seq, step, count, left: count, marks, batch }
    }

    pub(crate) fn source(&self) -> Source {
        Source { member: self.member, allocation: self.allocation, tries: self.tries }
    }

    /// Its reference to a buffer, and the bytes of that which are used, for the audit: its messages may be written.
    pub(crate) fn buffer(&self) -> (AllocationSlot, usize) {
        (self.allocation, self.batch.footprint())
    }

    /// Attributes of all its messages.
    pub(crate) fn attributes(&self) -> Option<&Arc<Attributes>> {
        self.batch.attributes()
    }

    /// The group that its messages are of.
    #[inline]
    pub(crate) fn group(&self) -> Option<&Bytes> {
        self.batch.group()
    }

    /// One more than the last tag.
    #[inline]
    pub(crate) fn end_tag(&self) -> u64 {
        self.first_tag + u64::from(self.count)
    }

    /// Messages that are not settled.
    #[inline]
    pub(crate) fn left(&self) -> u32 {
        u32::from(self.left)
    }

    /// When the ack time-out of what was handed out ends.
    pub(crate) fn due(&self) -> Option<Time> {
        self.due.map(|due| Time(due.get()))
    }

    pub(crate) fn set_due(&mut self, due: Option<Time>) {
        self.due = due.and_then(|due| NonZeroU64::new(due.0));
    }

    fn is_settled(&self, index: usize) -> bool {
        self.left == 0 || self.marks.as_ref().is_some_and(|marks| marks.settled.get(index))
    }

    fn is_absent(&self, index: usize) -> bool {
        self.marks.as_ref().is_some_and(|marks| marks.absent.get(index))
    }

    /// The messages that have tags of a range, by their index.
    fn within(&self, tags: &Range<u64>) -> Range<usize> {
        (tags.start - self.first_tag) as usize..(tags.end - self.first_tag) as usize
    }

    /// The first tag of a range that is settled already.
    fn first_settled(&self, tags: &Range<u64>) -> Option<u64> {
        if self.left == 0 {
            return Some(tags.start).filter(|_| !tags.is_empty());
        }
        let (settled, wanted) = (&self.marks.as_ref()?.settled, self.within(tags));
        Some(self.first_tag + settled.first(wanted, true)? as u64)
    }

    /// The first tag that is not settled; the end if all are.
    pub(crate) fn first_unsettled(&self) -> u64 {
        let first = match &self.marks {
            _ if self.left == 0 => None,
            None => Some(0),
            Some(marks) => marks.settled.first(0..usize::from(self.count), false),
        };
        first.map_or(self.end_tag(), |first| self.first_tag + first as u64)
    }

    /// Settles what is not in a range of this lease's tags: gives the number of messages, and the first tag that was settled
    /// before.
    pub(crate) fn settle(&mut self, tags: Range<u64>) -> (u32, Option<u64>) {
        let (wanted, known) = (self.within(&tags), self.first_settled(&tags));
        let settled = match self.left {
            0 => 0,
            // All at once, as most are.
            left if left == self.count && wanted.len() == usize::from(left) => self.left(),
            _ => self.marks.get_or_insert_default().settled.set_all(wanted),
        };
        self.left -= settled as u16;
        (settled, known)
    }

    /// Settles one of several, and says whether it did: not if it is settled already, is the first, or leaves the lease
    /// to be compacted. These cost more, and are for [`Lease::settle`].
    #[inline]
    pub(crate) fn settle_one(&mut self, tag: u64) -> bool {
        let stays = usize::from(self.left) * 2 >= self.batch.len() + 2;
        let Some(marks) = self.marks.as_mut().filter(|_| stays) else { return false };
        let is_new = marks.settled.set((tag - self.first_tag) as usize);
        self.left -= u16::from(is_new);
        is_new
    }

    /// The unsettled messages of a range of this lease's tags, as few pieces of the batch.
    pub(crate) fn pieces(&self, tags: Range<u64>) -> Vec<Piece> {
        let wanted = self.within(&tags);
        if self.left == self.count && wanted.len() == usize::from(self.count) {
            return vec![Piece { batch: self.batch.clone(), first: self.first_seq, step: self.step }];
        }
        let mut pieces = Vec::new();
        // The piece at hand: its first index, where it begins, its messages, and where it ends.
        let mut open: Option<(usize, usize, usize, usize)> = None;
        let mut offset = 0;
        let mut messages = self.batch.iter_packed();
        for index in 0..wanted.end {
            if self.is_absent(index) {
                // The neighbors of what is absent are neighbors in the batch, but not in the queue.
                self.close(&mut open, &mut pieces);
                continue;
            }
            let Some(message) = messages.next() else { break };
            let end = offset + message.len();
            if wanted.contains(&index) && !self.is_settled(index) {
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

    /// Whether more than half of the messages in the batch are settled.
    #[inline]
    pub(crate) fn is_sparse(&self) -> bool {
        usize::from(self.left) * 2 < self.batch.len()
    }

    /// Drops the settled messages from the batch if they are more than half of it, and not all: gives the bytes
    /// that the new buffer is charged for. Looks at none behind the last settled one.
    pub(crate) fn compact(&mut self) -> Option<usize> {
        let left = usize::from(self.left);
        if left == 0 || !self.is_sparse() {
            return None;
        }
        let marks = self.marks.as_mut()?;
        let (whole, mut packed) = (&self.batch.packed()[..], Vec::new());
        // Neighbors that stay are copied together: those between `begin` and `offset` so far.
        let (mut begin, mut offset) = (0, 0);
        let mut dropped = self.batch.len() - left;
        'messages: for (word, all) in masks(0..usize::from(self.count)) {
            let settled = marks.settled.0[word];
            let mut present = all & !marks.absent.0[word];
            marks.absent.0[word] |= settled;
            while present != 0 {
                let bit = present & present.wrapping_neg();
                present ^= bit;
                let Some(size) = size_at(whole, offset) else { break 'messages };
                if settled & bit != 0 {
                    if begin < offset {
                        packed.extend_from_slice(&whole[begin..offset]);
                    }
                    begin = offset + size;
                    dropped -= 1;
                }
                offset += size;
                if dropped == 0 {
                    break 'messages;
                }
            }
        }
        packed.extend_from_slice(&whole[begin..]);
        packed.shrink_to_fit();
        let bytes = packed.len() + self.batch.extra();
        self.batch = self.part(packed.into(), left);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests;
