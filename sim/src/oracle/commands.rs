//! Effects of a command on the books, as far as they follow from the command alone.

use super::link::{Due, Handed, Link, Lost, Sub, What};
use super::{Checked, Fate, Oracle, matches, promise, rule_of};
use crate::settings::temporary_of;
use bytes::Bytes;
use switchboard_broker::{AckMode, Batch, Command};

impl Oracle {
    pub(super) fn command(&mut self, id: u64, command: &Command) -> Checked {
        if matches!(command, Command::Connect { .. }) {
            if self.is_full(self.connections) {
                self.refusals = 1;
            }
            return Ok(());
        }
        if self.links.get(&id).is_none_or(|link| link.gone) {
            return Ok(());
        }
        match command {
            Command::Publish { channel, batch } => self.publish(id, channel, batch)?,
            Command::PublishWithReceipt { channel, batch, receipt } => {
                self.publish(id, channel, batch)?;
                self.ask_receipt(id, receipt, 1);
            }
            Command::Receipt { batch, publishes, .. } => self.ask_receipt(id, batch, *publishes),
            Command::ReceiptsWritten { receipts, bytes } => self.read_receipts(id, *receipts, *bytes),
            Command::Barrier { batch } => {
                let step = self.step;
                let link = self.link(id);
                let sent = link.sent.len();
                // One by one: a recall may cut between them.
                link.confirms.extend(batch.iter().map(|body| (Batch::one(body), sent, step)));
                self.overshoot = self.overshoot.max(batch.bytes());
                self.feeders.insert(id);
                self.longest = self.longest.max(batch.bytes());
            }
            // Whether memory suffices for it, the events say.
            Command::Subscribe { subscription, pattern, ack } => {
                self.subscribing = Some((id, subscription.0, pattern.clone(), *ack, None));
            }
            Command::SubscribeDurable { subscription, queue, source, ack } => {
                self.subscribing = Some((id, subscription.0, queue.clone(), *ack, Some(source.clone())));
            }
            Command::EndDurable { queue } => self.end_durable(queue),
            Command::Claim { subscription } => self.claim(id, subscription.0),
            Command::Unsubscribe { subscription } => self.unsubscribe(id, subscription.0),
            Command::Ack { first, last } => {
                for message in self.settle(id, first.0, last.0) {
                    self.arrived(id);
                    self.done(message);
                }
            }
            Command::Nack { first, last, requeue } => {
                for message in self.settle(id, first.0, last.0) {
                    self.nacked(id, message, *requeue);
                }
            }
            Command::Credit { bytes } => self.credit(id, *bytes)?,
            Command::Recalled { kept } => self.recalled(id, *kept)?,
            Command::Reserve { bytes, whole } => {
                self.feeders.insert(id);
                (self.link(id).reserve, self.link(id).whole) = (*bytes, *whole);
            }
            Command::Finish => self.finish(id),
            Command::Depart => self.depart(id),
            Command::Disconnect => self.disconnect(id),
            Command::TransportAck { bytes } => self.acknowledged(id, *bytes),
            Command::Connect { .. } => {}
        }
        Ok(())
    }

    /// The messages whose acks a connection owed in a range of tags.
    fn settle(&mut self, id: u64, first: u64, last: u64) -> Vec<usize> {
        let owed = self.link(id).take_owed(&(first..=last));
        self.unknown_tag = (first..=last).find(|tag| !owed.contains_key(tag));
        self.refusals = usize::from(self.unknown_tag.is_some());
        owed.into_values().map(|owed| owed.message).collect()
    }

    pub(super) fn link(&mut self, id: u64) -> &mut Link {
        self.links.get_mut(&id).expect("the link is known")
    }

    fn publish(&mut self, id: u64, channel: &Bytes, batch: &Batch) -> Checked {
        let limits = &self.settings.limits;
        if channel.len() > limits.channel_name || batch.iter().any(|body| body.len() > limits.message) {
            self.refusals = 1;
            self.link(id).receipts.publish(channel, true);
            return Ok(());
        }
        let publish = self.link(id).receipts.publish(channel, false);
        self.overshoot = self.overshoot.max(batch.bytes());
        self.feeders.insert(id);
        for body in batch.iter() {
            let message = self.identify(channel, body)?;
            promise!(self.messages[message].fate == Fate::Said, "the translator gave message {message} twice");
            promise!(self.messages[message].publisher == id, "message {message} is of another publisher");
            self.messages[message].fate = Fate::Sent;
            self.messages[message].publish = publish;
            self.note_times(message, batch.attributes());
            self.longest = self.longest.max(self.messages[message].size);
            self.link(id).sent.push(message);
        }
        if batch.attributes().is_some_and(|attributes| attributes.retain) {
            let last = self.link(id).sent.last().copied();
            last.into_iter().for_each(|last| self.messages[last].retains = true);
        }
        Ok(())
    }

