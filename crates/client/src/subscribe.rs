use crate::Error;
use bytes::Bytes;

/// The party that acks a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckMode {
    /// Nobody: a message counts as delivered once it was sent.
    #[default]
    Auto,
    /// The program, for each message: [`Message::ack`](crate::Message::ack). What it has not acked when its connection
    /// ends is delivered again.
    Manual,
}

/// Options for [`Client::subscribe_with`](crate::Client::subscribe_with).
///
/// ```
/// use switchboard_client::Subscribe;
///
/// let how = Subscribe::manual().prefetch(10).header("x-my-broker", "wants this");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    pub(crate) ack: AckMode,
    pub(crate) prefetch: u32,
    pub(crate) headers: Vec<(Bytes, Bytes)>,
}

impl Default for Subscribe {
    fn default() -> Subscribe {
        Subscribe { ack: AckMode::Auto, prefetch: 100, headers: Vec::new() }
    }
}

/// Headers of SEND that the client writes.
pub(crate) const OF_SEND: &[&[u8]] = &[b"destination", b"content-length", b"receipt", b"transaction"];
/// Headers of SUBSCRIBE that the client writes.
pub(crate) const OF_SUBSCRIBE: &[&[u8]] =
    &[b"id", b"destination", b"ack", b"receipt", b"activemq.prefetchSize", b"prefetch-count", b"content-length"];

impl Subscribe {
    /// Each message is to be acked. Needs a broker that speaks STOMP.
    #[must_use]
    pub fn manual() -> Subscribe {
        Subscribe { ack: AckMode::Manual, ..Subscribe::default() }
    }

    /// Limit of unacked messages, from 1 to 4294967295; default 100. Without meaning for [`AckMode::Auto`].
    #[must_use]
    pub fn prefetch(self, messages: u32) -> Subscribe {
        Subscribe { prefetch: messages, ..self }
    }

    /// One more header of the subscription's frame, such as a `selector`.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Subscribe {
        self.headers.push((Bytes::copy_from_slice(name.as_ref()), Bytes::copy_from_slice(value.as_ref())));
        self
    }

    pub(crate) fn is_native(&self) -> Result<(), Error> {
        if self.ack != AckMode::Auto {
            return Err(Error::Unsupported { what: "an ack", protocol: "the native protocol" });
        }
        if !self.headers.is_empty() {
            return Err(Error::Unsupported { what: "a header", protocol: "the native protocol" });
        }
        Ok(())
    }
}

/// Fails if the client writes this header itself, or the version cannot express it.
pub(crate) fn check_header(
    ours: &[&[u8]],
    version: switchboard_wire::stomp::Version,
    name: &[u8],
    value: &[u8],
) -> Result<(), Error> {
    let fail = |problem| Err(Error::Header { name: String::from_utf8_lossy(name).into_owned(), problem });
    if ours.contains(&name) {
        return fail("the client writes it itself");
    }
    if !crate::stomp::is_expressible(version, name, true) {
        return fail("its name is empty, or has bytes that this version of STOMP cannot express");
    }
    if !crate::stomp::is_expressible(version, value, false) {
        return fail("its value has bytes that this version of STOMP cannot express");
    }
    Ok(())
}
