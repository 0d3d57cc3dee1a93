//! Tries without success, back-offs, dead letters, and the time of messages.

use super::link::Owed;
use super::{Act, Checked, Fate, LATENESS, Oracle, promise, rule_of};
use crate::settings::DEAD;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use switchboard_broker::{Attributes, Delivery, Status, Time};

impl Oracle {
    /// A consumer nacked a message: it waits for its back-off, or becomes a dead letter. Of a group, it takes back with it
    /// what the consumer was not handed, for later ones of the group are not to go before it.
    pub(super) fn nacked(&mut self, id: u64, message: usize, requeue: bool) {
        if requeue && self.messages[message].group.is_some() {
            self.may_requeue(id);
        }
        let delivery = self.delivery_of(message);
        if self.tried(message) || !requeue {
            return self.die(message);
        }
        let doublings = self.messages[message].tried - 1;
        let wait = delivery.redelivery_backoff.saturating_mul(1 << doublings.min(31));
        let wait = wait.min(delivery.redelivery_backoff_max);
        self.counts.postponed += u64::from(!wait.is_zero());
        self.messages[message].not_before = self.now + wait;
        self.requeue(message);
    }

    /// A consumer had messages for too long: they go back as after a nack.
    pub(super) fn lapsed(&mut self, id: u64, subscription: u32, range: RangeInclusive<u64>) -> Checked {
        let (now, timeout) = (self.now, self.settings.limits.delivery.ack_timeout);
        promise!(!timeout.is_zero(), "messages {range:?} of {id} came back at an ack time-out, and there is none");
        // Acks of all are read while the broker drains.
        let reads_less = !self.draining;
        let link = self.link(id);
        let owed = link.take_owed(&range);
        promise!(
            !owed.is_empty(),
            "messages {range:?} of {id} came back at their ack time-out, and none waited for an ack"
        );
        link.has_lapsed |= link.paused && reads_less;
        for Owed { message, subscription: of, at } in owed.into_values() {
            promise!(of == subscription, "message {message} of {id} came back for another subscription than its own");
            let (least, _) = unread(&self.links[&id].pauses, timeout, at, now);
            promise!(
                now.since(at) >= timeout + least,
                "message {message} came back from {id} {:?} after it was handed out, for {least:?} of which it was not read",
                now.since(at)
            );
            self.counts.lapsed += 1;
            self.lapse_group(message, (id, subscription));
            self.nacked(id, message, true);
        }
        self.pass_claim_on(id, subscription);
        Ok(())
    }

    /// No message waits for an ack beyond its time-out.
    pub(super) fn check_lapses(&self) -> Checked {
        let timeout = self.settings.limits.delivery.ack_timeout;
        let late = timeout + Duration::from_micros(LATENESS);
        for (id, link) in self.links.iter().filter(|(_, link)| !timeout.is_zero() && !link.gone) {
            let is_over = |owed: &&Owed| {
                self.now.since(owed.at) > late
                    && self.now.since(owed.at) > late + unread(&link.pauses, timeout, owed.at, self.now).1
            };
            let waits = link.tags.values().find(is_over);
            promise!(waits.is_none(), "{id} has not acked {waits:?}, and its ack time-out of {timeout:?} is over");
        }
        Ok(())
    }

    /// Settings in force for a message's tries.
    fn delivery_of(&self, message: usize) -> Delivery {
        let limits = self.settings.limits.delivery;
        let rule = rule_of(&self.settings.rules, self.messages[message].channel.as_bytes());
        let rule = rule.map(|rule| rule.delivery).unwrap_or_default();
        Delivery {
            max_deliveries: rule.max_deliveries.unwrap_or(limits.max_deliveries),
            redelivery_backoff: rule.redelivery_backoff.unwrap_or(limits.redelivery_backoff),
            ..limits
        }
    }

    /// Requeues the message that a lost consumer was at, or makes it a dead letter.
    pub(super) fn lost(&mut self, message: usize) {
        if self.tried(message) { self.die(message) } else { self.requeue(message) }
    }

    /// A message comes back that may have been seen.
    pub(super) fn requeue_seen(&mut self, message: usize) {
        self.messages[message].seen = true;
        self.requeue(message);
    }

    /// Counts a try: whether it was the last.
    fn tried(&mut self, message: usize) -> bool {
        let most = self.delivery_of(message).max_deliveries;
        let message = &mut self.messages[message];
        (message.tried, message.seen) = (message.tried + 1, true);
        self.failed += 1;
        most > 0 && message.tried >= most
    }

    pub(super) fn die(&mut self, message: usize) {
        if self.messages[message].is_ended {
            self.counts.ended += 1;
            return self.done(message);
        }
        let name = self.messages[message].channel;
        self.channels.entry(name).or_default().died += 1;
        self.done(message);
        if Oracle::owner_of(name.as_bytes()).is_some() {
            self.counts.dropped_temporary += 1;
            return;
        }
        self.counts.dead += 1;
        (self.messages[message].fate, self.messages[message].died) = (Fate::Dead, self.step);
    }

