//! Messages that an operator moves to another queue, or dead letters to where they came from: some a step.

use super::Broker;
use super::dead::{ORIGIN, push_others};
use super::retry::Due;
use crate::backlog::{Backlog, Segment};
use crate::name::{Kind, is_durable};
use crate::queues::{MoveError, MoveOrder, StayReason};
use crate::slots::ChannelSlot;
use crate::{Attributes, Event, Headers, Refusal, Time};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// Orders that may wait.
pub(super) const ORDERS: usize = 1000;

/// Orders, which are carried out one after the other.
#[derive(Debug, Default)]
pub(super) struct Orders {
    waiting: VecDeque<Moving>,
    /// The number of the last one.
    last: u64,
}

impl Orders {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Messages that are being moved.
#[derive(Debug)]
struct Moving {
    order: u64,
    from: ChannelSlot,
    /// The target queue; `None` if each goes back to its origin.
    to: Option<Bytes>,
    /// Messages that are still to be looked at.
    left: usize,
    /// Messages from this one on came later, and stay.
    end: u64,
    /// Of these, messages whose time was over.
    later_expired: u64,
    /// Progress over the postponed ones.
    passed: (Time, u64),
    /// Messages without room, until the end.
    aside: Backlog,
    moved: usize,
    stayed: usize,
    /// The first reason for which messages stay, with the queue that they do not go to.
    reason: Option<Box<(Bytes, StayReason)>>,
}

impl Moving {
    /// Notes messages that came later, and whose time is over.
    fn note_due(&mut self, due: Due) {
        if let Due::Expired { first, step, messages } = due {
            let earlier = self.end.saturating_sub(first).div_ceil(step).min(messages);
            self.later_expired += messages - earlier;
        }
    }
}

impl Broker {
    /// Moves messages that wait in a queue to another one, at most so many, or, without a name, dead letters back to the
    /// queues that they came from, without the headers that they got. [`Event::Moved`] tells how many were moved, and why the
    /// others were not.
    ///
    /// They are moved in steps, and nothing is dispatched from their queue meanwhile. They go behind what waits in the
    /// other queue. No try is counted of them. What finds no room there, or has no origin, stays in its place.
    ///
    /// # Errors
    /// If there is no such queue, or the other one cannot be made, is a topic, or the same; or if too many orders wait.
    pub fn move_messages(
        &mut self,
        now: Time,
        from: &[u8],
        to: Option<&[u8]>,
        most: usize,
    ) -> Result<MoveOrder, MoveError> {
        self.begin(now);
        let slot = self.find_queue(from).ok_or(MoveError::NoQueue)?;
        let to = to.map(Bytes::copy_from_slice);
        let left = self.channels[slot].backlog.depth.min(most);
        if let Some(to) = &to {
            self.check_target(from, to, left > 0)?;
        }
        if self.moving.waiting.len() >= ORDERS {
            return Err(MoveError::Orders { limit: ORDERS });
        }
        self.moving.last += 1;
        let order = self.moving.last;
        let channel = self.channels.edit(slot);
        channel.returning += 1;
        self.moving.waiting.push_back(Moving {
            order,
            from: slot,
            to,
            left,
            end: channel.next_seq,
            later_expired: 0,
            passed: (Time::ZERO, 0),
            aside: Backlog::default(),
            moved: 0,
            stayed: 0,
            reason: None,
        });
        self.run_effects();
        Ok(MoveOrder { number: order, messages: left })
    }

    fn check_target(&mut self, from: &[u8], to: &Bytes, is_needed: bool) -> Result<(), MoveError> {
        let limit = self.limits.channel_name;
        if Kind::of(to) != Kind::Queue {
            return Err(MoveError::NotAQueue);
        }
        if from == to {
            return Err(MoveError::Same);
        }
        if to.len() > limit {
            return Err(MoveError::Refused(Refusal::NameTooLong { length: to.len(), limit }));
        }
        if !is_needed {
            return Ok(());
        }
        match self.find_or_make(to) {
            // One that is not used after all is forgotten.
            Ok(slot) => {
                self.channels.edit(slot);
                Ok(())
            }
            Err(error) => Err(MoveError::Refused(self.refusal_of(error))),
        }
    }

    /// Goes on with moving messages.
    pub(super) fn go_on_moving(&mut self) {
        while let Some(mut moving) = self.moving.waiting.pop_front() {
            if !self.move_some(&mut moving) {
                self.moving.waiting.push_front(moving);
                return;
            }
            self.channels.edit(moving.from).returning -= 1;
            let Moving { order, moved, stayed, reason, .. } = moving;
            self.events.push_back(Event::Moved { order, moved, stayed, reason });
        }
    }

