//! Checks of the broker's events against the books.

use super::link::{Handed, Lost, Owed, What};
use super::{Checked, Fate, Message, Oracle, promise};
use bytes::Bytes;
use switchboard_broker::{Batch, CloseReason, Event, Limits, OverflowPolicy, PauseReason, Refusal, Time};

impl Oracle {
    pub(super) fn event(&mut self, event: &Event) -> Checked {
        let step = self.step;
        match event {
            Event::Refused { refusal: Refusal::Memory { budget, .. }, .. } => {
                // The cost of connections that may come is set aside.
                let set_aside = self.settings.limits.connections.saturating_sub(self.connections) * Limits::CONNECTION;
                promise!(self.audit + set_aside > *budget / 2, "a subscriber was refused though there was memory");
                return Ok(());
            }
            Event::Refused { refusal: Refusal::PatternMemory { bytes, taken, share }, .. } => {
                promise!(taken + bytes > *share, "a subscription to a pattern was refused though its share has room");
                return Ok(());
            }
            Event::Refused { refusal, .. } => {
                if let Refusal::UnknownTag { tag } = refusal {
                    promise!(self.unknown_tag == Some(tag.0), "tag {} is refused, not {:?}", tag.0, self.unknown_tag);
                }
                if matches!(refusal, Refusal::Connections { .. }) {
                    self.check_no_place()?;
                }
                promise!(self.refusals > 0, "something within every limit was refused");
                self.refusals -= 1;
                return Ok(());
            }
            Event::Deliver { connection, subscription, channel, batch, redelivered, attempts, tag } => {
                self.about_to_hand(connection.0)?;
                let mut at = 0;
                let link = self.link(connection.0);
                link.has_attributes |= batch.attributes().is_some();
                for (place, body) in batch.iter().enumerate() {
                    let message = self.identify(channel, body)?;
                    let tag = tag.map(|tag| tag.0 + place as u64);
                    let what = if self.is_topic(message) {
                        promise!(tag.is_none(), "a topic's message asks for an ack");
                        self.check_value(message, (connection.0, subscription.0), batch)?;
                        self.hand_of_topic(connection.0, message, subscription.0)?
                    } else {
                        let mut headers = batch.attributes().into_iter().flat_map(|all| all.headers.iter());
                        let is_marked = headers.any(|(name, _)| name.starts_with(b"dead-letter-"));
                        promise!(!is_marked, "message {message} says that it is a dead letter, and is none any more");
                        self.revive(message, *attempts, batch.attributes())?;
                        self.check_tries(message, *redelivered, *attempts)?;
                        self.hand_of_queue(connection.0, message, subscription.0, tag)?
                    };
                    let size = body.len() + 4;
                    let expires = batch.attributes().and_then(|attributes| attributes.expires());
                    self.hand(connection.0, what, (Some(message), expires), batch.packed().slice(at..at + size));
                    at += size;
                }
            }
            Event::Barrier { connection, batch } => {
                self.about_to_hand(connection.0)?;
                self.confirmed(connection.0, batch)?;
            }
            Event::Pause { connection, reason } => {
                if let PauseReason::SlowSubscriber { channel, .. } = reason {
                    promise!(
                        channel != switchboard_broker::ECHO || !self.link(connection.0).confirms.is_empty(),
                        "{} is paused for a confirmation that it did not ask for",
                        connection.0
                    );
                }
                let (now, reads_less) = (self.now, !self.draining);
                let link = self.link(connection.0);
                promise!(!link.paused, "{} is paused twice", connection.0);
                link.paused = true;
                if reads_less {
                    link.pauses.push((now, None));
                }
                link.paused_in = step;
            }
            Event::Resume { connection } => {
                let now = self.now;
                let link = self.link(connection.0);
                promise!(link.paused, "{} is resumed and was not paused", connection.0);
                link.is_read_again(now);
                (link.paused, link.paused_in) = (false, step);
            }
            Event::Receipt { connection, batch } => self.check_receipt(connection.0, batch, None, batch.bytes())?,
            Event::Unconfirmed { connection, receipt, rejected, bytes } => {
                self.check_receipt(connection.0, receipt, Some(rejected), *bytes)?;
            }
            // The books knew of it before anything was taken in.
            Event::Rejected { .. } | Event::Moved { .. } => {}
            Event::Ended { connection, subscription } => {
                let own = (connection.0, subscription.0);
                promise!(self.ended.remove(&own), "{own:?} is told to have ended, and has not, or twice");
            }
            Event::Lapsed { connection, subscription, first, last } => {
                self.lapsed(connection.0, subscription.0, first.0..=last.0)?;
            }
            Event::Slow { connection } => self.link(connection.0).told_slow = true,
            Event::Recall { connection } => self.recall(connection.0)?,
            Event::Close { connection, reason } => self.close(connection.0, *reason)?,
        }
        Ok(())
    }

