use crate::Error;
use crate::inbox::Envelope;
use crate::stomp::{Acks, Settled};
use bytes::Bytes;
use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use switchboard_wire::stomp::{Header, Version};

/// A message that was received. It reads like a slice of its bytes.
///
/// It is a part of the buffer that it was read into, up to 64 KiB unless it is longer itself: to keep a small message for
/// long, copy it.
///
/// One that came over STOMP has headers. One of a subscription with [`Subscribe::manual`](crate::Subscribe::manual) is to be
/// settled: by [`Message::ack`], [`Message::nack`] or [`Message::reject`]. A message that is dropped instead stays with this
/// client, and takes a part of its prefetch, until the connection of its subscription ends.
#[derive(Clone, Debug)]
pub struct Message {
    data: Bytes,
    stomp: Option<Arc<Stomp>>,
}

#[derive(Debug)]
struct Stomp {
    lines: Bytes,
    version: Version,
    delivery: Option<Delivery>,
}

/// A message that is to be settled.
#[derive(Debug)]
struct Delivery {
    acks: Arc<Acks>,
    connection: u64,
    is_settled: AtomicBool,
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !*self.is_settled.get_mut() {
            self.acks.release(self.connection);
        }
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Message) -> bool {
        let lines = |message: &Message| message.stomp.as_ref().map(|stomp| stomp.lines.clone());
        self.data == other.data && lines(self) == lines(other)
    }
}

impl Eq for Message {}

impl Message {
    pub(crate) fn new(data: Bytes) -> Message {
        Message { data, stomp: None }
    }

    /// `acks` are those of a subscription whose messages are to be settled.
    pub(crate) fn of_stomp(envelope: Envelope, version: Version, acks: Option<Arc<Acks>>) -> Message {
        let Envelope { lines, body, connection } = envelope;
        let delivery = acks.map(|acks| Delivery { acks, connection, is_settled: AtomicBool::new(false) });
        Message { data: body, stomp: Some(Arc::new(Stomp { lines, version, delivery })) }
    }

    /// Its headers, in their order; none over the native protocol. Of repeated ones the first counts.
    pub fn headers(&self) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
        let headers = self.stomp.iter().flat_map(|stomp| Header::of_lines(&stomp.lines, stomp.version));
        headers.map(|header| (header.name, header.value))
    }

    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: impl AsRef<[u8]>) -> Option<Cow<'_, [u8]>> {
        self.headers().find(|(of, _)| **of == *name.as_ref()).map(|(_, value)| value)
    }

    /// Returns true if the broker says that a consumer may have seen the message before.
    #[must_use]
    pub fn is_redelivered(&self) -> bool {
        self.header("redelivered").is_some_and(|value| *value == *b"true")
    }

    /// Tells the broker that the message was dealt with. Returns at once; [`Subscription::flush`](crate::Subscription::flush)
    /// tells when the broker knows. To ack a second time does nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`] if the connection that the message came over has ended: it is delivered again. [`Error::Unsupported`]
    /// if its subscription has no acks.
    pub fn ack(&self) -> Result<(), Error> {
        self.settle(Settled::Acked)
    }

    /// Tells the broker that the message was tried without success. It delivers it again, after a back-off; other brokers than
    /// Switchboard may put it to the dead letters.
    ///
    /// # Errors
    ///
    /// As [`Message::ack`]; [`Error::Unsupported`] in version 1.0 too, which has none.
    pub fn nack(&self) -> Result<(), Error> {
        self.settle(Settled::Nacked { requeue: true })
    }

    /// Tells the broker not to try the message again: it goes to the dead letters.
    ///
    /// # Errors
    ///
    /// As [`Message::nack`].
    pub fn reject(&self) -> Result<(), Error> {
        self.settle(Settled::Nacked { requeue: false })
    }

    fn settle(&self, how: Settled) -> Result<(), Error> {
        let Some(delivery) = self.stomp.as_ref().and_then(|stomp| stomp.delivery.as_ref()) else {
            let protocol = if self.stomp.is_some() { "a subscription without acks" } else { "the native protocol" };
            return Err(Error::Unsupported { what: "an ack", protocol });
        };
        if delivery.is_settled.load(Ordering::Acquire) {
            return Ok(());
        }
        let missing =
            |name: &str| Error::Header { name: name.into(), problem: "the broker has sent the message without it" };
        delivery.acks.settle(delivery.connection, |version, out| {
            // Under the lock of the acks: one of two callers settles.
            if delivery.is_settled.load(Ordering::Acquire) {
                return Ok(false);
            }
            let id = match version {
                Version::V1_2 => self.header("ack").ok_or_else(|| missing("ack"))?,
                _ => self.header("message-id").ok_or_else(|| missing("message-id"))?,
            };
            let subscription = self.header("subscription");
            let mut frame = how.frame(version, out)?;
            frame = match (version, subscription) {
                (Version::V1_2, _) => frame.header(b"id", &id),
                (_, Some(subscription)) => frame.header(b"message-id", &id).header(b"subscription", &subscription),
                (_, None) => frame.header(b"message-id", &id),
            };
            frame.end();
            delivery.is_settled.store(true, Ordering::Release);
            Ok(true)
        })
    }

    /// Its bytes.
    #[must_use]
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Its bytes, without a copy.
    #[must_use]
    pub fn into_data(self) -> Bytes {
        self.data
    }
}

impl Deref for Message {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.data
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}