    /// Moves as much as this call may: whether the order is carried out.
    fn move_some(&mut self, moving: &mut Moving) -> bool {
        while moving.left > 0 {
            if !self.spend(8) {
                return false;
            }
            // Messages that have expired meanwhile are neither moved nor stay.
            if let Some(due) = self.go_on_with_due(moving.from) {
                moving.note_due(due);
                continue;
            }
            match self.take_next(moving) {
                Some(Some((segment, due))) => self.move_one(moving, segment, due),
                Some(None) => {}
                None => moving.left = 0,
            }
        }
        while let Some((segment, due)) = moving.aside.take_whole() {
            self.put_back(moving, segment, due);
            if !self.spend(8) {
                return moving.aside.is_empty();
            }
        }
        true
    }

    /// Messages that found no room go back to their places, unless their time is over by now.
    fn put_back(&mut self, moving: &mut Moving, segment: Segment, due: Option<Time>) {
        let from = moving.from;
        self.channels.edit(from).moving -= segment.batch.len();
        if segment.batch.has_expired(self.now) {
            self.uncharge(from, segment.charge());
            return self.expire(from, segment);
        }
        moving.stayed += segment.batch.len();
        self.waiting += segment.batch.len();
        let (channel, group) = (self.channels.edit(from), segment.group);
        match due {
            Some(due) => channel.backlog.postpone(segment, due),
            None => channel.backlog.requeue(segment),
        }
        group.into_iter().for_each(|group| self.file_group(from, group));
    }

    /// The next messages to move, at most as many as are left, and until when they are postponed. `None` if there are none,
    /// `Some(None)` if this call has only passed over some that stay.
    fn take_next(&mut self, moving: &mut Moving) -> Option<Option<(Segment, Option<Time>)>> {
        let from = moving.from;
        let (segment, due) = if let Some(rank) = self.channels[from].backlog.rank_before(moving.end) {
            let segment = self.pop_backlog_from(from, rank)?;
            // Messages that came later may be in one buffer with it.
            let meant = (moving.end - segment.first).div_ceil(segment.step);
            let (segment, later) = self.split(segment, usize::try_from(meant).unwrap_or(usize::MAX));
            later.into_iter().for_each(|later| self.requeue_front(from, later));
            (segment, None)
        } else {
            let backlog = &mut self.channels.edit(from).backlog;
            while let Some(key) = backlog.next_postponed(moving.passed).filter(|&(_, first)| first >= moving.end) {
                moving.passed = key;
                if self.steps == 0 {
                    return Some(None);
                }
                self.steps -= 1;
            }
            let (segment, due) = self.pop_postponed(from, moving.passed)?;
            moving.passed = (due, segment.first);
            (segment, Some(due))
        };
        let (head, rest) = self.split(segment, moving.left);
        rest.into_iter().for_each(|rest| self.return_rest(from, rest, due));
        moving.left -= head.batch.len();
        Some(Some((head, due)))
    }

    /// Takes out the postponed messages behind a time and sequence number, and until when they are postponed.
    pub(super) fn pop_postponed(&mut self, slot: ChannelSlot, behind: (Time, u64)) -> Option<(Segment, Time)> {
        let (due, segment) = self.channels.edit(slot).backlog.take_postponed(behind)?;
        Some((self.uncharge_postponed(slot, segment), due))
    }

    /// The same for the oldest of the lowest priority.
    pub(super) fn pop_oldest_postponed(&mut self, slot: ChannelSlot) -> Option<(Segment, Time)> {
        let (due, segment) = self.channels.edit(slot).backlog.take_oldest_postponed()?;
        Some((self.uncharge_postponed(slot, segment), due))
    }

    fn uncharge_postponed(&mut self, slot: ChannelSlot, segment: Segment) -> Segment {
        self.waiting -= segment.batch.len();
        self.uncharge(slot, segment.charge());
        segment.group.into_iter().for_each(|group| self.file_group(slot, group));
        segment
    }

    /// Messages that were taken out go back to their place.
    pub(super) fn return_rest(&mut self, from: ChannelSlot, segment: Segment, due: Option<Time>) {
        let Some(due) = due else { return self.requeue_front(from, segment) };
        self.waiting += segment.batch.len();
        self.charge(from, segment.charge());
        let group = segment.group;
        self.channels.edit(from).backlog.postpone(segment, due);
        group.into_iter().for_each(|group| self.file_group(from, group));
    }

    fn move_one(&mut self, moving: &mut Moving, segment: Segment, due: Option<Time>) {
        let from = moving.from;
        let origin = || self.origin_of(from, segment.batch.attributes()?);
        let name = moving.to.clone().or_else(origin);
        let to = self.target_of(from, name.as_ref());
        let room = to.map_or(0, |to| self.channels[to].room_for(&segment.batch, self.channels[to].messages).0);
        let rest = match to {
            Ok(to) if room > 0 => {
                let (head, rest) = self.split(segment, room);
                moving.moved += head.batch.len();
                self.move_now(from, to, head, moving.to.is_none());
                rest
            }
            _ => Some(segment),
        };
        let Some(rest) = rest else { return };
        if moving.reason.is_none() {
            let reason = to.map_or_else(|reason| reason, |to| StayReason::Refused(self.bound_of(to)));
            moving.reason = Some(Box::new((name.unwrap_or_default(), reason)));
        }
        if moving.to.is_some() {
            // Nothing behind it finds room either.
            let left = std::mem::take(&mut moving.left) + rest.batch.len();
            self.return_rest(from, rest, due);
            moving.stayed += left.min(self.still_there(moving));
            return;
        }
        self.charge(from, rest.charge());
        self.channels.edit(from).moving += rest.batch.len();
        match due {
            Some(due) => moving.aside.postpone(rest, due),
            None => moving.aside.requeue(rest),
        }
    }

