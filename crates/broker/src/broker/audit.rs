//! The books, counted anew: for tests.

use super::Broker;
use super::connection::Phase;
use super::member::Skipped;
use super::pending::Pending;
use super::subscription_memory::Shares;
use crate::backlog::Backlog;
use crate::cost;
use crate::lease::Lease;
use crate::name::Kind;
use crate::outbox::Origin;
use crate::slots::{AllocationSlot, ChannelSlot, Key, MemberSlot};
use bytes::Bytes;
use std::collections::BTreeMap;

impl Broker {
    /// The sum that the memory budget ought to have, from everything that is there. It costs a look at all
    /// of it.
    ///
    /// # Panics
    /// If the sums of channels or messages are wrong.
    #[doc(hidden)]
    pub fn audit(&self) -> usize {
        let mut sum = self.audit_buffers() + self.members.len() * cost::MEMBER;
        let (mut waiting, mut unused, mut retained, mut temporary, mut lists) = (0, 0, 0, 0, 0);
        let subscriptions = self.subscriptions.iter().map(|(_, subscription)| subscription.charge()).sum::<usize>();
        let mut lasting = subscriptions;
        let in_flight = self.groups_in_flight();
        for (slot, channel) in self.channels.iter() {
            unused += if channel.is_unused { channel.charge_when_empty() } else { 0 };
            lasting += channel.lasting_charge();
            sum += channel.charge() + channel.backlog.charge() + self.audit_groups(slot, &in_flight);
            sum += channel.joins.as_ref().map_or(0, |joins| joins.charge());
            waiting += channel.backlog.depth;
            lists += channel.list_charge();
            retained += usize::from(channel.retained.is_some());
            temporary += usize::from(channel.owner.is_some() && !channel.is_forgotten);
            let (mut all, mut ready, mut is_passed) = (0, 0, true);
            let mut member = channel.everybody.first;
            while let Some(at) = member {
                assert_eq!(self.members[at].channel, slot, "a member is in its channel's list");
                is_passed &= channel.oldest != Some(at);
                assert!(!is_passed || self.is_parting(at), "a member that stays is not passed over");
                all += 1;
                ready += u32::from(channel.kind == Kind::Queue && self.members[at].skipped_in == Skipped::No);
                member = self.members[at].in_channel.next;
            }
            assert_eq!(all, channel.members, "the list has all members");
            assert_eq!(is_passed, all == 0, "the first that may stay is in the list");
            assert_eq!(ready, channel.turns.len, "those that were not passed over have their turns");
        }
        self.audit_in_flight();
        assert_eq!(waiting, self.waiting, "messages in backlogs");
        assert_eq!(unused, self.unused_charge, "what is kept unused");
        assert_eq!(lasting, self.lasting_charge, "subscriptions, and what they keep");
        let mut shared = Shares::new(&self.limits);
        self.subscriptions.iter().for_each(|(_, subscription)| shared.add(subscription));
        let Shares { names, patterns, .. } = &self.shared;
        assert_eq!((shared.names, shared.patterns), (*names, *patterns), "shares of subscriptions");
        assert_eq!(retained, self.retained, "topics with a retained value");
        assert_eq!(lists, self.list_charge, "lists of what topics feed");
        sum += retained * cost::RETAINED;
        self.audit_temporary(temporary);
        let aside = self.channels.iter().flat_map(|(slot, _)| self.set_aside(slot));
        let elsewhere = self.garbage.iter().map(|(_, backlog)| backlog).chain(aside);
        sum += elsewhere.map(Backlog::charge).sum::<usize>();
        sum += subscriptions;
        let (mut pending, mut paused, mut paused_gone, mut arriving, mut needs) = (0, 0, 0, 0, 0);
        let mut leased_together = 0;
        for (_, connection) in self.connections.iter() {
            let is_gone = connection.phase == Phase::Gone;
            let is_kept = !connection.pending.is_empty() || !connection.waiters.is_empty();
            assert!(!is_gone || is_kept || self.has_work(), "{:?} is gone, and kept for nothing", connection.id);
            sum += if is_gone { cost::GONE } else { cost::CONNECTION } + connection.reserved + connection.receipts;
            sum += connection.leases.len() * cost::LEASE;
            sum += connection.pending.iter().map(Pending::charge).sum::<usize>();
            sum += (connection.outbox.len() + connection.retained.len()) * cost::ENTRY;
            let barriers = connection.outbox.entries().filter(|entry| entry.origin == Origin::Barrier);
            sum += barriers.map(|entry| entry.batch.footprint()).sum::<usize>();
            let messages = connection.pending.iter().map(Pending::messages).sum::<usize>();
            assert_eq!(messages, connection.pending_messages, "messages that it sent");
            pending += messages;
            paused += usize::from(connection.blocked.is_some());
            paused_gone += usize::from(connection.is_gone() && connection.blocked.is_some());
            arriving += usize::from(connection.is_arriving());
            needs += usize::from(connection.need.is_some());
            let unacked: u32 = connection.leases.iter().map(Lease::left).sum();
            assert_eq!(unacked as usize, connection.unacked, "messages that wait for acks");
            leased_together += unacked as isize - connection.leases.len() as isize;
        }
        assert_eq!(leased_together, self.leased_together, "messages in leases with others");
        assert_eq!(pending, self.pending, "messages of paused connections");
        let abandoned = self.abandoned.iter().flatten().map(Pending::charge).sum::<usize>();
        sum += abandoned;
        let charges = self.connections.iter().flat_map(|(_, connection)| &connection.pending);
        assert_eq!(charges.map(Pending::charge).sum::<usize>() + abandoned, self.pending_charge);
        assert_eq!(paused, self.paused, "paused connections");
        assert_eq!(paused_gone, self.paused_gone, "paused connections that are gone");
        assert_eq!(needs, self.needs.len(), "connections by what they need of memory");
        assert_eq!(arriving, self.arriving, "connections that have a part of a message and are read");
        sum
    }

