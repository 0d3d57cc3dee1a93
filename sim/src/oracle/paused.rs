//! Checks of paused connections and their reasons.

use super::link::Link;
use super::{Checked, LATENESS, Oracle, promise};
use std::time::Duration;
use switchboard_broker::{ConnectionStatus, ECHO, Limits, OverflowPolicy, PauseReason, QueueOverflow, Status};

/// Charge for a new channel at most, in bytes.
const NEW_CHANNEL: usize = 2048;

impl Oracle {
    /// Low-water mark of an outbox: nobody need wait for it below.
    pub(super) fn low_water(&self) -> usize {
        let bound = self.settings.limits.outbox;
        (bound / 2).min(bound.saturating_sub(self.longest + self.attributes()))
    }

    /// Most bytes that a batch to a topic has beside its messages.
    fn attributes(&self) -> usize {
        if self.settings.durable && self.settings.groups || self.settings.retains { 512 } else { 0 }
    }

    /// Most bytes put into an outbox at once.
    pub(super) fn piece(&self) -> usize {
        self.longest.max(self.overshoot.min(self.settings.limits.outbox / 2))
    }

    /// A topic's subscriber that drains in time is never judged slow, and one that is slow is
    /// waited for no more.
    pub(super) fn check_patience(&mut self, status: &Status) -> Checked {
        let (now, low) = (self.now, self.low_water());
        let half = self.settings.limits.outbox / 2;
        let (patience, slow_for) = (self.settings.limits.grace_period, self.settings.limits.slow_consumer);
        for reported in &status.connections {
            let id = reported.id.0;
            let Some(link) = self.links.get_mut(&id).filter(|link| !link.gone) else { continue };
            (link.outbox, link.outbox_attributes) = (reported.outbox, reported.outbox_attributes);
            link.has_attributes = reported.outbox_attributes > 0;
            if reported.slow && link.slow.is_none() {
                let never_drained = !link.credited_since_slow;
                promise!(
                    patience.is_zero() || never_drained || now.since(link.last_low) >= patience,
                    "{id} was judged slow though it had room {:?} ago",
                    now.since(link.last_low)
                );
                promise!(std::mem::take(&mut link.told_slow), "{id} was judged slow, and that was not told");
                link.slow = Some(now);
                link.credited_since_slow = false;
            } else if !reported.slow {
                let early = link.slow.is_some_and(|since| now.since(since) < slow_for);
                promise!(!early, "{id} was slow, and that was forgotten too soon");
                link.slow = None;
            }
            if reported.outbox + reported.outbox_attributes <= low {
                link.last_low = now;
            }
            if reported.outbox <= half {
                link.last_half = now;
            }
            if reported.outbox == 0 {
                link.maybe_full = false;
            }
        }
        Ok(())
    }

    pub(super) fn check_paused(&mut self, status: &Status) -> Checked {
        for reported in &status.connections {
            let Some(link) = self.links.get(&reported.id.0).filter(|link| !link.gone) else { continue };
            // One with acks is read on for a while.
            let reads_on = !link.native && !link.paused;
            promise!(
                reads_on || link.paused == reported.paused.is_some(),
                "{} is told to be paused: {}, and the status says {:?}",
                reported.id.0,
                link.paused,
                reported.paused
            );
            let has_left = link.departed.is_some() && !link.closing && reported.paused.is_some();
            promise!(
                reported.gone == has_left,
                "{} has left and waits for room: {has_left}, and the status says {}",
                reported.id.0,
                reported.gone
            );
            if reported.paused.is_none() {
                self.link(reported.id.0).paused_for = None;
            }
            if let Some(reason) = &reported.paused {
                let now = self.now;
                let paused_for = &mut self.link(reported.id.0).paused_for;
                if paused_for.as_ref().is_none_or(|(known, _)| known != reason) {
                    *paused_for = Some((reason.clone(), now));
                }
                self.check_reason(reported, reason, status)
                    .map_err(|sentence| format!("{} is paused for no reason: {sentence} ({reason})", reported.id.0))?;
            }
        }
        // Publishers whose connections are gone wait no more, though their messages do.
        let is_there = |connection: &ConnectionStatus| self.links.get(&connection.id.0).is_some_and(|link| !link.gone);
        let is_held =
            |connection: &&ConnectionStatus| connection.paused.is_some() && !connection.gone && is_there(connection);
        let held = status.connections.iter().filter(is_held).count();
        let of_channels: usize = status.channels.iter().map(|channel| channel.paused_publishers).sum();
        promise!(of_channels <= held, "{held} are paused, and {of_channels} at their channels");
        promise!(held == status.totals.paused, "{held} are paused, and {} counted", status.totals.paused);
        Ok(())
    }

