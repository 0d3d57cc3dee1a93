//! The one broker, and who is connected to it.

mod line;
mod locked;
mod operator;
mod slow;
mod state;
mod tap;

use crate::clock::Clock;
use crate::dirty::Dirty;
use crate::handle::ConnectionHandle;
use crate::log::LogQuota;
use crate::slice::Slice;
use crate::socket::Origin;
use crate::stomp::{AllAhead, AllTransactions};
use crate::sync::{AtomicBool, AtomicU8, AtomicU64, Mutex, Notify, Ordering};
use crate::watch::Watch;
use locked::FailOnPanic;
pub(crate) use operator::{Kicked, MoveEnd};
use state::State;
use std::sync::Arc;
use switchboard_broker::{
    ChannelRule, Command, ConnectionId, ConnectionStatus, Limits, Status, StatusQuery, Time, Totals,
};
pub(crate) use tap::{SAMPLE, Sample, TAPS, Tap, Taps};

const DRAINING: u8 = 1;
const STOPPED: u8 = 2;
const FAILED: u8 = 3;

/// Commands and events between two looks at the clock.
const UNCLOCKED: usize = 32;

/// The broker under its lock. The order of locks: hub, a handle's writer, a handle's incoming.
///
/// No call holds the lock for longer than a [`Slice`] and one command. Nothing is logged under it, and nothing is written
/// to a socket.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    clock: Clock,
    earlier: Notify,
    failed: Notify,
    pressed: AtomicBool,
    phase: AtomicU8,
    log_quota: LogQuota,
    limits: Limits,
    watch: Watch,
    taps: Taps,
    transactions: Arc<AllTransactions>,
    frames_ahead: Arc<AllAhead>,
    /// Messages that clients have sent as persistent.
    persistent: AtomicU64,
}

impl Hub {
    pub(crate) fn new(limits: Limits, rules: Vec<ChannelRule>) -> Hub {
        Hub {
            state: Mutex::new(State::new(limits.clone(), rules)),
            clock: Clock::start(),
            earlier: Notify::new(),
            failed: Notify::new(),
            pressed: AtomicBool::new(false),
            phase: AtomicU8::new(0),
            log_quota: LogQuota::new(),
            transactions: Arc::new(AllTransactions::new(limits.memory)),
            frames_ahead: Arc::new(AllAhead::new(limits.memory)),
            limits,
            watch: Watch::new(),
            taps: Taps::default(),
            persistent: AtomicU64::new(0),
        }
    }

