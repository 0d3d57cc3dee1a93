//! A subscription's messages that wait for the program.

use crate::Error;
use crate::mailbox::Mailbox;
use crate::runner::Runner;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use switchboard_wire::native::{Split, split};
use tokio::sync::Notify;

/// State of a subscription's taker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taker {
    Listening,
    /// Nothing new; what was sent is still taken.
    Draining,
    /// Nothing at all.
    Left,
}

/// A message of STOMP that was received.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) lines: Bytes,
    pub(crate) body: Bytes,
    /// The number of its connection.
    pub(crate) connection: u64,
}

/// Messages that have arrived together.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// Frames, one behind the other.
    Native(Bytes),
    Stomp(VecDeque<Envelope>),
}

impl Default for Chunk {
    fn default() -> Chunk {
        Chunk::Native(Bytes::new())
    }
}

impl Chunk {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Chunk::Native(frames) => frames.is_empty(),
            Chunk::Stomp(messages) => messages.is_empty(),
        }
    }

    fn cost(&self) -> usize {
        match self {
            Chunk::Native(frames) => frames.len(),
            Chunk::Stomp(messages) => {
                messages.iter().map(|message| size_of::<Envelope>() + message.lines.len() + message.body.len()).sum()
            }
        }
    }
}

/// Messages that were received and not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Unread {
    pub(crate) fn add(&mut self, chunk: &Chunk) {
        match chunk {
            Chunk::Native(frames) => self.add_frames(frames),
            Chunk::Stomp(messages) => {
                self.messages += messages.len() as u64;
                self.bytes += messages.iter().map(|message| message.body.len() as u64).sum::<u64>();
            }
        }
    }

    fn add_frames(&mut self, mut frames: &[u8]) {
        while let Ok(Split::Frame { body, consumed }) = split(frames, usize::MAX) {
            self.messages += 1;
            self.bytes += body.len() as u64;
            frames = &frames[consumed..];
        }
    }
}

#[derive(Debug)]
pub(crate) struct Inbox {
    chunks: Mailbox<Chunk>,
    state: Mutex<(Taker, Unread)>,
    /// Notified when the taker has changed.
    stopped: Notify,
}

impl Inbox {
    pub(crate) fn new(limit: usize, runner: Arc<Runner>) -> Inbox {
        let state = Mutex::new((Taker::Listening, Unread::default()));
        Inbox { chunks: Mailbox::new(limit, runner), state, stopped: Notify::new() }
    }

    /// Puts in all of it, even if that is more than there is room for.
    pub(crate) fn put(&self, chunks: impl IntoIterator<Item = Chunk>) {
        self.chunks.put(chunks.into_iter().map(|chunk| (chunk.cost(), chunk)));
    }

    pub(crate) fn end(&self) {
        self.chunks.end();
    }

    pub(crate) fn is_full(&self) -> bool {
        self.chunks.is_full()
    }

    /// Ready, perhaps without a reason, when there is room again and when the taker has changed.
    pub(crate) async fn changed(&self) {
        tokio::select! {
            () = self.chunks.changed() => {}
            () = self.stopped.notified() => {}
        }
    }

    pub(crate) fn taker(&self) -> Taker {
        self.state.lock().0
    }

    /// Messages in the inbox when the taker left.
    pub(crate) fn unread(&self) -> Unread {
        self.state.lock().1
    }

    pub(crate) fn drain(&self) {
        let mut state = self.state.lock();
        if state.0 == Taker::Listening {
            state.0 = Taker::Draining;
        }
        drop(state);
        self.stopped.notify_one();
    }

    /// `rest` is what was taken from here and not used.
    pub(crate) fn leave(&self, rest: &Chunk) {
        let mut unread = Unread::default();
        unread.add(rest);
        while let Some(chunk) = self.chunks.try_take() {
            unread.add(&chunk);
        }
        *self.state.lock() = (Taker::Left, unread);
        self.stopped.notify_one();
    }

    pub(crate) fn poll_take(&self, context: &Context<'_>) -> Poll<Option<Chunk>> {
        self.chunks.poll_take(context)
    }

    pub(crate) fn try_take(&self) -> Option<Chunk> {
        self.chunks.try_take()
    }

    /// Blocks; `None` at the end. As [`Mailbox::take`].
    pub(crate) fn take(&self) -> Result<Option<Chunk>, Error> {
        self.chunks.take()
    }
}
