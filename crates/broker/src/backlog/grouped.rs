//! Segments of message groups: of each group the first alone may be dispatched, and only to the consumer that the group is
//! bound to. So what cannot be dispatched is never looked at again before something changes for it.

use super::{Backlog, Place, Segment};
use crate::slots::{AllocationSlot, GroupSlot, MemberSlot};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

/// The consumer that may be given the first messages of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filing {
    /// Any.
    Free,
    /// This one; whether it may have room.
    Member(MemberSlot, bool),
    /// None now.
    Nowhere,
}

/// Segments of groups that wait in a channel.
#[derive(Debug, Default)]
pub(super) struct Grouped {
    /// All that are not postponed.
    segments: BTreeMap<Place, Segment>,
    /// The places of each group's segments. One that waits for a back-off has its place here, too, for no later one
    /// overtakes it.
    order: BTreeSet<(GroupSlot, Place)>,
    /// The first place of each group that is filed, and the consumer that it waits for.
    heads: BTreeMap<GroupSlot, (Place, Option<MemberSlot>)>,
    /// Of these, those that wait for a certain consumer.
    bound: BTreeSet<(MemberSlot, Place)>,
    /// Heads that may be dispatched: all that wait for any consumer, and the first of each consumer that may have room.
    ready: BTreeSet<Place>,
    /// Messages of all that are not postponed.
    messages: usize,
}

impl Grouped {
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty() && self.segments.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.segments.len()
    }

    /// Messages that may not be dispatched. Where any may be, one counts as such.
    pub(super) fn withheld(&self) -> usize {
        self.messages - usize::from(!self.ready.is_empty())
    }

    pub(super) fn insert(&mut self, group: GroupSlot, place: Place, segment: Segment) {
        self.reserve(group, place);
        self.messages += segment.batch.len();
        self.segments.insert(place, segment);
    }

    /// Keeps a place for a segment that is postponed.
    pub(super) fn reserve(&mut self, group: GroupSlot, place: Place) {
        self.order.insert((group, place));
        if self.heads.get(&group).is_some_and(|head| place < head.0) {
            self.unfile(group);
        }
    }

    pub(super) fn unreserve(&mut self, group: GroupSlot, place: Place) {
        self.order.remove(&(group, place));
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<Segment> {
        let segment = self.segments.remove(&place)?;
        self.messages -= segment.batch.len();
        if let Some(group) = segment.group {
            self.unreserve(group, place);
            if self.heads.get(&group).is_some_and(|head| head.0 == place) {
                self.unfile(group);
            }
        }
        Some(segment)
    }

    /// The first segment of at least this rank that may be dispatched, or of all.
    pub(super) fn next(&self, rank: u8, any: bool) -> Option<Place> {
        let ready = || self.ready.range((rank, 0)..).next().copied();
        if any { self.segments.range((rank, 0)..).next().map(|(&place, _)| place) } else { ready() }
    }

    pub(super) fn segments_from(&self, from: Place) -> Option<&Segment> {
        self.segments.range(from..).next().map(|(_, segment)| segment)
    }

    pub(super) fn last_rank(&self) -> Option<u8> {
        self.segments.last_key_value().map(|(&(rank, _), _)| rank)
    }

    /// The place of a group's next segment behind this one.
    pub(super) fn behind(&self, group: GroupSlot, place: Place) -> Option<Place> {
        let &(other, next) = self.order.range((Excluded((group, place)), Unbounded)).next()?;
        (other == group).then_some(next)
    }

    /// The place of a group's first segment, unless that waits for a back-off.
    fn head(&self, group: GroupSlot) -> Option<Place> {
        let &(other, place) = self.order.range((group, (0, 0))..).next()?;
        (other == group && self.segments.contains_key(&place)).then_some(place)
    }

    fn first_of(&self, member: MemberSlot) -> Option<Place> {
        let first = self.bound.range((member, (0, 0))..).next();
        first.filter(|(other, _)| *other == member).map(|&(_, place)| place)
    }

    fn unfile(&mut self, group: GroupSlot) {
        let Some((place, member)) = self.heads.remove(&group) else { return };
        let was_ready = self.ready.remove(&place);
        if let Some(member) = member {
            self.bound.remove(&(member, place));
            if was_ready {
                self.open(member);
            }
        }
    }

    fn file(&mut self, group: GroupSlot, filing: Filing) {
        self.unfile(group);
        let Some(place) = self.head(group) else { return };
        match filing {
            Filing::Nowhere => {}
            Filing::Free => {
                self.heads.insert(group, (place, None));
                self.ready.insert(place);
            }
            Filing::Member(member, may_have_room) => {
                let first = self.first_of(member);
                let is_open = first.map_or(may_have_room, |first| self.ready.contains(&first));
                self.heads.insert(group, (place, Some(member)));
                self.bound.insert((member, place));
                if is_open && first.is_none_or(|first| place < first) {
                    first.into_iter().for_each(|first| _ = self.ready.remove(&first));
                    self.ready.insert(place);
                }
            }
        }
    }

    fn open(&mut self, member: MemberSlot) {
        let first = self.first_of(member);
        self.ready.extend(first);
    }

    fn close(&mut self, member: MemberSlot) {
        let first = self.first_of(member);
        first.into_iter().for_each(|first| _ = self.ready.remove(&first));
    }
}

