//! What an operator sees.

use super::Broker;
use super::hold::Pending;
use crate::Time;
use crate::status::{ChannelStatus, ConnectionStatus, Status, Totals};
use std::cmp::Reverse;

impl Broker {
    /// Sums over everything, at the cost of nothing.
    pub fn totals(&self) -> Totals {
        Totals {
            channels: self.channels.len(),
            connections: self.ids.len(),
            subscriptions: self.subscriptions,
            held: self.held.len(),
            memory: self.ledger.used,
            memory_budget: self.ledger.budget,
            ..self.totals
        }
    }

    /// Messages that wait for a subscriber or for room, over all channels.
    pub fn waiting(&self) -> usize {
        let in_channels: usize = self.channels.iter().map(|(_, channel)| channel.backlog.depth).sum();
        let before_them =
            self.held.iter().flat_map(|&place| &self.connections[place].pending).map(|pending| match pending {
                Pending::Publish { batch, .. } => batch.len(),
                _ => 0,
            });
        in_channels + before_them.sum::<usize>()
    }

    /// The state, with at most `limit` channels (the fullest) and connections (those with
    /// something to say, then the oldest).
    pub fn status(&self, now: Time, limit: usize) -> Status {
        let channels = self.channels.iter().map(|(place, channel)| (Reverse(channel.load), place));
        let connections = self.connections.iter().map(|(place, connection)| {
            let is_well = connection.blocked.is_none() && !connection.is_slow(now) && !connection.stalled;
            (is_well, connection.id, place)
        });
        let (channels, connections) = (least(channels.collect(), limit), least(connections.collect(), limit));
        let channels = channels.into_iter().map(|(_, place)| place);
        let connections = connections.into_iter().map(|(.., place)| place);
        Status {
            channels: channels.map(|place| self.channel_status(place, now)).collect(),
            connections: connections.map(|place| self.connection_status(place, now)).collect(),
            totals: self.totals(),
        }
    }

    fn channel_status(&self, place: usize, now: Time) -> ChannelStatus {
        let channel = &self.channels[place];
        let feeds = |&&held: &&usize| {
            let front = self.connections[held].pending.front();
            matches!(front, Some(Pending::Publish { channel: name, .. }) if *name == channel.name)
        };
        ChannelStatus {
            name: channel.name.clone(),
            kind: channel.kind,
            depth: channel.backlog.depth,
            bytes: channel.load,
            subscribers: channel.subscribers.len(),
            held_publishers: self.held.iter().filter(feeds).count(),
            published: channel.published.total,
            delivered: channel.delivered.total,
            publish_rate: channel.published.rate(now),
            deliver_rate: channel.delivered.rate(now),
            dropped: channel.dropped,
        }
    }

    fn connection_status(&self, place: usize, now: Time) -> ConnectionStatus {
        let connection = &self.connections[place];
        let patterns = connection.subscriptions.iter().map(|subscription| subscription.pattern.as_bytes().clone());
        ConnectionStatus {
            id: connection.id,
            subscriptions: patterns.collect(),
            outbox: connection.outbox.bytes(),
            unacked: connection.unacked.len(),
            published: connection.published,
            delivered: connection.delivered,
            dropped: connection.dropped,
            held: connection.blocked.as_ref().map(|(_, reason)| reason.clone()),
            slow: connection.is_slow(now),
            gone: connection.gone,
            stalled: connection.stalled,
        }
    }
}

/// The first `limit` in order, without sorting all the others.
fn least<T: Ord>(mut all: Vec<T>, limit: usize) -> Vec<T> {
    if limit < all.len() {
        all.select_nth_unstable(limit);
        all.truncate(limit);
    }
    all.sort_unstable();
    all
}
