//! The way of bytes to the peer.

use super::{ConnectionHandle, Stomp};
use crate::slice::FLUSH;
use crate::stomp;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};
use crate::writer::{Incoming, Marks, Writer};
use bytes::Bytes;
use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;

/// Buffers handed to one system call.
const SLICES: usize = 64;

/// Result of a task's write.
enum Written {
    All,
    /// The socket is full: the own task waits for room.
    Full,
    /// As much as one task may: the own task goes on.
    Part,
}

impl ConnectionHandle {
    /// Adds packed messages to what is to be written; true if the caller has to see to a flush.
    pub(crate) fn incoming(&self, packed: Bytes) -> bool {
        self.add(Incoming::Packed(packed))
    }

    /// The same for STOMP.
    pub(crate) fn incoming_stomp(&self, entry: stomp::Entry) -> bool {
        self.add(Incoming::Stomp(Box::new(entry)))
    }

    fn add(&self, added: Incoming) -> bool {
        let mut incoming = self.incoming.lock();
        incoming.push(added);
        incoming.len() == 1
    }

    /// STOMP is spoken from now on. Nothing was delivered yet.
    pub(crate) fn speak_stomp(&self, ledger: Arc<Mutex<stomp::Ledger>>, all: Arc<stomp::AllAhead>) {
        let _ = self.stomp.set(Stomp {
            ledger,
            marks: Mutex::new(Marks::default()),
            wire: AtomicU64::new(0),
            receipts: Mutex::new((0, 0)),
            owes_receipts: AtomicBool::new(false),
        });
        let framing = if self.is_web_socket() { stomp::Framing::web_socket() } else { stomp::Framing::Plain };
        self.writer.lock().speak(stomp::Outbox::new(self.id.0, framing, all));
    }

    /// Ledger of its subscriptions, if STOMP is spoken.
    pub(crate) fn stomp(&self) -> Option<&Mutex<stomp::Ledger>> {
        self.stomp.get().map(|stomp| &*stomp.ledger)
    }

    /// All bytes that were written, if STOMP is spoken.
    pub(crate) fn stomp_written(&self) -> u64 {
        self.stomp.get().map_or(0, |stomp| stomp.wire.load(Ordering::Acquire))
    }

    /// Writes as much as the socket takes, and leaves the rest to the own task. If another task is writing, that one
    /// sees to it.
    pub(crate) fn flush(&self) {
        let mut most = FLUSH;
        loop {
            let Some(mut writer) = self.writer.try_lock() else { return };
            let written = self.write(&mut writer, &mut most);
            drop(writer);
            match written {
                Written::All => {}
                Written::Full => return,
                // Only now: its own task could not write while the writer was locked.
                Written::Part => return self.wake(),
            }
            // A task that came while the writer was locked has left it to this one.
            if self.incoming.lock().is_empty() {
                return;
            }
        }
    }

    fn write(&self, writer: &mut Writer, most: &mut usize) -> Written {
        loop {
            let incoming = std::mem::take(&mut *self.incoming.lock());
            if writer.is_closed() {
                return Written::All;
            }
            incoming.into_iter().for_each(|added| writer.push(added));
            let unwritten = writer.prepare();
            if unwritten > 0 {
                self.note_written(0, unwritten);
            }
            if writer.is_empty() {
                self.blocked.store(false, Ordering::Release);
                return Written::All;
            }
            if *most == 0 {
                return Written::Part;
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let used = writer.slices(&mut slices);
            match self.socket.try_write_vectored(&slices[..used]) {
                Ok(bytes) => {
                    let credit = writer.advance(bytes);
                    self.note_written(bytes, credit);
                    self.note_receipts(writer.take_receipts());
                    *most = most.saturating_sub(bytes);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    writer.stall();
                    // The own task waits for room, and takes what comes meanwhile along.
                    if !self.blocked.swap(true, Ordering::AcqRel) {
                        self.wake();
                    }
                    return Written::Full;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::debug!(connection = self.id.0, peer = %self.origin, "cannot write: {error}");
                    writer.close();
                    self.blocked.store(false, Ordering::Release);
                    self.failed.store(true, Ordering::Release);
                    self.wake();
                    return Written::All;
                }
            }
        }
    }

    /// So many bytes of the socket are written, which are worth so many packed bytes.
    fn note_written(&self, bytes: usize, credit: usize) {
        if let Some(stomp) = self.stomp.get() {
            let wire = stomp.wire.fetch_add(bytes as u64, Ordering::AcqRel) + bytes as u64;
            if credit == 0 {
                return;
            }
            // Before it is counted: what is acknowledged is never more than what is written.
            stomp.marks.lock().push(wire, self.written.load(Ordering::Acquire) + credit as u64);
        }
        self.written.fetch_add(credit as u64, Ordering::AcqRel);
        self.uncredited.fetch_add(credit, Ordering::AcqRel);
    }

    fn note_receipts(&self, (receipts, bytes): (usize, usize)) {
        if receipts > 0
            && let Some(stomp) = self.stomp.get()
        {
            let mut unreported = stomp.receipts.lock();
            *unreported = (unreported.0 + receipts, unreported.1 + bytes);
            stomp.owes_receipts.store(true, Ordering::Release);
        }
    }

    /// The receipts that were written and the broker does not know of. Only under the hub's lock.
    pub(crate) fn take_receipts(&self) -> (usize, usize) {
        let Some(stomp) = self.stomp.get().filter(|stomp| stomp.owes_receipts.swap(false, Ordering::AcqRel)) else {
            return (0, 0);
        };
        std::mem::take(&mut *stomp.receipts.lock())
    }

    /// Takes back what was not begun, and returns how much is kept. The credit that is due belongs to it: it is to be taken
    /// by the same caller. Only under the hub's lock, and while it is held nobody else takes credit.
    pub(crate) fn recall(&self) -> (usize, usize, usize) {
        let mut writer = self.writer.lock();
        let incoming = std::mem::take(&mut *self.incoming.lock());
        incoming.into_iter().for_each(|added| writer.push(added));
        let (kept, first_tag) = writer.recall();
        if let (Some(first), Some(ledger)) = (first_tag, self.stomp()) {
            ledger.lock().recalled(first);
        }
        if kept == 0 {
            self.emptied.store(true, Ordering::Release);
            self.wake();
        }
        let (written, acknowledged) = self.take_credit();
        (kept, written, acknowledged)
    }

    /// The last credit of a connection that is written nothing more but an ERROR: a message that was begun, which comes back
    /// unacked, counts as written. `None` if something else is to be written. Only under the hub's lock.
    pub(crate) fn last_credit(&self) -> Option<(usize, usize)> {
        let mut writer = self.writer.lock();
        let incoming = std::mem::take(&mut *self.incoming.lock());
        incoming.into_iter().for_each(|added| writer.push(added));
        let left = writer.left_before_error()?;
        let (written, acknowledged) = self.take_credit();
        Some((written + left, acknowledged))
    }

    /// Nothing is written from now on.
    pub(crate) fn close_writer(&self) {
        let mut writer = self.writer.lock();
        writer.close();
        self.incoming.lock().clear();
        self.blocked.store(false, Ordering::Release);
    }
}
