use crate::delivery::Tries;
use crate::slots::AllocationSlot;
use crate::{Attributes, Batch, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

mod browse;

/// Batches up to this size are copied together with their neighbors.
pub(crate) const SMALL: usize = 512;
/// A buffer that small batches are copied into becomes no longer than this.
pub(crate) const OPEN: usize = 64 << 10;

/// Messages that nobody has been given: message `i` has the sequence number `first + i * step`.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) batch: Batch,
    pub(crate) allocation: AllocationSlot,
    pub(crate) tries: Tries,
    pub(crate) first: u64,
    pub(crate) step: u64,
}

/// A buffer that still grows.
#[derive(Debug)]
struct Open {
    packed: Vec<u8>,
    count: usize,
    attributes: Option<Arc<Attributes>>,
    allocation: AllocationSlot,
    first: u64,
}

/// A channel's waiting messages, by sequence number.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Requeued segments and those that expire, by the first sequence number. Their ranges may interleave.
    requeued: BTreeMap<u64, Segment>,
    fresh: VecDeque<Segment>,
    /// Segments that are to wait for a time, by that and the first sequence number.
    postponed: BTreeMap<(Time, u64), Segment>,
    /// The segments in `requeued` that expire, by when.
    expiring: BTreeSet<(Time, u64)>,
    /// Messages of the postponed segments.
    postponed_depth: usize,
    /// Behind `fresh`: small batches, copied together.
    open: Option<Box<Open>>,
    /// Packed bytes.
    bytes: usize,
    /// Bytes of attributes, counted once a segment.
    extra: usize,
    /// Messages.
    pub(crate) depth: usize,
}

impl Backlog {
    pub(crate) fn is_empty(&self) -> bool {
        self.depth == 0
    }

