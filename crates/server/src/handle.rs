//! The side of a connection that every task may touch.

// By its path, for the model includes this file from elsewhere.
#[path = "handle/writing.rs"]
mod writing;

use crate::socket::{Origin, Socket};
use crate::stomp;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Notify, Ordering};
use crate::transport::Transport;
use crate::writer::{Incoming, Marks, Writer};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use switchboard_broker::{CloseReason, ConnectionId, Refusal};
use switchboard_wire::stomp::Version;

/// Why the server ends a connection.
#[derive(Clone, Debug)]
pub(crate) enum CloseMode {
    Broker(CloseReason),
    Refused(Refusal, Option<Bytes>),
    Kicked,
    /// A newer connection took the place of its unfinished handshake.
    Evicted,
    /// The peer's machine answers no more.
    Vanished,
}

/// A connection's socket, and what is on its way there. A task that has something for a connection writes it right
/// away; the connection's own task does so only when the socket was full.
#[derive(Debug)]
pub(crate) struct ConnectionHandle {
    id: ConnectionId,
    origin: Origin,
    socket: Socket,
    /// Of a WebSocket: what its client sent right behind its request, and the newest version of STOMP that was agreed on.
    web_socket: Option<Box<(Mutex<Bytes>, Version)>>,
    /// Bytes that its socket was given in answers to HTTP before it became a WebSocket.
    before: u64,
    incoming: Mutex<Vec<Incoming>>,
    writer: Mutex<Writer>,
    /// Set before anything is delivered, where STOMP is spoken.
    stomp: OnceLock<Stomp>,
    /// Bytes written and not reported to the broker yet.
    uncredited: AtomicUsize,
    /// All bytes written. Here and below, of another protocol than the native one: the packed bytes that are credited for them.
    written: AtomicU64,
    /// All bytes that the peer's machine was seen to acknowledge.
    acknowledged: AtomicU64,
    /// All bytes that the broker knows to be written, and to be acknowledged. Changed under the hub's lock only.
    credited: AtomicU64,
    reported: AtomicU64,
    /// Whether the kernel says what the peer's machine has acknowledged.
    has_transport: bool,
    /// Whether it takes from queues, so that the broker asks what was acknowledged.
    consumes: AtomicBool,
    /// Whether it is among those that [`Watch`](crate::watch::Watch) looks after.
    watched: AtomicBool,
    /// Bytes that the broker may be ahead of it, in queues.
    window: AtomicUsize,
    /// Whether so much is unacknowledged that its own task should look soon.
    lags: AtomicBool,
    /// Whether that task asks late by now, since nothing was acknowledged for a while.
    asks_late: AtomicBool,
    /// Whether the socket was full when something was left to write.
    blocked: AtomicBool,
    /// Whether a recall has left nothing to write: no written byte will tell that the socket
    /// takes some again.
    emptied: AtomicBool,
    failed: AtomicBool,
    paused: AtomicBool,
    closing: Mutex<Option<CloseMode>>,
    notify: Notify,
}

/// State of a connection that speaks STOMP.
#[derive(Debug)]
struct Stomp {
    ledger: Arc<Mutex<stomp::Ledger>>,
    marks: Mutex<Marks>,
    /// Bytes that were written, of all kinds.
    wire: AtomicU64,
    /// Receipts written and not reported to the broker yet: how many, and their packed bytes.
    receipts: Mutex<(usize, usize)>,
    owes_receipts: AtomicBool,
}

impl ConnectionHandle {
    pub(crate) fn new(id: ConnectionId, origin: Origin, socket: Socket) -> ConnectionHandle {
        ConnectionHandle {
            has_transport: socket.transport().is_some(),
            id,
            origin,
            socket,
            web_socket: None,
            before: 0,
            incoming: Mutex::new(Vec::new()),
            writer: Mutex::new(Writer::default()),
            stomp: OnceLock::new(),
            uncredited: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            credited: AtomicU64::new(0),
            reported: AtomicU64::new(0),
            consumes: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            window: AtomicUsize::new(1),
            lags: AtomicBool::new(false),
            asks_late: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            emptied: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            closing: Mutex::new(None),
            notify: Notify::new(),
        }
    }

    /// A connection that has become a WebSocket, what its client has sent already with the newest version of STOMP that was
    /// agreed on, and the bytes that its socket was given before.
    pub(crate) fn web_socket(
        id: ConnectionId,
        origin: Origin,
        socket: Socket,
        (first, newest): (Bytes, Version),
        before: u64,
    ) -> ConnectionHandle {
        let web_socket = Some(Box::new((Mutex::new(first), newest)));
        ConnectionHandle { web_socket, before, ..ConnectionHandle::new(id, origin, socket) }
    }

    pub(crate) fn is_web_socket(&self) -> bool {
        self.web_socket.is_some()
    }

    /// The newest version of STOMP that may be spoken: a WebSocket's subprotocol bounds it.
    pub(crate) fn newest_stomp(&self) -> Version {
        self.web_socket.as_ref().map_or(Version::V1_2, |web_socket| web_socket.1)
    }

    /// Takes the input right behind a WebSocket's request, once.
    pub(crate) fn take_first(&self) -> Bytes {
        self.web_socket.as_ref().map_or_else(Bytes::new, |web_socket| std::mem::take(&mut *web_socket.0.lock()))
    }

    pub(crate) fn id(&self) -> ConnectionId {
        self.id
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether the connection's task has to wait until the socket takes more.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Acquire) || self.emptied.load(Ordering::Acquire)
    }

