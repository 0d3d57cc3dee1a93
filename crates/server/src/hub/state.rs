//! The broker and its connections' handles, and what the broker's events lead to.

use super::line::{LINES, Line};
use super::operator::MoveEnd;
use crate::dirty::Dirty;
use crate::handle::{CloseMode, ConnectionHandle};
use crate::stomp::{Entry, SharedLines, StompError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;
use switchboard_broker::{
    Batch, Broker, ChannelRule, Command, ConnectionId, Event, Limits, Refusal, SubscriptionId, Time,
};
use tokio::sync::oneshot;

pub(super) struct State {
    pub(super) broker: Broker,
    pub(super) handles: HashMap<ConnectionId, Arc<ConnectionHandle>>,
    /// Operators that wait for the end of an order to move messages, by its number.
    pub(super) moves: HashMap<u64, oneshot::Sender<MoveEnd>>,
    /// Lines to log once the lock is released.
    pub(super) lines: Vec<Line>,
    /// Wake-up time of the timer.
    pub(super) armed: Option<Time>,
    /// Header lines that several subscribers are written.
    shared: SharedLines,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("State").field("handles", &self.handles.len()).finish_non_exhaustive()
    }
}

impl State {
    pub(super) fn new(limits: Limits, rules: Vec<ChannelRule>) -> State {
        let mut broker = Broker::new(limits, rules);
        broker.set_epoch(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        let (handles, moves, lines, shared) = (HashMap::new(), HashMap::new(), Vec::new(), SharedLines::default());
        State { broker, handles, moves, lines, armed: None, shared }
    }

    pub(super) fn credit(&mut self, now: Time, handle: &ConnectionHandle) {
        let (written, acknowledged) = handle.take_credit();
        self.report(now, handle.id(), written, acknowledged);
        let (receipts, bytes) = handle.take_receipts();
        if receipts > 0 && self.handles.contains_key(&handle.id()) {
            self.broker.handle(now, handle.id(), Command::ReceiptsWritten { receipts, bytes });
        }
        if acknowledged > 0
            && let Some(window) = self.broker.window(handle.id())
        {
            handle.set_window(window);
        }
    }

    /// The connection is gone.
    pub(super) fn disconnect(&mut self, now: Time, id: ConnectionId, dirty: &mut Dirty) {
        if self.handles.remove(&id).is_some() {
            if self.handles.len() < self.handles.capacity() / 8 {
                self.handles.shrink_to(self.handles.len() * 2);
            }
            self.broker.handle(now, id, Command::Disconnect);
        }
        self.dispatch(now, dirty);
    }

    pub(super) fn report(&mut self, now: Time, id: ConnectionId, written: usize, acknowledged: usize) {
        // Taken and told under one lock; after Disconnect there is nobody to tell it of.
        if !self.handles.contains_key(&id) {
            return;
        }
        if written > 0 {
            self.broker.handle(now, id, Command::Credit { bytes: written });
        }
        if acknowledged > 0 {
            self.broker.handle(now, id, Command::TransportAck { bytes: acknowledged });
        }
    }

    /// Does what the broker asks for, and returns how much that was.
    pub(super) fn dispatch(&mut self, now: Time, dirty: &mut Dirty) -> usize {
        self.dispatch_of(None, None, &[], now, dirty)
    }

    /// The same after a command of the connection `of`, with its receipt if it has one, and `behind` it the next commands.
    pub(super) fn dispatch_of(
        &mut self,
        of: Option<ConnectionId>,
        receipt: Option<&Batch>,
        behind: &[Command],
        now: Time,
        dirty: &mut Dirty,
    ) -> usize {
        let mut events = 0;
        while let Some(event) = self.broker.poll() {
            events += 1;
            match event {
                Event::Deliver { connection, subscription, channel, batch, redelivered, tag, .. } => {
                    let headers = self.shared.find(&batch);
                    self.with(connection, |handle| {
                        let is_first = match handle.stomp() {
                            None => handle.incoming(batch.packed().clone()),
                            Some(ledger) => {
                                let batch = (batch, headers);
                                let entry = ledger.lock().deliver(subscription, channel, batch, tag, redelivered);
                                handle.incoming_stomp(entry)
                            }
                        };
                        // A flush is already owed if data was pending.
                        if is_first {
                            dirty.push(handle);
                        }
                    });
                }
                // Asked for by the native protocol only. What stands before it was not all carried out if something was refused.
                Event::Barrier { connection, batch } => self.with(connection, |handle| {
                    if !handle.is_refused() && handle.incoming(batch.packed().clone()) {
                        dirty.push(handle);
                    }
                }),
                // Asked for by STOMP only.
                Event::Receipt { connection, batch } => self.with(connection, |handle| {
                    if handle.incoming_stomp(Entry::Receipts(batch)) {
                        dirty.push(handle);
                    }
                }),
                Event::Recall { connection } => {
                    let kept = match self.handles.get(&connection).cloned() {
                        Some(handle) => {
                            let (kept, written, acknowledged) = handle.recall();
                            self.report(now, connection, written, acknowledged);
                            kept
                        }
                        None => 0,
                    };
                    self.broker.handle(now, connection, Command::Recalled { kept });
                }
                Event::Pause { connection, reason } => {
                    self.with(connection, |handle| handle.pause(true));
                    self.line(Line::Paused(connection, reason));
                }
                Event::Resume { connection } => {
                    self.with(connection, |handle| handle.pause(false));
                    self.line(Line::Resumed(connection));
                }
                Event::Lapsed { connection, subscription, first, last } => self.with(connection, |handle| {
                    if let Some(ledger) = handle.stomp() {
                        ledger.lock().lapsed(subscription, first.0..last.0 + 1);
                    }
                }),
                Event::Ended { connection, subscription } => self.forget(connection, subscription, dirty),
                Event::Slow { connection } => self.line(Line::Slow(connection)),
                Event::Close { connection, reason } => {
                    self.with(connection, |handle| handle.close(CloseMode::Broker(reason)));
                }
                Event::Moved { order, moved, stayed, reason } => {
                    if let Some(waiting) = self.moves.remove(&order) {
                        // Nobody waits any longer.
                        let _ = waiting.send(MoveEnd { moved, stayed, reason });
                    }
                }
                // Peers without a receipt are not told: the native protocol has no word for it either.
                Event::Rejected { connection, channel, messages, refusal } => {
                    self.line(Line::Rejected(connection, messages, channel, refusal));
                }
                Event::Unconfirmed { connection, receipt, rejected, bytes } => {
                    let (channel, refusal) = *rejected;
                    let reason = format!("{}: {refusal}", channel.escape_ascii());
                    self.with(connection, |handle| {
                        if handle.incoming_stomp(Entry::Rejected(receipt, reason, bytes)) {
                            dirty.push(handle);
                        }
                    });
                }
                Event::Refused { connection, refusal, channel } => self.with(connection, |handle| {
                    if handle.stomp().is_some() {
                        // An ack that comes late, after its message went back, or twice.
                        if matches!(refusal, Refusal::UnknownTag { .. }) {
                            return;
                        }
                        let named =
                            channel.as_ref().map_or_else(String::new, |name| format!("{}: ", name.escape_ascii()));
                        // The command may have let another connection go on, which then asked for too much.
                        let receipt = if of == Some(connection) { receipt_of(receipt, behind) } else { None };
                        let error = StompError::new(format!("{named}{refusal}")).with_receipt(receipt);
                        if handle.incoming_stomp(Entry::Error(error)) {
                            dirty.push(handle);
                        }
                    }
                    // The native protocol has no word for a refusal.
                    handle.close(CloseMode::Refused(refusal, channel));
                }),
            }
        }
        events
    }

    /// Drops an ended subscription's messages that come later or are not begun.
    pub(super) fn forget(&self, connection: ConnectionId, subscription: SubscriptionId, dirty: &mut Dirty) {
        self.with(connection, |handle| {
            if let Some(ledger) = handle.stomp() {
                let entry = ledger.lock().forget(subscription);
                if entry.is_some_and(|entry| handle.incoming_stomp(entry)) {
                    dirty.push(handle);
                }
            }
        });
    }

    fn line(&mut self, line: Line) {
        if self.lines.len() < LINES {
            self.lines.push(line);
        }
    }

    fn with(&self, connection: ConnectionId, act: impl FnOnce(&Arc<ConnectionHandle>)) {
        if let Some(handle) = self.handles.get(&connection) {
            act(handle);
        }
    }
}

/// The receipt that was asked for a command, by itself or by the commands behind it.
fn receipt_of(own: Option<&Batch>, behind: &[Command]) -> Option<Vec<u8>> {
    if let Some(own) = own {
        return own.iter().next().map(<[u8]>::to_vec);
    }
    let (at, batch, covers) = behind.iter().enumerate().find_map(|(at, command)| match command {
        Command::Receipt { batch, covers, .. } => Some((at, batch, *covers)),
        _ => None,
    })?;
    batch.iter().next().filter(|_| covers > at).map(<[u8]>::to_vec)
}
