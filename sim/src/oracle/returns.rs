//! Messages that come back: recalled, not acknowledged, or of a connection that is gone.

use super::link::{Due, Lost, Owed, What};
use super::{Checked, Fate, Oracle, matches, promise};
use std::collections::BTreeSet;

impl Oracle {
    /// Its pipe is broken: of what was begun, nothing more will be written.
    pub(crate) fn broke(&mut self, id: u64) {
        if let Some(link) = self.links.get_mut(&id) {
            link.broken = true;
        }
    }

    pub(super) fn recalled(&mut self, id: u64, kept: usize) -> Checked {
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
                    if let Some(owed) = link.tags.remove(&tag) {
                        self.requeue(owed.message);
                    }
                }
            }
        }
        if self.links[&id].finishing {
            self.return_left(id);
        }
        Ok(())
    }

    pub(super) fn disconnect(&mut self, id: u64) {
        self.may_requeue(id);
        self.end_temporary(id);
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
        for (tag, Owed { message, subscription, .. }) in tags {
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
    pub(super) fn may_requeue(&mut self, id: u64) {
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
        if self.messages[message].is_ended {
            self.counts.returned += 1;
            self.counts.ended += 1;
            return self.done(message);
        }
        self.messages[message].fate = Fate::Taken;
        self.messages[message].returned = true;
        self.messages[message].returned_in = self.step;
        self.counts.returned += 1;
    }
}
