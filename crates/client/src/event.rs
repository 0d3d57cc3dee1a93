use bytes::Bytes;
use std::fmt;
use std::time::Duration;
use switchboard_driver::quantity::plural;

/// Messages in doubt: written to a socket, and not confirmed when the connection broke. They may have arrived. A message that was
/// not wholly written is not among them: it is sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubt {
    /// Count.
    pub messages: u64,
    /// Their bytes as frames, the names of channels included.
    pub bytes: u64,
}

impl Doubt {
    pub(crate) fn add(&mut self, more: Doubt) {
        self.messages += more.messages;
        self.bytes += more.bytes;
    }
}

/// One of a client's connections.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// The one that publishes.
    Publisher,
    /// The one of a subscription to this channel or pattern.
    Subscription(Bytes),
}

/// Why a connection has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The broker has closed it, between two messages: it was stopped, or does not want this client.
    Closed,
    /// The broker has said why it ends the connection (STOMP's ERROR), in these words.
    Error(String),
    /// Anything else, in words.
    Broken(String),
}

/// An event of a client's connections.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The broker has answered. A subscription is in force (again).
    Connected(Link),
    /// A connection has ended. A subscription misses what is published to a topic until it is back.
    Disconnected {
        /// Which.
        link: Link,
        /// Why.
        reason: Reason,
        /// Publishes over it that may be lost.
        in_doubt: Doubt,
    },
    /// Tried again after so long.
    Reconnecting {
        /// Which.
        link: Link,
        /// From now on.
        after: Duration,
        /// Why the last attempt has failed; none if this one is the first.
        failure: Option<String>,
    },
    /// The broker answers, but does not read from the publishing connection: a queue is full, most
    /// likely. Published messages are buffered meanwhile.
    Paused,
    /// The broker reports an error behind which the session goes on (STOMP's ERROR with `fatal:false`): it
    /// does not know the message of an ack, for instance.
    ServerError {
        /// The connection that it came over.
        link: Link,
        /// In the broker's words.
        message: String,
    },
    /// A subscription to a queue was dropped, and with it these messages, which the broker had sent and the program had not
    /// taken. Comes within `connect_timeout` after the drop.
    Discarded {
        /// The queue, or a pattern.
        pattern: Bytes,
        /// Count.
        messages: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// This many events were missed, because they were not taken.
    Missed(usize),
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Link::Publisher => f.write_str("publisher"),
            Link::Subscription(pattern) => write!(f, "subscription to {}", pattern.escape_ascii()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Closed => f.write_str("the broker closed the connection"),
            Reason::Error(text) => write!(f, "the broker reports an error: {text}"),
            Reason::Broken(text) => f.write_str(text),
        }
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Reason {
        Reason::Broken(text)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Connected(link) => write!(f, "{link}: connected"),
            Event::Disconnected { link, reason, in_doubt: Doubt { messages: 0, .. } } => {
                write!(f, "{link}: disconnected: {reason}")
            }
            Event::Disconnected { link, reason, in_doubt } => {
                write!(f, "{link}: disconnected with {} in doubt: {reason}", plural(in_doubt.messages, "message"))
            }
            Event::Reconnecting { link, after, failure } => {
                write!(f, "{link}: connecting again in {} ms", after.as_millis())?;
                failure.iter().try_for_each(|failure| write!(f, ", since that has failed: {failure}"))
            }
            Event::Paused => f.write_str("paused by the broker"),
            Event::ServerError { link, message } => write!(f, "{link}: the broker reports an error: {message}"),
            Event::Discarded { pattern, messages, .. } => {
                write!(
                    f,
                    "subscription to {}: dropped with {} in it",
                    pattern.escape_ascii(),
                    plural(*messages, "message")
                )
            }
            Event::Missed(count) => write!(f, "{count} events were missed"),
        }
    }
}
