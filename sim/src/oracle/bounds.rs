//! The bounds of outboxes and memory, a worker's stall, and the sums.

use super::link::{Link, What};
use super::{Checked, Fate, LATENESS, Oracle, promise};
use crate::settings::QUEUES;
use std::time::Duration;
use switchboard_broker::Status;

impl Oracle {
    pub(super) fn check_bounds(&mut self, status: &Status) -> Checked {
        let limits = self.settings.limits.clone();
        let (now, wide, longest, piece) = (self.now, self.settings.wide, self.longest, self.piece());
        self.connections = self.connections_of(status);
        let (mut living, mut subscriptions, mut empty) = (0, 0, true);
        for reported in &status.connections {
            let id = reported.id.0;
            let Some(link) = self.links.get_mut(&id).filter(|link| !link.gone) else { continue };
            living += 1;
            subscriptions += link.subs.values().filter(|sub| sub.active).count();
            empty &= reported.outbox == 0 && reported.unacknowledged == 0;
            let handed = link.handed_bytes();
            promise!(
                reported.outbox >= handed,
                "the outbox of {id} has {} bytes, and {handed} are out",
                reported.outbox
            );
            promise!(
                !wide || link.recalling || link.is_crowded() || reported.outbox == handed,
                "{} bytes wait for {id} in an open window, and {handed} are handed out",
                reported.outbox
            );
            if reported.outbox <= limits.outbox {
                link.got_kept = false;
            }
            // The newest piece beside what it was handed before: half of the bound at most, and one piece more.
            let is_beyond = link.is_narrow && reported.outbox <= limits.outbox.max(limits.outbox / 2 + piece) + piece;
            // Confirmations that were asked for together come together.
            let single =
                link.handed.len() == 1 || link.handed.iter().all(|handed| matches!(handed.what, What::Barrier));
            let one = if wide && !link.recalling { single } else { reported.outbox <= longest };
            promise!(
                reported.outbox <= limits.outbox || one || link.got_kept || is_beyond,
                "the outbox of {id} has {} bytes in more than one message, over its bound of {}",
                reported.outbox,
                limits.outbox
            );
            let works = link.subs.values().all(|sub| sub.prefetch.is_none() && sub.pattern.starts_with(b"/queue"));
            let of_queues = works && link.confirms.is_empty() && link.confirmed.is_empty();
            let ahead = reported.outbox + reported.unacknowledged;
            promise!(
                !of_queues || ahead <= limits.window.max(longest),
                "{id} has {ahead} bytes of queues ahead, more than the window of {}",
                limits.window
            );
            promise!(reported.delivered <= link.delivered, "{id} got fewer messages than are counted");
            let all_known = reported.outbox == 0 && reported.unacknowledged == 0;
            promise!(
                !all_known || reported.delivered == link.delivered,
                "{id} got {} messages, and {} are counted",
                link.delivered,
                reported.delivered
            );
            if link.stalled || link.recalling {
                continue;
            }
            let queued = link.handed.iter().find_map(|handed| match handed.what {
                What::Queue { at, .. } => Some(at),
                _ => None,
            });
            let since = queued.map(|at| at.max(link.last_credit));
            let late = limits.write_timeout + Duration::from_micros(LATENESS);
            promise!(since.is_none_or(|since| now.since(since) <= late), "{id} stalls, and was not recalled");
        }
        let totals = &status.totals;
        promise!(self.connections == living, "{living} connections, and {} are counted", self.connections);
        let gone = status.connections.iter().filter(|row| row.gone && row.paused.is_some()).count();
        promise!(totals.gone == gone, "{gone} connections are gone, and {} are counted", totals.gone);
        promise!(
            totals.subscriptions == subscriptions,
            "{subscriptions} subscriptions, and {} are counted",
            totals.subscriptions
        );
        promise!(
            !empty || totals.delivered == self.delivered,
            "{} messages were delivered, and {} are counted",
            self.delivered,
            totals.delivered
        );
        promise!(
            totals.requeued >= self.counts.returned,
            "{} messages went back, not {}",
            self.counts.returned,
            totals.requeued
        );
        self.check_memory(status)
    }

    fn check_memory(&mut self, status: &Status) -> Checked {
        let (used, budget) = (status.totals.memory, self.settings.limits.memory);
        self.memory = used;
        // Each connection may be in the middle of a read when the budget is reached; what is to be
        // confirmed is bounded by the sender's outbox alone; and what comes back from an outbox
        // is copied message by message, while one that was begun pins all of them.
        // Each small message may be charged with the overhead of an entry of its own.
        let read = 12 * (self.settings.read + self.overshoot) + self.longest + 4096;
        let confirms: usize = self.links.values().filter(|link| !link.gone).map(Link::confirm_bytes).sum();
        if used <= budget {
            self.feeders.clear();
        }
        let read_ahead = 12 * self.settings.limits.read_ahead.min(4096);
        let slack = (read + read_ahead) * self.feeders.len()
            + 12 * confirms
            + 24 * self.settings.limits.outbox
            + self.of_receipts()
            + self.longest
            + self.of_knots()
            + 60_000;
        promise!(used <= budget.saturating_add(slack), "{used} bytes are buffered, far more than {budget}");
        let of_queues: usize = self
            .messages
            .iter()
            .filter(|message| message.channel.starts_with("/queue") && !message.purged)
            .filter(|message| matches!(message.fate, Fate::Sent | Fate::Taken | Fate::With(_)))
            .map(|message| message.size)
            .sum();
        promise!(used == self.audit, "{used} bytes are counted, and {} are charged", self.audit);
        promise!(used >= of_queues, "{used} bytes are counted, and {of_queues} wait in queues alone");
        let living = || self.links.values().filter(|link| !link.gone);
        let nothing = of_queues == 0
            && self.links.values().all(|link| link.taken == link.sent.len())
            && self.channels.values().all(|channel| {
                channel.purged == 0 && !channel.has_times && channel.kept.is_empty() && channel.value.is_none()
            })
            && living().all(|link| link.reserve == 0 && link.confirms.is_empty())
            && status.connections.iter().all(|connection| connection.outbox == 0 && connection.unacknowledged == 0);
        let others = status.channels.iter().filter(|channel| !channel.name.starts_with(b"/queue/dead/"));
        let of_channels: usize = others.map(|channel| channel.bytes).sum();
        promise!(!nothing || of_channels == 0, "nothing is buffered, and {of_channels} bytes are counted");
        Ok(())
    }

    /// Bytes beyond the budget for receipts: nobody waits for memory to get them.
    fn of_receipts(&self) -> usize {
        if self.settings.receipts { 12 * self.settings.limits.outbox } else { 0 }
    }

    /// Bytes beyond the budget for connections with acks while they wait for their own acks: a sixteenth, and the
    /// buffers that small messages grow into.
    fn of_knots(&self) -> usize {
        let any = self.links.values().any(|link| !link.gone && link.has_acks());
        if any { self.settings.limits.memory / 16 + QUEUES.len() * (128 << 10) } else { 0 }
    }
}
