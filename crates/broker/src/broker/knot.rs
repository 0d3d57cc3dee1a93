//! Connections with acks that are paused: their acks stand in one stream with what they send.
//!
//! Such a connection is read on while its messages wait, as far as [`Limits::read_ahead`](crate::Limits)
//! allows. Then it is paused, and so are its acks. That must not be what the full queue waits for: if
//! every consumer of the queue is paused so, and waits for such a queue in turn, and the connection is
//! among these consumers, they form a knot (as in a deadlock detector) that nobody else unties. Then
//! the connection's messages go over the queue's bound, or its share of memory, until it may be read
//! again. Where no message waits in a queue that has more than its share, consumers that are read do
//! not count: they can free none of what the others have. A queue that an operator has paused is no part of a knot: only
//! what its consumers have of its share may come back by their acks. Nor do consumers without unacked messages count where
//! all that waits is delayed. One with acks that waits for memory itself, or for a topic's share of it, is a knot of its own:
//! its acks may be what frees some. Knots have a sixteenth of the memory budget beyond it.

use super::Broker;
use super::connection::Phase;
use super::member::Member;
use super::pause::Blocked;
use crate::name::Kind;
use crate::slots::{ChannelSlot, ConnectionSlot};
use crate::{AckMode, Event};

/// Read-ahead allowed however short memory is, in bytes.
const LEAST: usize = 4096;

/// Consumers that one search looks at. More that are all paused count as a knot.
const LOOKED_AT: usize = 256;

/// A cause to wait that perhaps only the connection's own acks remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Knot {
    /// Room in a queue.
    Queue(ChannelSlot),
    /// Memory for a buffer or a new channel, or a channel's share of it.
    Memory,
}

/// A queue that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Awaited {
    queue: ChannelSlot,
    /// Its share of memory, rather than room in it.
    is_share: bool,
}

/// State of a queue's consumers.
enum Consumers {
    /// Somebody else may untie it.
    Free,
    /// All are paused.
    Tied,
}

impl Broker {
    /// Whether a connection with messages that wait is to be read nevertheless.
    pub(super) fn reads_on(&self, slot: ConnectionSlot) -> bool {
        let row = &self.connections[slot];
        let has_acks = row.manual > 0 || row.unacked > 0;
        // Short memory limits the read-ahead.
        let most = self.limits.read_ahead.min(self.budget.free().max(LEAST));
        let most = if row.is_told { most / 2 } else { most };
        has_acks && row.pending_ahead < most && row.blocked != Some(Blocked::Joining) && row.phase != Phase::Gone
    }

    /// Tells the driver whether to read a connection, where that has changed.
    pub(super) fn tell_pause(&mut self, slot: ConnectionSlot) {
        let row = &self.connections[slot];
        let Some(reason) = &row.reason else {
            if row.is_told {
                self.resume(slot);
            }
            return;
        };
        match (row.is_told, self.reads_on(slot)) {
            (false, false) => {
                if row.phase != Phase::Gone {
                    self.events.push_back(Event::Pause { connection: row.id, reason: reason.clone() });
                }
                let (now, is_draining) = (self.now, self.draining);
                let row = self.connections.quietly().row(slot);
                row.is_told = true;
                if !is_draining {
                    row.ack_clock.stop(now);
                }
            }
            (true, true) => self.resume(slot),
            _ => {}
        }
    }

    fn resume(&mut self, slot: ConnectionSlot) {
        let row = self.connections.quietly().row(slot);
        row.is_told = false;
        self.start_acks(slot);
        let row = &self.connections[slot];
        if row.phase != Phase::Gone {
            self.events.push_back(Event::Resume { connection: row.id });
        }
    }

    /// A connection's acks are read from now on.
    fn start_acks(&mut self, slot: ConnectionSlot) {
        let now = self.now;
        let row = self.connections.quietly().row(slot);
        row.ack_clock.start(now);
        let has_lapsed = std::mem::take(&mut row.has_lapsed);
        if !row.ack_due.is_empty() || has_lapsed {
            // It may get messages of queues again.
            self.arm_acks(slot);
        }
    }

    /// The acks of all connections are read while the broker drains: starts their time-outs, some a step. Returns whether
    /// all are started. A connection that is paused meanwhile does not stop them.
    pub(super) fn start_all_acks(&mut self) -> bool {
        while self.reads_from < self.connections.end() {
            if !self.spend(1) {
                return false;
            }
            let told = self.connections.at(self.reads_from).filter(|(_, row)| row.is_told);
            if let Some((slot, _)) = told {
                self.start_acks(slot);
            }
            self.reads_from += 1;
        }
        true
    }

    /// Unties the knot of which a connection is a part, if it is.
    pub(super) fn untangle(&mut self, slot: ConnectionSlot) {
        // Each round takes a command in, and with it some of the memory that bounds the read-ahead.
        while let Some(knot) = self.knot_of(slot) {
            if self.is_exhausted() {
                self.tied.insert(slot);
                return;
            }
            self.go_on(slot, Some(knot));
            if self.steps == 0 {
                self.connections.edit(slot).untangles = true;
                return;
            }
        }
    }

    /// Unties the knots for which there was no memory.
    pub(super) fn untangle_tied(&mut self) {
        while !self.is_exhausted()
            && let Some(slot) = self.tied.pop_first()
        {
            self.untangle(slot);
            if !self.spend(8) {
                self.wakes_memory |= !self.tied.is_empty();
                return;
            }
        }
    }

    /// Whether there is no memory even for what helps to drain it.
    pub(super) fn is_exhausted(&self) -> bool {
        self.budget.is_exhausted(self.gone, self.pending_charge)
    }

