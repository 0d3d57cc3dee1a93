//! The state, and the way of a command through it. The siblings say what the commands do.
//!
//! A command changes rows of [`Table`]s, which mark what was changed. The follow-up work is derived
//! from the marks alone, by [`Broker::check_connection`] and [`Broker::check_channel`], so that no
//! command can forget its own:
//!
//! | command or call | changes | follow-up work that the marks lead to |
//! |---|---|---|
//! | `Connect` | connection | close it while the broker drains |
//! | `Publish`, `PublishWithReceipt`, `Barrier`, `Receipt` | channel, outboxes, connection (paused) | let patterns join a new channel, some a step; forget the channel if it is unused |
//! | `ReceiptsWritten` | memory, connection | go on with what waits behind receipts; close if finished; free memory |
//! | `Subscribe` | members, channel | join what the pattern matches, some channels a step; dispatch; what a topic buffered; wake its publishers |
//! | `SubscribeDurable` | channel, members, topics that feed it | as `Subscribe`; the topics give retained values, and their publishers go on, some topics a step |
//! | `EndDurable` | channel | drop what waits and what comes back, members leave, forget |
//! | `Claim` | members, channels | tell the consumers who may consume, some a step; dispatch |
//! | `Unsubscribe` | members, channel, connection | leave channels, take back, dispatch, wake publishers, forget, close if finished |
//! | `Ack`, `Nack` | lease, subscription, channel, dead letters; connection, where it owes no more acks or a queue waits for them | dispatch to the freed prefetch; arm the back-off; trim the dead letters; close if finished; free memory |
//! | `Credit`, `TransportAck` | outbox, channel, connection | hand out; dispatch to the freed room; wake publishers; close if finished; free memory |
//! | `Recalled` | outbox, channel | take back, dispatch, hand out, close if finished |
//! | `Reserve` | memory | free memory |
//! | `Finish` | connection | leave channels, close once nothing is owed |
//! | `Disconnect` | connection | end its temporary queues, leave channels, take everything back, dispatch, wake publishers, remove the row |
//! | `purge` | channel | wake publishers, free memory in steps, forget |
//! | `move_messages` | channel | move its messages in steps, dispatch, wake publishers, forget |
//! | `pause_queue`, `resume_queue` | channel, its consumers | take back in steps what was not handed out; dispatch, forget |
//! | `set_rules` | channels, connections | wake publishers that wait for a channel or a subscriber |
//! | `drain` | all | close whoever is owed nothing |
//! | freed memory | | wake who waits for memory, and who waits for a channel's share |
//!
//! All of it is done in steps ([`Broker::spend`]); what one call leaves over, the next goes on with.
//! Subscriptions that are to join a new channel are the exception: a timer that is due at once goes on with them.

mod ack;
mod ack_clock;
mod audit;
mod channel;
mod closing;
mod connection;
mod dead;
mod deliver;
mod dispatch;
mod durable;
mod exclusive;
mod expire;
mod finish;
mod follow_up;
mod forget;
mod groups;
mod knot;
mod leave;
mod listing;
mod load;
mod making;
mod member;
mod moving;
mod names;
mod new;
mod pass;
mod pause;
mod pending;
mod priority;
mod publish;
mod queue_pause;
mod receipt;
mod report;
mod retain;
mod retry;
mod room;
mod round;
mod rules;
mod shed;
mod subscribe;
mod subscription_memory;
mod table;
mod temporary;
#[cfg(test)]
mod tests;
mod timers;
mod unheard;
mod waiting;
mod wake;

use crate::backlog::Backlog;
use crate::budget::MemoryBudget;
use crate::hash::IdHash;
use crate::limits::{ChannelRule, Limits};
use crate::list::List;
use crate::slots::{ChannelSlot, ConnectionSlot, MemberSlot, Slots, SubscriptionSlot};
use crate::trie::Trie;
use crate::{Command, ConnectionId, Event, Refusal, Time, Totals};
use bytes::Bytes;
use channel::Channel;
use connection::Connection;
use making::BornSubscription;
use member::{Member, Subscription};
use names::Names;
use round::Round;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;
use table::{Table, shrink};
use timers::Timer;
use wake::{Looks, ShareWake};

