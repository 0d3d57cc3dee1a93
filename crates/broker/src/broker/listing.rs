//! Queues as their operator sees them.

use super::Broker;
use super::channel::Channel;
use super::report::page;
use crate::batch::{PREFIX, size_at};
use crate::list::List;
use crate::name::{Kind, dead_letters_of};
use crate::queues::{Browse, BrowseQuery, Browsed, Position, QueueStatus, Queues};
use crate::slots::{ChannelSlot, ConnectionSlot};
use crate::{Page, PauseReason, Time};
use bytes::Bytes;
use std::sync::Arc;

/// Publishers that are looked at for one that is not gone.
const LOOKED_AT: usize = 64;

impl Channel {
    /// Messages that consumers have.
    pub(super) fn in_flight(&self) -> u64 {
        let here = (self.backlog.depth + self.moving) as u64;
        self.next_seq.saturating_sub(self.left + self.delivered.total + here)
    }
}

impl Broker {
    /// The queues of a page: of [`Page::Top`], those with the most bytes.
    pub fn queues(&self, now: Time, page_of: Page) -> Queues {
        let is_queue = |slot: ChannelSlot| self.channels[slot].kind == Kind::Queue;
        let (rows, next) = match page_of {
            Page::Top(_) => (self.fullest(page_of.limit(), &[Kind::Queue]), None),
            Page::After { cursor, .. } => page(cursor, page_of.limit(), self.channels.end(), |index| {
                let (slot, channel) = self.channels.at(index)?;
                (!channel.is_forgotten && is_queue(slot)).then_some(slot)
            }),
        };
        Queues { queues: rows.into_iter().map(|slot| self.queue_row(slot, now)).collect(), next }
    }

    /// One queue; `None` if there is no such.
    pub fn queue(&self, now: Time, name: &[u8]) -> Option<QueueStatus> {
        let slot = self.find_queue(name)?;
        Some(self.queue_row(slot, now))
    }

    fn queue_row(&self, slot: ChannelSlot, now: Time) -> QueueStatus {
        let channel = &self.channels[slot];
        let depth = |slot: ChannelSlot| self.channels[slot].backlog.depth;
        QueueStatus {
            name: channel.name.clone(),
            topics: channel.source.as_ref().map(|source| source.topics().clone()),
            depth: channel.backlog.depth,
            postponed: channel.backlog.postponed_depth(),
            in_flight: channel.in_flight(),
            moving: channel.moving,
            consumers: channel.members as usize,
            paused_publishers: channel.waiting_publishers(),
            pause_reason: self.pause_reason(channel),
            is_paused: channel.is_paused,
            oldest: channel.backlog.first_ready().map(|first| now.since(channel.ages.of(first))),
            bytes: channel.load,
            published: channel.published.total,
            publish_rate: channel.published.rate(now),
            delivered: channel.delivered.total,
            deliver_rate: channel.delivered.rate(now),
            returned: channel.returned,
            dead_lettered: channel.dead_lettered,
            dead: if channel.is_dead { 0 } else { self.find_queue(&dead_letters_of(&channel.name)).map_or(0, depth) },
            expired: channel.expired,
            rejected: channel.rejected,
            dropped: channel.dropped,
        }
    }

    /// The reason why the publisher that has waited longest does; of one that is gone if no other waits.
    fn pause_reason(&self, channel: &Channel) -> Option<PauseReason> {
        if channel.paused_publishers == 0 {
            return None;
        }
        let first = self.first_there(channel.waiters).or_else(|| self.first_there(channel.share_waiters));
        // All that wait for the same have about the same reason.
        let first = first.or(channel.waiters.first).or(channel.share_waiters.first)?;
        self.connections[first].reason.clone()
    }

    /// The first waiter that is not gone, of the first few.
    fn first_there(&self, waiters: List<ConnectionSlot>) -> Option<ConnectionSlot> {
        let mut next = waiters.first;
        for _ in 0..LOOKED_AT {
            let slot = next?;
            let row = &self.connections[slot];
            if !row.is_gone() {
                return Some(slot);
            }
            next = row.wait.next;
        }
        None
    }

    /// Looks at messages that wait in a queue, and takes none; `None` if there is no such queue.
    pub fn browse(&self, now: Time, name: &[u8], query: &BrowseQuery) -> Option<Browse> {
        let slot = self.find_queue(name)?;
        let channel = &self.channels[slot];
        let most = query.messages.min(BrowseQuery::MAX_MESSAGES);
        let mut room = query.bytes.min(BrowseQuery::MAX_BYTES);
        let (mut found, mut at) = (Vec::new(), query.from);
        while let Some(view) = channel.backlog.view(at) {
            let mut rest = view.packed.clone();
            let passed = if view.at == (Position { passed: 0, ..at }) { at.passed } else { 0 };
            for index in 0..view.count {
                let mut message = rest.split_to(size_at(&rest, 0).unwrap_or(0).min(rest.len()));
                let length = message.len().saturating_sub(PREFIX);
                if index < passed as usize {
                    continue;
                }
                let headers = view.attributes.map_or(0, |attributes| attributes.charge());
                let fits = headers.saturating_add(length) <= room;
                if found.len() == most || !fits && !found.is_empty() {
                    return Some(Browse { messages: found, next: Some(Position { passed: index as u32, ..view.at }) });
                }
                let is_cut = headers > room;
                let body = if is_cut { 0 } else { length.min(room - headers) };
                room = if fits { room - headers - length } else { 0 };
                message.truncate(PREFIX + body);
                let seq = view.first + index as u64 * view.step;
                found.push(Browsed {
                    seq,
                    body: if body == 0 { Bytes::new() } else { message.slice(PREFIX..) },
                    length,
                    attributes: view.attributes.filter(|_| !is_cut).map(Arc::clone),
                    is_cut,
                    attempts: view.tries.attempts(),
                    redelivered: view.tries.is_redelivered(),
                    age: now.since(channel.ages.of(seq)),
                    postponed: view.due.map(|due| due.since(now)),
                });
            }
            at = view.behind();
        }
        Some(Browse { messages: found, next: None })
    }
}