    /// Returns true once if the broker waits to be told that the socket takes bytes, which it does now.
    pub(crate) fn owes_sign(&self) -> bool {
        self.emptied.swap(false, Ordering::AcqRel)
    }

    /// Whether nothing waits to be written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.writer.lock().is_empty() && self.incoming.lock().is_empty()
    }

    /// Whether nothing was written and nothing waits for it.
    pub(crate) fn is_untouched(&self) -> bool {
        self.written.load(Ordering::Acquire) == 0 && self.is_flushed()
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    pub(crate) fn closing(&self) -> Option<CloseMode> {
        self.closing.lock().clone()
    }

    /// Whether the broker has to be told of something that was written or acknowledged.
    pub(crate) fn owes_credit(&self) -> bool {
        self.uncredited.load(Ordering::Acquire) > 0
            || self.owes_acknowledgement()
            || self.stomp.get().is_some_and(|stomp| stomp.owes_receipts.load(Ordering::Acquire))
    }

    fn owes_acknowledgement(&self) -> bool {
        self.consumes() && self.acknowledged.load(Ordering::Acquire) > self.reported.load(Ordering::Acquire)
    }

    /// Takes the bytes written and the bytes acknowledged since the last call. Only under the hub's lock: what is taken has to
    /// be told before anything else happens.
    pub(crate) fn take_credit(&self) -> (usize, usize) {
        // First: what is acknowledged by now may be credited a moment later only.
        let acknowledged = self.acknowledged.load(Ordering::Acquire);
        let bytes = self.uncredited.swap(0, Ordering::AcqRel);
        let credited = self.credited.load(Ordering::Relaxed) + bytes as u64;
        self.credited.store(credited, Ordering::Relaxed);
        let before = self.reported.load(Ordering::Relaxed);
        let reported = acknowledged.min(credited).max(before);
        debug_assert!(reported <= credited, "acknowledged before it is known to be written");
        self.reported.store(reported, Ordering::Release);
        (bytes, usize::try_from(reported - before).unwrap_or(usize::MAX))
    }

    pub(crate) fn has_transport(&self) -> bool {
        self.has_transport
    }

    /// From now on the broker is told what the peer's machine acknowledges.
    pub(crate) fn set_consumes(&self) {
        self.consumes.store(self.has_transport, Ordering::Release);
    }

    pub(crate) fn consumes(&self) -> bool {
        self.consumes.load(Ordering::Acquire)
    }

    /// Asks the kernel what was acknowledged.
    pub(crate) fn sample(&self) -> Option<Transport> {
        let transport = self.socket.transport()?;
        // The kernel counts from the connection's begin, and the marks from that of the WebSocket.
        let acknowledged = transport.acknowledged.saturating_sub(self.before);
        let acknowledged = match self.stomp.get() {
            None => acknowledged,
            Some(stomp) => stomp.marks.lock().acknowledge(acknowledged),
        };
        let acknowledged = acknowledged.min(self.written.load(Ordering::Acquire));
        // Its task would sleep on while the next window is acknowledged, too.
        if self.acknowledged.fetch_max(acknowledged, Ordering::AcqRel) < acknowledged
            && self.asks_late.swap(false, Ordering::AcqRel)
        {
            self.wake();
        }
        Some(transport)
    }

    /// Bytes written that were not acknowledged when the kernel was asked last.
    pub(crate) fn unacknowledged(&self) -> u64 {
        self.written.load(Ordering::Acquire).saturating_sub(self.acknowledged.load(Ordering::Acquire))
    }

    /// Bytes written that the broker does not know to be acknowledged.
    pub(crate) fn unreported(&self) -> u64 {
        self.written.load(Ordering::Acquire).saturating_sub(self.reported.load(Ordering::Acquire))
    }

    /// Returns true if it was not watched.
    pub(crate) fn begin_watch(&self) -> bool {
        !self.watched.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn end_watch(&self) {
        // Not a store: what was written before somebody else's failed `begin_watch` has to be seen after this.
        self.watched.swap(false, Ordering::AcqRel);
    }

    /// Unacknowledged bytes at which its own task asks soon: the broker stops at a whole window.
    pub(crate) fn lag(&self) -> u64 {
        (self.window.load(Ordering::Relaxed) / 4).max(1) as u64
    }

    pub(crate) fn set_window(&self, window: usize) {
        self.window.store(window, Ordering::Relaxed);
    }

    /// Lets the own task ask soon what was acknowledged.
    pub(crate) fn set_lags(&self, lags: bool) {
        if self.lags.swap(lags, Ordering::AcqRel) != lags && lags {
            self.wake();
        }
    }

    pub(crate) fn lags(&self) -> bool {
        self.lags.load(Ordering::Acquire)
    }

    /// Whether nothing was acknowledged since [`ConnectionHandle::set_asks_late`].
    pub(crate) fn asks_late(&self) -> bool {
        self.asks_late.load(Ordering::Acquire)
    }

    pub(crate) fn set_asks_late(&self) {
        self.asks_late.store(true, Ordering::Release);
    }

    /// Lets the connection's own task look at everything anew.
    pub(crate) fn wake(&self) {
        self.notify.notify_one();
    }

    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }

    pub(crate) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
        self.wake();
    }

    /// Whether the connection ends because something was refused.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(&*self.closing.lock(), Some(CloseMode::Refused(..)))
    }

    /// The first reason stays.
    pub(crate) fn close(&self, mode: CloseMode) {
        self.closing.lock().get_or_insert(mode);
        self.wake();
    }
}
