//! Connections: what is known of each, and how they come.

mod connect;

use super::ack::Settling;
use super::ack_clock::AckClock;
use super::pass::Pass;
use super::pause::Blocked;
use super::pending::Pending;
use super::subscribe::Joining;
use super::table::Marked;
use crate::leases::Leases;
use crate::list::{Link, List};
use crate::outbox::{Outbox, OutboxEntry};
use crate::slots::{ChannelSlot, ConnectionSlot, MemberSlot, SubscriptionSlot};
use crate::{ConnectionId, Limits, PauseReason, Refusal, SubscriptionId, Time};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// A consumer that frees half of its window in this time gets a larger one: longer than a system delays an
/// acknowledgement that it has no other reason to send.
const QUICK: Duration = Duration::from_millis(50);
/// One that takes longer gets a smaller one.
const SLOW: Duration = Duration::from_secs(1);

/// Phases of a connection, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Open,
    /// It sends nothing more, and closes once it has got everything.
    Finishing,
    /// The driver was asked to close it.
    Closing,
    /// Only its last messages may still wait for room.
    Gone,
}

/// Down to where an outbox must drain before it has room again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full {
    bytes: usize,
    messages: usize,
    entries: usize,
}

/// A written entry that the peer's machine has not acknowledged.
#[derive(Debug)]
pub(super) struct Retained {
    pub(super) entry: OutboxEntry,
    /// Its end, counted in all bytes ever written.
    pub(super) end: u64,
}

/// The extent of a sweep over outbox and leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sweep {
    No,
    /// Messages of subscriptions that have ended, and of paused queues those that are not in flight.
    Ended,
    /// Messages of queues that are not in flight.
    Queues,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) transport_acks: bool,
    is_dirty: bool,
    pub(super) is_owed: bool,
    pub(super) phase: Phase,
    /// By the connection's own names.
    pub(super) subscriptions: BTreeMap<SubscriptionId, SubscriptionSlot>,
    /// All subscriptions are being ended.
    pub(super) leaves: bool,
    /// Some subscriptions have ended and may still have members, or all are being ended.
    pub(super) parts: bool,
    /// Ended subscriptions that still have members.
    pub(super) ending: VecDeque<SubscriptionSlot>,
    pub(super) joining: VecDeque<Joining>,
    /// Subscriptions that ask to be the only consumers of their queues, or lose their groups: [`Subscription::visits`] is the
    /// next member of each. Another one may have the slot of one that has ended.
    ///
    /// [`Subscription::visits`]: super::member::Subscription::visits
    pub(super) visits: VecDeque<SubscriptionSlot>,
    /// The next subscription that is to lose its groups, behind those that are visited.
    pub(super) loses: Option<SubscriptionId>,
    pub(super) outbox: Outbox,
    /// Bytes of an assembly that will be in the outbox before this command is over, and of the value that waits for room.
    pub(super) assembled: usize,
    /// Bytes kept for a retained value, with whose topic a subscription is to be joined next.
    pub(super) kept_for_value: usize,
    pub(super) retained: VecDeque<Retained>,
    pub(super) retained_bytes: usize,
    /// Bytes that the peer's machine acknowledged, of all ever written.
    pub(super) acknowledged: u64,
    pub(super) leases: Leases,
    /// The time that its ack time-outs go by.
    pub(super) ack_clock: AckClock,
    /// Leases with an ack time-out, by when that ends on its clock.
    pub(super) ack_due: BTreeSet<(Time, u64)>,
    /// Messages came back at their ack time-out while it was not read: its subscriptions with acks get no others until it
    /// is. Those without acks may be all that drains the queue that it waits for.
    pub(super) has_lapsed: bool,
    /// When its [`Timer::Ack`](super::Timer) is armed for.
    pub(super) ack_timer: Option<Time>,
    /// Once it is gone: subscriptions whose oldest unacked message was counted as tried.
    pub(super) tried: BTreeSet<SubscriptionId>,
    pub(super) unacked: usize,
    pub(super) next_tag: u64,
    /// The first tag that was not handed out to the driver.
    pub(super) handed_tag: u64,
    pub(super) sweep: Sweep,
    /// Progress of a sweep over the leases.
    pub(super) lease_sweep: Option<u64>,
    /// Extent of the next sweep.
    pub(super) wanted: Sweep,
    /// Acks and nacks of ranges that are not settled wholly.
    pub(super) settling: VecDeque<Settling>,
    /// Members whose queues wait for the end of the sweep.
    pub(super) returning: VecDeque<MemberSlot>,
    /// Commands that could not be carried out yet.
    pub(super) pending: VecDeque<Pending>,
    /// The size of a buffer is among them: one at most.
    pub(super) has_pending_size: bool,
    /// Bytes of the read-ahead in use.
    pub(super) pending_ahead: usize,
    /// Messages in what is pending.
    pub(super) pending_messages: usize,
    /// Subscriptions with acks.
    pub(super) manual: u32,
    /// Temporary queues that end with it.
    pub(super) temporary: List<ChannelSlot>,
    /// The driver was asked not to read it.
    pub(super) is_told: bool,
    pub(super) blocked: Option<Blocked>,
    /// When its peer said that it sends nothing more.
    pub(super) departed: Option<Time>,
    /// It is closed for another to come.
    pub(super) is_let_go: bool,
    /// It may be part of a knot, which is to be looked at again.
    pub(super) untangles: bool,
    pub(super) reason: Option<PauseReason>,
    pub(super) paused_on: Option<ChannelSlot>,
    /// The channel that it published to last; another may have its slot now.
    pub(super) last_channel: Option<ChannelSlot>,
    pub(super) reserved: usize,
    /// Charge for its unwritten receipts, in bytes.
    pub(super) receipts: usize,
    /// Bytes of memory that it waits for, and since when it has waited.
    pub(super) need: Option<usize>,
    pub(super) needs_since: Time,
    /// Its neighbors among those that wait for the same.
    pub(super) wait: Link<ConnectionSlot>,
    /// Publishers that wait for room in the outbox.
    pub(super) waiters: List<ConnectionSlot>,
    /// Each of them is to be tried again: something else than room changed.
    pub(super) pass: Pass,
    pub(super) wakes_all: bool,
    /// Members whose queues found no room here, the longest waiting first.
    pub(super) skipped: List<MemberSlot>,
    /// Members with acks whose queues found that it has lapsed.
    pub(super) lapsed: List<MemberSlot>,
    /// Subscriptions whose prefetch has room again.
    pub(super) freed: VecDeque<SubscriptionSlot>,
    pub(super) full: Option<Full>,
    /// Bytes that are handed out ahead of its credit: [`Limits::window`], unless that leaves nothing that it could miss.
    pub(super) handed_window: usize,
    /// Bytes of queues that may be ahead of it without acks.
    pub(super) window: usize,
    /// When that was used up last.
    pub(super) used_up: Time,
    /// Down to where [`Connection::ahead`] must drain before queues have room again. Topics have it meanwhile.
    pub(super) resume_ahead: Option<usize>,
    /// Saved grace: the time that publishers may wait for room, where that is longer than the limit.
    pub(super) grace: Duration,
    /// Extra grace while it takes something, before it has saved any.
    pub(super) initial_grace: Duration,
    /// Some byte was written since the grace was last prolonged.
    pub(super) took: bool,
    /// When the grace period ends for which publishers wait.
    pub(super) grace_ends: Option<Time>,
    /// The grace period ended early, and those that still wait behind the first need another.
    pub(super) regraces: bool,
    pub(super) slow_until: Time,
    /// Some byte was written since it last was slow.
    pub(super) draining: bool,
    pub(super) last_credit: Time,
    pub(super) timeout_armed: bool,
    pub(super) stalled: bool,
    pub(super) recalling: bool,
    /// When its [`Timer::Expiry`](super::Timer) is armed for.
    pub(super) expiry_timer: Option<Time>,
    /// Messages are not recalled before because they are too old.
    pub(super) recall_after: Time,
    /// The channel of its last messages that were not taken, and why, until a receipt says so.
    pub(super) rejected: Option<Box<(Bytes, Refusal)>>,
    /// Number of its publishes that were carried out since then, that one included.
    pub(super) publishes_since: usize,
    pub(super) published: u64,
    pub(super) delivered: u64,
    pub(super) dropped: u64,
}