    pub(crate) fn log_quota(&self) -> &LogQuota {
        &self.log_quota
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Usage of all sessions' open transactions.
    pub(crate) fn transactions(&self) -> Arc<AllTransactions> {
        self.transactions.clone()
    }

    /// Frames that all sessions have made and not written.
    pub(crate) fn frames_ahead(&self) -> Arc<AllAhead> {
        self.frames_ahead.clone()
    }

    pub(crate) fn count_persistent(&self, messages: u64) {
        self.persistent.fetch_add(messages, Ordering::Relaxed);
    }

    /// Messages that clients have sent as persistent.
    pub(crate) fn persistent(&self) -> u64 {
        self.persistent.load(Ordering::Relaxed)
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    pub(crate) fn taps(&self) -> &Taps {
        &self.taps
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

    /// Whether a panic has left the books half changed. Nothing is done with them any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.phase.load(Ordering::Acquire) >= FAILED
    }

    /// Waits for a panic.
    pub(crate) async fn failure(&self) {
        while !self.has_failed() {
            self.failed.notified().await;
        }
    }

    fn fail(&self) {
        self.phase.fetch_max(FAILED, Ordering::AcqRel);
        self.failed.notify_one();
    }

    /// The broker knows the connection from now on.
    pub(crate) fn connect(&self, handle: &Arc<ConnectionHandle>) {
        let transport_acks = handle.has_transport();
        self.change(|state, now, dirty| {
            state.handles.insert(handle.id(), handle.clone());
            state.broker.handle(now, handle.id(), Command::Connect { transport_acks });
            state.dispatch(now, dirty);
        });
    }

    /// Carries out what a connection asks for until the slice is over, and leaves the rest in `commands`.
    pub(crate) fn apply(&self, id: ConnectionId, commands: &mut Vec<Command>, dirty: &mut Dirty, slice: &Slice) {
        let Some(mut locked) = self.lock() else { return commands.clear() };
        let now = self.now();
        let is_tapped = self.taps.is_open();
        let (mut done, mut unclocked) = (0, 0);
        while done < commands.len() {
            let command = std::mem::replace(&mut commands[done], Command::Finish);
            done += 1;
            let ended = match &command {
                Command::Unsubscribe { subscription } => Some(*subscription),
                _ => None,
            };
            let receipt = match &command {
                Command::PublishWithReceipt { receipt, .. } => Some(receipt.clone()),
                _ => None,
            };
            if is_tapped
                && let Command::Publish { channel, batch } | Command::PublishWithReceipt { channel, batch, .. } =
                    &command
            {
                self.taps.see(now, channel, batch);
            }
            locked.broker.handle(now, id, command);
            unclocked += 1 + locked.dispatch_of(Some(id), receipt.as_ref(), &commands[done..], now, dirty);
            if let Some(subscription) = ended {
                locked.forget(id, subscription, dirty);
            }
            if unclocked >= UNCLOCKED {
                unclocked = 0;
                if slice.is_over() {
                    break;
                }
            }
        }
        locked.fair = done < commands.len();
        drop(locked);
        commands.drain(..done);
    }

    /// The connection is gone. What was not written to it by now never will be, so that a
    /// queue's message is either written or requeued.
    pub(crate) fn disconnect(&self, handle: &Arc<ConnectionHandle>) {
        handle.close_writer();
        // The last word: what is acknowledged later was requeued already.
        handle.sample();
        self.change(|state, now, dirty| {
            state.credit(now, handle);
            if state.handles.remove(&handle.id()).is_some() {
                if state.handles.len() < state.handles.capacity() / 8 {
                    let fewer = state.handles.len() * 2;
                    state.handles.shrink_to(fewer);
                }
                state.slow_is_gone(now, handle.id());
                state.broker.handle(now, handle.id(), Command::Disconnect);
            }
            state.dispatch(now, dirty);
        });
    }

    /// Writes to these connections and tells the broker what was written, until nothing more comes of it or the slice is
    /// over. Returns whether nothing is left.
    pub(crate) fn pump(&self, dirty: &mut Dirty, slice: &Slice) -> bool {
        let _guard = FailOnPanic::new(self);
        loop {
            while let Some(handle) = dirty.unwritten.pop_front() {
                handle.flush();
                self.look_after(&handle);
                if handle.owes_credit() {
                    dirty.uncredited.push(handle);
                }
                if slice.is_over() {
                    break;
                }
            }
            if !dirty.uncredited.is_empty() {
                let Some(mut locked) = self.lock() else {
                    dirty.uncredited.clear();
                    continue;
                };
                let now = self.now();
                let mut unclocked = 0;
                while let Some(handle) = dirty.uncredited.pop() {
                    locked.credit(now, &handle);
                    unclocked += 1 + locked.dispatch(now, dirty);
                    if unclocked >= UNCLOCKED {
                        unclocked = 0;
                        if slice.is_over() {
                            break;
                        }
                    }
                }
                locked.fair = !dirty.uncredited.is_empty();
            }
            if dirty.is_empty() {
                return true;
            }
            if slice.is_over() {
                return false;
            }
        }
    }

    /// Sees to it that somebody asks what the peer's machine has acknowledged of what was written.
    fn look_after(&self, handle: &Arc<ConnectionHandle>) {
        if !handle.has_transport() {
            return;
        }
        if handle.consumes() {
            let lag = handle.lag();
            if handle.unreported() >= lag {
                handle.sample();
                handle.set_lags(handle.unacknowledged() >= lag);
            } else {
                handle.set_lags(false);
            }
        } else if !handle.is_blocked() {
            return;
        }
        if handle.unacknowledged() > 0 {
            self.watch.add(handle);
        }
    }

    /// Lets time pass for the broker, for ever.
    pub(crate) async fn run_timer(self: Arc<Hub>) {
        loop {
            let armed = {
                let Some(mut locked) = self.lock() else { return };
                locked.armed = locked.broker.poll_timeout();
                locked.armed
            };
            let Some(at) = armed else {
                self.earlier.notified().await;
                continue;
            };
            if at > self.now() {
                tokio::select! {
                    () = self.clock.sleep_until(at) => {}
                    () = self.earlier.notified() => continue,
                }
            }
            let mut dirty = Dirty::default();
            self.pass_time(&mut dirty);
            while !self.pump(&mut dirty, &Slice::begin()) {
                tokio::task::yield_now().await;
            }
            // The broker may have more to do at once, step by step.
            tokio::task::yield_now().await;
        }
    }

    /// Does the next step of what is due.
    pub(crate) fn pass_time(&self, dirty: &mut Dirty) {
        let Some(mut locked) = self.lock() else { return };
        let now = self.now();
        locked.broker.handle_timeout(now);
        locked.dispatch(now, dirty);
        locked.fair = true;
    }

    pub(crate) fn drain(&self) {
        self.phase.fetch_max(DRAINING, Ordering::AcqRel);
        self.change(|state, now, dirty| {
            state.broker.drain(now);
            state.dispatch(now, dirty);
            // So that those that wait for something to read notice that they shall not.
            state.handles.values().for_each(|handle| handle.wake());
        });
    }

    pub(crate) fn stop(&self) {
        self.phase.fetch_max(STOPPED, Ordering::AcqRel);
        // Also after a panic: no book is touched.
        self.state.lock().handles.values().for_each(|handle| handle.wake());
    }

    /// The broker's status, and where the connections that it lists come from.
    pub(crate) fn status(&self, query: &StatusQuery) -> (Status, Vec<Option<Origin>>) {
        let Some(locked) = self.lock() else { return Default::default() };
        let status = locked.broker.status(self.now(), query);
        let origin = |connection: &ConnectionStatus| locked.handles.get(&connection.id).map(|handle| handle.origin());
        let origins = status.connections.iter().map(origin).collect();
        (status, origins)
    }

    pub(crate) fn totals(&self) -> Totals {
        self.lock().map_or_else(Totals::default, |locked| locked.broker.totals())
    }

    /// Messages that wait for a subscriber.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().map_or(0, |locked| locked.broker.waiting())
    }

    /// Replaces the channel rules.
    pub(crate) fn set_rules(&self, rules: Vec<ChannelRule>) {
        self.change(|state, now, dirty| {
            state.broker.set_rules(now, rules);
            state.dispatch(now, dirty);
        });
    }

    /// `None` if the books cannot be trusted.
    fn change<T>(&self, change: impl FnOnce(&mut State, Time, &mut Dirty) -> T) -> Option<T> {
        let mut dirty = Dirty::default();
        let result = {
            let mut locked = self.lock()?;
            // Read under the lock: the broker's time never goes backwards.
            change(&mut locked, self.now(), &mut dirty)
        };
        // Those that are left after a slice are woken.
        self.pump(&mut dirty, &Slice::begin());
        Some(result)
    }

    /// Simulates a bug in the broker.
    #[cfg(test)]
    pub(crate) fn panic(&self) {
        self.change(|_, _, _| panic!("a bug"));
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }
}
