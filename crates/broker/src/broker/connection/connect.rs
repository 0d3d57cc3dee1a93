//! A connection that comes.

use super::super::Broker;
use super::super::ack_clock::AckClock;
use super::super::pass::Pass;
use super::{Connection, Phase, Sweep};
use crate::leases::Leases;
use crate::list::{Link, List};
use crate::outbox::Outbox;
use crate::{ConnectionId, Event, Refusal, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

impl Broker {
    pub(in crate::broker) fn connect(&mut self, id: ConnectionId, transport_acks: bool) {
        let are_there = self.ids.len() - self.let_go;
        if are_there >= self.limits.connections && !self.let_departed_go() {
            let refusal = Refusal::Connections { limit: self.limits.connections };
            self.events.push_back(Event::Refused { connection: id, channel: None, refusal });
            return;
        }
        if self.ids.contains_key(&id) {
            return;
        }
        let slot = self.connections.insert(Connection {
            id,
            transport_acks,
            is_dirty: false,
            is_owed: false,
            phase: Phase::Open,
            subscriptions: BTreeMap::new(),
            leaves: false,
            parts: false,
            ending: VecDeque::new(),
            joining: VecDeque::new(),
            visits: VecDeque::new(),
            loses: None,
            outbox: Outbox::default(),
            assembled: 0,
            kept_for_value: 0,
            retained: VecDeque::new(),
            retained_bytes: 0,
            acknowledged: 0,
            leases: Leases::default(),
            ack_clock: AckClock::new(self.now),
            ack_due: BTreeSet::new(),
            has_lapsed: false,
            ack_timer: None,
            tried: BTreeSet::new(),
            unacked: 0,
            next_tag: 1,
            handed_tag: 1,
            sweep: Sweep::No,
            lease_sweep: None,
            wanted: Sweep::No,
            settling: VecDeque::new(),
            returning: VecDeque::new(),
            pending: VecDeque::new(),
            has_pending_size: false,
            pending_ahead: 0,
            pending_messages: 0,
            departed: None,
            is_let_go: false,
            untangles: false,
            manual: 0,
            temporary: List::new(),
            is_told: false,
            blocked: None,
            reason: None,
            paused_on: None,
            last_channel: None,
            reserved: 0,
            receipts: 0,
            need: None,
            needs_since: Time::ZERO,
            wait: Link::new(),
            waiters: List::new(),
            pass: Pass::default(),
            wakes_all: false,
            skipped: List::new(),
            lapsed: List::new(),
            freed: VecDeque::new(),
            full: None,
            handed_window: self.limits.window,
            window: self.limits.initial_window(),
            used_up: self.now,
            resume_ahead: None,
            grace: Duration::ZERO,
            initial_grace: self.limits.longest_grace(),
            took: false,
            grace_ends: None,
            regraces: false,
            slow_until: Time::ZERO,
            draining: true,
            last_credit: self.now,
            timeout_armed: false,
            stalled: false,
            recalling: false,
            expiry_timer: None,
            recall_after: Time::ZERO,
            rejected: None,
            publishes_since: 0,
            published: 0,
            delivered: 0,
            dropped: 0,
        });
        self.ids.insert(id, slot);
        // One that comes while all are leaving is to leave, too.
        self.connections.edit(slot);
    }
}
