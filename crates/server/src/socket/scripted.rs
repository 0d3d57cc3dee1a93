//! A socket whose every call a test decides.

use crate::transport::{Transport, Unread};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{Interest, Ready};
use tokio::sync::Notify;

/// The test's end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scripted(Arc<Script>);

#[derive(Debug, Default)]
struct Script {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Pending input; an error, or nothing more, comes behind it.
    input: VecDeque<u8>,
    ended: bool,
    read_error: Option<ErrorKind>,
    /// Results of the next writes; when empty, the socket is full.
    takes: VecDeque<Result<usize, ErrorKind>>,
    written: Vec<u8>,
    writes: usize,
    shut_down: bool,
    transport: Option<Transport>,
}

impl Scripted {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.0.state.lock());
        self.0.changed.notify_waiters();
        result
    }

    pub(crate) fn sends(&self, bytes: &[u8]) {
        self.change(|state| state.input.extend(bytes));
    }

    pub(crate) fn ends(&self) {
        self.change(|state| state.ended = true);
    }

    pub(crate) fn fails_to_read(&self, error: ErrorKind) {
        self.change(|state| state.read_error = Some(error));
    }

    /// The next writes take so many bytes each, or fail.
    pub(crate) fn takes(&self, writes: &[Result<usize, ErrorKind>]) {
        self.change(|state| state.takes.extend(writes));
    }

    pub(crate) fn acknowledges(&self, bytes: u64, is_unanswered: bool, silence: Duration) {
        self.change(|state| state.transport = Some(Transport { acknowledged: bytes, is_unanswered, silence }));
    }

    pub(crate) fn written(&self) -> Vec<u8> {
        self.0.state.lock().written.clone()
    }

    /// Whether something is left to be read.
    pub(crate) fn has_input(&self) -> bool {
        !self.0.state.lock().input.is_empty()
    }

    pub(crate) fn writes(&self) -> usize {
        self.0.state.lock().writes
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.0.state.lock().shut_down
    }

    pub(super) fn unread(&self) -> Unread {
        let state = self.0.state.lock();
        Unread { bytes: state.input.len(), is_all: state.ended }
    }

    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        loop {
            let changed = self.0.changed.notified();
            let ready = {
                let state = self.0.state.lock();
                let mut ready = Ready::EMPTY;
                if interest.is_readable() && (!state.input.is_empty() || state.ended || state.read_error.is_some()) {
                    ready |= Ready::READABLE;
                }
                if interest.is_writable() && !state.takes.is_empty() {
                    ready |= Ready::WRITABLE;
                }
                ready
            };
            if !ready.is_empty() {
                return Ok(ready);
            }
            changed.await;
        }
    }

    pub(super) fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut total = 0;
        for buffer in buffers {
            match self.try_read(buffer) {
                Ok(bytes) => total += bytes,
                Err(_) if total > 0 => return Ok(total),
                Err(error) if buffer.is_empty() && error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
        if total > 0 || self.0.state.lock().ended { Ok(total) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.state.lock();
        if state.input.is_empty() {
            return match (state.read_error, state.ended) {
                (Some(error), _) => Err(error.into()),
                (None, true) => Ok(0),
                (None, false) => Err(ErrorKind::WouldBlock.into()),
            };
        }
        let bytes = buffer.len().min(state.input.len());
        for (slot, byte) in buffer.iter_mut().zip(state.input.drain(..bytes)) {
            *slot = byte;
        }
        Ok(bytes)
    }

    pub(super) fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.0.state.lock();
        state.writes += 1;
        let most = state.takes.pop_front().ok_or(ErrorKind::WouldBlock)??;
        let before = state.written.len();
        for buffer in buffers {
            let room = most - (state.written.len() - before);
            state.written.extend_from_slice(&buffer[..buffer.len().min(room)]);
        }
        Ok(state.written.len() - before)
    }

    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(None)
    }

    pub(super) fn shut_down_writing(&self) -> io::Result<()> {
        self.change(|state| state.shut_down = true);
        Ok(())
    }

    pub(super) fn transport(&self) -> Option<Transport> {
        self.0.state.lock().transport
    }
}
