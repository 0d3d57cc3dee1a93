//! Dead letters: messages that no consumer could deal with. They wait in a queue of their own, which drops its
//! oldest where it is full, and can be moved back.

use super::Broker;
use super::channel::NoChannel;
use super::connection::Phase;
use super::making::MadeFor;
use crate::backlog::Segment;
use crate::delivery::Tries;
use crate::name::{Kind, dead_letters_of};
use crate::slots::{ChannelSlot, ConnectionSlot};
use crate::{Attributes, Headers, HeadersBuilder, cost};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// The beginning of the names of all headers of a dead letter.
const HEADERS: &[u8] = b"dead-letter-";

/// The header that names the queue of a dead letter.
pub(super) const ORIGIN: &[u8] = b"dead-letter-origin";

/// Why a message became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// A consumer refused it.
    Rejected,
    /// It was tried as often as it may be.
    Attempts,
    /// Its time was over.
    Expired,
    /// Its queue was full.
    Overflow,
}

impl Reason {
    fn as_bytes(self) -> &'static [u8] {
        match self {
            Reason::Rejected => b"rejected",
            Reason::Attempts => b"attempts",
            Reason::Expired => b"expired",
            Reason::Overflow => b"overflow",
        }
    }
}

impl Broker {
    /// Says when [`Time::ZERO`](crate::Time::ZERO) was, counted from 1970: dead letters name the time at which they became such.
    /// Without this call they name the time since the caller's start.
    pub fn set_epoch(&mut self, since_1970: Duration) {
        self.epoch = since_1970;
    }

    /// Messages of a queue become dead letters. Those of dead letters themselves are dropped, and so are those of temporary
    /// queues and of queues that have ended. Gives them back if there is no room for another channel.
    pub(super) fn bury(&mut self, from: ChannelSlot, segment: Segment, reason: Reason) -> Result<(), Segment> {
        let messages = segment.batch.len() as u64;
        let row = self.channels.edit(from);
        if row.is_dead || row.owner.is_some() || row.is_forgotten {
            let is_gone = |owner: ConnectionSlot| self.connections[owner].phase == Phase::Gone;
            if row.is_forgotten || row.owner.is_some_and(is_gone) {
                self.totals.dropped_ended += messages;
            } else {
                self.totals.dropped_dead += messages;
            }
            (row.dropped, row.left) = (row.dropped + messages, row.left + messages);
            self.leave_group(from, segment.group, segment.batch.len());
            self.release(segment.allocation);
            return Ok(());
        }
        let origin = self.channels[from].name.clone();
        let Ok(to) = self.find_or_make(&dead_letters_of(&origin)) else { return Err(segment) };
        self.follow_rules(to);
        let attributes = self.dead_letter(&segment, origin, reason);
        // Letters that became such in the same way share them, and small ones a buffer.
        let last = self.channels[to].backlog.last_attributes().filter(|last| ***last == attributes).cloned();
        let attributes = last.unwrap_or_else(|| Arc::new(attributes));
        self.totals.dead_lettered += messages;
        let row = self.channels.edit(from);
        (row.dead_lettered, row.left) = (row.dead_lettered + messages, row.left + messages);
        self.leave_group(from, segment.group, segment.batch.len());
        let tries = segment.tries.anew();
        self.move_to(to, segment, tries, Some(attributes));
        Ok(())
    }

    pub(super) fn find_or_make(&mut self, name: &Bytes) -> Result<ChannelSlot, NoChannel> {
        self.find_or_make_for(name, MadeFor::Messages)
    }

    pub(super) fn find_or_make_for(&mut self, name: &Bytes, made_for: MadeFor) -> Result<ChannelSlot, NoChannel> {
        self.names.get(name).copied().map_or_else(|| self.make_channel_for(name, made_for), Ok)
    }

    /// The attributes of dead letters: as they were, and how they became such. Nothing is left of the time that they had.
    fn dead_letter(&self, segment: &Segment, origin: Bytes, reason: Reason) -> Attributes {
        let before = segment.batch.attributes().map(|attributes| Attributes::clone(attributes)).unwrap_or_default();
        let mut headers = Headers::builder();
        let millis = (self.epoch + Duration::from_micros(self.now.0)).as_millis().to_string();
        let attempts = segment.tries.attempts().to_string();
        let values: [(&[u8], &[u8]); 4] = [
            (b"dead-letter-reason", reason.as_bytes()),
            (b"dead-letter-attempts", attempts.as_bytes()),
            (ORIGIN, &origin),
            (b"dead-letter-time", millis.as_bytes()),
        ];
        values.iter().for_each(|(name, value)| headers.push(name, value));
        push_others(&mut headers, &before.headers);
        // A message that a topic fed still says of which topic it is: its queue stands in the headers.
        let topic = before.origin().filter(|topic| Kind::of(topic) == Kind::Topic).cloned();
        let before = before.with_expires(None).with_deliver_at(None).with_origin(topic.unwrap_or(origin));
        Attributes { headers: headers.finish(), ..before }
    }

    /// Messages of one queue go behind all others of another one.
    pub(super) fn move_to(
        &mut self,
        to: ChannelSlot,
        segment: Segment,
        tries: Tries,
        attributes: Option<Arc<Attributes>>,
    ) {
        let Segment { batch, allocation, .. } = segment;
        // A piece of a large buffer must not pin it.
        let pins = self.budget.charged(allocation) > 2 * cost::buffer(batch.footprint());
        let batch = if pins { batch.compact() } else { batch }.with_attributes(attributes);
        let batch = self.with_ttl(to, batch);
        self.release(allocation);
        let channel = self.channels.edit(to);
        let first = channel.next_seq;
        channel.next_seq += batch.len() as u64;
        self.waiting += batch.len();
        let group = self.join_group(to, &batch);
        let messages = batch.len() as u64;
        self.channels.quietly().row(to).published.add(self.now, messages);
        self.note_age(to, first);
        let until = batch.attributes().and_then(|attributes| attributes.deliver_at()).filter(|&time| time > self.now);
        let rank = batch.rank();
        if until.is_none() && group.is_none() {
            let (budget, channel) = (&self.budget, self.channels.edit(to));
            let is_unshared = |allocation| budget.is_unshared(allocation);
            if let Some((allocation, charged)) = channel.backlog.coalesce(&batch, tries, first, is_unshared) {
                self.resize(to, allocation, charged);
                return self.note_rank(to, rank);
            }
        }
        let allocation = self.allocate(to, batch.footprint());
        let segment = Segment { batch, allocation, tries, first, step: 1, group };
        self.charge(to, segment.charge());
        let backlog = &mut self.channels.edit(to).backlog;
        match until {
            Some(until) => backlog.postpone(segment, until),
            None => backlog.push(segment),
        }
        group.into_iter().for_each(|group| self.file_group(to, group));
        if until.is_none() {
            self.note_rank(to, rank);
        }
    }
}

/// Takes over the headers that a message had before it became a dead letter.
pub(super) fn push_others(headers: &mut HeadersBuilder, all: &Headers) {
    let others = all.iter().filter(|(name, _)| !name.starts_with(HEADERS));
    others.for_each(|(name, value)| headers.push(name, value));
}
