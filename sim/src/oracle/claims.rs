//! Exclusive consumers: the oldest that asked is the only one, and the next takes over.

use super::{Checked, Oracle, matches, promise};

impl Oracle {
    /// A subscription asks to be the only consumer of its queues.
    pub(super) fn claim(&mut self, id: u64, subscription: u32) {
        let (number, step) = (self.claims + 1, self.step);
        let Some(sub) = self.link(id).subs.get_mut(&subscription).filter(|sub| sub.active) else { return };
        if sub.claim.is_some() {
            return;
        }
        sub.claim = Some((number, step));
        let pattern = sub.pattern.clone();
        self.claims = number;
        for (name, books) in &mut self.channels {
            // Messages that were dealt to others and not handed out may be either's.
            books.claimed_in = if matches(&pattern, name.as_bytes()) { step } else { books.claimed_in };
        }
    }

    /// A message came back at its ack time-out: the only consumer of a queue that has no others is the last of those that
    /// asked from now on.
    pub(super) fn pass_claim_on(&mut self, id: u64, subscription: u32) {
        self.passes |= self.links[&id].subs.get(&subscription).is_some_and(|sub| sub.claim.is_some());
        let link = &self.links[&id];
        let has_others = link.tags.values().any(|owed| owed.subscription == subscription);
        let Some(sub) = link.subs.get(&subscription).filter(|sub| sub.active && sub.claim.is_some() && !has_others)
        else {
            return;
        };
        let pattern = sub.pattern.clone();
        let Some((name, books)) = self.channels.iter().find(|(name, _)| name.as_bytes() == &pattern[..]) else {
            return;
        };
        let (name, rotation) = (*name, books.rotation.clone());
        let asked = rotation.iter().filter(|(id, sub)| self.links[id].subs[sub].claim.is_some()).count();
        if asked < 2 || self.only_consumer(name) != Some((id, subscription)) {
            return;
        }
        self.claims += 1;
        let claim = Some((self.claims, self.step));
        if let Some(sub) = self.link(id).subs.get_mut(&subscription) {
            sub.claim = claim;
        }
        let step = self.step;
        self.channels.entry(name).or_default().claimed_in = step;
    }

    /// The only consumer of a queue, if there is one.
    fn only_consumer(&self, name: &str) -> Option<(u64, u32)> {
        let consumers = self.channels.get(name)?.rotation.iter();
        let claims = consumers.filter_map(|&(id, sub)| Some((self.links[&id].subs[&sub].claim?.0, (id, sub))));
        claims.min().map(|(_, consumer)| consumer)
    }

    /// The consumers that a queue may hand out to.
    pub(super) fn consumers(&self, name: &str) -> Vec<(u64, u32)> {
        match self.only_consumer(name) {
            Some(only) => vec![only],
            None => self.channels.get(name).map_or(Vec::new(), |books| books.rotation.clone()),
        }
    }

    pub(super) fn has_claim(&self, name: &str) -> bool {
        self.only_consumer(name).is_some()
    }

    pub(super) fn may_consume(&self, name: &str, consumer: (u64, u32)) -> bool {
        self.only_consumer(name).is_none_or(|only| only == consumer)
    }

    /// A queue hands a message to a subscription of a connection.
    pub(super) fn check_claims(&mut self, message: usize, to: (u64, u32)) -> Checked {
        let row = &self.messages[message];
        let Some(only) = self.only_consumer(row.channel) else { return Ok(()) };
        // A message that was dealt to another before the claim stays with that.
        let is_new = self.settings.wide || row.taken > self.channels[row.channel].claimed_in;
        // Which messages were unacked when one came back late is not modelled: then any of those that asked may be the one.
        let asked = self.passes && self.links[&to.0].subs.get(&to.1).is_some_and(|sub| sub.claim.is_some());
        promise!(
            only == to || !is_new || asked || self.links[&to.0].finishing,
            "{to:?} got message {message} of {}, of which {only:?} is the only consumer",
            row.channel
        );
        self.counts.handed_to_the_only += u64::from(self.channels[row.channel].rotation.len() > 1);
        Ok(())
    }
}
