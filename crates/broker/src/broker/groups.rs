//! Message groups: the messages of one go to one consumer, in order, and others flow past them.
//!
//! A group is bound to the consumer that gets its first message, and stays with it as long as one of its messages waits or
//! is not done. A consumer that leaves, is excluded by another, or takes nothing, loses the groups of which messages wait, and
//! one that does not ack a message in time its group: each is free once nothing of it is with that consumer any more, so that two never have messages of one at once.

use super::Broker;
use super::dispatch::Lane;
use super::member::Skipped;
use crate::backlog::Filing;
use crate::delivery::Tries;
use crate::lease::LEASE_MESSAGES;
use crate::slots::{ChannelSlot, ConnectionSlot, GroupSlot, Key, MemberSlot, Slots};
use crate::{Attributes, Batch, SubscriptionId, cost};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The groups of a queue: those of which it has a message, or a consumer has.
#[derive(Debug)]
pub(super) struct Groups {
    /// In order: a table that grows as a whole would keep everybody waiting once it is large.
    names: BTreeMap<Bytes, GroupSlot>,
    rows: Slots<GroupSlot, Group>,
}

#[derive(Debug)]
struct Group {
    name: Bytes,
    /// The consumer that it is bound to, which stays in its table meanwhile, even if it has left.
    member: Option<MemberSlot>,
    /// Messages that wait or are with consumers.
    messages: usize,
    /// Messages that are with consumers.
    in_flight: usize,
}

impl Broker {
    /// The group of messages with these attributes, as long as one is in the queue.
    pub(super) fn find_group(&self, slot: ChannelSlot, attributes: Option<&Arc<Attributes>>) -> Option<GroupSlot> {
        let name = attributes?.group()?;
        self.channels[slot].groups.as_ref()?.names.get(name).copied()
    }

    fn group(&mut self, slot: ChannelSlot, group: GroupSlot) -> Option<&mut Group> {
        let groups = self.channels.edit(slot).groups.as_mut()?;
        Some(groups.rows.row(group))
    }

    /// Messages come into a queue.
    pub(super) fn join_group(&mut self, slot: ChannelSlot, batch: &Batch) -> Option<GroupSlot> {
        let name = batch.group()?;
        let groups = self
            .channels
            .edit(slot)
            .groups
            .get_or_insert_with(|| Box::new(Groups { names: BTreeMap::new(), rows: Slots::new() }));
        if let Some(&group) = groups.names.get(name) {
            groups.rows.row(group).messages += batch.len();
            return Some(group);
        }
        let row = Group { name: name.clone(), member: None, messages: batch.len(), in_flight: 0 };
        let group = groups.rows.insert(row);
        groups.names.insert(name.clone(), group);
        self.charge(slot, cost::group(name.len()));
        Some(group)
    }

    /// Messages leave their queue, which do not wait in its backlog any more. The last one ends the group.
    #[inline]
    pub(super) fn leave_group(&mut self, slot: ChannelSlot, group: Option<GroupSlot>, messages: usize) {
        if let Some(group) = group {
            self.end_group(slot, group, messages);
        }
    }

    #[cold]
    fn end_group(&mut self, slot: ChannelSlot, group: GroupSlot, messages: usize) {
        let Some(row) = self.group(slot, group) else { return };
        row.messages -= messages;
        if row.messages > 0 {
            return self.file_group(slot, group);
        }
        let member = row.member;
        let Some(groups) = &mut self.channels.edit(slot).groups else { return };
        let row = groups.rows.remove(group);
        groups.names.remove(&row.name);
        if groups.rows.len() == 0 {
            self.channels.edit(slot).groups = None;
        }
        self.uncharge(slot, cost::group(row.name.len()));
        member.into_iter().for_each(|member| self.unref(member, 1));
    }

    /// Whether messages that are published cannot be dispatched before others of their group, or for lack of room. It
    /// changes nothing: a publisher that waits for room in the queue asks again and again.
    pub(super) fn must_wait_for_group(&self, slot: ChannelSlot, batch: &Batch) -> bool {
        self.find_group(slot, batch.attributes()).is_some_and(|group| {
            let has_room = !matches!(self.filing(slot, group), Filing::Nowhere | Filing::Member(_, false));
            !has_room || self.channels[slot].backlog.has_group(group)
        })
    }

    /// Dispatches what is published of a group: gives the rest, which has not joined the group.
    pub(super) fn dispatch_new_of_group(
        &mut self,
        slot: ChannelSlot,
        batch: &Batch,
        first: u64,
    ) -> Option<(Batch, u64)> {
        let group = self.join_group(slot, batch)?;
        let rest = self.dispatch_group(slot, group, batch, (first, 1), Tries::NONE);
        self.leave_group(slot, Some(group), rest.as_ref().map_or(0, |(rest, _)| rest.len()));
        rest
    }