    fn about_to_hand(&mut self, id: u64) -> Checked {
        let window = self.settings.limits.window;
        let link = self.links.get(&id).filter(|link| !link.gone);
        let Some(link) = link else { return Err(format!("something was handed out for {id}, which is gone")) };
        promise!(!link.recalling, "something was handed to {id} between a recall and its answer");
        promise!(link.handed_bytes() < window, "more than a window was handed to {id} ahead of its credit");
        Ok(())
    }

    fn hand(&mut self, id: u64, what: What, (message, expires): (Option<usize>, Option<Time>), packed: Bytes) {
        let now = self.now;
        let bound = self.settings.limits.outbox;
        let piece = self.piece();
        let link = self.link(id);
        if link.handed.is_empty() && link.outbox == 0 {
            link.last_credit = now;
        }
        link.handed.push_back(Handed { what, size: packed.len(), expires });
        // Attributes fill it beside the bytes.
        link.maybe_full |= link.has_attributes || link.handed_bytes() + piece > bound;
        if link.native {
            link.wire.push_back((message, packed));
        }
    }

    fn hand_of_topic(&mut self, id: u64, message: usize, subscription: u32) -> Checked<What> {
        let step = self.step;
        let barrier = self.link(id).barrier;
        let link = &self.links[&id];
        let place = link.due.iter().position(|due| (due.message, due.subscription) == (message, subscription));
        let Some(place) = place else {
            return Err(format!("{id} got message {message} twice, or was not to get it (step {step})"));
        };
        let due = link.due[place].clone();
        promise!(due.lost != Lost::Yes, "{id} got message {message}, which was dropped");
        // One that waited may have been dropped for this one in the same step, and credit then have made room for it.
        let drops_old = link.dropping && self.credited_between == step;
        for earlier in &link.due[..place] {
            let same = self.messages[earlier.message].publisher == self.messages[message].publisher
                && self.messages[earlier.message].channel == self.messages[message].channel;
            let surely = !drops_old && earlier.since < due.since
                || (same && earlier.subscription == subscription && !link.dropping);
            promise!(
                !surely || earlier.lost != Lost::No,
                "{id} got message {message} before {}, which waited longer and was not dropped",
                earlier.message
            );
        }
        promise!(due.since >= barrier, "a confirmation overtook message {message} to {id}");
        self.link(id).due.remove(place);
        Ok(What::Topic { message, subscription, since: due.since })
    }

