//! What an operator sees.

use super::Broker;
use super::pause::Pending;
use crate::Time;
use crate::status::{ChannelStatus, ConnectionStatus, Page, Status, StatusQuery, Totals};
use std::cmp::Reverse;

impl Broker {
    /// Sums over everything, at the cost of nothing.
    pub fn totals(&self) -> Totals {
        Totals {
            channels: self.channels.len(),
            connections: self.ids.len(),
            subscriptions: self.subscriptions,
            paused: self.paused.len(),
            memory: self.budget.used,
            memory_budget: self.budget.budget,
            ..self.totals
        }
    }

    /// Messages that wait for a subscriber or for room, over all channels.
    pub fn waiting(&self) -> usize {
        let in_channels: usize = self.channels.iter().map(|(_, channel)| channel.backlog.depth).sum();
        let before_them =
            self.paused.iter().flat_map(|&place| &self.connections[place].pending).map(|pending| match pending {
                Pending::Publish { batch, .. } => batch.len(),
                _ => 0,
            });
        in_channels + before_them.sum::<usize>()
    }

    /// The rows that the query asks for, and the sums.
    pub fn status(&self, now: Time, query: &StatusQuery) -> Status {
        let channels = self.channels.iter().map(|(place, channel)| (Reverse(channel.load), place));
        let connections = self.connections.iter().map(|(place, connection)| {
            let is_well = connection.blocked.is_none() && !connection.is_slow(now) && !connection.stalled;
            ((is_well, connection.id), place)
        });
        let (channels, next_channel) = rows(channels.collect(), query.channels);
        let (connections, next_connection) = rows(connections.collect(), query.connections);
        Status {
            channels: channels.into_iter().map(|place| self.channel_status(place, now)).collect(),
            next_channel,
            connections: connections.into_iter().map(|place| self.connection_status(place, now)).collect(),
            next_connection,
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
            paused_publishers: self.paused.iter().filter(feeds).count(),
            published: channel.published.total,
            delivered: channel.delivered.total,
            publish_rate: channel.published.rate(now),
            deliver_rate: channel.delivered.rate(now),
            dropped: channel.dropped,
        }
    }

    fn connection_status(&self, place: usize, now: Time) -> ConnectionStatus {
        let connection = &self.connections[place];
        let subscriptions = connection.subscriptions.iter().take(ConnectionStatus::SUBSCRIPTIONS);
        let patterns = subscriptions.map(|subscription| subscription.pattern.as_bytes().clone());
        ConnectionStatus {
            id: connection.id,
            subscriptions: patterns.collect(),
            outbox: connection.outbox.bytes(),
            unacked: connection.unacked.len(),
            unacknowledged: 0,
            published: connection.published,
            delivered: connection.delivered,
            dropped: connection.dropped,
            paused: connection.blocked.as_ref().map(|(_, reason)| reason.clone()),
            slow: connection.is_slow(now),
            gone: connection.gone,
            stalled: connection.stalled,
        }
    }
}

/// The rows of a page, and the cursor of the next one.
fn rows<K: Ord>(mut all: Vec<(K, usize)>, page: Page) -> (Vec<usize>, Option<u32>) {
    let limit = page.limit();
    match page {
        Page::Top(_) => {
            if limit < all.len() {
                all.select_nth_unstable(limit);
                all.truncate(limit);
            }
            all.sort_unstable();
            (all.into_iter().map(|(_, place)| place).collect(), None)
        }
        Page::After { cursor, .. } => {
            let mut places = all.into_iter().map(|(_, place)| place).skip_while(|&place| place < cursor as usize);
            let page: Vec<usize> = places.by_ref().take(limit).collect();
            (page, places.next().and_then(|place| u32::try_from(place).ok()))
        }
    }
}