    /// Messages that a consumer had are on their way back to their queue, or out of it.
    #[inline]
    pub(super) fn take_from_consumer(
        &mut self,
        slot: ChannelSlot,
        attributes: Option<&Arc<Attributes>>,
        messages: usize,
    ) -> Option<GroupSlot> {
        attributes?;
        let group = self.find_group(slot, attributes)?;
        self.group(slot, group)?.in_flight -= messages;
        Some(group)
    }

    /// A consumer has dealt with messages.
    #[inline]
    pub(super) fn settle_group(&mut self, slot: ChannelSlot, attributes: Option<&Arc<Attributes>>, messages: usize) {
        if attributes.is_some() {
            let group = self.take_from_consumer(slot, attributes, messages);
            self.leave_group(slot, group, messages);
        }
    }

    /// Says who may get the first messages of a group that wait, after any change of these, or of who has others.
    pub(super) fn file_group(&mut self, slot: ChannelSlot, group: GroupSlot) {
        let filing = self.filing(slot, group);
        let bound = self.group(slot, group).and_then(|row| row.member);
        if let (Filing::Free | Filing::Nowhere, Some(member)) = (filing, bound) {
            self.group(slot, group).into_iter().for_each(|row| row.member = None);
            self.unref(member, 1);
        }
        self.channels.edit(slot).backlog.file(group, filing);
    }

    /// The consumer of a group has not acked a message of it in time: the next that has room gets the group, once nothing of it
    /// is with that consumer any more.
    pub(super) fn unbind_group(&mut self, slot: ChannelSlot, group: GroupSlot) {
        let bound = self.group(slot, group).and_then(|row| row.member.take());
        if let Some(member) = bound {
            self.unref(member, 1);
            self.file_group(slot, group);
            self.look_at_waiters(slot);
        }
    }

    /// As [`Broker::file_group`], of messages that wait from now on. The first of all groups may be bound, and nothing else wait.
    pub(super) fn file_waiting(&mut self, slot: ChannelSlot, group: GroupSlot, had_groups: bool) {
        self.file_group(slot, group);
        if !had_groups {
            self.note_bound(slot);
        }
    }

    fn filing(&self, slot: ChannelSlot, group: GroupSlot) -> Filing {
        let channel = &self.channels[slot];
        let groups = channel.groups.as_ref();
        match groups.map(|groups| &groups.rows[group]) {
            Some(&Group { member: Some(member), in_flight, .. }) => {
                let row = &self.members[member];
                let may_consume = channel.is_open_to(member);
                let loses = row.has_left || !may_consume || self.row_takes_nothing(row);
                match in_flight {
                    0 if loses => Filing::Free,
                    1.. if loses => Filing::Nowhere,
                    _ => Filing::Member(member, row.skipped_in == Skipped::No),
                }
            }
            Some(&Group { in_flight: 1.., .. }) => Filing::Nowhere,
            _ => Filing::Free,
        }
    }

    /// A connection takes nothing: its consumers lose the groups of which they have nothing, some a step.
    pub(super) fn lose_groups(&mut self, slot: ConnectionSlot) {
        self.connections.edit(slot).loses = Some(SubscriptionId(0));
        self.visit_next(slot);
    }

    /// Goes on with the next subscription of a connection that takes nothing, behind all that are visited.
    pub(super) fn visit_next(&mut self, slot: ConnectionSlot) {
        let connection = self.connections.quietly().row(slot);
        let Some(from) = connection.loses.filter(|_| connection.visits.is_empty()) else { return };
        let next = connection.subscriptions.range(from..).next().map(|(&id, &subscription)| (id, subscription));
        connection.loses = next.and_then(|(id, _)| id.0.checked_add(1)).map(SubscriptionId);
        if let Some((_, subscription)) = next {
            self.visit(slot, subscription);
        }
    }

    /// A consumer may have room, or loses its groups.
    pub(super) fn open_groups(&mut self, member: MemberSlot) {
        let slot = self.members[member].channel;
        if self.channels[slot].backlog.has_groups() {
            self.channels.edit(slot).backlog.open(member);
        }
    }

    /// A consumer has no room.
    pub(super) fn shut_groups(&mut self, member: MemberSlot) {
        let slot = self.members[member].channel;
        if !self.channels[slot].backlog.has_groups() {
            return;
        }
        self.channels.edit(slot).backlog.shut(member);
        self.note_bound(slot);
    }

    /// If all that waits in a queue is bound to consumers without room, publishers wait for these alone now, and connections
    /// have been kept for others.
    pub(super) fn note_bound(&mut self, slot: ChannelSlot) {
        let channel = &self.channels[slot];
        let is_bound = channel.backlog.has_groups() && !channel.backlog.has_ready();
        let is_awaited = self.draining || !channel.waiters.is_empty() || !channel.share_waiters.is_empty();
        if !is_bound || !is_awaited {
            return;
        }
        self.look_at_waiters(slot);
        if self.draining {
            self.drain_anew();
        }
    }