    /// Messages that wait in a queue and were there when an order to move them came.
    fn still_there(&self, moving: &Moving) -> usize {
        let channel = &self.channels[moving.from];
        let later = channel.next_seq - moving.end - moving.later_expired;
        channel.backlog.depth.saturating_sub(usize::try_from(later).unwrap_or(usize::MAX))
    }

    /// Tells the orders that wait to move messages of a queue what was due in it, but the one that is carried out.
    pub(super) fn note_due(&mut self, slot: ChannelSlot, due: Due) {
        self.spend(self.moving.waiting.len());
        self.moving.waiting.iter_mut().filter(|moving| moving.from == slot).for_each(|moving| moving.note_due(due));
    }

    /// The queue that a message came from. A topic that fed it to a durable subscription is no place to wait: a dead letter
    /// goes back to the queue of that subscription.
    fn origin_of(&self, from: ChannelSlot, attributes: &Attributes) -> Option<Bytes> {
        let origin = attributes.origin()?;
        if Kind::of(origin) == Kind::Queue {
            return Some(origin.clone());
        }
        let queue = attributes.headers.get(ORIGIN).filter(|queue| self.channels[from].is_dead && is_durable(queue))?;
        Some(Bytes::copy_from_slice(queue))
    }

    fn target_of(&mut self, from: ChannelSlot, name: Option<&Bytes>) -> Result<ChannelSlot, StayReason> {
        let name = name.ok_or(StayReason::NoOrigin)?;
        match self.find_or_make(name) {
            Ok(to) if to == from => Err(StayReason::Same),
            Ok(to) => Ok(to),
            Err(error) => Err(StayReason::Refused(self.refusal_of(error))),
        }
    }

    /// The bound that a queue without room is at.
    fn bound_of(&self, queue: ChannelSlot) -> Refusal {
        let queue = &self.channels[queue];
        if queue.messages > 0 && queue.backlog.depth >= queue.messages {
            return Refusal::QueueMessages { bound: queue.messages };
        }
        Refusal::QueueFull { bound: queue.bound }
    }

    /// Messages leave their queue for another one. `restores` says that they are no dead letters any more.
    fn move_now(&mut self, from: ChannelSlot, to: ChannelSlot, segment: Segment, restores: bool) {
        self.follow_rules(to);
        let messages = segment.batch.len() as u64;
        self.totals.moved += messages;
        self.channels.edit(from).left += messages;
        self.leave_group(from, segment.group, segment.batch.len());
        let mut attributes = segment.batch.attributes().cloned();
        if self.channels[from].is_dead || restores {
            let mut all = attributes.map(|all| Attributes::clone(&all)).unwrap_or_default();
            if self.channels[from].is_dead {
                // Their time was that of dead letters.
                all = all.with_expires(None);
            }
            if restores {
                let mut headers = Headers::builder();
                push_others(&mut headers, &all.headers);
                all.headers = headers.finish();
                let topic = all.origin().filter(|topic| Kind::of(topic) == Kind::Topic).cloned();
                all = all.with_origin(topic);
            }
            attributes = (all != Attributes::default()).then(|| Arc::new(all));
        }
        let tries = segment.tries.anew();
        self.move_to(to, segment, tries, attributes);
    }

    /// Takes out what orders have set aside of a queue that is purged.
    pub(super) fn take_aside(&mut self, from: ChannelSlot) -> Vec<Backlog> {
        // A connection may end with many queues.
        self.spend(self.moving.waiting.len() / 8);
        let of_queue = self.moving.waiting.iter_mut().filter(|moving| moving.from == from);
        let take = |moving: &mut Moving| {
            // Messages that have been put back are purged, too.
            moving.stayed = 0;
            std::mem::take(&mut moving.aside)
        };
        let aside: Vec<Backlog> = of_queue.map(take).collect();
        self.channels.edit(from).moving -= aside.iter().map(|backlog| backlog.depth).sum::<usize>();
        aside
    }

    /// Segments set aside until a move ends, for the audit.
    pub(super) fn set_aside(&self, from: ChannelSlot) -> impl Iterator<Item = &Backlog> {
        self.moving.waiting.iter().filter(move |moving| moving.from == from).map(|moving| &moving.aside)
    }
}
