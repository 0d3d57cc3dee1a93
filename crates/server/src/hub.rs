//! The one broker, and who is connected to it.

use crate::log_quota::LogQuota;
use crate::peer::{Closing, Peer};
use crate::socket::Origin;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use switchboard_broker::{
    Broker, ChannelRule, Command, ConnectionId, ConnectionStatus, Event, Limits, Status, StatusQuery, Time, Totals,
};
use tokio::sync::Notify;

/// How often a task goes on with what its own credit set free, before the other connections'
/// tasks have to go on by themselves.
const ROUNDS: usize = 16;

const DRAINING: u8 = 1;
const STOPPED: u8 = 2;

/// Connections that got something to write. Who holds this owes a [`Hub::pump`].
pub(crate) type Touched = Vec<Arc<Peer>>;

/// The broker under its lock. The order of locks: hub, a peer's writer, a peer's incoming.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    start: Instant,
    earlier: Notify,
    pressed: AtomicBool,
    phase: AtomicU8,
    log_quota: LogQuota,
    limits: Limits,
}

struct State {
    broker: Broker,
    peers: HashMap<ConnectionId, Arc<Peer>>,
    /// For lines about the flow: those about coming and going have one of their own.
    log_quota: LogQuota,
    /// What the timer sleeps for.
    armed: Option<Time>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("State").field("peers", &self.peers.len()).finish_non_exhaustive()
    }
}

impl Hub {
    pub(crate) fn new(limits: Limits, rules: Vec<ChannelRule>) -> Hub {
        let broker = Broker::new(limits.clone(), rules);
        Hub {
            state: Mutex::new(State { broker, peers: HashMap::new(), log_quota: LogQuota::new(), armed: None }),
            start: Instant::now(),
            earlier: Notify::new(),
            pressed: AtomicBool::new(false),
            phase: AtomicU8::new(0),
            log_quota: LogQuota::new(),
            limits,
        }
    }

    pub(crate) fn log_quota(&self) -> &LogQuota {
        &self.log_quota
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether memory is so short that reads should be small.
    pub(crate) fn memory_pressed(&self) -> bool {
        self.pressed.load(Ordering::Relaxed)
    }

    /// Whether nothing more is to be read.
    pub(crate) fn is_draining(&self) -> bool {
        self.phase.load(Ordering::Acquire) >= DRAINING
    }

    /// Whether every connection is to end at once.
    pub(crate) fn is_stopped(&self) -> bool {
        self.phase.load(Ordering::Acquire) >= STOPPED
    }

    pub(crate) fn connect(&self, peer: &Arc<Peer>) {
        self.change(|state, now, touched| {
            state.peers.insert(peer.id(), peer.clone());
            state.broker.handle(now, peer.id(), Command::Connect { transport_acks: false });
            state.dispatch(now, touched);
        });
    }

    /// Carries out what a connection asks for.
    pub(crate) fn apply(&self, id: ConnectionId, commands: &mut Vec<Command>) {
        self.change(|state, now, touched| {
            for command in commands.drain(..) {
                state.broker.handle(now, id, command);
                state.dispatch(now, touched);
            }
        });
    }

    /// The connection is gone. What was not written to it by now never will be, so that a
    /// queue's message is either written or returned.
    pub(crate) fn disconnect(&self, peer: &Arc<Peer>) {
        self.change(|state, now, touched| {
            peer.close_writer();
            state.credit(now, peer);
            if state.peers.remove(&peer.id()).is_some() {
                if state.peers.len() < state.peers.capacity() / 8 {
                    let fewer = state.peers.len() * 2;
                    state.peers.shrink_to(fewer);
                }
                state.broker.handle(now, peer.id(), Command::Disconnect);
            }
            state.dispatch(now, touched);
        });
    }

    /// Writes to these connections and tells the broker what was written, until nothing more
    /// comes of it.
    pub(crate) fn pump(&self, mut touched: Touched) {
        for _ in 0..ROUNDS {
            touched.iter().for_each(|peer| peer.flush());
            touched.retain(|peer| peer.owes_credit());
            if touched.is_empty() {
                return;
            }
            let mut next = Touched::new();
            let mut state = self.lock();
            let now = self.now();
            for peer in touched.drain(..) {
                state.credit(now, &peer);
                state.dispatch(now, &mut next);
            }
            self.unlock(state);
            touched = next;
        }
        for peer in touched {
            peer.wake();
        }
    }

    /// Lets time pass for the broker, for ever.
    pub(crate) async fn run_timer(self: Arc<Hub>) {
        loop {
            let armed = {
                let mut state = self.lock();
                state.armed = state.broker.poll_timeout();
                state.armed
            };
            let Some(at) = armed else {
                self.earlier.notified().await;
                continue;
            };
            let at = tokio::time::Instant::from_std(self.start + Duration::from_micros(at.0));
            tokio::select! {
                () = tokio::time::sleep_until(at) => self.change(|state, now, touched| {
                    state.broker.handle_timeout(now);
                    state.dispatch(now, touched);
                }),
                () = self.earlier.notified() => {}
            }
        }
    }

    pub(crate) fn drain(&self) {
        self.phase.fetch_max(DRAINING, Ordering::AcqRel);
        self.change(|state, now, touched| {
            state.broker.drain(now);
            state.dispatch(now, touched);
            // So that those that wait for something to read notice that they shall not.
            state.peers.values().for_each(|peer| peer.wake());
        });
    }

    pub(crate) fn stop(&self) {
        self.phase.fetch_max(STOPPED, Ordering::AcqRel);
        self.lock().peers.values().for_each(|peer| peer.wake());
    }

    /// The broker's status, and where the connections that it lists come from.
    pub(crate) fn status(&self, limit: usize) -> (Status, Vec<Option<Origin>>) {
        let state = self.lock();
        let status = state.broker.status(self.now(), &StatusQuery::top(limit));
        let origin = |connection: &ConnectionStatus| state.peers.get(&connection.id).map(|peer| peer.origin());
        let origins = status.connections.iter().map(origin).collect();
        (status, origins)
    }

    pub(crate) fn totals(&self) -> Totals {
        self.lock().broker.totals()
    }

    /// How many messages wait for a subscriber.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().broker.waiting()
    }

