//! The side of a connection that every task may touch.

use crate::outbox::Outbox;
use crate::socket::{Origin, Socket};
use bytes::Bytes;
use std::io::{ErrorKind, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use switchboard_broker::{CloseReason, ConnectionId, Refusal};
use tokio::sync::Notify;

/// Buffers handed to one system call.
const SLICES: usize = 64;

/// Why the server ends a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Closing {
    Broker(CloseReason),
    Refused(Refusal),
    Kicked,
}

/// A connection's socket, and what is on its way there. Whoever has something for a connection
/// writes it right away; the connection's own task does so only when the socket was full.
#[derive(Debug)]
pub(crate) struct Peer {
    id: ConnectionId,
    origin: Origin,
    socket: Socket,
    incoming: Mutex<Vec<Bytes>>,
    writer: Mutex<Writer>,
    uncredited: AtomicUsize,
    /// Whether the socket was full when something was left to write.
    blocked: AtomicBool,
    /// Whether a recall has left nothing to write: no written byte will tell that the socket
    /// takes some again.
    emptied: AtomicBool,
    failed: AtomicBool,
    paused: AtomicBool,
    closing: OnceLock<Closing>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Writer {
    outbox: Outbox,
    closed: bool,
}

impl Peer {
    pub(crate) fn new(id: ConnectionId, origin: Origin, socket: Socket) -> Peer {
        Peer {
            id,
            origin,
            socket,
            incoming: Mutex::default(),
            writer: Mutex::default(),
            uncredited: AtomicUsize::new(0),
            blocked: AtomicBool::new(false),
            emptied: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            closing: OnceLock::new(),
            notify: Notify::new(),
        }
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

    /// Whether the broker waits to be told that the socket takes bytes, which it does now.
    pub(crate) fn owes_sign(&self) -> bool {
        self.emptied.swap(false, Ordering::AcqRel)
    }

    /// Whether nothing waits to be written.
    pub(crate) fn is_flushed(&self) -> bool {
        lock(&self.writer).outbox.is_empty() && lock(&self.incoming).is_empty()
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    pub(crate) fn closing(&self) -> Option<Closing> {
        self.closing.get().copied()
    }

    pub(crate) fn owes_credit(&self) -> bool {
        self.uncredited.load(Ordering::Acquire) > 0
    }

    /// Only under the hub's lock: what is taken has to be told before anything else happens.
    pub(crate) fn take_credit(&self) -> usize {
        self.uncredited.swap(0, Ordering::AcqRel)
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

    /// The first reason stays.
    pub(crate) fn close(&self, closing: Closing) {
        let _ = self.closing.set(closing);
        self.wake();
    }

    /// Adds to what is to be written; true if the caller has to see to a flush.
    pub(crate) fn incoming(&self, packed: Bytes) -> bool {
        let mut incoming = lock(&self.incoming);
        incoming.push(packed);
        incoming.len() == 1
    }

    /// Writes as much as the socket takes. If another task is writing, that one sees to it.
    pub(crate) fn flush(&self) {
        loop {
            let mut writer = match self.writer.try_lock() {
                Ok(writer) => writer,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            let full = self.write(&mut writer);
            drop(writer);
            if full {
                return;
            }
            // Whoever came while the writer was locked has left it to this task.
            if lock(&self.incoming).is_empty() {
                return;
            }
        }
    }

    /// Whether the socket is full.
    fn write(&self, writer: &mut Writer) -> bool {
        loop {
            let incoming = std::mem::take(&mut *lock(&self.incoming));
            if writer.closed {
                return false;
            }
            incoming.into_iter().for_each(|packed| writer.outbox.push(packed));
            if writer.outbox.is_empty() {
                self.blocked.store(false, Ordering::Release);
                return false;
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let used = writer.outbox.slices(&mut slices);
            match self.socket.try_write_vectored(&slices[..used]) {
                Ok(bytes) => {
                    writer.outbox.advance(bytes);
                    self.uncredited.fetch_add(bytes, Ordering::AcqRel);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // The own task waits for room, and takes what comes meanwhile along.
                    if !self.blocked.swap(true, Ordering::AcqRel) {
                        self.wake();
                    }
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::debug!(connection = self.id.0, peer = %self.origin, "cannot write: {error}");
                    writer.closed = true;
                    writer.outbox = Outbox::default();
                    self.blocked.store(false, Ordering::Release);
                    self.failed.store(true, Ordering::Release);
                    self.wake();
                    return false;
                }
            }
        }
    }

    /// Takes back what was not begun. Returns what is kept, and the credit that is due, which
    /// belong together: both are read while nobody can write. Only under the hub's lock.
    pub(crate) fn recall(&self) -> (usize, usize) {
        let mut writer = lock(&self.writer);
        let incoming = std::mem::take(&mut *lock(&self.incoming));
        incoming.into_iter().for_each(|packed| writer.outbox.push(packed));
        let kept = writer.outbox.recall();
        if kept == 0 {
            self.emptied.store(true, Ordering::Release);
            self.wake();
        }
        (kept, self.take_credit())
    }

    /// Nothing is written from now on.
    pub(crate) fn close_writer(&self) {
        let mut writer = lock(&self.writer);
        writer.closed = true;
        writer.outbox = Outbox::default();
        lock(&self.incoming).clear();
        self.blocked.store(false, Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