    /// A delivery says what became of its message before, and does not come before its time.
    pub(super) fn check_tries(&mut self, id: usize, redelivered: bool, attempts: u32) -> Checked {
        let (message, now) = (&self.messages[id], self.now);
        promise!(
            (redelivered, attempts) == (message.seen, message.tried),
            "message {id} came as redelivered: {redelivered}, attempts: {attempts}, and is {message:?}"
        );
        let is_over = message.expires.is_some_and(|expires| expires <= now);
        promise!(!is_over, "message {id} came though its time was over: {message:?}");
        promise!(message.not_before <= now, "message {id} came before its back-off was over: {message:?}");
        self.counts.tried_again += u64::from(message.tried > 0);
        Ok(())
    }

    /// A message's publisher says when it is to be delivered.
    pub(super) fn note_times(&mut self, id: usize, attributes: Option<&Arc<Attributes>>) {
        let Some(attributes) = attributes else { return };
        let message = &mut self.messages[id];
        message.expires = attributes.expires();
        message.group = attributes.group().and_then(|group| group.last().copied());
        if let Some(time) = attributes.deliver_at().filter(|time| *time > self.now) {
            self.counts.delayed += 1;
            message.not_before = time;
            // It has no order among those that are not delayed.
            (message.returned, message.delayed) = (true, true);
        }
        message.priority = attributes.priority;
        let (has_times, has_group) = (attributes.expires().is_some() || message.delayed, message.group.is_some());
        let has_priority = message.priority != Attributes::PRIORITY;
        let books = self.channels.entry(message.channel).or_default();
        books.has_attributes = true;
        books.has_times |= has_times;
        books.has_groups |= has_group;
        books.has_priorities |= has_priority;
    }

    /// Expired messages may be gone from their queue, as after a purge.
    fn note_expired(&mut self, status: &Status) {
        self.counts.expired = status.totals.expired;
        let now = self.now;
        for message in &mut self.messages {
            let is_over = message.expires.is_some_and(|expires| expires <= now);
            message.purged |= is_over && matches!(message.fate, Fate::Taken | Fate::Sent);
        }
    }

    /// Dead letters are accounted for, and keep their bounds.
    pub(super) fn check_retries(&mut self, act: &Act, status: &Status) -> Checked {
        if let Act::Purge(name, Some(count)) = act
            && DEAD.contains(name)
        {
            self.purged_dead += *count as u64;
        }
        self.check_lapses()?;
        self.note_expired(status);
        self.drop_over_bounds(status)?;
        let totals = &status.totals;
        let (missed, counted) = (self.counts.missed, totals.dropped_overflow);
        promise!(missed == counted, "durable subscriptions missed {missed} messages, and {counted} are counted");
        promise!(
            (totals.failed, totals.dead_lettered) == (self.failed, self.counts.dead),
            "{} tries failed and {} messages are dead; counted are {} and {}",
            self.failed,
            self.counts.dead,
            totals.failed,
            totals.dead_lettered
        );
        let mut waiting = 0;
        for channel in status.channels.iter().filter(|channel| channel.name.starts_with(b"/queue/dead/")) {
            waiting += channel.depth as u64;
            promise!(DEAD.iter().any(|name| channel.name == name), "{:?} has dead letters of its own", channel.name);
            // The bound counts bodies and headers; each may have an entry and a buffer of its own beside.
            // A piece of a buffer may pin twice its size.
            let each = if self.settings.groups { 1200 } else { 400 };
            let most = 6 * self.settings.body + each * channel.depth;
            promise!(
                channel.depth <= 1 || channel.bytes <= most,
                "{} dead letters have {} bytes in {:?}",
                channel.depth,
                channel.bytes,
                channel.name
            );
            promise!(channel.depth > 0 || channel.bytes == 0, "{:?} is empty, and not all is freed", channel.name);
        }
        promise!(
            waiting + totals.dropped_dead + self.purged_dead + self.counts.moved
                == self.counts.dead + self.counts.dropped_temporary,
            "{} messages are dead, of which {waiting} wait, {} are moved, {} were dropped ({} of temporary queues) and {} purged",
            self.counts.dead,
            self.counts.moved,
            totals.dropped_dead,
            self.counts.dropped_temporary,
            self.purged_dead
        );
        Ok(())
    }
}

/// Time since `at` for which ack time-outs stand still at least, and at most: while a connection is not read, for a minute
/// together and for as long as it has run since then, and up to a second, but no longer than the pause, behind each pause.
fn unread(pauses: &[(Time, Option<Time>)], timeout: Duration, at: Time, now: Time) -> (Duration, Duration) {
    let most = Duration::from_secs(60);
    let (mut all, mut since, mut behind) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for &(begin, end) in pauses {
        let (until, length) = (end.unwrap_or(now), end.unwrap_or(now).since(begin));
        let moment = if end.is_some() { length.min(Duration::from_secs(1)) } else { Duration::ZERO };
        all += length + moment;
        if until >= at {
            since += until.since(begin.max(at));
            behind += moment;
        }
    }
    // Earlier pauses lessen it.
    let left = most.saturating_sub(all.saturating_sub(since));
    (since.min(left), since.min(most + timeout) + behind)
}
