//! The operator's view.

use super::Broker;
use super::load::classes_of;
use crate::slots::{ChannelSlot, ConnectionSlot, Key};
use crate::status::{ChannelStatus, ConnectionStatus, Page, Status, StatusQuery, Totals};
use crate::{ConnectionId, Kind, Time, cost};
use std::cmp::Reverse;

/// Rows of a table that one page looks at, whether they are in use or not.
const LOOKED_AT: usize = 10 * Page::MAX;

impl Broker {
    /// Bytes of queues that may be ahead of this consumer now, without acks: from
    /// [`Limits::first_window`](crate::Limits::first_window) to [`Limits::window`](crate::Limits::window).
    pub fn window(&self, connection: ConnectionId) -> Option<usize> {
        self.ids.get(&connection).map(|&slot| self.connections[slot].window)
    }

    /// Whether memory is short: the driver should read in small pieces.
    pub fn memory_pressed(&self) -> bool {
        self.budget.free() < self.budget.limit() / 8
    }

    /// Sums over everything, at the cost of nothing.
    pub fn totals(&self) -> Totals {
        Totals {
            channels: self.channels.len(),
            connections: self.ids.len() - self.departed.len(),
            subscriptions: self.subscription_count,
            paused: self.paused - self.paused_gone,
            gone: self.paused_gone,
            retained: self.retained,
            memory: self.budget.used() + self.ids.len() * cost::CONNECTION,
            memory_budget: self.budget.limit(),
            memory_for_messages: self.budget.for_messages(),
            ..self.totals
        }
    }

    /// Messages that wait for a subscriber or for room, over all channels.
    pub fn waiting(&self) -> usize {
        self.waiting + self.pending
    }

    /// The rows that the query asks for, and the sums.
    pub fn status(&self, now: Time, query: &StatusQuery) -> Status {
        let (channels, next_channel) = match query.channels {
            Page::Top(_) => (self.fullest(query.channels.limit(), &[Kind::Topic, Kind::Queue]), None),
            Page::After { cursor, .. } => {
                let found = |index| Some(self.channels.at(index).filter(|(_, channel)| !channel.is_forgotten)?.0);
                page(cursor, query.channels.limit(), self.channels.end(), found)
            }
        };
        let (connections, next_connection) = match query.connections {
            Page::Top(_) => (self.troubled(query.connections.limit()), None),
            Page::After { cursor, .. } => page(cursor, query.connections.limit(), self.connections.end(), |index| {
                Some(self.connections.at(index)?.0)
            }),
        };
        Status {
            channels: channels.into_iter().map(|slot| self.channel_status(slot, now)).collect(),
            next_channel,
            connections: connections.into_iter().map(|slot| self.connection_status(slot, now)).collect(),
            next_connection,
            totals: self.totals(),
            unheard: self.last_unheard.list(),
        }
    }

    /// One connection; `None` if there is none of this number.
    pub fn connection(&self, now: Time, id: ConnectionId) -> Option<ConnectionStatus> {
        self.ids.get(&id).map(|&slot| self.connection_status(slot, now))
    }

    /// A connection that is gone, and whose messages wait for room; `None` if there is no such.
    pub fn gone(&self, now: Time, id: ConnectionId) -> Option<ConnectionStatus> {
        let found = self.troubled.iter().find(|&&slot| self.connections[slot].id == id)?;
        Some(self.connection_status(*found, now)).filter(|row| row.gone)
    }

    /// One channel; `None` if there is none of this name.
    pub fn channel(&self, now: Time, name: &[u8]) -> Option<ChannelStatus> {
        let &slot = self.names.get(name)?;
        Some(self.channel_status(slot, now))
    }

    /// The channels of these kinds with the most bytes: all of those with twice as many before others, and of a page
    /// each before those with fewer.
    pub(super) fn fullest(&self, limit: usize, kinds: &[Kind]) -> Vec<ChannelSlot> {
        let mut fullest = Vec::new();
        for bits in (0..self.by_load[0].len()).rev() {
            for &class in kinds.iter().flat_map(|&kind| classes_of(kind)) {
                let mut next = self.by_load[class][bits].first;
                while let Some(slot) = next.filter(|_| fullest.len() < limit) {
                    fullest.push(slot);
                    next = self.channels[slot].by_load.next;
                }
            }
        }
        fullest.sort_by_key(|&slot| (Reverse(self.channels[slot].load), slot));
        fullest
    }

    /// The connections that are paused, slow or stalled, then the others, as far as a page looks.
    fn troubled(&self, limit: usize) -> Vec<ConnectionSlot> {
        let others = (0..self.connections.end().min(LOOKED_AT)).filter_map(|index| Some(self.connections.at(index)?.0));
        let others = others.filter(|slot| !self.troubled.contains(slot));
        let mut first: Vec<ConnectionSlot> = self.troubled.iter().copied().chain(others).take(limit).collect();
        first.sort_by_key(|slot| (!self.troubled.contains(slot), self.connections[*slot].id));
        first
    }

    fn channel_status(&self, slot: ChannelSlot, now: Time) -> ChannelStatus {
        let channel = &self.channels[slot];
        ChannelStatus {
            name: channel.name.clone(),
            kind: channel.kind,
            depth: channel.backlog.depth,
            in_flight: if channel.kind == Kind::Queue { channel.in_flight() } else { 0 },
            is_paused: channel.is_paused,
            bytes: channel.load,
            subscribers: channel.members as usize,
            paused_publishers: channel.waiting_publishers(),
            published: channel.published.total,
            delivered: channel.delivered.total,
            publish_rate: channel.published.rate(now),
            deliver_rate: channel.delivered.rate(now),
            dropped: channel.dropped,
            dead_lettered: channel.dead_lettered,
        }
    }

    fn connection_status(&self, slot: ConnectionSlot, now: Time) -> ConnectionStatus {
        let connection = &self.connections[slot];
        let subscriptions = connection.subscriptions.iter().filter(|_| !connection.has_left());
        let patterns = subscriptions.take(ConnectionStatus::SUBSCRIPTIONS);
        ConnectionStatus {
            id: connection.id,
            subscriptions: patterns.map(|(_, &slot)| self.subscriptions[slot].pattern.as_bytes().clone()).collect(),
            outbox: connection.outbox.bytes(),
            outbox_attributes: connection.outbox.load() - connection.outbox.bytes(),
            unacked: connection.unacked,
            unacknowledged: connection.retained_bytes,
            published: connection.published,
            delivered: connection.delivered,
            dropped: connection.dropped,
            paused: connection.reason.clone(),
            slow: connection.is_slow(now),
            gone: connection.is_gone(),
            pending: connection.pending_messages,
            stalled: connection.stalled,
        }
    }
}

/// The rows of a page, and the cursor of the next one.
pub(super) fn page<K: Key>(
    cursor: u32,
    limit: usize,
    end: usize,
    row: impl Fn(usize) -> Option<K>,
) -> (Vec<K>, Option<u32>) {
    let mut rows = Vec::new();
    for index in (cursor as usize..end).take(LOOKED_AT) {
        if rows.len() == limit {
            return (rows, u32::try_from(index).ok());
        }
        rows.extend(row(index));
    }
    let next = (cursor as usize).saturating_add(LOOKED_AT);
    (rows, u32::try_from(next).ok().filter(|_| next < end))
}
