//! Attributes: what the messages of a batch have in common beside their channel: headers, and the properties that the
//! rules read.

use crate::{Headers, Time, cost};
use bytes::Bytes;

/// Headers and properties that the messages of a [`Batch`](crate::Batch) have in common, stored once for all of them. The memory
/// budget charges it for each buffer of messages that has it.
///
/// The names in it should not be slices of larger buffers, which they would keep in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attributes {
    /// As the publisher gave them, for the subscriber.
    pub headers: Headers,
    /// Whether the publisher asked for the messages to survive a restart. Nothing is stored yet.
    pub persistent: bool,
    /// From 0 to 9, [`Attributes::PRIORITY`] where nothing is said. A larger number counts as 9. A queue hands out those of
    /// a higher priority first.
    pub priority: u8,
    /// Whether their topic keeps the last of them for subscribers that come later. Nothing to queues.
    pub retain: bool,
    /// Few messages have any of these, and many may wait: `None` where all would be.
    pub(crate) rare: Option<Box<Rare>>,
}

/// Properties that few messages have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rare {
    expires: Option<Time>,
    deliver_at: Option<Time>,
    group: Option<Bytes>,
    reply_to: Option<Bytes>,
    origin: Option<Bytes>,
}

impl Default for Attributes {
    fn default() -> Attributes {
        Attributes {
            headers: Headers::default(),
            persistent: false,
            priority: Attributes::PRIORITY,
            retain: false,
            rare: None,
        }
    }
}

impl Attributes {
    /// The priority of messages for which none was asked.
    pub const PRIORITY: u8 = 4;

    /// The highest priority.
    pub const HIGHEST: u8 = 9;

    /// From this time on they are not delivered any more.
    #[inline]
    pub fn expires(&self) -> Option<Time> {
        self.rare.as_ref()?.expires
    }

    /// Before this time they are not delivered.
    #[inline]
    pub fn deliver_at(&self) -> Option<Time> {
        self.rare.as_ref()?.deliver_at
    }

    /// A queue hands out the messages of one group to one consumer, in order: to the one that gets the first of them, until
    /// none waits or is unacked, or that consumer has left. Others flow past them.
    #[inline]
    pub fn group(&self) -> Option<&Bytes> {
        self.rare.as_ref()?.group.as_ref()
    }

    /// The channel for an answer.
    pub fn reply_to(&self) -> Option<&Bytes> {
        self.rare.as_ref()?.reply_to.as_ref()
    }

    /// The channel that they were first published to, of messages that were moved or that a topic has fed to a durable
    /// subscription.
    pub fn origin(&self) -> Option<&Bytes> {
        self.rare.as_ref()?.origin.as_ref()
    }

    /// The same, with another time for [`Attributes::expires`] or none.
    #[must_use]
    pub fn with_expires(self, expires: impl Into<Option<Time>>) -> Attributes {
        self.with(|rare| rare.expires = expires.into())
    }

    /// The same, with another time for [`Attributes::deliver_at`] or none.
    #[must_use]
    pub fn with_deliver_at(self, deliver_at: impl Into<Option<Time>>) -> Attributes {
        self.with(|rare| rare.deliver_at = deliver_at.into())
    }

    /// The same, with another [`Attributes::group`] or none.
    #[must_use]
    pub fn with_group(self, group: impl Into<Option<Bytes>>) -> Attributes {
        self.with(|rare| rare.group = group.into())
    }

    /// The same, with another [`Attributes::reply_to`] or none.
    #[must_use]
    pub fn with_reply_to(self, reply_to: impl Into<Option<Bytes>>) -> Attributes {
        self.with(|rare| rare.reply_to = reply_to.into())
    }

    /// The same, with another [`Attributes::origin`] or none.
    #[must_use]
    pub fn with_origin(self, origin: impl Into<Option<Bytes>>) -> Attributes {
        self.with(|rare| rare.origin = origin.into())
    }

    fn with(self, change: impl FnOnce(&mut Rare)) -> Attributes {
        let mut rare = self.rare.map_or_else(Rare::default, |rare| *rare);
        change(&mut rare);
        Attributes { rare: (rare != Rare::default()).then(|| Box::new(rare)), ..self }
    }

    /// Bytes that are charged for them. Kept out of line: most batches have none.
    #[cold]
    #[inline(never)]
    pub(crate) fn charge(&self) -> usize {
        let headers = if self.headers.is_empty() { 0 } else { cost::block(self.headers.bytes()) };
        cost::ATTRIBUTES + headers + self.rare.as_ref().map_or(0, |rare| rare.charge())
    }

    /// As [`Attributes::charge`], with what a protocol makes of the headers.
    #[cold]
    #[inline(never)]
    pub(crate) fn charge_given(&self) -> usize {
        self.charge() + cost::lines(self.headers.bytes())
    }
}

impl Rare {
    fn charge(&self) -> usize {
        let texts = [&self.group, &self.reply_to, &self.origin];
        cost::RARE + texts.into_iter().flatten().map(|text| cost::text(text.len())).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_that_few_messages_have_take_room_only_where_one_of_them_is_set() {
        let plain = Attributes::default();
        assert!(plain.rare.is_none());
        let all = plain.clone().with_expires(Time(1)).with_deliver_at(Time(2)).with_group(Bytes::from_static(b"g"));
        let all = all.with_reply_to(Bytes::from_static(b"r")).with_origin(Bytes::from_static(b"o"));
        assert_eq!((all.expires(), all.deliver_at()), (Some(Time(1)), Some(Time(2))));
        let texts = [all.group(), all.reply_to(), all.origin()].map(|text| text.map(|text| &text[..]));
        assert_eq!(texts, [Some(&b"g"[..]), Some(b"r"), Some(b"o")]);
        assert_eq!(all.charge(), plain.charge() + cost::RARE + 3 * cost::text(1));
        let none = all.with_expires(None).with_deliver_at(None).with_group(None).with_reply_to(None).with_origin(None);
        assert_eq!(none, plain);
        assert!(none.rare.is_none());
    }
}
