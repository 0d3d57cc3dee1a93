//! Message groups: one consumer at a time, in order, and nobody else waits for them.

use super::{Checked, Fate, LATENESS, Message, Oracle, promise};
use std::collections::BTreeMap;
use switchboard_broker::Time;

/// A group, in its queue.
pub(super) type Group = (&'static str, u8);

/// The consumers of groups, as far as they have to stay.
pub(super) type Holders = BTreeMap<Group, (u64, u32)>;

impl Oracle {
    /// A message of a group is handed out to a subscription of a connection.
    pub(super) fn hand_of_group(&mut self, message: usize, to: (u64, u32)) -> Checked {
        let Some(group) = self.group_of(message) else { return Ok(()) };
        self.counts.handed_of_groups += 1;
        let mut passed = Vec::new();
        for &other in &self.channels[group.0].open {
            let row = &self.messages[other];
            if other == message || row.group != Some(group.1) {
                continue;
            }
            if let Fate::With(id) = row.fate {
                promise!(id == to.0, "{} got message {message} of group {group:?}, and {id} has message {other}", to.0);
            }
            let is_alike = row.priority == self.messages[message].priority && self.is_before(other, message);
            if is_alike && row.fate == Fate::Taken && !self.may_be_passed(other) {
                passed.push(other);
            }
        }
        if !passed.is_empty() {
            let books = self.channels.get_mut(group.0).expect("it is there");
            books.passed.extend(passed);
            promise!(
                books.passed.len() <= books.drops,
                "{} got message {message} of group {group:?}, {:?} are to come before, and {} were dropped",
                to.0,
                books.passed,
                books.drops
            );
        }
        let holder = self.holders.insert(group, to);
        self.lost_holders.remove(&group);
        // One whose last message has ended in this step begins anew with what is published in it.
        let is_new = self.messages[message].taken == self.step;
        let stays = holder.filter(|holder| !is_new && self.is_there(group, *holder));
        promise!(
            stays.is_none_or(|holder| holder == to),
            "{} got message {message} of group {group:?}, which {:?} has not left",
            to.0,
            stays
        );
        Ok(())
    }

    pub(super) fn group_of(&self, message: usize) -> Option<Group> {
        let row = &self.messages[message];
        row.group.map(|group| (row.channel, group))
    }

    /// Whether a message holds back none of its group: it may be gone, but for the bound of its queue, or its publisher
    /// delays it.
    fn may_be_passed(&self, id: usize) -> bool {
        let message = &self.messages[id];
        let is_over = message.purged || message.expires.is_some_and(|expires| expires <= self.now);
        let may_wait = message.delayed && message.tried == 0;
        is_over || may_wait && Time(message.not_before.0 + LATENESS) > self.now
    }

    /// Whether a subscription is still to have its groups.
    fn is_there(&self, group: Group, (id, subscription): (u64, u32)) -> bool {
        let link = &self.links[&id];
        let is_active =
            self.may_consume(group.0, (id, subscription)) && link.subs.get(&subscription).is_some_and(|sub| sub.active);
        is_active && !link.gone && !link.finishing && !self.takes_nothing((id, subscription))
    }

    /// Whether a subscription gets nothing until its connection takes bytes or is read again.
    fn takes_nothing(&self, (id, subscription): (u64, u32)) -> bool {
        let link = &self.links[&id];
        link.stalled || link.bars(subscription) || self.stalled.contains(&id)
    }

    /// A message of a group was not acked in time: the group is free once its consumer has none of it any more.
    pub(super) fn lapse_group(&mut self, message: usize, holder: (u64, u32)) {
        let Some(group) = self.group_of(message).filter(|group| self.holders.get(group) == Some(&holder)) else {
            return;
        };
        self.holders.remove(&group);
        self.lost_holders.insert(group, holder);
    }

    /// Groups end with their last message, and one that takes no byte loses its own.
    pub(super) fn end_groups(&mut self) {
        if self.holders.is_empty() {
            return;
        }
        let mut holders = std::mem::take(&mut self.holders);
        let (mut freed, mut ended) = (0, Vec::new());
        holders.retain(|group, holder| {
            let mut own = self.channels[group.0].open.iter().filter(|&&id| self.messages[id].group == Some(group.1));
            let has_messages = own.clone().any(|&id| self.is_counted(id));
            // A group of which all that was there before has ended in this step may have ended, too, before the rest came.
            let is_kept = |row: &Message| row.taken < self.step || row.fate == Fate::With(holder.0);
            let goes_on = own.any(|&id| self.is_counted(id) && is_kept(&self.messages[id]));
            let is_there = self.is_there(*group, *holder);
            freed += u64::from(has_messages && !is_there);
            if goes_on && !is_there {
                ended.push((*group, *holder));
            }
            goes_on && is_there
        });
        self.holders = holders;
        self.lost_holders.extend(ended);
        self.counts.freed_groups += freed;
    }

    fn is_counted(&self, id: usize) -> bool {
        let message = &self.messages[id];
        !message.purged && message.expires.is_none_or(|expires| expires > self.now)
    }

    /// Whether a message waits at rest for a consumer of its group that may have no more.
    pub(super) fn waits_for_its_group(&self, id: usize) -> bool {
        let Some(group) = self.group_of(id) else { return false };
        let mut others =
            self.channels[group.0].open.iter().filter(|&&other| self.messages[other].group == Some(group.1));
        // One that takes bytes again before the last message that it has is back keeps the group. One that still takes
        // nothing holds back none.
        let lost = self.lost_holders.get(&group).filter(|&&holder| !self.takes_nothing(holder));
        let holder = self.holders.get(&group).or(lost);
        let is_full = holder.is_some_and(|(id, sub)| {
            let link = &self.links[id];
            let sub_row = link.subs.get(sub).filter(|sub| sub.active);
            sub_row.and_then(|sub| sub.prefetch).is_some_and(|most| link.waiting_acks(*sub) >= most)
        });
        let books = &self.channels[group.0];
        let may_be_full =
            books.has_purged_groups && !books.rotation.iter().all(|consumer| self.has_prefetch(*consumer));
        is_full || may_be_full || others.any(|&other| matches!(self.messages[other].fate, Fate::With(_)))
    }
}
