//! One peer, over all the connections that it has one after the other.

use crate::change::Change;
use crate::chunk::Chunk;
use crate::core::{Core, Wake};
use crate::lane::Lane;
use crate::options::HighWaterMark;
use crate::outbox::{InFlight, PipeId, Segment, Subscribed, TooManySubscriptions};
use crate::session::{Incoming, Session};
use crate::subscriptions::Joined;
use std::sync::Arc;
use std::task::Waker;
use switchboard_wire::zmtp::SocketType;

#[derive(Debug)]
pub(crate) struct Peer {
    core: Arc<Core>,
    /// Wakes its task: there is something to send, or room for what it sends.
    pub(crate) wake: Wake,
    pub(crate) lane: Arc<Lane>,
    /// Only of types that send.
    pub(crate) pipe: Option<PipeId>,
    /// While it is connected, of types that subscribe.
    joined: Option<Joined>,
    pub(crate) flight: InFlight,
    chunks: Vec<Chunk>,
}

impl Peer {
    pub(crate) fn new(core: &Arc<Core>) -> Peer {
        let wake = Wake::default();
        let options = &core.options;
        let lane = Arc::new(Lane::new(HighWaterMark::new(options.recv_hwm, options.recv_bytes), wake.clone()));
        let sends = core.kind.publishes() || core.kind == SocketType::Push;
        let pipe = sends.then(|| core.outbox().add_pipe(wake.clone()));
        if sends {
            core.wake_senders();
        }
        let flight = InFlight::default();
        Peer { core: core.clone(), wake, lane, pipe, joined: None, flight, chunks: Vec::new() }
    }

    pub(crate) fn core(&self) -> Arc<Core> {
        self.core.clone()
    }

    /// Its handshake has succeeded.
    pub(crate) fn begin(&mut self) {
        if self.core.kind.subscribes() {
            self.joined = Some(self.core.subscriptions.join(&self.wake));
        }
    }

    /// Its connection has ended.
    pub(crate) fn end(&mut self) {
        if let Some(joined) = self.joined.take() {
            self.core.subscriptions.leave(joined);
        }
        self.flight.rewind();
    }

    /// Its endpoint is closed: nothing more is accepted for it.
    pub(crate) fn retire(&self) {
        if let Some(pipe) = self.pipe {
            self.core.outbox().retire(pipe);
        }
    }

    /// Takes what is to be written next, if everything before it is written.
    pub(crate) fn fill(&mut self, session: &mut Session) {
        if !self.flight.is_empty() {
            return;
        }
        if let Some(joined) = &self.joined {
            joined.take_changes().iter().for_each(|change| session.tell(change));
        }
        let commands = session.take_output();
        if !commands.is_empty() {
            self.flight.push(Segment::command(commands));
        }
        let Some(pipe) = self.pipe else { return };
        let mut outbox = self.core.outbox();
        outbox.take(pipe, &mut self.flight);
        let mut wakers = outbox.flushers_to_wake();
        if outbox.is_low(pipe) {
            wakers.append(&mut outbox.waiters.all());
        }
        drop(outbox);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Returns the number of messages that are not wholly written.
    pub(crate) fn unsent(&self) -> usize {
        let waiting = self.pipe.map_or(0, |pipe| self.core.outbox().waiting(pipe));
        waiting + self.flight.messages()
    }

    /// Hands over what it has sent.
    pub(crate) fn deliver(&mut self, incoming: &mut Incoming) -> Result<(), TooManySubscriptions> {
        let filtered = incoming.filtered;
        self.chunks.extend(incoming.messages.drain(..).map(|(bytes, count)| Chunk::new(bytes, count, filtered)));
        wake(self.core.inbox.put(&self.lane, &mut self.chunks));
        for change in incoming.changes.drain(..) {
            wake(self.subscribed(&change)?);
        }
        Ok(())
    }

    fn subscribed(&self, change: &Change) -> Result<Option<Waker>, TooManySubscriptions> {
        let Some(pipe) = self.pipe else { return Ok(None) };
        let mut outbox = self.core.outbox();
        // Reported under the lock, so that an XPUB receives the changes of all peers in their order.
        if !change.begins {
            let last = outbox.unsubscribe(pipe, &change.prefix) == Some(true);
            return Ok(if last { self.report(false, false, &change.prefix) } else { None });
        }
        let subscribed = outbox.subscribe(pipe, &change.prefix, self.core.options.max_subscriptions)?;
        let first = subscribed == Subscribed::First;
        let reported = first || self.core.options.verbose;
        Ok(if reported { self.report(true, first, &change.prefix) } else { None })
    }

    /// Puts a subscription into an XPUB's inbox.
    fn report(&self, begins: bool, first: bool, prefix: &[u8]) -> Option<Waker> {
        if self.core.kind != SocketType::XPub {
            return None;
        }
        self.core.inbox.put_change(Change::new(begins, first, prefix))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(joined) = self.joined.take() {
            self.core.subscriptions.leave(joined);
        }
        let Some(pipe) = self.pipe else { return };
        let mut outbox = self.core.outbox();
        let mut waiting = None;
        for prefix in outbox.unsubscribe_all(pipe) {
            waiting = self.report(false, false, &prefix).or(waiting);
        }
        let lost = outbox.remove_pipe(pipe) + self.flight.messages();
        outbox.count_dropped(lost);
        let flushers = outbox.flushers_to_wake();
        drop(outbox);
        wake(waiting);
        flushers.into_iter().for_each(Waker::wake);
        if !self.core.is_open() {
            self.core.count_unsent(lost);
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
