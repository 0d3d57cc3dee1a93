//! Effects of a command on the books, as far as they follow from the command alone.

use super::link::{Due, Handed, Link, Lost, Sub, What};
use super::{Checked, Fate, Oracle, matches, promise};
use bytes::Bytes;
use std::collections::BTreeSet;
use switchboard_broker::{AckMode, Batch, Command};

impl Oracle {
    /// A connection of the native protocol is checked byte by byte as well.
    pub(crate) fn expect(&mut self, id: u64, native: bool, transport_acks: bool) {
        self.links.insert(id, Link { transport_acks, ..Link::new(self.now, native) });
    }

    pub(super) fn command(&mut self, id: u64, command: &Command) -> Checked {
        if matches!(command, Command::Connect { .. }) {
            if self.connections >= self.settings.limits.connections {
                self.refusals = 1;
            }
            return Ok(());
        }
        if self.links.get(&id).is_none_or(|link| link.gone) {
            return Ok(());
        }
        match command {
            Command::Publish { channel, batch } => self.publish(id, channel, batch)?,
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
                self.subscribing = Some((id, subscription.0, pattern.clone(), *ack));
            }
            Command::Unsubscribe { subscription } => self.unsubscribe(id, subscription.0),
            Command::Ack { first, last } => {
                for message in self.settle(id, first.0, last.0) {
                    self.arrived(id);
                    self.done(message);
                }
            }
            Command::Nack { first, last, requeue } => {
                for message in self.settle(id, first.0, last.0) {
                    self.nacked(message, *requeue);
                }
            }
            Command::Credit { bytes } => self.credit(id, *bytes)?,
            Command::Recalled { kept } => self.recalled(id, *kept)?,
            Command::Reserve { bytes, whole } => {
                self.feeders.insert(id);
                (self.link(id).reserve, self.link(id).whole) = (*bytes, *whole);
            }
            Command::Finish => {
                self.link(id).finishing = true;
                self.leave_channels(id);
            }
            Command::Disconnect => self.disconnect(id),
            Command::TransportAck { bytes } => self.acknowledged(id, *bytes),
            // Nobody says these here.
            Command::PublishWithReceipt { .. }
            | Command::Claim { .. }
            | Command::SubscribeDurable { .. }
            | Command::EndDurable { .. }
            | Command::Receipt { .. }
            | Command::ReceiptsWritten { .. }
            | Command::Connect { .. } => {}
        }
        Ok(())
    }

    /// The messages whose acks a connection owed in a range of tags.
    fn settle(&mut self, id: u64, first: u64, last: u64) -> Vec<usize> {
        let tags = &mut self.link(id).tags;
        let known: Vec<u64> = tags.keys().copied().filter(|tag| (first..=last).contains(tag)).collect();
        let messages: Vec<usize> =
            known.iter().filter_map(|tag| tags.remove(tag)).map(|(message, _)| message).collect();
        self.unknown_tag = (first..=last).find(|tag| known.binary_search(tag).is_err());
        self.refusals = usize::from(self.unknown_tag.is_some());
        messages
    }

    pub(super) fn link(&mut self, id: u64) -> &mut Link {
        self.links.get_mut(&id).expect("the link is known")
    }

    fn publish(&mut self, id: u64, channel: &Bytes, batch: &Batch) -> Checked {
        let limits = &self.settings.limits;
        if channel.len() > limits.channel_name || batch.iter().any(|body| body.len() > limits.message) {
            self.refusals = 1;
            return Ok(());
        }
        self.overshoot = self.overshoot.max(batch.bytes());
        self.feeders.insert(id);
        for body in batch.iter() {
            let message = self.identify(channel, body)?;
            promise!(self.messages[message].fate == Fate::Said, "the translator gave message {message} twice");
            promise!(self.messages[message].publisher == id, "message {message} is of another publisher");
            self.messages[message].fate = Fate::Sent;
            self.note_times(message, batch.attributes());
            self.longest = self.longest.max(self.messages[message].size);
            self.link(id).sent.push(message);
        }
        Ok(())
    }

    pub(super) fn subscribe(&mut self, id: u64, subscription: u32, pattern: &Bytes, ack: AckMode) {
        let limits = self.settings.limits.clone();
        let step = self.step;
        let link = self.links.get_mut(&id).expect("the link is known");
        let active = link.subs.values().filter(|sub| sub.active).count();
        let exists = link.subs.get(&subscription).is_some_and(|sub| sub.active);
        if pattern.len() > limits.channel_name || active >= limits.subscriptions || exists {
            self.refusals = 1;
            return;
        }
        let prefetch = match ack {
            AckMode::Auto => None,
            AckMode::Manual { prefetch } => Some(prefetch.max(1) as usize),
        };
        let sub = Sub { pattern: pattern.clone(), prefetch, active: true, since: step, last_fresh: Default::default() };
        link.subs.insert(subscription, sub);
        for (name, channel) in &mut self.channels {
            if !matches(pattern, name.as_bytes()) {
                continue;
            }
            channel.rotation.push((id, subscription));
            link.overlaps |= link.listening(name).len() > 1;
            for message in std::mem::take(&mut channel.kept) {
                link.got_kept = true;
                link.due.push(Due { message, subscription, since: step, lost: Lost::No });
            }
        }
    }

    fn unsubscribe(&mut self, id: u64, subscription: u32) {
        self.may_requeue(id);
        self.leave_one(id, subscription);
        // The driver's messages are asked back; written ones wait for their acks.
        let link = self.link(id);
        let is_own = |handed: &Handed| match handed.what {
            What::Queue { subscription: of, tag: Some(_), .. } => of == subscription,
            _ => false,
        };
        link.asked_back = !link.recalling && link.handed.iter().any(is_own);
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

    fn leave_channels(&mut self, id: u64) {
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
        if link.outbox - bytes <= low {
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

    /// Its pipe is broken: of what was begun, nothing more will be written.
    pub(crate) fn broke(&mut self, id: u64) {
        if let Some(link) = self.links.get_mut(&id) {
            link.broken = true;
        }
    }

    fn recalled(&mut self, id: u64, kept: usize) -> Checked {
        let link = self.link(id);
        let asked = link.recalling;
        let (now, half) = (self.now, self.settings.limits.outbox / 2);
        self.may_requeue(id);
        let link = self.link(id);
        promise!(asked, "{id} answered a recall that was not asked for");
        link.recalling = false;
        if link.broken {
            link.written = 0;
        }
        let mut kept_bytes = link.written + kept;
        let mut stay = 0;
        while kept_bytes > 0 && stay < link.handed.len() {
            promise!(link.handed[stay].size <= kept_bytes, "what {id} keeps at a recall is not a whole message's rest");
            kept_bytes -= link.handed[stay].size;
            stay += 1;
        }
        promise!(kept_bytes == 0 && stay <= 1, "{id} keeps more at a recall than what was begun");
        let back: Vec<_> = link.handed.split_off(stay).into();
        if link.native {
            let begun = usize::from(link.on_wire > 0);
            link.wire.truncate(begun);
        }
        link.barrier = 0;
        if link.handed_bytes() <= half {
            link.last_half = now;
        }
        for handed in back.into_iter().rev() {
            let link = self.link(id);
            match handed.what {
                What::Topic { message, subscription, since } => {
                    link.due.insert(0, Due { message, subscription, since, lost: Lost::No });
                }
                What::Barrier => {
                    let confirm = link.confirmed.pop_back().expect("it was handed");
                    link.confirms.push_front(confirm);
                }
                What::Queue { message, tag: None, .. } => self.requeue(message),
                What::Queue { tag: Some(tag), .. } => {
                    if let Some((message, _)) = link.tags.remove(&tag) {
                        self.requeue(message);
                    }
                }
            }
        }
        Ok(())
    }

    fn disconnect(&mut self, id: u64) {
        self.may_requeue(id);
        self.leave_channels(id);
        let link = self.link(id);
        link.gone = true;
        (link.paused, link.reserve) = (false, 0);
        let unacknowledged = std::mem::take(&mut link.unacknowledged);
        let handed = std::mem::take(&mut link.handed);
        let tags = std::mem::take(&mut link.tags);
        self.dropped_by_gone += self.links[&id].dropped;
        // Only these may be written a second time.
        for (message, _) in unacknowledged {
            self.messages[message].on_the_wire = false;
            self.requeue_seen(message);
        }
        let mut unwritten = BTreeSet::new();
        for handed in handed {
            match handed.what {
                What::Queue { message, tag: None, .. } => self.requeue(message),
                What::Queue { tag: Some(tag), .. } => _ = unwritten.insert(tag),
                What::Topic { .. } | What::Barrier => {}
            }
        }
        // In the order of their tags: the first of each subscription is what the consumer was at.
        let mut begun = BTreeSet::new();
        for (tag, (message, subscription)) in tags {
            if unwritten.contains(&tag) {
                self.requeue(message);
            } else if begun.insert(subscription) {
                self.lost(message);
            } else {
                self.requeue_seen(message);
            }
        }
    }

    /// Messages dealt to a connection and not handed out yet may go back unseen.
    fn may_requeue(&mut self, id: u64) {
        let link = &self.links[&id];
        if self.settings.wide && !link.recalling {
            return;
        }
        for (name, channel) in self.channels.iter().filter(|(name, _)| name.starts_with("/queue")) {
            if !link.subs.values().any(|sub| matches(&sub.pattern, name.as_bytes())) {
                continue;
            }
            for &message in &channel.open {
                let message = &mut self.messages[message];
                message.returned |= message.fate == Fate::Taken;
            }
        }
    }

    pub(super) fn done(&mut self, message: usize) {
        self.messages[message].fate = Fate::Done;
        let channel = self.channels.get_mut(self.messages[message].channel).expect("it was published");
        channel.open.remove(&message);
    }

    pub(super) fn requeue(&mut self, message: usize) {
        self.messages[message].fate = Fate::Taken;
        self.messages[message].returned = true;
        self.returned += 1;
    }
}
