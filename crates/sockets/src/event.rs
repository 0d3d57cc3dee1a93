use crate::wait::block_on;
use crate::{Endpoint, Error};
use futures_core::Stream;
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use switchboard_driver::{Announcer, Delivery, Mailbox};
use switchboard_wire::zmtp::SocketType;

/// One connection of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerId {
    /// Counts the socket's connections, from 1.
    pub number: u64,
    /// The remote address; `None` of a peer over `ipc` or `inproc`.
    pub address: Option<SocketAddr>,
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{address}"),
            None => write!(f, "local peer {}", self.number),
        }
    }
}

/// An event of a socket's connections.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Peers can connect.
    Listening(Endpoint),
    /// A peer has connected to a bound endpoint.
    Accepted {
        /// The bound endpoint.
        endpoint: Endpoint,
        /// The connection.
        peer: PeerId,
    },
    /// A peer that has connected was sent away, because there are too many.
    Refused {
        /// The bound endpoint.
        endpoint: Endpoint,
        /// The connection.
        peer: PeerId,
        /// The limit.
        reason: String,
    },
    /// A connection could not be accepted. It is tried again.
    AcceptFailed {
        /// The bound endpoint.
        endpoint: Endpoint,
        /// The error.
        reason: String,
    },
    /// A connection was made.
    Connected {
        /// The connected endpoint.
        endpoint: Endpoint,
        /// The connection.
        peer: PeerId,
    },
    /// A connection could not be made.
    ConnectFailed {
        /// The endpoint to connect to.
        endpoint: Endpoint,
        /// The error.
        reason: String,
    },
    /// The connection is ready for messages.
    HandshakeSucceeded {
        /// The endpoint of this socket.
        endpoint: Endpoint,
        /// The connection.
        peer: PeerId,
        /// The type of the peer's socket.
        socket_type: SocketType,
        /// The minor version of its ZMTP 3: 0 or 1.
        minor: u8,
        /// Its identity; often empty.
        identity: Vec<u8>,
    },
    /// The peer was not admitted, or has not admitted this socket.
    HandshakeFailed {
        /// The endpoint of this socket.
        endpoint: Endpoint,
        /// The connection.
        peer: PeerId,
        /// The error, and the remedy.
        reason: String,
    },
    /// A connection has ended after its handshake.
    Disconnected {
        /// The endpoint of this socket.
        endpoint: Endpoint,
        /// The connection.
        peer: PeerId,
        /// The error, or how it ended.
        reason: String,
    },
    /// Connecting is tried again after a pause.
    RetryIn {
        /// The endpoint to connect to.
        endpoint: Endpoint,
        /// The pause, from now on.
        after: Duration,
    },
    /// A task of the socket has panicked. A connection that it had is closed; if it was to connect again, it does not. The usual
    /// cause is the function given to [`Security::plain_server`](crate::Security::plain_server).
    TaskPanicked {
        /// The endpoint that the task served.
        endpoint: Endpoint,
        /// The message of the panic.
        reason: String,
    },
    /// The number of events that were lost, because they were not taken in time.
    Missed(usize),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Listening(endpoint) => write!(f, "{endpoint}: listening"),
            Event::Accepted { endpoint, peer } => write!(f, "{endpoint}: accepted {peer}"),
            Event::Refused { endpoint, peer, reason } => write!(f, "{endpoint}: refused {peer}: {reason}"),
            Event::AcceptFailed { endpoint, reason } => write!(f, "{endpoint}: cannot accept: {reason}"),
            Event::Connected { endpoint, peer } => write!(f, "{endpoint}: connected to {peer}"),
            Event::ConnectFailed { endpoint, reason } => write!(f, "{endpoint}: cannot connect: {reason}"),
            Event::HandshakeSucceeded { endpoint, peer, socket_type, minor, .. } => {
                write!(f, "{endpoint}: {peer} is ready, a {socket_type} with ZMTP 3.{minor}")
            }
            Event::HandshakeFailed { endpoint, peer, reason } => {
                write!(f, "{endpoint}: handshake with {peer} failed: {reason}")
            }
            Event::Disconnected { endpoint, peer, reason } => {
                write!(f, "{endpoint}: disconnected from {peer}: {reason}")
            }
            Event::RetryIn { endpoint, after } => {
                write!(f, "{endpoint}: connecting again in {} ms", after.as_millis())
            }
            Event::TaskPanicked { endpoint, reason } => write!(f, "{endpoint}: {reason}"),
            Event::Missed(count) => write!(f, "{count} events were missed"),
        }
    }
}

/// Maximum number of events that wait for a reader.
const KEPT: usize = 1024;

pub(crate) fn announcer() -> Announcer<Event> {
    Announcer::new(KEPT)
}

/// The events of a socket's connections: a [`Stream`], or [`Events::wait`] for a plain thread. It ends with the
/// last connection of a socket that was closed or dropped. A reader that does not take them misses the oldest beyond 1,024.
#[derive(Debug)]
pub struct Events(Mailbox<Event>);

fn event(delivery: Delivery<Event>) -> Event {
    match delivery {
        Delivery::Event(event) => event,
        Delivery::Missed(count) => Event::Missed(count),
    }
}

impl Events {
    pub(crate) fn new(mailbox: Mailbox<Event>) -> Events {
        Events(mailbox)
    }

    /// The next event, in async code; `None` at the end. Dropping the future loses none.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The next event that is here already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.0.try_next().map(event)
    }

    /// The next event, in a plain thread; `None` at the end.
    pub fn wait(&mut self) -> Option<Event> {
        block_on(self.next(), None).flatten()
    }

    /// The next event, in a plain thread, if it comes within `time`; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`].
    pub fn wait_timeout(&mut self, time: Duration) -> Result<Option<Event>, Error> {
        block_on(self.next(), Instant::now().checked_add(time)).ok_or(Error::TimedOut(time))
    }

    /// Blocks for each event, up to the end.
    pub fn iter(&mut self) -> impl Iterator<Item = Event> {
        std::iter::from_fn(|| self.wait())
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_next(context).map(|delivery| delivery.map(event))
    }
}