    /// How many messages were dropped; `None` if there is no such queue.
    pub(crate) fn purge(&self, name: &[u8]) -> Option<usize> {
        self.change(|state, now, touched| {
            let purged = state.broker.purge(now, name);
            state.dispatch(now, touched);
            purged
        })
    }

    /// Whether there is such a connection; it will end.
    pub(crate) fn kick(&self, id: ConnectionId) -> bool {
        let state = self.lock();
        let Some(peer) = state.peers.get(&id) else { return false };
        peer.close(Closing::Kicked);
        true
    }

    fn change<T>(&self, change: impl FnOnce(&mut State, Time, &mut Touched) -> T) -> T {
        let mut touched = Touched::new();
        let mut state = self.lock();
        // Read under the lock: the broker's time never goes backwards.
        let result = change(&mut state, self.now(), &mut touched);
        self.unlock(state);
        self.pump(touched);
        result
    }

    fn now(&self) -> Time {
        Time(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unlock(&self, mut state: MutexGuard<'_, State>) {
        self.pressed.store(state.broker.memory_pressed(), Ordering::Relaxed);
        let due = state.broker.poll_timeout();
        // A deadline that has gone, or is later now, only costs the timer a wake-up.
        let earlier = due.is_some_and(|due| state.armed.is_none_or(|armed| due < armed));
        if earlier {
            state.armed = due;
        }
        drop(state);
        if earlier {
            self.earlier.notify_one();
        }
    }
}

impl State {
    fn credit(&mut self, now: Time, peer: &Peer) {
        let bytes = peer.take_credit();
        // Taken and told under one lock; after Disconnect there is nobody to tell it of.
        if bytes > 0 && self.peers.contains_key(&peer.id()) {
            self.broker.handle(now, peer.id(), Command::Credit { bytes });
        }
    }

    fn dispatch(&mut self, now: Time, touched: &mut Touched) {
        while let Some(event) = self.broker.poll() {
            match event {
                Event::Deliver { connection, batch, .. } | Event::Barrier { connection, batch } => {
                    self.deliver(connection, batch.packed().clone(), touched);
                }
                Event::Recall { connection } => {
                    let kept = match self.peers.get(&connection).cloned() {
                        Some(peer) => {
                            let (kept, written) = peer.recall();
                            if written > 0 {
                                self.broker.handle(now, connection, Command::Credit { bytes: written });
                            }
                            kept
                        }
                        None => 0,
                    };
                    self.broker.handle(now, connection, Command::Recalled { kept });
                }
                Event::Pause { connection, reason } => {
                    if self.log_quota.allows() {
                        tracing::info!(connection = connection.0, "paused: {reason}");
                    }
                    self.with(connection, |peer| peer.pause(true));
                }
                Event::Slow { connection } => {
                    if self.log_quota.allows() {
                        tracing::warn!(connection = connection.0, "slow: it reads too little and may miss messages");
                    }
                }
                Event::Resume { connection } => {
                    if self.log_quota.allows() {
                        tracing::info!(connection = connection.0, "resumed");
                    }
                    self.with(connection, |peer| peer.pause(false));
                }
                Event::Close { connection, reason } => {
                    self.with(connection, |peer| peer.close(Closing::Broker(reason)));
                }
                // The native protocol has no word for a refusal.
                Event::Refused { connection, refusal, .. } => {
                    self.with(connection, |peer| peer.close(Closing::Refused(refusal)));
                }
            }
        }
    }

    fn deliver(&self, connection: ConnectionId, packed: Bytes, touched: &mut Touched) {
        self.with(connection, |peer| {
            // Where something lies already, somebody owes the flush.
            if peer.incoming(packed) {
                touched.push(peer.clone());
            }
        });
    }

    fn with(&self, connection: ConnectionId, act: impl FnOnce(&Arc<Peer>)) {
        if let Some(peer) = self.peers.get(&connection) {
            act(peer);
        }
    }
}
