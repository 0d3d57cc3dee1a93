//! One peer, over all the connections that it has one after the other.

use crate::chunk::Chunk;
use crate::core::{Core, Life, Wake};
use crate::inbox::Lane;
use crate::options::Bound;
use crate::outbox::{InFlight, PipeId, Segment, TooManySubscriptions};
use crate::session::{Brought, Session};
use crate::wants::Change;
use bytes::{BufMut, BytesMut};
use std::sync::Arc;
use std::task::Waker;
use switchboard_wire::zmtp::{SocketType, frame};

#[derive(Debug)]
pub(crate) struct Peer {
    core: Arc<Core>,
    /// Wakes its task: there is something to send, or room for what it sends.
    pub(crate) wake: Wake,
    pub(crate) lane: Arc<Lane>,
    /// Only of types that send.
    pub(crate) pipe: Option<PipeId>,
    pub(crate) flight: InFlight,
    chunks: Vec<Chunk>,
}

impl Peer {
    pub(crate) fn new(core: &Arc<Core>) -> Peer {
        let wake = Wake::default();
        let options = &core.options;
        let lane = Arc::new(Lane::new(Bound::new(options.recv_hwm, options.recv_bytes), wake.clone()));
        let sends = core.kind.publishes() || core.kind == SocketType::Push;
        let pipe = sends.then(|| core.outbox().add_pipe(wake.clone()));
        if sends {
            core.wake_senders();
        }
        Peer { core: core.clone(), wake, lane, pipe, flight: InFlight::default(), chunks: Vec::new() }
    }

    pub(crate) fn core(&self) -> Arc<Core> {
        self.core.clone()
    }

    /// Its handshake has succeeded.
    pub(crate) fn begin(&self) {
        if self.core.kind.subscribes() {
            self.core.wants.join(&self.wake);
        }
    }

    /// Its connection has ended.
    pub(crate) fn end(&mut self) {
        self.core.wants.leave(&self.wake);
        self.flight.rewind();
    }

    /// Takes what is to be written next, if everything before it is written.
    pub(crate) fn fill(&mut self, session: &mut Session) {
        if !self.flight.is_empty() {
            return;
        }
        if self.core.kind.subscribes() {
            for change in self.core.wants.take_changes(&self.wake) {
                session.tell(&change);
            }
        }
        let commands = session.take_output();
        if !commands.is_empty() {
            self.flight.push(Segment::command(commands));
        }
        let Some(pipe) = self.pipe else { return };
        let mut outbox = self.core.outbox();
        outbox.take(pipe, &mut self.flight);
        let waiting = if outbox.is_low(pipe) { outbox.waiters.all() } else { Vec::new() };
        drop(outbox);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// How many messages are not wholly written.
    pub(crate) fn unsent(&self) -> usize {
        let waiting = self.pipe.map_or(0, |pipe| self.core.outbox().waiting(pipe));
        waiting + self.flight.messages()
    }

    /// Hands over what it has sent.
    pub(crate) fn brought(&mut self, brought: &mut Brought) -> Result<(), TooManySubscriptions> {
        let filtered = brought.filtered;
        self.chunks.extend(brought.messages.drain(..).map(|(bytes, count)| Chunk::new(bytes, count, filtered)));
        wake(self.core.inbox.put(&self.lane, &mut self.chunks));
        for change in brought.changes.drain(..) {
            wake(self.subscribed(&change)?);
        }
        Ok(())
    }

    fn subscribed(&self, change: &Change) -> Result<Option<Waker>, TooManySubscriptions> {
        let Some(pipe) = self.pipe else { return Ok(None) };
        let mut outbox = self.core.outbox();
        let changes = if change.begins {
            outbox.subscribe(pipe, &change.prefix, self.core.options.max_subscriptions)?
        } else {
            outbox.unsubscribe(pipe, &change.prefix)
        };
        // Under the lock, so that an XPUB hears of them in their order.
        if changes == Some(true) || (changes.is_some() && change.begins && self.core.options.verbose) {
            return Ok(self.notify(change.begins, &change.prefix));
        }
        Ok(None)
    }

    /// Tells an XPUB's user.
    fn notify(&self, begins: bool, prefix: &[u8]) -> Option<Waker> {
        if self.core.kind != SocketType::XPub {
            return None;
        }
        let mut bytes = BytesMut::new();
        let (header, size) = frame::header_bytes(prefix.len() + 1, false);
        bytes.put_slice(&header[..size]);
        bytes.put_u8(u8::from(begins));
        bytes.put_slice(prefix);
        self.core.inbox.put(&self.core.own, &mut vec![Chunk::new(bytes.freeze(), 1, 0)])
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.core.wants.leave(&self.wake);
        let Some(pipe) = self.pipe else { return };
        let mut outbox = self.core.outbox();
        let mut waiting = None;
        for prefix in outbox.unsubscribe_all(pipe) {
            waiting = self.notify(false, &prefix).or(waiting);
        }
        let lost = outbox.remove_pipe(pipe) + self.flight.messages();
        outbox.count_dropped(lost);
        drop(outbox);
        wake(waiting);
        if *self.core.life.borrow() != Life::Open {
            self.core.count_unsent(lost);
        }
    }
}

fn wake(waiting: Option<Waker>) {
    if let Some(waker) = waiting {
        waker.wake();
    }
}