    /// The sum that is charged for buffers. Each is charged for as long as something refers to it, and for no less than what
    /// that uses of it.
    fn audit_buffers(&self) -> usize {
        let end = self.budget.buffers().map(|(slot, ..)| slot.index() + 1).max().unwrap_or(0);
        let mut found = vec![(0, 0); end];
        let mut note = |(slot, bytes): (AllocationSlot, usize)| {
            let (refs, used) = &mut found[slot.index()];
            (*refs, *used) = (*refs + 1, bytes.max(*used));
        };
        for (slot, channel) in self.channels.iter() {
            channel.backlog.buffers().for_each(&mut note);
            channel.retained.iter().for_each(|retained| note(retained.buffer()));
            self.set_aside(slot).flat_map(Backlog::buffers).for_each(&mut note);
        }
        self.garbage.iter().flat_map(|(_, backlog)| backlog.buffers()).for_each(&mut note);
        for (_, connection) in self.connections.iter() {
            connection.outbox.buffers().for_each(&mut note);
            connection.retained.iter().filter_map(|retained| retained.entry.buffer()).for_each(&mut note);
            connection.leases.iter().for_each(|lease| note(lease.buffer()));
        }
        let mut sum = 0;
        for (slot, refs, charged) in self.budget.buffers() {
            let (expected, used) = found[slot.index()];
            assert_eq!(refs, expected, "references to {slot:?}");
            assert!(charged >= cost::buffer(used), "{charged} bytes are charged for {used} of {slot:?}");
            sum += charged;
        }
        sum
    }

    /// Messages of groups that consumers have, by queue and group.
    fn groups_in_flight(&self) -> BTreeMap<(ChannelSlot, Bytes), usize> {
        let mut in_flight = BTreeMap::new();
        let mut count = |member: MemberSlot, name: Option<&Bytes>, messages: usize| {
            let Some(name) = name else { return };
            *in_flight.entry((self.members[member].channel, name.clone())).or_default() += messages;
        };
        for (_, connection) in self.connections.iter() {
            for (member, messages, attributes) in connection.outbox.queue_messages() {
                count(member, attributes.and_then(|attributes| attributes.group()), messages);
            }
            for entry in connection.retained.iter().map(|retained| &retained.entry) {
                let member = entry.origin.member();
                member.into_iter().for_each(|member| count(member, entry.batch.group(), entry.batch.len()));
            }
            for lease in connection.leases.iter() {
                let name = lease.attributes().and_then(|attributes| attributes.group());
                count(lease.member, name, lease.left() as usize);
            }
        }
        in_flight
    }

    /// Each temporary queue is in the list of its owner.
    fn audit_temporary(&self, queues: usize) {
        let mut listed = 0;
        for (slot, connection) in self.connections.iter() {
            let mut next = connection.temporary.first;
            while let Some(queue) = next {
                assert_eq!(self.channels[queue].owner, Some(slot), "a temporary queue is in its owner's list");
                (listed, next) = (listed + 1, self.channels[queue].owned.next);
            }
        }
        assert_eq!(listed, queues, "temporary queues");
    }

    /// Messages that consumers have, counted anew, are those that have left their queue and are not done.
    fn audit_in_flight(&self) {
        let mut in_flight = vec![0u64; self.channels.end()];
        let mut count = |member: MemberSlot, messages: usize| {
            in_flight[self.members[member].channel.index()] += messages as u64;
        };
        for (_, connection) in self.connections.iter() {
            connection.outbox.queue_messages().for_each(|(member, messages, _)| count(member, messages));
            let retained = connection.retained.iter().map(|retained| &retained.entry);
            for entry in retained {
                entry.origin.member().into_iter().for_each(|member| count(member, entry.batch.len()));
            }
            connection.leases.iter().for_each(|lease| count(lease.member, lease.left() as usize));
        }
        for (slot, channel) in self.channels.iter().filter(|(_, channel)| channel.kind == Kind::Queue) {
            assert_eq!(channel.in_flight(), in_flight[slot.index()], "messages of {:?} in flight", channel.name);
        }
    }
}