/// Room for so many events is kept.
const EVENTS: usize = 1024;

/// Work of one call at most, beside its own command: about so many messages, or a fraction of it of
/// larger things.
const STEPS: usize = 4096;

/// The rules of a message broker: channels, connections, and what waits where.
///
/// A `Broker` does no I/O and knows no clock. Its driver calls, in any order and each with the
/// present time, which never goes backwards:
///
/// - [`handle`](Broker::handle) with what a connection asks for, or what became of its socket,
/// - [`handle_timeout`](Broker::handle_timeout) once the time of
///   [`poll_timeout`](Broker::poll_timeout) has come,
/// - [`purge`](Broker::purge), [`move_messages`](Broker::move_messages), [`pause_queue`](Broker::pause_queue),
///   [`resume_queue`](Broker::resume_queue), [`set_rules`](Broker::set_rules) and [`drain`](Broker::drain) for an operator.
///
/// After **each** of these calls the driver
///
/// 1. calls [`poll`](Broker::poll) until it gives `None`, and does what the events say, in their
///    order. What they lead to (credit, the answer to a recall) it hands in by further calls.
/// 2. asks [`poll_timeout`](Broker::poll_timeout) anew: any call may change it.
///
/// **Bounded work.** No call does work that grows with what waits. What is left over is gone on with
/// by every further call; as long as there is any, `poll_timeout` gives the time of the last call,
/// which is due at once. A driver with a lock releases it between two such calls. Orders and counts
/// are right meanwhile: what is published goes behind what is on its way back, and nothing is
/// dispatched from a queue before everything that was to come back to it is there.
///
/// **A connection's life.** `Connect`, then any commands, then `Disconnect`, after which its id is
/// never used again; commands for an unknown id do nothing. [`Event::Close`] asks for the
/// `Disconnect`. Before that the driver hands in its last `Credit` (and `TransportAck`): what is not
/// counted as written, or acknowledged, goes back to its queue. `Depart` says of a connection that is
/// not read that its peer sends nothing more.
///
/// **Pausing.** Between [`Event::Pause`] and [`Event::Resume`] a driver should hand in nothing that a
/// connection publishes. What it hands in nevertheless waits in order, and is charged. Acks, nacks,
/// unsubscribes, credit and `Disconnect` always take effect at once.
///
/// A connection with acks sends them in one stream with its messages. `Pause` comes for it only once
/// [`Limits::read_ahead`] is used up, and the driver then reads nothing of it. If that would keep acks
/// from being read for which full queues wait, in a ring of consumers that are all paused, the queues
/// take the messages over their bounds and over their share of memory; so does one with acks that waits
/// for memory itself. A sixteenth over the memory budget is left for that. While the broker drains, a driver reads on and hands in the
/// acks; it ends a connection at the first message that it does not hand in, with nothing behind that.
///
/// **Determinism.** The same calls give the same events.
#[derive(Debug)]
pub struct Broker {
    limits: Limits,
    rules: Vec<ChannelRule>,
    now: Time,
    /// When [`Time::ZERO`] was, counted from 1970.
    epoch: Duration,
    /// Steps left for the call at hand.
    steps: usize,
    steps_per_call: usize,
    ids: HashMap<ConnectionId, ConnectionSlot, IdHash>,
    connections: Table<ConnectionSlot, Connection>,
    names: Names,
    channels: Table<ChannelSlot, Channel>,
    subscriptions: Slots<SubscriptionSlot, Subscription>,
    members: Slots<MemberSlot, Member>,
    /// Patterns of topics, and of queues.
    topics: Trie<BornSubscription>,
    queues: Trie<BornSubscription>,
    /// Patterns of the topics that feed durable subscriptions.
    sources: Trie<ChannelSlot>,
    /// The charge for the lists of the queues that topics feed.
    list_charge: usize,
    /// Counts channels and subscriptions as they are made.
    born: u64,
    /// Channels that only patterns keep in being, the longest unused first.
    unused: List<ChannelSlot>,
    unused_count: usize,
    /// The cost of these, with their members.
    unused_charge: usize,
    /// Topics, queues, and queues of dead letters, by the number of bits of their load.
    by_load: [[List<ChannelSlot>; usize::BITS as usize + 1]; load::CLASSES],
    /// The least that the queues of dead letters have by these lists, together: more than half of what they have.
    dead_load: usize,
    /// Dead letters may have more than is free, altogether.
    sheds: bool,
    budget: MemoryBudget,
    /// Connections that wait for memory, the longest waiting first.
    memory_waiters: List<ConnectionSlot>,
    /// The connection whose message is finished beyond the memory budget.
    finisher: Option<finish::Finisher>,
    /// Connections that have a part of a message and are read.
    arriving: usize,
    /// Connections that wait for memory, by how much they need.
    needs: BTreeSet<(usize, ConnectionSlot)>,
    /// Channels whose publishers wait until they have no more than is free, by their load.
    share_waiting: BTreeSet<(usize, ChannelSlot)>,
    /// Something may fit into the memory that was freed.
    wakes_memory: bool,
    /// Progress of waking publishers that wait for their channel's share; `None` when none is to be woken.
    share_wake: Option<ShareWake>,
    /// Channels whose publishers are to be looked at.
    looks: Looks,
    /// Purged messages that are not freed yet.
    garbage: VecDeque<(ChannelSlot, Backlog)>,
    /// Messages that are being moved to another queue.
    moving: moving::Orders,
    /// Commands of connections that left, which are not freed yet.
    abandoned: VecDeque<VecDeque<pending::Pending>>,
    /// The room for the lanes of a dispatch, empty between two.
    lanes: Vec<dispatch::Lane>,
    timers: BTreeSet<(Time, Timer)>,
    events: VecDeque<Event>,
    draining: bool,
    /// Whether somebody paused was waited for when that was last looked at.
    awaited: bool,
    /// Progress of closing connections, while the broker drains.
    drained_to: Option<Round>,
    /// While the broker drains: the acks of all connections before this one are read.
    reads_from: usize,
    paused: usize,
    /// Of these, connections that are gone, and whose messages still wait.
    paused_gone: usize,
    /// Paused connections that wait for a channel without consumers.
    stuck: usize,
    /// Connections that have not got, or not acked, all that is theirs.
    owed: usize,
    /// Connections that have left and are not yet removed.
    gone: usize,
    /// Connections that are there, have left, and wait for room for their last messages, the oldest departure first.
    departed: BTreeSet<(Time, ConnectionId)>,
    /// Connections that are being closed for others to come.
    let_go: usize,
    /// Connections that are paused, slow or stalled.
    troubled: BTreeSet<ConnectionSlot>,
    subscription_count: usize,
    /// The cost of all subscriptions, and of the channels that they keep in being.
    lasting_charge: usize,
    /// Messages that wait for their acks in leases with others, all but one of each lease: each would need memory of its own if
    /// it came back alone. And the most of them.
    leased_together: isize,
    most_together: isize,
    /// The shares of memory that subscriptions have.
    shared: subscription_memory::Shares,
    /// Topics with a retained value, and the charge for all of these.
    retained: usize,
    retained_charge: usize,
    /// Messages in backlogs.
    waiting: usize,
    /// Messages of paused connections.
    pending: usize,
    /// Charge for the commands of paused connections.
    pending_charge: usize,
    /// The knot whose bound the command at hand may exceed.
    over_bound: Option<knot::Knot>,
    /// Parts of knots that no memory was left for.
    tied: BTreeSet<ConnectionSlot>,
    /// Number of times the rules were replaced, or a durable subscription came or ended.
    rules_version: u64,
    /// Progress of applying changed rules, and durable subscriptions that have come.
    rule_change: rules::RuleChange,
    totals: Totals,
    last_unheard: unheard::LastUnheard,
}