    fn check_reason(&mut self, held: &ConnectionStatus, reason: &PauseReason, status: &Status) -> Checked {
        let id = held.id.0;
        let depth = |name: &[u8]| status.channels.iter().find(|c| c.name == name).map_or(0, |channel| channel.depth);
        let throttles = self.settings.limits.overflow == QueueOverflow::Throttle;
        match reason {
            PauseReason::QueueFull { .. } | PauseReason::QueueMessages { .. } if !throttles => {
                return Err("no queue lets anybody wait".into());
            }
            PauseReason::QueueFull { channel, bound } => {
                let name = String::from_utf8_lossy(channel).into_owned();
                promise!(*bound == self.bound_of(&name), "the bound is another");
                promise!(depth(channel) > 0, "the queue is empty");
            }
            PauseReason::Subscribing { .. } => {
                return Err("its subscriptions have joined all channels".into());
            }
            PauseReason::Receipts { limit } => {
                promise!(*limit == self.settings.limits.outbox, "the limit is another");
                promise!(self.links[&id].receipts.unread > 0, "it has read all its receipts");
            }
            PauseReason::FirstSubscriber { .. } => return Err("what the topic buffered is given".into()),
            PauseReason::Patterns { .. } => return Err("all subscriptions have joined the topic".into()),
            PauseReason::QueueMessages { channel, bound } => {
                let name = String::from_utf8_lossy(channel);
                promise!(*bound == self.bound_in_messages(&name), "the bound is another");
                promise!(depth(channel) > 0, "the queue is empty");
            }
            PauseReason::NoSubscribers { channel, buffered } => {
                let name = String::from_utf8_lossy(channel).into_owned();
                let somebody = self.links.values().any(|link| !link.gone && !link.listening(&name).is_empty());
                promise!(!somebody && self.fed_queues(&name).is_empty(), "somebody listens");
                let full = self.kept_bytes(&name) + self.longest > self.bound_of(&name);
                // The figure is of when it was tried last: others come first since then.
                let is_new = self.links[&id].paused_for.as_ref().is_some_and(|(_, since)| *since == self.now);
                let figure = self.buffer_of(&name).max(depth(channel));
                promise!(!is_new || *buffered <= figure, "the topic buffers fewer");
                promise!(depth(channel) >= self.buffer_of(&name) || full, "the topic has room for more");
            }
            PauseReason::SlowSubscriber { channel, subscriber } => {
                self.check_wait_for(id, channel, subscriber.0, status)?;
            }
            PauseReason::Memory { .. } => {
                let free = self.free_memory(status);
                let large = status.channels.iter().any(|channel| channel.bytes > free);
                let new_channel = free < NEW_CHANNEL;
                // The first that does not fit keeps those behind it waiting.
                let lacks = |link: &Link| link.reserve > 0 && self.needed_for(link) > free;
                let first = self.links.values().any(|link| link.paused && lacks(link));
                promise!(large || new_channel || first || lacks(&self.links[&id]), "there is memory");
            }
        }
        Ok(())
    }

    /// Bytes that may still be buffered: the cost of connections that may come is set aside.
    pub(super) fn free_memory(&self, status: &Status) -> usize {
        let limits = &self.settings.limits;
        let set_aside = limits.connections.saturating_sub(self.connections_of(status)) * Limits::CONNECTION;
        limits.memory.saturating_sub(status.totals.memory + set_aside)
    }

    /// Free bytes that a part of a message needs: it leaves eight times the message's size, or a sixteenth of memory.
    fn needed_for(&self, link: &Link) -> usize {
        let limits = &self.settings.limits;
        link.reserve + (link.whole * 8).min((limits.memory - limits.connections * Limits::CONNECTION) / 16)
    }

    fn check_wait_for(&mut self, held: u64, channel: &[u8], subscriber: u64, status: &Status) -> Checked {
        let now = self.now;
        let Some(link) = self.links.get(&subscriber).filter(|link| !link.gone) else {
            return Err(format!("{subscriber} is gone"));
        };
        let waiting =
            status.connections.iter().find(|c| c.id.0 == subscriber).map_or(0, |c| c.outbox + c.outbox_attributes);
        let room =
            waiting <= self.low_water() && waiting + self.piece() + self.attributes() <= self.settings.limits.outbox;
        promise!(
            waiting > 0 && !room,
            "the outbox of {subscriber} has room: {waiting} bytes, at most {} wait for nobody",
            self.low_water()
        );
        if channel == ECHO {
            promise!(held == subscriber, "a confirmation waits for another's outbox");
            return Ok(());
        }
        let name = String::from_utf8_lossy(channel).into_owned();
        promise!(!link.listening(&name).is_empty(), "{subscriber} does not listen to it");
        if self.policy_of(channel) == OverflowPolicy::Block {
            return Ok(());
        }
        let since = self.links[&held].paused_for.as_ref().map_or(now, |(_, since)| *since);
        // The grace period begins when a policy replaces `Block`.
        let since = since.max(link.last_half).max(self.rules_since);
        // Saved grace, grace accrued meanwhile, and initial grace.
        let longest = 30 * self.settings.limits.grace_period + Duration::from_micros(LATENESS);
        promise!(now.since(since) <= longest, "the patience with {subscriber} ended long ago");
        promise!(link.slow.is_none_or(|slow| slow == now), "{subscriber} is known to be slow");
        Ok(())
    }
}