impl Marked for Connection {
    fn mark(&mut self) -> &mut bool {
        &mut self.is_dirty
    }
}

impl Connection {
    pub(super) fn is_slow(&self, now: Time) -> bool {
        self.slow_until > now
    }

    /// Whether it has left its channels, or is about to.
    pub(super) fn has_left(&self) -> bool {
        self.leaves
    }

    /// Whether it has a part of a message, and is read.
    pub(super) fn is_arriving(&self) -> bool {
        self.reserved > 0 && self.blocked.is_none()
    }

    /// Whether it is asked to close, or gone.
    pub(super) fn is_closing(&self) -> bool {
        self.phase >= Phase::Closing
    }

    /// Whether a queue may give it messages, as far as there is room.
    pub(super) fn is_able(&self) -> bool {
        self.phase == Phase::Open
            && !self.stalled
            && !self.recalling
            && self.sweep == Sweep::No
            && self.wanted == Sweep::No
    }

    /// Bytes of queues that are ahead of a consumer without acks.
    pub(super) fn ahead(&self) -> usize {
        self.outbox.auto_bytes() + self.retained_bytes
    }

    /// Whether the outbox takes so many bytes; an empty one takes one message of any size.
    pub(super) fn fits(&self, bytes: usize, messages: usize, limits: &Limits) -> bool {
        let waiting = self.outbox.load() + self.assembled;
        if waiting == 0 {
            return true;
        }
        let most = if limits.outbox_messages == 0 { usize::MAX } else { limits.outbox_messages };
        waiting.saturating_add(bytes) <= limits.outbox
            && self.outbox.messages().saturating_add(messages) <= most
            && self.outbox.len() < entries(limits)
    }

