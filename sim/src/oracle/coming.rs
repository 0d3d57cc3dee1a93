//! Connections that come, and the places of those that leave.

use super::link::Link;
use super::{Checked, Oracle, promise};
use switchboard_broker::Status;

impl Oracle {
    /// A connection of the native protocol is checked byte by byte as well.
    pub(crate) fn expect(&mut self, id: u64, native: bool, transport_acks: bool) {
        self.links.insert(id, Link { transport_acks, ..Link::new(self.now, native) });
    }

    /// Whether there are as many connections as there may be, beside those that are being closed for others.
    pub(super) fn is_full(&self, connections: usize) -> bool {
        let let_go = self.links.values().filter(|link| link.is_let_go && !link.gone).count();
        connections - let_go >= self.settings.limits.connections
    }

    /// Connections that are there, with those that have left and wait for room: these have a place each, and their own sum.
    pub(super) fn connections_of(&self, status: &Status) -> usize {
        let is_there = |id: u64| self.links.get(&id).is_some_and(|link| !link.gone);
        let departed = status.connections.iter().filter(|connection| connection.gone && is_there(connection.id.0));
        status.totals.connections + departed.count()
    }

    /// Whether one more connection may come, though another may have to let go for it.
    pub(crate) fn has_place(&self, status: &Status) -> bool {
        let is_there = |id: u64| self.links.get(&id).is_some_and(|link| !link.gone);
        let departed = status.connections.iter().any(|connection| connection.gone && is_there(connection.id.0));
        departed || !self.is_full(self.connections_of(status))
    }

    /// A connection says that it sends nothing more. Its subscriptions with acks have ended before: what they left comes back,
    /// for no ack of it comes any more, and may have been seen.
    pub(super) fn finish(&mut self, id: u64) {
        self.link(id).finishing = true;
        self.depart(id);
        self.leave_channels(id);
        if !self.links[&id].recalling {
            self.return_left(id);
        }
    }

    /// Returns what a connection that has finished has not acked. What it is asked back comes first.
    pub(super) fn return_left(&mut self, id: u64) {
        let left = std::mem::take(&mut self.link(id).tags);
        left.into_values().for_each(|owed| self.requeue_seen(owed.message));
    }

    /// The driver of a connection has seen that its peer sends nothing more.
    pub(super) fn depart(&mut self, id: u64) {
        let now = self.now;
        self.link(id).departed.get_or_insert(now);
        self.counts.departed += u64::from(!self.links[&id].finishing);
    }

    /// A connection is closed for one that comes: of those that have left and wait for room, the one that left first.
    pub(super) fn let_go(&mut self, id: u64) -> Checked {
        // In place of the newcomer.
        promise!(std::mem::take(&mut self.refusals) == 1, "{id} was let go though nobody needed its place");
        let Some(since) = self.links[&id].waits_since_it_left() else {
            return Err(format!("{id} was let go though it had not left, or waits for nothing"));
        };
        let others = self.links.iter().filter_map(|(&other, link)| Some((link.waits_since_it_left()?, other)));
        let first = others.min();
        promise!(first == Some((since, id)), "{id} was let go, and {first:?} left before");
        self.link(id).is_let_go = true;
        Ok(())
    }

    /// One that comes is refused: nobody has left whose place it could have.
    pub(super) fn check_no_place(&self) -> Checked {
        let left = self.links.iter().find(|(_, link)| link.waits_since_it_left().is_some());
        promise!(left.is_none(), "a connection is refused, and {:?} has left", left.map(|link| link.0));
        Ok(())
    }
}