    /// Dispatches messages of a group to the consumer that it is bound to, or to the next with room, which it is bound to
    /// from then on: gives the rest as [`Broker::dispatch`] does.
    pub(super) fn dispatch_group(
        &mut self,
        slot: ChannelSlot,
        group: GroupSlot,
        batch: &Batch,
        (first, step): (u64, u64),
        tries: Tries,
    ) -> Option<(Batch, u64)> {
        let Some(mut lane) = self.lane_of_group(slot, group, batch) else { return Some((batch.clone(), first)) };
        let (mut count, mut bytes) = (0, 0);
        for message in batch.iter_packed() {
            if count > 0 && !self.take(&mut lane, message.len()) {
                break;
            }
            (count, bytes) = (count + 1, bytes + message.len());
        }
        let member = lane.member;
        if let Some(row) = self.group(slot, group) {
            row.in_flight += count;
            if row.member.replace(member) != Some(member) {
                self.members.row(member).refs += 1;
            }
        }
        let most = if lane.is_manual { LEASE_MESSAGES } else { usize::MAX };
        let (mut head, rest) = batch.clone().split(count, bytes);
        let mut next = first;
        while let Some(batch) = head {
            let part = batch.len().min(most);
            let bytes = if part < batch.len() { batch.size_of_first(part) } else { batch.bytes() };
            let (given, later) = batch.split(part, bytes);
            // A part would keep the whole buffer.
            let given = given.map(|given| if rest.is_some() || later.is_some() { given.compact() } else { given });
            given.into_iter().for_each(|given| self.give(slot, &lane, given, (next, step), tries));
            (head, next) = (later, next + step * part as u64);
        }
        if lane.skipped != Skipped::No {
            self.skip(member, lane.skipped);
        }
        // It is bound now, and so is what waits of it.
        self.file_group(slot, group);
        rest.map(|rest| (rest, next))
    }

    /// The lane of the consumer that gets the first message of a batch of a group.
    fn lane_of_group(&mut self, slot: ChannelSlot, group: GroupSlot, batch: &Batch) -> Option<Lane> {
        let size = batch.first_size();
        match self.filing(slot, group) {
            Filing::Nowhere => return None,
            Filing::Member(member, false) => {
                self.shut_groups(member);
                return None;
            }
            Filing::Member(member, true) => {
                let mut lane = self.lane(member, batch);
                if self.take(&mut lane, size) {
                    return Some(lane);
                }
                self.skip(member, lane.skipped);
                return None;
            }
            Filing::Free => self.file_group(slot, group),
        }
        let mut passes = self.passes();
        while let Some(member) = self.channels[slot].turns.next.filter(|_| passes > 0) {
            let mut lane = self.lane(member, batch);
            if self.take(&mut lane, size) {
                self.channels.quietly().row(slot).turns.next = self.members[member].turn.next;
                return Some(lane);
            }
            passes -= 1;
            self.spend(1);
            self.skip(member, lane.skipped);
        }
        None
    }

    /// The charge of the groups of a queue, counted anew.
    ///
    /// # Panics
    /// If one is bound, filed or counted wrongly; `in_flight` has the messages with consumers by queue and name.
    pub(super) fn audit_groups(&self, slot: ChannelSlot, in_flight: &BTreeMap<(ChannelSlot, Bytes), usize>) -> usize {
        let channel = &self.channels[slot];
        let Some(groups) = &channel.groups else { return 0 };
        let garbage = self.garbage.iter().filter(|(other, _)| *other == slot).map(|(_, backlog)| backlog);
        let mut waiting = vec![0; groups.rows.end()];
        for backlog in garbage.chain(self.set_aside(slot)).chain([&channel.backlog]) {
            for (group, messages) in backlog.groups() {
                waiting[group.index()] += messages;
            }
        }
        for (group, row) in groups.rows.iter() {
            assert_eq!(groups.names.get(&row.name), Some(&group), "a group has its name");
            let with_consumers = in_flight.get(&(slot, row.name.clone())).copied().unwrap_or(0);
            assert_eq!(row.in_flight, with_consumers, "messages of {:?} with consumers", row.name);
            let all = waiting[group.index()] + with_consumers;
            assert_eq!(row.messages, all, "messages of group {:?}", row.name);
            let filing = self.filing(slot, group);
            let is_filed = channel.backlog.is_filed(group, filing);
            assert!(is_filed || self.has_work(), "group {:?} waits where it should: {filing:?}", row.name);
        }
        groups.rows.iter().map(|(_, row)| cost::group(row.name.len())).sum()
    }
}
