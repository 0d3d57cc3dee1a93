//! Channel rules that change at run time.

use super::Broker;
use super::channel::Channel;
use super::round::Round;
use crate::limits::{ChannelRule, Limits, OverflowPolicy, QueueOverflow};
use crate::name::{is_dead, is_durable};
use crate::slots::ChannelSlot;
use crate::{Delivery, Time};

/// Rules in force for one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InForce {
    pub(super) policy: OverflowPolicy,
    pub(super) buffer_unsubscribed: usize,
    pub(super) bound: usize,
    pub(super) messages: usize,
    pub(super) overflow: QueueOverflow,
    pub(super) delivery: Delivery,
}

impl InForce {
    /// The first rule that matches, and the limits where it says nothing.
    pub(super) fn new(name: &[u8], rules: &[ChannelRule], limits: &Limits) -> InForce {
        let rule = first_rule(rules, name);
        let mut delivery = rule.map_or(limits.delivery, |rule| rule.delivery.over(&limits.delivery));
        if is_dead(name) {
            // Dead letters live until somebody looks at them, or a rule of their own says otherwise.
            delivery.message_ttl = rule.and_then(|rule| rule.delivery.message_ttl).unwrap_or_default();
        }
        InForce {
            policy: rule.and_then(|rule| rule.policy).unwrap_or(limits.policy),
            buffer_unsubscribed: rule.and_then(|rule| rule.buffer_unsubscribed).unwrap_or(limits.buffer_unsubscribed),
            bound: rule.and_then(|rule| rule.queue).unwrap_or(limits.queue),
            messages: rule.and_then(|rule| rule.queue_messages).unwrap_or(limits.queue_messages),
            // A topic's publishers do not wait for a durable subscriber that is away.
            overflow: match rule.and_then(|rule| rule.overflow).unwrap_or(limits.overflow) {
                _ if is_durable(name) => QueueOverflow::DropOld,
                overflow => overflow,
            },
            delivery,
        }
    }

    fn of(channel: &Channel) -> InForce {
        let &Channel { policy, buffer_unsubscribed, bound, messages, overflow, delivery, .. } = channel;
        InForce { policy, buffer_unsubscribed, bound, messages, overflow, delivery }
    }
}

/// The first rule that matches a name.
pub(super) fn first_rule<'rules>(rules: &'rules [ChannelRule], name: &[u8]) -> Option<&'rules ChannelRule> {
    rules.iter().find(|rule| {
        #[cfg(test)]
        crate::slots::looks::count();
        rule.pattern.matches(name)
    })
}

/// Rules that are looked at for a channel in one step.
const RULES_A_STEP: usize = 16;

/// Progress of applying what has changed.
#[derive(Debug, Default)]
pub(super) struct RuleChange {
    channels: Option<Round>,
    /// Connections for which publishers wait.
    connections: Option<Round>,
}

impl RuleChange {
    pub(super) fn is_over(&self) -> bool {
        self.channels.is_none() && self.connections.is_none()
    }

    /// All channels are to follow what has changed, some a step.
    pub(super) fn begin_channels(&mut self) {
        Round::begin(&mut self.channels);
    }
}

impl Broker {
    /// Replaces the channel rules. Whatever is published from now on follows the new ones.
    ///
    /// A lower bound drops no messages that wait already: they drain. Publishers that wait are tried anew,
    /// in bounded steps.
    pub fn set_rules(&mut self, now: Time, rules: Vec<ChannelRule>) {
        self.begin(now);
        self.rules = rules;
        self.rules_version += 1;
        self.rule_change.begin_channels();
        Round::begin(&mut self.rule_change.connections);
        self.run_effects();
    }

    /// Goes on with applying what has changed, to a channel and to a connection a step.
    pub(super) fn apply_rules(&mut self) {
        let steps = 1 + self.rules.len() / RULES_A_STEP;
        while !self.rule_change.is_over() {
            if !self.spend(steps) {
                return;
            }
            let channel = Round::step(&mut self.rule_change.channels, self.channels.end());
            if let Some((slot, _)) = channel.and_then(|index| self.channels.at(index)) {
                self.follow_rules(slot);
            }
            let connection = Round::step(&mut self.rule_change.connections, self.connections.end());
            let found = connection.and_then(|index| self.connections.at(index));
            // A policy may no longer let publishers wait for a subscriber.
            if let Some((slot, _)) = found.filter(|(_, row)| !row.waiters.is_empty()) {
                self.connections.edit(slot).wakes_all = true;
            }
        }
    }

    /// A channel follows the rules and the durable subscriptions that are in force. Called before anything is published to it, too, so that
    /// no message follows what was replaced.
    #[inline]
    pub(super) fn follow_rules(&mut self, slot: ChannelSlot) {
        if self.channels[slot].rules_version != self.rules_version {
            self.apply_to(slot);
        }
    }

    #[cold]
    fn apply_to(&mut self, slot: ChannelSlot) {
        let row = self.channels.quietly().row(slot);
        let before = std::mem::replace(&mut row.rules_version, self.rules_version);
        self.follow_sources(slot, before);
        let channel = self.channels.quietly().row(slot);
        let rule = InForce::new(&channel.name, &self.rules, &self.limits);
        if rule == InForce::of(channel) {
            return;
        }
        let channel = self.channels.edit(slot);
        (channel.policy, channel.buffer_unsubscribed, channel.bound) =
            (rule.policy, rule.buffer_unsubscribed, rule.bound);
        (channel.messages, channel.overflow, channel.delivery) = (rule.messages, rule.overflow, rule.delivery);
        self.retry_waiters(slot);
    }
}
