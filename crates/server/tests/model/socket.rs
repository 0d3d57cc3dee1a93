//! A socket that holds so many bytes until its peer reads them.

use crate::sync::{Mutex, Notify};
use crate::transport::Transport;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::Duration;

/// Bytes that one call takes at most.
const SEGMENT: usize = 16;

#[derive(Clone, Debug)]
pub(crate) struct Socket(Arc<Pipe>);

#[derive(Debug)]
struct Pipe {
    state: Mutex<State>,
    /// The peer has read, or has something to read.
    readable: Notify,
    writable: Notify,
}

#[derive(Debug)]
struct State {
    capacity: usize,
    buffered: Vec<u8>,
    read: Vec<u8>,
    has_transport: bool,
}

impl Socket {
    pub(crate) fn new(capacity: usize, has_transport: bool) -> Socket {
        let state = State { capacity, buffered: Vec::new(), read: Vec::new(), has_transport };
        Socket(Arc::new(Pipe { state: Mutex::new(state), readable: Notify::new(), writable: Notify::new() }))
    }

    pub(crate) fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.0.state.lock();
        let room = state.capacity - state.buffered.len();
        if room == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let bytes: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.iter().copied()).take(room.min(SEGMENT)).collect();
        state.buffered.extend_from_slice(&bytes);
        drop(state);
        self.0.readable.notify_one();
        Ok(bytes.len())
    }

    pub(crate) fn transport(&self) -> Option<Transport> {
        let state = self.0.state.lock();
        let transport =
            Transport { acknowledged: state.read.len() as u64, is_unanswered: false, silence: Duration::ZERO };
        state.has_transport.then_some(transport)
    }

    /// Waits until the socket takes bytes.
    pub(crate) async fn writable(&self) {
        loop {
            {
                let state = self.0.state.lock();
                if state.buffered.len() < state.capacity {
                    return;
                }
            }
            self.0.writable.notified().await;
        }
    }

    /// The peer takes what there is, and waits until there is something.
    pub(crate) async fn read(&self) -> usize {
        loop {
            let bytes = self.try_read();
            if bytes > 0 {
                return bytes;
            }
            self.0.readable.notified().await;
        }
    }

    /// The peer takes what there is.
    pub(crate) fn try_read(&self) -> usize {
        let bytes = {
            let mut state = self.0.state.lock();
            let bytes = std::mem::take(&mut state.buffered);
            state.read.extend_from_slice(&bytes);
            bytes.len()
        };
        if bytes > 0 {
            self.0.writable.notify_one();
        }
        bytes
    }

    /// Everything that was written, read or not.
    pub(crate) fn written(&self) -> Vec<u8> {
        let state = self.0.state.lock();
        [&state.read[..], &state.buffered].concat()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin;

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("model")
    }
}