    pub(super) fn subscribe(
        &mut self,
        id: u64,
        subscription: u32,
        pattern: &Bytes,
        (ack, source): (AckMode, Option<Bytes>),
    ) {
        let limits = self.settings.limits.clone();
        let step = self.step;
        // The books know a temporary queue from its first subscription or message on.
        let temporary = Oracle::owner_of(pattern).and_then(temporary_of);
        temporary.into_iter().for_each(|name| _ = self.channels.entry(name).or_default());
        let link = &self.links[&id];
        let active = link.subs.values().filter(|sub| sub.active).count();
        let exists = link.subs.get(&subscription).is_some_and(|sub| sub.active);
        let is_over = pattern.len() > limits.channel_name || active >= limits.subscriptions;
        let has_other = || source.as_ref().is_some_and(|source| self.has_other_source(pattern, source));
        if is_over || exists || Oracle::is_foreign(id, pattern) || has_other() {
            self.refusals = 1;
            return;
        }
        source.into_iter().for_each(|source| self.set_source(pattern, source));
        let link = self.links.get_mut(&id).expect("the link is known");
        let prefetch = match ack {
            AckMode::Auto => None,
            AckMode::Manual { prefetch: 0 } => {
                let rule = rule_of(&self.settings.rules, pattern);
                Some(rule.and_then(|rule| rule.prefetch).unwrap_or(limits.prefetch) as usize)
            }
            AckMode::Manual { prefetch } => Some(prefetch as usize),
        };
        let last_fresh = Default::default();
        let sub = Sub { pattern: pattern.clone(), prefetch, active: true, claim: None, since: step, last_fresh };
        link.subs.insert(subscription, sub);
        for (name, channel) in &mut self.channels {
            if !matches(pattern, name.as_bytes()) {
                continue;
            }
            channel.rotation.push((id, subscription));
            link.overlaps |= link.listening(name).len() > 1;
            if let Some(message) = channel.value {
                link.due.push(Due { message, subscription, since: step, lost: Lost::No });
                self.counts.values += 1;
            }
            for message in std::mem::take(&mut channel.kept) {
                link.got_kept = true;
                link.due.push(Due { message, subscription, since: step, lost: Lost::No });
            }
        }
    }

    pub(super) fn unsubscribe(&mut self, id: u64, subscription: u32) {
        self.may_requeue(id);
        self.leave_one(id, subscription);
        // The driver's messages are asked back; written ones wait for their acks.
        let is_own =
            |handed: &Handed| matches!(handed.what, What::Queue { subscription: of, .. } if of == subscription);
        let asks = self.links[&id].handed.iter().any(is_own);
        let link = self.link(id);
        link.asked_back |= asks && !link.recalling;
    }

    fn leave_one(&mut self, id: u64, subscription: u32) {
        if let Some(sub) = self.link(id).subs.get_mut(&subscription) {
            sub.active = false;
        }
        for channel in self.channels.values_mut() {
            channel.rotation.retain(|worker| *worker != (id, subscription));
            channel.adrift.remove(&(id, subscription));
        }
    }

    pub(super) fn leave_channels(&mut self, id: u64) {
        let subs: Vec<u32> = self.link(id).subs.keys().copied().collect();
        for subscription in subs {
            self.leave_one(id, subscription);
        }
    }

    /// Credit while the call of this step has work left over.
    pub(crate) fn credit_between(&mut self, id: u64, bytes: usize) -> Checked {
        self.credited_between = self.step;
        self.credit(id, bytes)?;
        self.end_groups();
        Ok(())
    }

    pub(crate) fn credit(&mut self, id: u64, bytes: usize) -> Checked {
        let (now, low, half) = (self.now, self.low_water(), self.settings.limits.outbox / 2);
        let link = self.link(id);
        let bytes = bytes.min(link.handed_bytes());
        if bytes == 0 && !link.stalled {
            return Ok(());
        }
        link.last_credit = now;
        link.stalled = false;
        link.credited_since_slow = true;
        link.written += bytes;
        // Of the attributes none need be those of what was written.
        if link.outbox - bytes + link.outbox_attributes <= low {
            link.last_low = now;
        }
        if link.outbox - bytes <= half {
            link.last_half = now;
        }
        loop {
            let link = self.link(id);
            let written = link.written;
            let Some(front) = link.handed.pop_front_if(|front| written >= front.size) else { break };
            link.written -= front.size;
            link.credited += front.size as u64;
            match front.what {
                What::Topic { message, subscription, .. } => self.saw(id, message, subscription),
                What::Queue { message, tag, .. } => {
                    let (native, wire) = (self.links[&id].native, self.messages[message].on_the_wire);
                    promise!(!native || wire, "message {message} was credited before it was written");
                    let link = self.link(id);
                    if tag.is_none() && link.transport_acks {
                        let end = link.credited;
                        link.unacknowledged.push_back((message, end));
                    } else if tag.is_none() {
                        self.arrived(id);
                        self.done(message);
                    }
                }
                What::Barrier => {
                    self.link(id).confirmed.pop_front();
                }
            }
        }
        Ok(())
    }

    /// A message has arrived at a connection, as far as that can be known.
    fn arrived(&mut self, id: u64) {
        self.link(id).delivered += 1;
        self.delivered += 1;
    }

    /// Completes what the consumer's machine acknowledged.
    fn acknowledged(&mut self, id: u64, bytes: usize) {
        let now = self.now;
        let link = self.link(id);
        if !link.transport_acks || bytes == 0 {
            return;
        }
        link.last_credit = now;
        link.acknowledged = (link.acknowledged + bytes as u64).min(link.credited + link.written as u64);
        loop {
            let link = self.link(id);
            let acknowledged = link.acknowledged;
            let Some((message, _)) = link.unacknowledged.pop_front_if(|front| front.1 <= acknowledged) else { return };
            self.arrived(id);
            self.done(message);
        }
    }

    fn saw(&mut self, id: u64, message: usize, subscription: u32) {
        self.arrived(id);
        let channel = self.channels.get_mut(self.messages[message].channel).expect("it was published");
        channel.seen.entry((id, subscription)).or_default().push(message);
    }
}
