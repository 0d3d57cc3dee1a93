use crate::delivery::Tries;
use crate::slots::{AllocationSlot, GroupSlot};
use crate::{Attributes, Batch, Time, cost};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

mod browse;
mod grouped;
mod take;

pub(crate) use grouped::Filing;
use grouped::Grouped;

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
    /// The group of its messages in their queue, if they are of one.
    pub(crate) group: Option<GroupSlot>,
}

impl Segment {
    /// The charge for it while it waits, without its buffer.
    #[inline]
    pub(crate) fn charge(&self) -> usize {
        cost::SEGMENT + if self.group.is_some() { cost::GROUPED } else { 0 }
    }

    /// Whether it waits for a back-off when it is postponed, rather than for the time that its publisher named.
    fn is_tried(&self) -> bool {
        self.tries.attempts() > 0
    }
}

/// A buffer that still grows.
#[derive(Debug)]
struct Open {
    packed: Vec<u8>,
    count: usize,
    attributes: Option<Arc<Attributes>>,
    allocation: AllocationSlot,
    tries: Tries,
    first: u64,
}

/// The place of a segment among those that are ready: by falling priority, then by the first sequence number.
pub(crate) type Place = (u8, u64);

/// Behind all places.
const END: Place = (u8::MAX, u64::MAX);

fn place_of(segment: &Segment) -> Place {
    (segment.batch.rank(), segment.first)
}

