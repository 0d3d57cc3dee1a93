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
        promise!(
            only == to || !is_new || self.links[&to.0].finishing,
            "{to:?} got message {message} of {}, of which {only:?} is the only consumer",
            row.channel
        );
        self.counts.handed_to_the_only += u64::from(self.channels[row.channel].rotation.len() > 1);
        Ok(())
    }
}