    /// The queue that a connection waits for: room in it, or its share of memory.
    fn awaits(&self, slot: ConnectionSlot) -> Option<Awaited> {
        let (queue, is_share) = match self.connections[slot].blocked? {
            Blocked::Channel(queue) => (queue, false),
            Blocked::Share(queue) => (queue, true),
            Blocked::Subscriber(_) | Blocked::Memory | Blocked::Joining | Blocked::Receipts => return None,
        };
        // Publishers of a queue that rejects wait for no consumer: only until what comes back, what joins or what is moved
        // is there, some a call.
        let is_brief = !is_share && self.rejects(queue);
        (self.channels[queue].kind == Kind::Queue && !is_brief).then_some(Awaited { queue, is_share })
    }

    /// No message waits in a queue any more: connections that wait for its share may be part of a knot now.
    pub(super) fn note_dry(&mut self, slot: ChannelSlot) {
        if !self.channels[slot].share_waiters.is_empty() {
            self.look_at_waiters(slot);
        }
    }

    /// The knot that a connection is part of.
    fn knot_of(&mut self, slot: ConnectionSlot) -> Option<Knot> {
        let row = &self.connections[slot];
        if !row.is_told || row.manual == 0 && row.unacked == 0 {
            return None;
        }
        // Acks do not drain a topic, but may free the memory that its publishers wait for.
        let is_of_topic = |channel: ChannelSlot| self.channels[channel].kind == Kind::Topic;
        match row.blocked {
            Some(Blocked::Memory) => return Some(Knot::Memory),
            Some(Blocked::Share(channel)) if is_of_topic(channel) => return Some(Knot::Memory),
            _ => {}
        }
        let first = self.awaits(slot)?;
        // A queue whose share is exceeded keeps its bound.
        let knot = if first.is_share { Knot::Memory } else { Knot::Queue(first.queue) };
        self.spend(8);
        let (mut queues, mut at, mut looked_at, mut returns) = (vec![first], 0, 0, false);
        while let Some(&awaited) = queues.get(at) {
            at += 1;
            let before = looked_at;
            let consumers = self.look_at(awaited, slot, &mut queues, &mut looked_at, &mut returns);
            self.spend((looked_at - before) / 8);
            match consumers {
                Consumers::Free => return None,
                Consumers::Tied if looked_at > LOOKED_AT => return Some(knot),
                Consumers::Tied => {}
            }
        }
        returns.then_some(knot)
    }

    /// Looks at the consumers of a queue, and adds the queues that these wait for.
    fn look_at(
        &self,
        Awaited { queue, is_share }: Awaited,
        slot: ConnectionSlot,
        queues: &mut Vec<Awaited>,
        looked_at: &mut usize,
        returns: &mut bool,
    ) -> Consumers {
        if self.channels[queue].joins.is_some() {
            // Consumers that are read may be among those that are still to join.
            return Consumers::Free;
        }
        let is_paused = self.channels[queue].is_paused;
        if is_paused && !is_share {
            // Acks make no room in it: nothing of it is handed out until an operator resumes it.
            return Consumers::Free;
        }
        let (mut next, mut consumers) = (self.channels[queue].everybody.first, 0);
        // Messages of groups, if no others wait, are taken by the consumers that they are bound to alone.
        let backlog = &self.channels[queue].backlog;
        let is_bound = backlog.has_groups() && !backlog.has_ready();
        // If none wait, or none is handed out, only acks free more of the queue's share.
        let is_of_acks = is_share && (is_paused || !backlog.has_ready());
        // It consumed the queue, and its acks may be what frees memory of it.
        let owes = (is_share || is_bound) && self.owes_acks(slot, queue);
        let hands_out = !is_paused && (backlog.has_ready() || backlog.has_groups());
        *returns |= owes;
        while let Some(at) = next {
            *looked_at += 1;
            if *looked_at > LOOKED_AT {
                return Consumers::Tied;
            }
            let member = &self.members[at];
            let row = &self.connections[member.connection];
            next = member.in_channel.next;
            let is_ended = self.subscriptions[member.subscription].is_ended;
            if row.has_left() || row.is_closing() || is_ended || !self.may_consume(at) {
                continue;
            }
            if !row.is_told || self.subscriptions[member.subscription].ack == AckMode::Auto {
                // Others may free some. That is no reason to leave those unread that free theirs only when they are read.
                if is_of_acks {
                    continue;
                }
                // A group of one that takes nothing may wait for the acks of what that has.
                if is_bound && !self.channels[queue].backlog.has_bound(at) && !self.takes_nothing(at) {
                    continue;
                }
                return Consumers::Free;
            }
            if !hands_out && row.unacked == 0 {
                // No ack of it is missing: time makes room, or whoever has the rest.
                continue;
            }
            match self.awaits(member.connection) {
                Some(other) if queues.contains(&other) => {}
                Some(other) => queues.push(other),
                None => return Consumers::Free,
            }
            consumers += 1;
            *returns |= member.connection == slot;
        }
        // A queue without consumers waits for one that comes.
        if consumers == 0 && !owes { Consumers::Free } else { Consumers::Tied }
    }

    /// Whether a connection may have messages of a queue that came by subscriptions which have ended.
    fn owes_acks(&self, slot: ConnectionSlot, queue: ChannelSlot) -> bool {
        let leases = &self.connections[slot].leases;
        let is_owed = |member: &Member| member.has_left && member.channel == queue;
        leases.len() > LOOKED_AT || leases.iter().any(|lease| is_owed(&self.members[lease.member]))
    }
}
