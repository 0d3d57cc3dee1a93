//! A broker that nothing has come to yet.

use super::Broker;
use super::load::CLASSES;
use super::moving::Orders;
use super::names::Names;
use super::rules::RuleChange;
use super::subscription_memory::Shares;
use super::table::Table;
use super::wake::Looks;
use crate::budget::MemoryBudget;
use crate::limits::{ChannelRule, Limits};
use crate::list::List;
use crate::slots::Slots;
use crate::trie::Trie;
use crate::{Time, Totals};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

impl Broker {
    /// A broker without connections or channels. [`Limits::check`] says whether the limits are
    /// allowed; a broker with others keeps its promises only as far as they can be kept.
    pub fn new(limits: Limits, rules: Vec<ChannelRule>) -> Broker {
        let (shared, most_together) = (Shares::new(&limits), Broker::most_together(&limits));
        Broker {
            budget: MemoryBudget::new(&limits),
            limits,
            rules,
            now: Time::ZERO,
            epoch: Duration::ZERO,
            steps: super::STEPS,
            steps_per_call: super::STEPS,
            ids: HashMap::default(),
            connections: Table::new(),
            names: Names::new(),
            channels: Table::new(),
            subscriptions: Slots::new(),
            members: Slots::new(),
            topics: Trie::new(),
            queues: Trie::new(),
            sources: Trie::new(),
            list_charge: 0,
            born: 0,
            unused: List::new(),
            unused_count: 0,
            unused_charge: 0,
            by_load: [const { [const { List::new() }; usize::BITS as usize + 1] }; CLASSES],
            dead_load: 0,
            sheds: false,
            memory_waiters: List::new(),
            share_waiting: BTreeSet::new(),
            finisher: None,
            arriving: 0,
            needs: BTreeSet::new(),
            wakes_memory: false,
            share_wake: None,
            looks: Looks::default(),
            garbage: VecDeque::new(),
            moving: Orders::default(),
            abandoned: VecDeque::new(),
            lanes: Vec::new(),
            timers: BTreeSet::new(),
            events: VecDeque::new(),
            draining: false,
            awaited: false,
            drained_to: None,
            reads_from: 0,
            paused: 0,
            paused_gone: 0,
            stuck: 0,
            owed: 0,
            gone: 0,
            departed: BTreeSet::new(),
            let_go: 0,
            troubled: BTreeSet::new(),
            subscription_count: 0,
            lasting_charge: 0,
            leased_together: 0,
            most_together,
            shared,
            retained: 0,
            retained_charge: 0,
            waiting: 0,
            pending: 0,
            pending_charge: 0,
            over_bound: None,
            tied: BTreeSet::new(),
            rules_version: 0,
            rule_change: RuleChange::default(),
            totals: Totals::default(),
            last_unheard: super::unheard::LastUnheard::default(),
        }
    }
}
