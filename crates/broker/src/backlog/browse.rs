//! A look at what waits, which takes nothing.

use super::{Backlog, Open, Place, Segment, place_of};
use crate::delivery::Tries;
use crate::queues::Position;
use crate::{Attributes, Batch, Time};
use bytes::Bytes;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

/// The list of postponed messages, behind those that are ready, whose lists are their ranks.
const POSTPONED: u8 = Attributes::HIGHEST + 1;

/// Messages that wait together.
#[derive(Debug)]
pub(crate) struct View<'backlog> {
    pub(crate) packed: Bytes,
    pub(crate) count: usize,
    pub(crate) attributes: Option<&'backlog Arc<Attributes>>,
    pub(crate) tries: Tries,
    pub(crate) first: u64,
    pub(crate) step: u64,
    /// Until when they are postponed.
    pub(crate) due: Option<Time>,
    /// Position of the first.
    pub(crate) at: Position,
}

impl View<'_> {
    fn new(segment: &Segment, due: Option<Time>) -> View<'_> {
        let Segment { batch, tries, first, step, .. } = segment;
        let (list, time) = due.map_or((batch.rank(), 0), |due| (POSTPONED, due.0));
        View {
            packed: batch.packed().clone(),
            count: batch.len(),
            attributes: batch.attributes(),
            tries: *tries,
            first: *first,
            step: *step,
            due,
            at: Position { list, due: time, first: *first, passed: 0 },
        }
    }

    /// Behind these messages.
    pub(crate) fn behind(&self) -> Position {
        Position { first: self.first.saturating_add(1), passed: 0, ..self.at }
    }
}

impl Backlog {
    /// The messages at a position, or the next behind it.
    pub(crate) fn view(&self, at: Position) -> Option<View<'_>> {
        let ready = if at.list < POSTPONED { self.view_ready((at.list, at.first)) } else { None };
        ready.or_else(|| {
            let (due, first) = if at.list == POSTPONED { (at.due, at.first) } else { (0, 0) };
            let mut postponed = self.postponed.range((Time(due), first)..);
            let next = if at.list <= POSTPONED { postponed.next() } else { None };
            next.map(|(&(due, _), segment)| View::new(segment, Some(due)))
        })
    }

    fn view_ready(&self, from: Place) -> Option<View<'_>> {
        let is_before = |place: Place| place < from;
        let requeued = self.requeued.range(from..).next().map(|(_, segment)| segment);
        let grouped = self.grouped.as_ref().and_then(|grouped| grouped.segments_from(from));
        let fresh = self.fresh.get(self.fresh.partition_point(|segment| is_before((Batch::RANK, segment.first))));
        let next = requeued.into_iter().chain(grouped).chain(fresh).min_by_key(|segment| place_of(segment));
        let growing = |open: &Open| (Batch::RANK, open.first);
        match (next, &self.open) {
            // A buffer that still grows is behind all that is fresh.
            (next, Some(open))
                if !is_before(growing(open)) && next.is_none_or(|next| growing(open) < place_of(next)) =>
            {
                Some(View {
                    packed: Bytes::copy_from_slice(&open.packed),
                    count: open.count,
                    attributes: open.attributes.as_ref(),
                    tries: Tries::NONE,
                    first: open.first,
                    step: 1,
                    due: None,
                    at: Position { list: Batch::RANK, first: open.first, ..Position::default() },
                })
            }
            (next, _) => next.map(|segment| View::new(segment, None)),
        }
    }

    /// The lowest sequence number of the messages that are not postponed.
    pub(crate) fn first_ready(&self) -> Option<u64> {
        let ranks = if self.has_placed() { 0..=Attributes::HIGHEST } else { 0..=0 };
        let requeued = ranks.filter_map(|rank| self.next_of_rank(rank, true)).min();
        let fresh = self.fresh.front().map(|segment| segment.first);
        let open = self.open.as_ref().map(|open| open.first);
        [requeued, fresh, open].into_iter().flatten().min()
    }

    /// The highest priority's rank of those that are not postponed and have a lower sequence number than `end`.
    pub(crate) fn rank_before(&self, end: u64) -> Option<u8> {
        let ranks = if self.has_placed() { 0..=Attributes::HIGHEST } else { Batch::RANK..=Batch::RANK };
        let fresh = self.fresh.front().map(|segment| segment.first);
        let plain = fresh.or(self.open.as_ref().map(|open| open.first));
        ranks.into_iter().find(|&rank| {
            let plain = plain.filter(|_| rank == Batch::RANK);
            self.next_of_rank(rank, true).into_iter().chain(plain).any(|first| first < end)
        })
    }

    /// The place of the postponed segment behind a time and sequence number.
    pub(crate) fn next_postponed(&self, behind: (Time, u64)) -> Option<(Time, u64)> {
        self.postponed.range((Excluded(behind), Unbounded)).next().map(|(&place, _)| place)
    }

    /// Messages that wait for their time.
    pub(crate) fn postponed_depth(&self) -> usize {
        self.postponed_depth
    }
}