    /// Whether its outbox has more than the bounds allow.
    pub(super) fn is_beyond(&self, limits: &Limits) -> bool {
        let most = if limits.outbox_messages == 0 { usize::MAX } else { limits.outbox_messages };
        let (load, messages) = (self.outbox.load() + self.assembled, self.outbox.messages());
        load > limits.outbox || messages > most || self.outbox.len() > entries(limits)
    }

    /// Notes that there was no room, and down to where the outbox must drain for it.
    pub(super) fn set_full(&mut self, bytes: usize, limits: &Limits) {
        let bound = limits.outbox;
        let messages = if limits.outbox_messages == 0 { usize::MAX } else { limits.outbox_messages / 2 };
        self.full =
            Some(Full { bytes: (bound / 2).min(bound.saturating_sub(bytes)), messages, entries: entries(limits) / 2 });
    }

    /// Notes that a queue's window was used up.
    pub(super) fn set_ahead(&mut self, bytes: usize, now: Time) {
        self.used_up = now;
        self.resume_ahead = Some((self.window / 2).min(self.window.saturating_sub(bytes)));
    }

    /// Keeps room for a retained value: nothing else gets it meanwhile.
    pub(super) fn keep_for_value(&mut self, bytes: usize) {
        self.assembled = self.assembled - self.kept_for_value + bytes;
        self.kept_for_value = bytes;
    }

    /// Gives queues room again, once enough of the window is free.
    pub(super) fn check_ahead(&mut self, now: Time, limits: &Limits) {
        if self.kept_for_value > 0 || self.resume_ahead.is_none_or(|most| self.ahead() > most) {
            return;
        }
        self.resume_ahead = None;
        let took = now.since(self.used_up);
        if took <= QUICK {
            self.window = self.window.saturating_mul(2).min(limits.window);
        } else if took > SLOW {
            self.window = (self.window / 2).max(limits.initial_window());
        }
    }

    /// Whether queues found no room, and have been told of none since.
    pub(super) fn is_full_for_queues(&self) -> bool {
        self.full.is_some() || self.resume_ahead.is_some()
    }

    /// Whether there is room again for what there was none for.
    pub(super) fn has_room_again(&self) -> bool {
        self.full.is_some_and(|full| {
            self.kept_for_value == 0
                && self.outbox.load() <= full.bytes
                && self.outbox.messages() <= full.messages
                && self.outbox.len() <= full.entries
        })
    }

    /// Whether its row may lead to any follow-up work while it is open.
    pub(super) fn has_follow_up(&self) -> bool {
        self.is_full_for_queues()
            || self.stalled
            || self.blocked.is_some()
            || self.wakes_all
            || self.leaves
            || self.wanted != Sweep::No
            || self.sweep != Sweep::No
            || !self.pass.is_over()
            || !self.waiters.is_empty()
            || !self.skipped.is_empty()
            || !self.lapsed.is_empty()
            || !self.freed.is_empty()
            || !self.joining.is_empty()
            || !self.visits.is_empty()
            || !self.pending.is_empty()
            || !self.ending.is_empty()
            || !self.settling.is_empty()
            || !self.retained.is_empty()
            || self.slow_until > Time::ZERO
    }

    /// Whether it has left, and waits for room for its last messages.
    pub(super) fn is_departed(&self) -> bool {
        self.departed.is_some() && self.blocked.is_some() && !self.is_closing()
    }

    /// Whether its peer is gone: of what it sent, messages may wait for room.
    pub(super) fn is_gone(&self) -> bool {
        self.phase == Phase::Gone || self.is_departed()
    }

    /// Whether it is gone, and not all that it had is back in its queues.
    pub(super) fn is_going(&self) -> bool {
        self.phase == Phase::Gone
            && (self.has_anything()
                || !self.subscriptions.is_empty()
                || !self.ending.is_empty()
                || !self.returning.is_empty())
    }

    /// Whether something is still to be taken back from it.
    pub(super) fn has_anything(&self) -> bool {
        !self.outbox.is_empty() || self.outbox.is_swept() || !self.leases.is_empty() || !self.retained.is_empty()
    }

    /// Whether it has not got, or not acked, all that is its own.
    pub(super) fn is_owed(&self) -> bool {
        !self.outbox.is_empty() || self.unacked > 0 || self.receipts > 0
    }

    /// Adds to the grace period that it has saved.
    pub(super) fn accrue(&mut self, grace: Duration, limits: &Limits) {
        self.grace = self.grace.saturating_add(grace).min(limits.longest_grace());
    }

    pub(super) fn is_joining_paused(&self) -> bool {
        self.blocked == Some(Blocked::Joining)
    }
}

/// Most entries of an outbox: their overhead is as bounded as their bytes are.
pub(super) fn entries(limits: &Limits) -> usize {
    64 + limits.outbox / 128
}

pub(super) fn wait(connection: &mut Connection) -> &mut Link<ConnectionSlot> {
    &mut connection.wait
}
