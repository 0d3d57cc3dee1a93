use crate::Endpoint;
use crate::wait::block_on;
use futures_core::Stream;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use switchboard_wire::zmtp::SocketType;

/// What happens to a socket's connections.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Peers can connect.
    Listening(Endpoint),
    /// A peer has connected to a bound endpoint.
    Accepted {
        /// Where.
        endpoint: Endpoint,
        /// From where, if it has an address.
        peer: String,
    },
    /// A peer that has connected was sent away, for there are too many.
    Refused {
        /// Where.
        endpoint: Endpoint,
        /// Which limit.
        reason: String,
    },
    /// A connection could not be accepted. It is tried again.
    AcceptFailed {
        /// Where.
        endpoint: Endpoint,
        /// Why not.
        reason: String,
    },
    /// A connection was made.
    Connected(Endpoint),
    /// A connection could not be made.
    ConnectFailed {
        /// Where to.
        endpoint: Endpoint,
        /// Why not.
        reason: String,
    },
    /// Messages can go.
    HandshakeSucceeded {
        /// Over which endpoint of this socket.
        endpoint: Endpoint,
        /// What the peer is.
        peer: SocketType,
        /// Of its ZMTP 3: 0 or 1.
        minor: u8,
        /// What it is called; often nothing.
        identity: Vec<u8>,
    },
    /// The peer was not let in, or has not let us in.
    HandshakeFailed {
        /// Over which endpoint of this socket.
        endpoint: Endpoint,
        /// Why not, and what to do about it.
        reason: String,
    },
    /// A connection has ended after its handshake.
    Disconnected {
        /// Over which endpoint of this socket.
        endpoint: Endpoint,
        /// Why.
        reason: String,
    },
    /// It is tried again after so long.
    RetryIn {
        /// Where to.
        endpoint: Endpoint,
        /// From now on.
        after: Duration,
    },
    /// So many events were missed, for they were not taken.
    Missed(usize),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Listening(endpoint) => write!(f, "{endpoint}: listening"),
            Event::Accepted { endpoint, peer } => write!(f, "{endpoint}: accepted {peer}"),
            Event::Refused { endpoint, reason } => write!(f, "{endpoint}: refused a peer: {reason}"),
            Event::AcceptFailed { endpoint, reason } => write!(f, "{endpoint}: cannot accept: {reason}"),
            Event::Connected(endpoint) => write!(f, "{endpoint}: connected"),
            Event::ConnectFailed { endpoint, reason } => write!(f, "{endpoint}: cannot connect: {reason}"),
            Event::HandshakeSucceeded { endpoint, peer, minor, .. } => {
                write!(f, "{endpoint}: a {peer} with ZMTP 3.{minor} is there")
            }
            Event::HandshakeFailed { endpoint, reason } => write!(f, "{endpoint}: handshake failed: {reason}"),
            Event::Disconnected { endpoint, reason } => write!(f, "{endpoint}: disconnected: {reason}"),
            Event::RetryIn { endpoint, after } => {
                write!(f, "{endpoint}: connecting again in {} ms", after.as_millis())
            }
            Event::Missed(count) => write!(f, "{count} events were missed"),
        }
    }
}

/// Events that wait for one who listens; the oldest are left out, and counted.
const KEPT: usize = 1024;

#[derive(Debug, Default)]
struct Mailbox(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    missed: usize,
    waker: Option<Waker>,
    ended: bool,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, work: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.lock();
        work(&mut waiting);
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Tells those who listen.
#[derive(Debug, Default)]
pub(crate) struct Announcer {
    listeners: Mutex<Vec<Weak<Mailbox>>>,
    ended: AtomicBool,
}

impl Announcer {
    pub(crate) fn listen(&self) -> Events {
        let mailbox = Arc::new(Mailbox::default());
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&mailbox));
        if self.ended.load(Ordering::SeqCst) {
            mailbox.change(|waiting| waiting.ended = true);
        }
        Events(mailbox)
    }

    fn each(&self, mut work: impl FnMut(&Mailbox)) {
        let mut there = Vec::new();
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.upgrade().map(|mailbox| there.push(mailbox)).is_some());
        drop(listeners);
        // Without the lock: whoever is woken may ask for events.
        there.iter().for_each(|mailbox| work(mailbox));
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.each(|mailbox| {
            mailbox.change(|waiting| {
                if waiting.events.len() == KEPT {
                    waiting.events.pop_front();
                    waiting.missed += 1;
                }
                waiting.events.push_back(event.clone());
            });
        });
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.each(|mailbox| mailbox.change(|waiting| waiting.ended = true));
    }
}

/// What happens to a socket's connections: a stream, or by [`Events::wait`] for a plain thread. It ends with the
/// last connection of a socket that was closed or dropped. Who does not take events misses the oldest beyond 1,024.
#[derive(Debug)]
pub struct Events(Arc<Mailbox>);

impl Events {
    /// The next event, in async code; `None` at the end. To drop the future loses none.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The next event, in a plain thread; `None` at the end.
    pub fn wait(&mut self) -> Option<Event> {
        block_on(self.next(), None).flatten()
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut waiting = self.0.lock();
        if waiting.missed > 0 {
            return Poll::Ready(Some(Event::Missed(std::mem::take(&mut waiting.missed))));
        }
        match waiting.events.pop_front() {
            None if !waiting.ended => {
                waiting.waker = Some(context.waker().clone());
                Poll::Pending
            }
            event => Poll::Ready(event),
        }
    }
}