impl Broker {
    /// For tests: how much follow-up work one call does, at least 1.
    #[doc(hidden)]
    pub fn set_steps_per_call(&mut self, steps: usize) {
        self.steps_per_call = steps.max(1);
    }

    /// Carries out a command. Those of unknown connections do nothing: their last words may come
    /// after a `Disconnect`.
    pub fn handle(&mut self, now: Time, connection: ConnectionId, command: Command) {
        self.begin(now);
        if let Command::Connect { transport_acks } = command {
            self.connect(connection, transport_acks);
            return self.run_effects();
        }
        let Some(&slot) = self.ids.get(&connection) else { return };
        if let Command::Ack { first, last } = command {
            // The most frequent of those that own nothing.
            self.ack(slot, first.0, last.0);
            return self.run_effects();
        }
        match command {
            Command::Connect { .. } | Command::Ack { .. } => {}
            Command::Publish { channel, batch } => self.accept(slot, pending::Pending::Publish { channel, batch }),
            Command::PublishWithReceipt { channel, batch, receipt } => {
                self.accept(slot, pending::Pending::Publish { channel, batch });
                self.accept(slot, pending::Pending::Receipt { batch: receipt, publishes: 1 });
            }
            Command::Barrier { batch } => self.accept(slot, pending::Pending::Barrier { batch }),
            Command::Receipt { batch, publishes, .. } => {
                self.accept(slot, pending::Pending::Receipt { batch, publishes });
            }
            Command::ReceiptsWritten { receipts, bytes } => self.receipts_written(slot, receipts, bytes),
            Command::Reserve { bytes, whole } => self.reserve(slot, bytes, whole),
            Command::Subscribe { subscription, pattern, ack } => self.subscribe(slot, subscription, pattern, ack),
            Command::SubscribeDurable { subscription, queue, source, ack } => {
                self.subscribe_durable(slot, subscription, (queue, source), ack);
            }
            Command::EndDurable { queue } => self.end_durable(slot, queue),
            Command::Claim { subscription } => self.claim(slot, subscription),
            Command::Unsubscribe { subscription } => self.unsubscribe(slot, subscription),
            Command::Nack { first, last, requeue } => self.nack(slot, first.0, last.0, requeue),
            Command::Credit { bytes } => self.credit(slot, bytes),
            Command::TransportAck { bytes } => self.transport_ack(slot, bytes),
            Command::Recalled { kept } => self.recalled(slot, kept),
            Command::Finish => self.finish(slot),
            Command::Depart => self.depart(slot),
            Command::Disconnect => self.disconnect(slot),
        }
        self.run_effects();
    }

    /// Returns the next event for the driver.
    pub fn poll(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if self.events.is_empty() && self.events.capacity() > EVENTS {
            // A burst is no reason to keep the room for it.
            self.events = VecDeque::new();
        }
        event
    }

    /// Ends the service: what waits for connections is still delivered, then they are closed.
    /// The driver reads no more publishers from now on; acks it reads to the end, also those of paused connections.
    pub fn drain(&mut self, now: Time) {
        self.begin(now);
        self.draining = true;
        self.drain_anew();
        self.run_effects();
    }

    fn begin(&mut self, now: Time) {
        self.now = self.now.max(now);
        self.steps = self.steps_per_call;
    }

    /// Takes some of what the call at hand may do; false if nothing is left.
    fn spend(&mut self, steps: usize) -> bool {
        if self.steps == 0 {
            return false;
        }
        self.steps = self.steps.saturating_sub(steps);
        true
    }

    fn refuse(&mut self, slot: ConnectionSlot, channel: Option<Bytes>, refusal: Refusal) {
        let connection = self.connections[slot].id;
        self.events.push_back(Event::Refused { connection, channel, refusal });
    }
}