/// A channel's waiting messages, by priority and sequence number.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Requeued segments, those that expire, and those of another priority than most. Their ranges may interleave.
    requeued: BTreeMap<Place, Segment>,
    /// In the order of their sequence numbers, all of the default priority.
    fresh: VecDeque<Segment>,
    /// Segments that are to wait for a time, by that and the first sequence number.
    postponed: BTreeMap<(Time, u64), Segment>,
    /// The places that these have once they are ready, and until when they wait.
    postponed_places: BTreeMap<Place, Time>,
    /// The segments in `requeued` that expire, by when.
    expiring: BTreeSet<(Time, Place)>,
    /// Messages of the postponed segments.
    postponed_depth: usize,
    /// Segments of groups, if there are any.
    grouped: Option<Box<Grouped>>,
    /// Messages that may not be dispatched now. Of groups, all but one count where any may be.
    unready: usize,
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
        self.depth > self.unready
    }

    /// Whether anything waits that is not postponed.
    pub(crate) fn has_present(&self) -> bool {
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
        let &(_, place) = self.expiring.first().filter(|(time, _)| *time <= now)?;
        let segment = self.unplace(place)?;
        self.uncount(&segment);
        Some(segment)
    }

    fn place(&mut self, segment: Segment) {
        let place = place_of(&segment);
        segment.batch.expires().into_iter().for_each(|expires| _ = self.expiring.insert((expires, place)));
        match segment.group {
            None => _ = self.requeued.insert(place, segment),
            Some(group) => {
                self.grouped.get_or_insert_default().insert(group, place, segment);
                self.count_unready();
            }
        }
    }

    fn unplace(&mut self, place: Place) -> Option<Segment> {
        let segment = match self.requeued.remove(&place) {
            Some(segment) => segment,
            None => {
                let segment = self.grouped.as_mut()?.remove(place)?;
                self.count_unready();
                segment
            }
        };
        segment.batch.expires().into_iter().for_each(|expires| _ = self.expiring.remove(&(expires, place)));
        Some(segment)
    }

    /// Messages to their places, from a time on.
    pub(crate) fn postpone(&mut self, segment: Segment, until: Time) {
        self.count(&segment);
        self.postponed_depth += segment.batch.len();
        if let Some(group) = segment.group.filter(|_| segment.is_tried()) {
            self.grouped.get_or_insert_default().reserve(group, place_of(&segment));
        }
        self.count_unready();
        // Messages that expire meanwhile need not wait longer.
        let until = segment.batch.expires().map_or(until, |expires| expires.min(until));
        self.postponed_places.insert(place_of(&segment), until);
        self.postponed.insert((until, segment.first), segment);
    }

    /// Makes the next segment that is due by now ready: gives its rank and its group, or `None` if there is none.
    pub(crate) fn make_ready(&mut self, now: Time) -> Option<(u8, Option<GroupSlot>)> {
        let segment = self.postponed.first_entry().filter(|next| next.key().0 <= now)?.remove();
        let (rank, group) = (segment.batch.rank(), segment.group);
        self.postponed_depth -= segment.batch.len();
        self.postponed_places.remove(&place_of(&segment));
        self.place(segment);
        self.count_unready();
        Some((rank, group))
    }

    /// Takes out the postponed segment that is due next behind a time and sequence number, and until when it is
    /// postponed.
    pub(crate) fn take_postponed(&mut self, behind: (Time, u64)) -> Option<(Time, Segment)> {
        let (&key, _) = self.postponed.range((Excluded(behind), Unbounded)).next()?;
        self.take_postponed_of(key)
    }

    /// The same for the oldest of the lowest priority.
    pub(crate) fn take_oldest_postponed(&mut self) -> Option<(Time, Segment)> {
        let place = self.oldest_postponed()?;
        let &until = self.postponed_places.get(&place)?;
        self.take_postponed_of((until, place.1))
    }

    fn take_postponed_of(&mut self, key: (Time, u64)) -> Option<(Time, Segment)> {
        let segment = self.postponed.remove(&key)?;
        self.postponed_depth -= segment.batch.len();
        self.postponed_places.remove(&place_of(&segment));
        if let (Some(group), Some(grouped)) = (segment.group, &mut self.grouped) {
            grouped.unreserve(group, place_of(&segment));
        }
        self.count_unready();
        self.uncount(&segment);
        Some((key.0, segment))
    }

    /// Takes out a whole segment of those that came back or are postponed, and until when it is.
    pub(crate) fn take_whole(&mut self) -> Option<(Segment, Option<Time>)> {
        let requeued = self.requeued.first_key_value().map(|(&place, _)| place);
        let Some(place) = requeued.or_else(|| self.grouped.as_ref()?.next(0, true)) else {
            let (due, segment) = self.take_postponed((Time::ZERO, 0))?;
            return Some((segment, Some(due)));
        };
        let segment = self.unplace(place)?;
        self.uncount(&segment);
        Some((segment, None))
    }

    /// Bytes that count for the bound: packed ones, and those of attributes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.extra
    }

    /// About the bytes that are charged for what waits.
    pub(crate) fn weight(&self) -> usize {
        self.bytes() + self.segments() * cost::RETURNED
    }

    /// Segments, each of which is charged.
    pub(crate) fn segments(&self) -> usize {
        let grouped = self.grouped.as_ref().map_or(0, |grouped| grouped.len());
        self.requeued.len() + grouped + self.postponed.len() + self.fresh.len() + usize::from(self.open.is_some())
    }

    /// Appends a segment.
    pub(crate) fn push(&mut self, segment: Segment) {
        self.count(&segment);
        if segment.batch.expires().is_some() || segment.batch.rank() != Batch::RANK || segment.group.is_some() {
            return self.place(segment);
        }
        self.close();
        self.fresh.push_back(segment);
    }

    /// The attributes of the last message, of those that wait in the order in which they came.
    pub(crate) fn last_attributes(&self) -> Option<&Arc<Attributes>> {
        match &self.open {
            Some(open) => open.attributes.as_ref(),
            None => self.fresh.back()?.batch.attributes(),
        }
    }

    /// Appends a small batch to its small neighbor, if it has one with the same attributes and tries: gives the
    /// buffer, and the bytes that it is charged for from now on.
    pub(crate) fn coalesce(
        &mut self,
        batch: &Batch,
        tries: Tries,
        first: u64,
        is_unshared: impl Fn(AllocationSlot) -> bool,
    ) -> Option<(AllocationSlot, usize)> {
        if batch.bytes() > SMALL {
            return None;
        }
        if self.open.is_none() {
            let fits = |last: &mut Segment| {
                last.batch.bytes() <= SMALL
                    && last.tries == tries
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
            self.open = Some(Box::new(Open { packed, count, attributes, allocation, tries, first: last.first }));
        }
        let open = self.open.as_mut()?;
        let is_full = open.packed.len() + batch.bytes() > OPEN;
        let is_next = open.first + open.count as u64 == first && open.tries == tries;
        if !is_next || is_full || !batch.has_attributes(open.attributes.as_ref()) {
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
            let Open { packed, count, attributes, allocation, tries, first } = *open;
            let batch = Batch::from_parts(packed.into(), count, attributes);
            self.fresh.push_back(Segment { batch, allocation, tries, first, step: 1, group: None });
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
        let is_plain = segment.batch.expires().is_none() && segment.batch.rank() == Batch::RANK;
        let is_plain = is_plain && segment.group.is_none();
        if self.requeued.is_empty() && is_plain && fresh.is_none_or(|fresh| last < fresh) {
            self.count(&segment);
            self.fresh.push_front(segment);
        } else {
            self.requeue(segment);
        }
    }

    /// A burst must not leave its bookkeeping behind.
    fn shrink(&mut self) {
        if self.fresh.capacity() > 8 && self.fresh.len() < self.fresh.capacity() / 4 {
            self.fresh.shrink_to(self.fresh.len() * 2);
        }
    }

    /// Counts anew what may not be dispatched.
    fn count_unready(&mut self) {
        self.grouped.take_if(|grouped| grouped.is_empty());
        self.unready = self.postponed_depth + self.grouped.as_ref().map_or(0, |grouped| grouped.withheld());
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
mod tests;
