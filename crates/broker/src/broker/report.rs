//! What an operator sees.

use super::Broker;
use crate::status::{ChannelStatus, ConnectionStatus, Status, Totals};

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

    /// The state, with at most `limit` channels (the fullest) and connections (the oldest).
    pub fn status(&self, limit: usize) -> Status {
        let mut channels: Vec<usize> = self.channels.iter().map(|(place, _)| place).collect();
        channels.sort_by_key(|&place| (std::cmp::Reverse(self.channels[place].load), place));
        channels.truncate(limit);
        let mut connections: Vec<usize> = self.connections.iter().map(|(place, _)| place).collect();
        connections.sort_by_key(|&place| self.connections[place].id);
        connections.truncate(limit);
        Status {
            channels: channels.into_iter().map(|place| self.channel_status(place)).collect(),
            connections: connections.into_iter().map(|place| self.connection_status(place)).collect(),
            totals: self.totals(),
        }
    }

    fn channel_status(&self, place: usize) -> ChannelStatus {
        let channel = &self.channels[place];
        let feeds = |&&held: &&usize| {
            let front = self.connections[held].pending.front();
            matches!(front, Some(super::hold::Pending::Publish { channel: name, .. }) if *name == channel.name)
        };
        ChannelStatus {
            name: channel.name.clone(),
            kind: channel.kind,
            depth: channel.backlog.depth,
            bytes: channel.load,
            subscribers: channel.subscribers.len(),
            held_publishers: self.held.iter().filter(feeds).count(),
            published: channel.published,
            delivered: channel.delivered,
            dropped: channel.dropped,
        }
    }

    fn connection_status(&self, place: usize) -> ConnectionStatus {
        let connection = &self.connections[place];
        let patterns = connection.subscriptions.iter().map(|subscription| subscription.pattern.as_bytes().clone());
        ConnectionStatus {
            id: connection.id,
            subscriptions: patterns.collect(),
            outbox: connection.outbox.bytes(),
            published: connection.published,
            delivered: connection.delivered,
            dropped: connection.dropped,
            held: connection.blocked.as_ref().map(|(_, reason)| reason.clone()),
            slow: connection.is_slow(self.now),
            gone: connection.gone,
        }
    }
}