    fn hand_of_queue(&mut self, id: u64, message: usize, subscription: u32, tag: Option<u64>) -> Checked<What> {
        let at = self.now;
        let Message { channel, fate, returned, purged, priority, .. } = self.messages[message].clone();
        promise!(fate == Fate::Taken, "message {message} of {channel} was given to {id} while it was {fate:?}");
        let link = &self.links[&id];
        let is_paused = self.channels.get(channel).is_some_and(|books| books.is_paused);
        promise!(!is_paused || link.finishing, "message {message} was given to {id} while {channel} is paused");
        promise!(!link.stalled, "{id} takes no byte, and got message {message} of {channel} nevertheless");
        promise!(
            !link.bars(subscription),
            "{id} is not read, messages came back from it, and it got message {message} of {channel}"
        );
        let Some(sub) = link.subs.get(&subscription) else {
            return Err(format!("{id} got message {message} for a subscription that it never had"));
        };
        promise!(sub.active || link.finishing, "{id} got message {message} for a subscription that it ended");
        promise!(super::matches(&sub.pattern, channel.as_bytes()), "{id} works for other queues than {channel}");
        promise!(sub.prefetch.is_some() == tag.is_some(), "message {message} has a tag, or none, wrongly");
        self.hand_of_group(message, (id, subscription))?;
        self.check_claims(message, (id, subscription))?;
        let link = &self.links[&id];
        let Some(sub) = link.subs.get(&subscription) else { return Err(format!("{id} has no such subscription")) };
        // A message in an outbox of a narrow window goes back for a higher priority, and nobody is told.
        let goes_back = self.settings.priorities && !self.settings.wide;
        if !returned && !purged && !goes_back && self.messages[message].group.is_none() {
            if let Some(&last) = sub.last_fresh.get(&(channel, priority)) {
                promise!(!self.is_before(message, last), "{id} got message {message} of {channel} after {last}");
            }
            self.link(id)
                .subs
                .get_mut(&subscription)
                .expect("it is there")
                .last_fresh
                .insert((channel, priority), message);
        }
        self.messages[message].fate = Fate::With(id);
        let size = self.messages[message].size;
        let handed = &mut self.channels.entry(channel).or_default().handed;
        *handed = (handed.0 + 1, handed.1 + size);
        if let Some(tag) = tag {
            let link = self.link(id);
            promise!(link.next_tag <= tag, "tag {tag} came to {id} twice");
            link.next_tag = tag + 1;
            link.tags.insert(tag, Owed { message, subscription, at });
            let (waiting, prefetch) = (link.waiting_acks(subscription), link.subs[&subscription].prefetch);
            promise!(Some(waiting) <= prefetch, "{waiting} messages wait for an ack of {id}, more than it asked for");
        }
        Ok(What::Queue { message, subscription, tag, at })
    }

    fn confirmed(&mut self, id: u64, batch: &Batch) -> Checked {
        batch.iter().try_for_each(|body| self.confirmed_one(id, &Batch::one(body)))
    }

    fn confirmed_one(&mut self, id: u64, batch: &Batch) -> Checked {
        let link = self.link(id);
        let Some(confirm) = link.confirms.pop_front() else {
            return Err(format!("{id} got a confirmation that it did not ask for"));
        };
        let (asked, sent, step) = confirm.clone();
        promise!(asked == *batch, "{id} got another confirmation than it asked for");
        promise!(link.taken >= sent, "{id} got its confirmation before what it had sent was carried out");
        link.barrier = link.barrier.max(step);
        link.confirmed.push_back(confirm);
        let waits = link.due.iter().find(|due| due.since < step && due.lost == Lost::No);
        if let Some(due) = waits {
            return Err(format!("a confirmation overtook message {} to {id}", due.message));
        }
        self.hand(id, What::Barrier, (None, None), batch.packed().clone());
        Ok(())
    }

    /// Whether a connection has taken nothing for so long that a recall is due.
    pub(crate) fn may_be_recalled(&self, id: u64) -> bool {
        let timeout = self.settings.limits.write_timeout;
        self.has_expired(id)
            || self.has_queue_messages(id)
            || self
                .links
                .get(&id)
                .is_none_or(|link| link.gone || link.stalled || self.now.since(link.last_credit) >= timeout)
    }

    /// Whether some of what was handed to a connection and was not begun has expired.
    fn has_expired(&self, id: u64) -> bool {
        let Some(link) = self.links.get(&id) else { return false };
        link.handed.iter().skip(usize::from(link.written > 0)).any(|handed| match handed.what {
            What::Queue { .. } => handed.expires.is_some_and(|expires| expires <= self.now),
            What::Topic { .. } | What::Barrier => false,
        })
    }

    /// Whether messages of queues are handed to a connection, which may be asked back for a higher priority.
    fn has_queue_messages(&self, id: u64) -> bool {
        let of_queue = |handed: &Handed| matches!(handed.what, What::Queue { .. });
        self.settings.priorities && self.links.get(&id).is_some_and(|link| link.handed.iter().any(of_queue))
    }

    /// Whether some of what was handed to a connection is to wait for messages of a higher priority.
    fn has_lower_priority(&self, id: u64) -> bool {
        let Some(link) = self.links.get(&id).filter(|_| self.settings.priorities) else { return false };
        let handed: Vec<usize> = link
            .handed
            .iter()
            .filter_map(|handed| match handed.what {
                What::Queue { message, .. } => Some(message),
                What::Topic { .. } | What::Barrier => None,
            })
            .collect();
        let is_lower = |low: usize, other: usize| {
            let (low, other) = (&self.messages[low], &self.messages[other]);
            low.channel == other.channel && low.priority < other.priority
        };
        handed.iter().any(|&low| {
            let waiting = self.channels[self.messages[low].channel].open.iter();
            let mut waiting = waiting.filter(|&&id| self.messages[id].fate == Fate::Taken).chain(&handed);
            waiting.any(|&other| is_lower(low, other))
        })
    }

