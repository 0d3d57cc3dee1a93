//! Checks of the final state, when everybody has had enough time.

use super::{Checked, Fate, Message, Oracle, promise};
use std::collections::{BTreeMap, BTreeSet};
use switchboard_broker::{Kind, PauseReason, Status, is_durable};

impl Oracle {
    /// Number of messages that are not taken in, or wait for somebody, without those of durable subscriptions.
    pub(crate) fn left_over(&self) -> usize {
        let is_left = |message: &&Message| match message.fate {
            Fate::Said | Fate::Sent => true,
            Fate::Taken | Fate::With(_) => Kind::of(message.channel.as_bytes()) == Kind::Queue,
            Fate::Done | Fate::Dead => false,
        };
        let of_others = self.messages.iter().filter(|message| !is_durable(message.channel.as_bytes()));
        let kept: usize = self.channels.values().map(|books| books.kept.len()).sum();
        of_others.filter(is_left).count() + kept
    }

    /// Everybody reads again, and nothing moves any more.
    pub(crate) fn at_rest(&self, status: &Status) -> Checked {
        self.check_knots(status)?;
        for reported in &status.connections {
            let slow = matches!(reported.paused, Some(PauseReason::SlowSubscriber { .. }));
            let reads = !matches!(reported.paused, Some(PauseReason::Receipts { .. }));
            promise!(!slow && reads, "{} is paused at rest: {:?}", reported.id.0, reported.paused);
            promise!(reported.outbox == 0, "{} bytes wait for {} at rest", reported.outbox, reported.id.0);
            if let Some(PauseReason::QueueFull { channel, .. } | PauseReason::QueueMessages { channel, .. }) =
                &reported.paused
            {
                let name = String::from_utf8_lossy(channel).into_owned();
                let works = self.consumers(&name).iter().any(|consumer| self.has_prefetch(*consumer));
                let is_shared = self.channels.get(&*name).is_some_and(|books| books.has_groups);
                promise!(!works || is_shared, "{} is paused at rest though {name} has a worker", reported.id.0);
            }
        }
        for (name, channel) in &self.channels {
            // An ack that was lost may have been the last that a worker may wait for.
            let able = self.consumers(name).iter().any(|consumer| self.has_prefetch(*consumer));
            if !name.starts_with("/queue") || !able {
                continue;
            }
            let waits = channel.open.iter().find(|&&id| {
                let message = &self.messages[id];
                message.fate == Fate::Taken && !message.purged && !self.waits_for_its_group(id)
            });
            let row = waits.map(|&id| &self.messages[id]);
            promise!(waits.is_none(), "message {waits:?} waits in {name} at rest, which has workers: {row:?}");
        }
        for (id, link) in self.links.iter().filter(|(_, link)| !link.gone && link.paused_for.is_none()) {
            promise!(!link.finishing, "{id} has finished and waits for nothing, and was not closed");
            promise!(link.confirms.is_empty(), "{id} waits for a confirmation at rest");
            promise!(!link.receipts.is_waiting(), "{id} waits for a receipt at rest");
            promise!(link.taken == link.sent.len(), "{id} is not held, and not all that it sent was taken in");
        }
        Ok(())
    }

    /// Whether a consumer may have one more message that waits for its ack.
    pub(super) fn has_prefetch(&self, (id, subscription): (u64, u32)) -> bool {
        let link = &self.links[&id];
        let has_room = |prefetch| link.waiting_acks(subscription) < prefetch && !link.bars(subscription);
        link.subs[&subscription].prefetch.is_none_or(has_room)
    }

    /// Every queue had a worker at last who read all, and every topic a listener.
    pub(crate) fn all_done(&self, status: &Status) -> Checked {
        // Publishers that are gone count as well: their last messages may wait.
        let paused = status.connections.iter().filter(|row| row.paused.is_some()).count();
        promise!(paused == 0, "{paused} are paused though somebody takes everything");
        let (mut gone, mut purged, mut back) = (0, 0, 0);
        for (name, channel) in self.channels.iter().filter(|(name, _)| name.starts_with("/queue")) {
            let lost: Vec<usize> = channel.open.iter().copied().collect();
            let other = lost.iter().find(|&&id| !self.messages[id].purged);
            promise!(other.is_none(), "message {other:?} of {name} is lost: {:?}", other.map(|&id| &self.messages[id]));
            gone += lost.len();
            purged += channel.purged;
            back += channel.back;
        }
        promise!(
            gone + back == purged + self.counts.expired as usize,
            "{gone} messages of queues are missing, and {back} that were moved back, purges dropped {purged}, and {} expired",
            self.counts.expired
        );
        for (id, message) in self.messages.iter().enumerate() {
            promise!(message.fate != Fate::Sent, "message {id} of {} was never taken in", message.channel);
        }
        self.one_order()
    }

    /// Everybody is gone and the queues are empty.
    pub(crate) fn nothing_left(&self, status: &Status) -> Checked {
        let totals = &status.totals;
        promise!(
            (totals.memory, totals.channels, totals.connections, totals.paused, totals.subscriptions)
                == (0, 0, 0, 0, 0),
            "something is left when everybody is gone: {totals:?}"
        );
        promise!(
            totals.delivered == self.delivered,
            "{} messages were delivered, and {} are counted",
            self.delivered,
            totals.delivered
        );
        Ok(())
    }

    /// For every topic there is one order that all its publishers and subscribers agree with.
    pub(crate) fn one_order(&self) -> Checked {
        for (name, channel) in self.channels.iter().filter(|(name, _)| !name.starts_with("/queue")) {
            let mut chains: Vec<Vec<usize>> = channel.seen.values().cloned().collect();
            for link in self.links.values() {
                let own = link.sent.iter().copied().filter(|&id| self.messages[id].channel == *name);
                chains.push(own.collect());
            }
            let mut behind: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            let mut before: BTreeMap<usize, usize> = BTreeMap::new();
            for pair in chains.iter().flat_map(|chain| chain.windows(2)) {
                behind.entry(pair[0]).or_default().push(pair[1]);
                *before.entry(pair[1]).or_default() += 1;
                before.entry(pair[0]).or_default();
            }
            let mut free: BTreeSet<usize> =
                before.iter().filter(|(_, count)| **count == 0).map(|(&id, _)| id).collect();
            let mut placed = 0;
            while let Some(id) = free.pop_first() {
                placed += 1;
                for next in behind.remove(&id).unwrap_or_default() {
                    let count = before.get_mut(&next).expect("it is in a chain");
                    *count -= 1;
                    if *count == 0 {
                        free.insert(next);
                    }
                }
            }
            promise!(placed == before.len(), "subscribers of {name} saw different orders");
        }
        Ok(())
    }
}