    /// Whether anything may be dispatched.
    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        self.depth > self.postponed_depth
    }

    /// When something is due: a back-off or a delay ends, or messages expire.
    #[inline]
    pub(crate) fn due(&self) -> Option<Time> {
        let postponed = self.postponed.first_key_value().map(|(&(time, _), _)| time);
        let expires = self.expiring.first().map(|&(time, _)| time);
        postponed.into_iter().chain(expires).min()
    }

    /// Takes out the next segment whose time is over by now, of those that are not postponed.
    pub(crate) fn pop_expired(&mut self, now: Time) -> Option<Segment> {
        let &(_, first) = self.expiring.first().filter(|(time, _)| *time <= now)?;
        let segment = self.unplace(first)?;
        self.uncount(&segment);
        Some(segment)
    }

    fn place(&mut self, segment: Segment) {
        segment.batch.expires().into_iter().for_each(|expires| _ = self.expiring.insert((expires, segment.first)));
        self.requeued.insert(segment.first, segment);
    }

    fn unplace(&mut self, first: u64) -> Option<Segment> {
        let segment = self.requeued.remove(&first)?;
        segment.batch.expires().into_iter().for_each(|expires| _ = self.expiring.remove(&(expires, first)));
        Some(segment)
    }

    /// Messages to their places, from a time on.
    pub(crate) fn postpone(&mut self, segment: Segment, until: Time) {
        self.count(&segment);
        self.postponed_depth += segment.batch.len();
        // Messages that expire meanwhile need not wait longer.
        let until = segment.batch.expires().map_or(until, |expires| expires.min(until));
        self.postponed.insert((until, segment.first), segment);
    }

    /// Makes the next segment that is due by now ready; false if there is none.
    pub(crate) fn make_ready(&mut self, now: Time) -> bool {
        let Some(next) = self.postponed.first_entry().filter(|next| next.key().0 <= now) else { return false };
        let segment = next.remove();
        self.postponed_depth -= segment.batch.len();
        self.place(segment);
        true
    }

    /// Takes out the postponed segment that is due next behind a time and sequence number, and until when it is
    /// postponed.
    pub(crate) fn take_postponed(&mut self, behind: (Time, u64)) -> Option<(Time, Segment)> {
        let (&key, _) = self.postponed.range((Excluded(behind), Unbounded)).next()?;
        let segment = self.postponed.remove(&key)?;
        self.postponed_depth -= segment.batch.len();
        self.uncount(&segment);
        Some((key.0, segment))
    }

    /// Takes out a whole segment of those that came back or are postponed, and until when it is.
    pub(crate) fn take_whole(&mut self) -> Option<(Segment, Option<Time>)> {
        let Some((&first, _)) = self.requeued.first_key_value() else {
            let (due, segment) = self.take_postponed((Time::ZERO, 0))?;
            return Some((segment, Some(due)));
        };
        let segment = self.unplace(first)?;
        self.uncount(&segment);
        Some((segment, None))
    }

    /// Bytes that count for the bound: packed ones, and those of attributes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.extra
    }

    /// Segments, each of which is charged.
    pub(crate) fn segments(&self) -> usize {
        self.requeued.len() + self.postponed.len() + self.fresh.len() + usize::from(self.open.is_some())
    }

    /// Appends a segment.
    pub(crate) fn push(&mut self, segment: Segment) {
        self.count(&segment);
        if segment.batch.expires().is_some() {
            return self.place(segment);
        }
        self.close();
        self.fresh.push_back(segment);
    }

    /// Appends a small batch to its small neighbor, if it has one with the same attributes: gives the
    /// buffer, and the bytes that it is charged for from now on.
    pub(crate) fn coalesce(
        &mut self,
        batch: &Batch,
        first: u64,
        is_unshared: impl Fn(AllocationSlot) -> bool,
    ) -> Option<(AllocationSlot, usize)> {
        if batch.bytes() > SMALL {
            return None;
        }
        if self.open.is_none() {
            let fits = |last: &mut Segment| {
                last.batch.bytes() <= SMALL
                    && last.tries == Tries::NONE
                    && batch.has_attributes(last.batch.attributes())
                    && (last.batch.len() == 1 || last.step == 1)
                    && last.first + last.batch.len() as u64 == first
                    && is_unshared(last.allocation)
            };
            let last = self.fresh.pop_back_if(fits)?;
            let mut packed = Vec::with_capacity(2 * (last.batch.bytes() + batch.bytes()));
            packed.extend_from_slice(last.batch.packed());
            let (count, allocation) = (last.batch.len(), last.allocation);
            let attributes = last.batch.attributes().cloned();
            self.open = Some(Box::new(Open { packed, count, attributes, allocation, first: last.first }));
        }
        let open = self.open.as_mut()?;
        let is_full = open.packed.len() + batch.bytes() > OPEN;
        if open.first + open.count as u64 != first || is_full || !batch.has_attributes(open.attributes.as_ref()) {
            return None;
        }
        open.packed.extend_from_slice(batch.packed());
        open.count += batch.len();
        self.bytes += batch.bytes();
        self.depth += batch.len();
        Some((open.allocation, open.packed.capacity() + batch.extra()))
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            let Open { packed, count, attributes, allocation, first } = *open;
            let batch = Batch::from_parts(packed.into(), count, attributes);
            self.fresh.push_back(Segment { batch, allocation, tries: Tries::NONE, first, step: 1 });
        }
    }

    /// Messages back to their places.
    pub(crate) fn requeue(&mut self, segment: Segment) {
        self.count(&segment);
        self.place(segment);
    }

    /// The unused rest of what [`Backlog::pop`] gave.
    pub(crate) fn requeue_front(&mut self, segment: Segment) {
        let fresh = self.fresh.front().map(|front| front.first).or(self.open.as_ref().map(|open| open.first));
        let last = segment.first + segment.step * (segment.batch.len() as u64 - 1);
        if self.requeued.is_empty() && segment.batch.expires().is_none() && fresh.is_none_or(|fresh| last < fresh) {
            self.count(&segment);
            self.fresh.push_front(segment);
        } else {
            self.requeue(segment);
        }
    }

    /// The messages with the lowest sequence numbers. A segment that stays behind in part keeps its
    /// buffer: `retain` counts the reference.
    pub(crate) fn pop(&mut self, retain: impl FnOnce(AllocationSlot) -> AllocationSlot) -> Option<Segment> {
        if self.fresh.is_empty() {
            self.close();
        }
        let fresh = self.fresh.front().map_or(u64::MAX, |segment| segment.first);
        let segment = match self.requeued.first_key_value().map(|(&first, _)| first) {
            Some(first) if first < fresh => {
                let segment = self.unplace(first)?;
                let next = self.requeued.first_key_value().map_or(fresh, |(&next, _)| next.min(fresh));
                self.before(segment, next, retain)
            }
            _ => {
                // One that came back lies in the middle of it where its neighbors were split off.
                let segment = self.fresh.pop_front()?;
                let next = self.requeued.first_key_value().map_or(u64::MAX, |(&next, _)| next);
                self.shrink();
                self.before(segment, next, retain)
            }
        };
        self.uncount(&segment);
        Some(segment)
    }

    /// The part of a segment that lies before a sequence number; the rest goes back.
    fn before(
        &mut self,
        segment: Segment,
        next: u64,
        retain: impl FnOnce(AllocationSlot) -> AllocationSlot,
    ) -> Segment {
        let count = (next - segment.first).div_ceil(segment.step);
        if count >= segment.batch.len() as u64 {
            return segment;
        }
        let count = count as usize;
        let Segment { batch, allocation, tries, first, step } = segment;
        let bytes = batch.size_of_first(count);
        let (Some(head), Some(rest)) = batch.split(count, bytes) else { unreachable!("a cut in the middle") };
        let rest =
            Segment { batch: rest, allocation: retain(allocation), tries, first: first + step * count as u64, step };
        self.extra += rest.batch.extra();
        self.place(rest);
        Segment { batch: head, allocation, tries, first, step }
    }

    /// A burst must not leave its bookkeeping behind.
    fn shrink(&mut self) {
        if self.fresh.capacity() > 8 && self.fresh.len() < self.fresh.capacity() / 4 {
            self.fresh.shrink_to(self.fresh.len() * 2);
        }
    }

    fn uncount(&mut self, segment: &Segment) {
        self.bytes -= segment.batch.bytes();
        self.extra -= segment.batch.extra();
        self.depth -= segment.batch.len();
    }

    fn count(&mut self, segment: &Segment) {
        self.bytes += segment.batch.bytes();
        self.extra += segment.batch.extra();
        self.depth += segment.batch.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Packer;
    use crate::slots::Key;
    use proptest::prelude::*;

    fn segment(first: u64, step: u64, count: u64) -> Segment {
        let mut packer = Packer::default();
        (0..count).for_each(|i| packer.push(&(first + i * step).to_be_bytes()));
        let batch = packer.finish().expect("a message");
        Segment { batch, allocation: AllocationSlot::new(0), tries: Tries::NONE, first, step }
    }

    fn drain(backlog: &mut Backlog) -> Vec<u64> {
        let mut all = Vec::new();
        while let Some(segment) = backlog.pop(|allocation| allocation) {
            for (index, body) in segment.batch.iter().enumerate() {
                let number = u64::from_be_bytes(body.try_into().expect("eight bytes"));
                assert_eq!(number, segment.first + segment.step * index as u64);
                all.push(number);
            }
        }
        assert_eq!((backlog.depth, backlog.bytes(), backlog.segments()), (0, 0, 0));
        all
    }

    proptest! {
        /// Messages are given out round robin and come back in any order.
        #[test]
        fn what_comes_back_is_given_out_in_order_however_its_ranges_interleave(
            consumers in 1..6u64, rounds in 1..9u64, fresh in 0..9u64, order in any::<u64>(), coalesced in any::<bool>(),
        ) {
            let mut backlog = Backlog::default();
            let total = consumers * rounds;
            for number in 0..fresh {
                let one = segment(total + number, 1, 1);
                if !coalesced || backlog.coalesce(&one.batch, one.first, |_| true).is_none() {
                    backlog.push(one);
                }
            }
            let mut back: Vec<Segment> = (0..consumers).map(|first| segment(first, consumers, rounds)).collect();
            back.rotate_left((order % consumers) as usize);
            back.into_iter().for_each(|segment| backlog.requeue(segment));
            prop_assert_eq!(backlog.depth as u64, total + fresh);
            prop_assert_eq!(drain(&mut backlog), (0..total + fresh).collect::<Vec<_>>());
        }
    }

    #[test]
    fn small_neighbors_share_one_buffer_up_to_its_bound() {
        let mut backlog = Backlog::default();
        backlog.push(segment(0, 1, 1));
        let mut number = 1;
        while backlog.coalesce(&segment(number, 1, 1).batch, number, |_| true).is_some() {
            number += 1;
        }
        assert_eq!(number as usize, OPEN / 12);
        assert_eq!(backlog.segments(), 1);
        assert!(backlog.coalesce(&segment(number + 1, 1, 1).batch, number + 1, |_| true).is_none(), "a gap");
        assert_eq!(drain(&mut backlog).len() as u64, number);
    }

    #[test]
    fn a_shared_or_large_neighbor_stays_as_it_is() {
        let mut backlog = Backlog::default();
        backlog.push(segment(0, 1, 1));
        assert!(backlog.coalesce(&segment(1, 1, 1).batch, 1, |_| false).is_none());
        backlog.push(segment(1, 1, 100));
        assert!(backlog.coalesce(&segment(101, 1, 1).batch, 101, |_| true).is_none());
        assert_eq!(backlog.segments(), 2);
    }
}
