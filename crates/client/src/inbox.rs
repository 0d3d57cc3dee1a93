//! Where a subscription's messages wait for the program.

use crate::Error;
use crate::mailbox::Mailbox;
use crate::runner::Runner;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::task::{Context, Poll};
use switchboard_wire::native::{Split, split};
use tokio::sync::Notify;

/// What the program wants of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taker {
    Listening,
    /// Nothing new; what was sent is still taken.
    Draining,
    /// Nothing at all.
    Left,
}

/// Messages that were received and not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Unread {
    /// Counts frames that stand one behind the other.
    pub(crate) fn add(&mut self, mut frames: &[u8]) {
        while let Ok(Split::Frame { body, consumed }) = split(frames, usize::MAX) {
            self.messages += 1;
            self.bytes += body.len() as u64;
            frames = &frames[consumed..];
        }
    }
}

#[derive(Debug)]
pub(crate) struct Inbox {
    frames: Mailbox<Bytes>,
    state: Mutex<(Taker, Unread)>,
    /// Notified when the taker has changed.
    stopped: Notify,
}

impl Inbox {
    pub(crate) fn new(limit: usize, runner: Arc<Runner>) -> Inbox {
        let state = Mutex::new((Taker::Listening, Unread::default()));
        Inbox { frames: Mailbox::new(limit, runner), state, stopped: Notify::new() }
    }

    /// Puts in all of it, even if that is more than there is room for.
    pub(crate) fn put(&self, frames: impl IntoIterator<Item = Bytes>) {
        self.frames.put(frames.into_iter().map(|bytes| (bytes.len(), bytes)));
    }

    pub(crate) fn end(&self) {
        self.frames.end();
    }

    pub(crate) fn is_full(&self) -> bool {
        self.frames.is_full()
    }

    /// Ready, perhaps without a reason, when there is room again and when the taker has changed.
    pub(crate) async fn changed(&self) {
        tokio::select! {
            () = self.frames.changed() => {}
            () = self.stopped.notified() => {}
        }
    }

    pub(crate) fn taker(&self) -> Taker {
        self.state.lock().0
    }

    /// What was in the inbox when the taker left.
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
    pub(crate) fn leave(&self, rest: &[u8]) {
        let mut unread = Unread::default();
        unread.add(rest);
        while let Some(frames) = self.frames.try_take() {
            unread.add(&frames);
        }
        *self.state.lock() = (Taker::Left, unread);
        self.stopped.notify_one();
    }

    pub(crate) fn poll_take(&self, context: &Context<'_>) -> Poll<Option<Bytes>> {
        self.frames.poll_take(context)
    }

    pub(crate) fn try_take(&self) -> Option<Bytes> {
        self.frames.try_take()
    }

    /// Blocks; `None` at the end. As [`Mailbox::take`].
    pub(crate) fn take(&self) -> Result<Option<Bytes>, Error> {
        self.frames.take()
    }
}
