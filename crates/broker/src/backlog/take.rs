//! Takes out what is dispatched next, or what goes for another reason.

use super::{Backlog, END, Place, Segment};
use crate::Batch;
use crate::slots::AllocationSlot;

impl Backlog {
    /// The messages with the highest priority, and of these the lowest sequence numbers, that may be dispatched. A segment
    /// that stays behind in part keeps its buffer: `retain` counts the reference.
    pub(crate) fn pop(&mut self, retain: impl FnOnce(AllocationSlot) -> AllocationSlot) -> Option<Segment> {
        self.take(0, false, retain)
    }

    /// As [`Backlog::pop`], of those with at least this rank, and also of those of groups that may not be dispatched.
    pub(crate) fn pop_from(
        &mut self,
        rank: u8,
        retain: impl FnOnce(AllocationSlot) -> AllocationSlot,
    ) -> Option<Segment> {
        self.take(rank, true, retain)
    }

    fn take(&mut self, rank: u8, any: bool, retain: impl FnOnce(AllocationSlot) -> AllocationSlot) -> Option<Segment> {
        if self.fresh.is_empty() {
            self.close();
        }
        let fresh = self.fresh.front().map_or(END, |segment| (Batch::RANK, segment.first));
        let placed = if self.has_placed() { self.next_placed(rank, any) } else { None };
        let segment = match placed {
            Some(place) if place < fresh || rank > Batch::RANK => {
                let segment = self.unplace(place)?;
                let fresh = if place.0 == Batch::RANK { fresh.1 } else { u64::MAX };
                let next = self.next_of_rank(place.0, any).map_or(fresh, |next| next.min(fresh));
                let next = self.next_of_group(&segment, place).map_or(next, |other| other.min(next));
                self.before(segment, next, retain)
            }
            _ => {
                // One that came back lies in the middle of it where its neighbors were split off.
                let segment = self.fresh.pop_front()?;
                let next = self.next_of_rank(Batch::RANK, any).unwrap_or(u64::MAX);
                self.shrink();
                self.before(segment, next, retain)
            }
        };
        self.uncount(&segment);
        Some(segment)
    }

    /// Whether anything waits beside what is fresh.
    #[inline]
    pub(super) fn has_placed(&self) -> bool {
        !self.requeued.is_empty() || self.grouped.is_some()
    }

    /// The first of those with at least this rank that came back, or are of groups.
    fn next_placed(&self, rank: u8, any: bool) -> Option<Place> {
        let requeued = self.requeued.range((rank, 0)..).next().map(|(&place, _)| place);
        let grouped = self.grouped.as_ref().and_then(|grouped| grouped.next(rank, any));
        [requeued, grouped].into_iter().flatten().min()
    }

    /// The first sequence number of those of a rank that came back, or are of groups.
    #[inline]
    pub(super) fn next_of_rank(&self, rank: u8, any: bool) -> Option<u64> {
        if !self.has_placed() {
            return None;
        }
        let requeued = self.requeued.range((rank, 0)..=(rank, u64::MAX)).next().map(|(&place, _)| place);
        let grouped = self.grouped.as_ref().and_then(|grouped| grouped.next(rank, any));
        let next = [requeued, grouped.filter(|place| place.0 == rank)].into_iter().flatten().min();
        next.map(|(_, first)| first)
    }

    /// The next sequence number of a segment's group and rank: its messages interleave with those of a segment that came
    /// back.
    fn next_of_group(&self, segment: &Segment, place: Place) -> Option<u64> {
        let next = self.grouped.as_ref()?.behind(segment.group?, place)?;
        (next.0 == place.0).then_some(next.1)
    }

    /// The rank of the messages that are dispatched first.
    pub(crate) fn first_rank(&self) -> Option<u8> {
        let placed = self.next_placed(0, false).map(|(rank, _)| rank);
        [placed, self.plain_rank()].into_iter().flatten().min()
    }

    /// The rank of the messages that would be dispatched last.
    pub(crate) fn last_rank(&self) -> Option<u8> {
        let placed = self.requeued.last_key_value().map(|(&(rank, _), _)| rank);
        let grouped = self.grouped.as_ref().and_then(|grouped| grouped.last_rank());
        [placed, grouped, self.plain_rank()].into_iter().flatten().max()
    }

    /// The place of the oldest messages of the lowest priority, postponed ones left out.
    pub(crate) fn oldest_present(&self) -> Option<Place> {
        let rank = self.last_rank()?;
        let fresh = self.fresh.front().map(|segment| segment.first).or(self.open.as_ref().map(|open| open.first));
        let fresh = fresh.filter(|_| rank == Batch::RANK);
        let first = [fresh, self.next_of_rank(rank, true)].into_iter().flatten().min()?;
        Some((rank, first))
    }

    /// The place that the oldest postponed messages of the lowest priority have once they are ready.
    pub(crate) fn oldest_postponed(&self) -> Option<Place> {
        let (&(rank, _), _) = self.postponed_places.last_key_value()?;
        self.postponed_places.range((rank, 0)..).next().map(|(&place, _)| place)
    }

    fn plain_rank(&self) -> Option<u8> {
        (!self.fresh.is_empty() || self.open.is_some()).then_some(Batch::RANK)
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
        let Segment { batch, allocation, tries, first, step, group } = segment;
        let bytes = batch.size_of_first(count);
        let (Some(head), Some(rest)) = batch.split(count, bytes) else { unreachable!("a cut in the middle") };
        let allocation_of_rest = retain(allocation);
        let behind = first + step * count as u64;
        let rest = Segment { batch: rest, allocation: allocation_of_rest, tries, first: behind, step, group };
        self.extra += rest.batch.extra();
        self.place(rest);
        Segment { batch: head, allocation, tries, first, step, group }
    }
}