    fn recall(&mut self, id: u64) -> Checked {
        let (now, stall) = (self.now, self.settings.limits.write_timeout);
        self.counts.urgent += u64::from(self.has_lower_priority(id));
        // The urgent message may be given to another meanwhile.
        let is_urgent = self.has_queue_messages(id);
        let (has_expired, is_stalled) = (self.has_expired(id), self.stalled.contains(&id));
        let link = self.link(id);
        promise!(!link.recalling, "{id} was recalled twice and not asked in between");
        if std::mem::take(&mut link.asked_back) {
            link.recalling = true;
            return Ok(());
        }
        let is_late = now.since(link.last_credit) >= stall;
        (link.recalling, link.stalled) = (true, is_late && is_stalled);
        promise!(
            is_late || has_expired || is_urgent,
            "{id} was recalled though it took bytes within the stall time, and nothing has expired or is to wait"
        );
        Ok(())
    }

    fn close(&mut self, id: u64, reason: CloseReason) -> Checked {
        let (draining, patient) = (self.draining, self.settings.limits.policy == OverflowPolicy::Disconnect);
        let (uniform, step) = (self.settings.uniform, self.step);
        promise!(!self.link(id).closing, "{id} was closed twice");
        if reason == CloseReason::Departed {
            self.let_go(id)?;
        }
        let link = self.link(id);
        link.closing = true;
        match reason {
            CloseReason::Departed => return Ok(()),
            CloseReason::Slow => {
                promise!(patient || !uniform, "{id} was disconnected though no policy says so");
                return Ok(());
            }
            CloseReason::Unfinished => {
                promise!(link.reserve > 0, "{id} was closed for a message of which it had no part");
                let others = self.links.iter().any(|(other, link)| *other != id && !link.gone && link.paused);
                promise!(others, "{id} was closed for memory that nobody waits for");
                return Ok(());
            }
            CloseReason::Finished => promise!(link.finishing, "{id} did not ask to be finished"),
            CloseReason::Drained => promise!(draining, "{id} was told that the broker ends"),
        }
        promise!(link.handed.is_empty() && link.tags.is_empty(), "{id} was closed before it had what waited for it");
        if reason == CloseReason::Drained && (link.paused || link.paused_for.is_some()) {
            // Nobody is left who could make room for what it sent.
            return Ok(());
        }
        promise!(link.confirms.is_empty(), "{id} was closed before it had its confirmation");
        let owes = link.receipts.is_waiting() || link.receipts.unread > 0;
        promise!(!owes, "{id} was closed before it had read its receipts");
        promise!(link.taken == link.sent.len(), "{id} was closed before what it had sent was taken in");
        let waits = link.due.iter().find(|due| due.lost == Lost::No && due.since < step);
        promise!(waits.is_none(), "{id} was closed before it had message {:?}", waits.map(|due| due.message));
        Ok(())
    }

    /// The driver wrote these bytes to a connection of the native protocol.
    pub(crate) fn wrote(&mut self, id: u64, mut bytes: &[u8]) -> Checked {
        while !bytes.is_empty() {
            let link = self.links.get_mut(&id).expect("the link is known");
            let Some((message, packed)) = link.wire.front() else {
                return Err(format!("{} bytes too many were written to {id}", bytes.len()));
            };
            let count = bytes.len().min(packed.len() - link.on_wire);
            let expected = &packed[link.on_wire..link.on_wire + count];
            promise!(bytes[..count] == *expected, "{id} was written other bytes than those of the next message");
            bytes = &bytes[count..];
            link.on_wire += count;
            if link.on_wire < packed.len() {
                continue;
            }
            let message = *message;
            link.wire.pop_front();
            link.on_wire = 0;
            let Some(message) = message.filter(|&message| !self.is_topic(message)) else { continue };
            let message = &mut self.messages[message];
            promise!(!message.on_the_wire, "a message of {} was wholly written twice", message.channel);
            message.on_the_wire = true;
        }
        Ok(())
    }
}