impl Backlog {
    /// Says who may be given the first messages of a group from now on. To be called after each change of what waits of it.
    pub(crate) fn file(&mut self, group: GroupSlot, filing: Filing) {
        if let Some(grouped) = &mut self.grouped {
            grouped.file(group, filing);
            self.count_unready();
        }
    }

    /// A consumer may have room, or has left: the first of what waits for it may be dispatched.
    pub(crate) fn open(&mut self, member: MemberSlot) {
        if let Some(grouped) = &mut self.grouped {
            grouped.open(member);
            self.count_unready();
        }
    }

    /// A consumer has no room.
    pub(crate) fn shut(&mut self, member: MemberSlot) {
        if let Some(grouped) = &mut self.grouped {
            grouped.close(member);
            self.count_unready();
        }
    }

    /// Whether messages of groups wait here.
    pub(crate) fn has_groups(&self) -> bool {
        self.grouped.is_some()
    }

    /// Whether messages of a group wait, postponed ones that were tried included.
    pub(crate) fn has_group(&self, group: GroupSlot) -> bool {
        let Some(grouped) = &self.grouped else { return false };
        grouped.order.range((group, (0, 0))..).next().is_some_and(|(other, _)| *other == group)
    }

    /// Whether the first messages of a group wait for a consumer.
    pub(crate) fn has_bound(&self, member: MemberSlot) -> bool {
        self.grouped.as_ref().is_some_and(|grouped| grouped.first_of(member).is_some())
    }

    /// All segments but one that still grows, for the audit.
    fn all(&self) -> impl Iterator<Item = &Segment> {
        let grouped = self.grouped.iter().flat_map(|grouped| grouped.segments.values());
        self.requeued.values().chain(self.postponed.values()).chain(&self.fresh).chain(grouped)
    }

    /// The charge of all segments, for the audit.
    pub(crate) fn charge(&self) -> usize {
        self.all().map(Segment::charge).sum::<usize>() + usize::from(self.open.is_some()) * crate::cost::SEGMENT
    }

    /// A reference to a buffer for each segment, and the bytes of it that are used, for the audit.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = (AllocationSlot, usize)> {
        let open = self.open.iter().map(|open| {
            let extra = open.attributes.as_ref().map_or(0, |attributes| attributes.charge());
            (open.allocation, open.packed.len() + extra)
        });
        self.all().map(|segment| (segment.allocation, segment.batch.footprint())).chain(open)
    }

    /// Groups of segments and the number of their messages, for the audit.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (GroupSlot, usize)> {
        let grouped = self.grouped.iter().flat_map(|grouped| grouped.segments.values());
        let all = self.postponed.values().chain(grouped);
        all.filter_map(|segment| Some((segment.group?, segment.batch.len())))
    }

    /// Whether a group's first messages are filed as they ought to be, for the audit.
    pub(crate) fn is_filed(&self, group: GroupSlot, filing: Filing) -> bool {
        let Some(grouped) = &self.grouped else { return true };
        let filed = grouped.heads.get(&group);
        match (grouped.head(group), filing) {
            (None, _) => filed.is_none(),
            (Some(_), Filing::Nowhere) => true,
            (Some(head), Filing::Free) => {
                // One that is bound to a consumer that has left is found free once it is taken out.
                let is_ready =
                    |member: MemberSlot| grouped.first_of(member).is_some_and(|at| grouped.ready.contains(&at));
                filed.is_some_and(|&(place, member)| {
                    place == head && member.map_or_else(|| grouped.ready.contains(&place), is_ready)
                })
            }
            (Some(head), Filing::Member(member, is_open)) => {
                let first = grouped.first_of(member);
                filed == Some(&(head, Some(member)))
                    && first.is_some_and(|first| !is_open || grouped.ready.contains(&first))
            }
        }
    }
}
