//! Operators' view of single channels, and their actions on queues.

use super::Hub;
use crate::handle::CloseMode;
use bytes::Bytes;
use switchboard_broker::{
    Browse, BrowseQuery, ChannelStatus, ConnectionId, ConnectionStatus, MoveError, MoveOrder, Page, QueueStatus,
    Queues, StayReason,
};
use tokio::sync::oneshot;

/// The end of an order to move messages, as [`Event::Moved`](switchboard_broker::Event::Moved) tells it.
#[derive(Debug)]
pub(crate) struct MoveEnd {
    pub(crate) moved: usize,
    pub(crate) stayed: usize,
    pub(crate) reason: Option<Box<(Bytes, StayReason)>>,
}

/// The outcome of an order to close a connection.
#[derive(Debug)]
pub(crate) enum Kicked {
    /// It will end.
    Closing,
    /// It has left already, and only its last messages wait.
    Gone(Box<ConnectionStatus>),
    /// There is none of this number.
    Unknown,
}

impl Hub {
    /// Ends a connection, if there is such.
    pub(crate) fn kick(&self, id: ConnectionId) -> Kicked {
        let Some(locked) = self.lock() else { return Kicked::Unknown };
        if let Some(handle) = locked.handles.get(&id) {
            handle.close(CloseMode::Kicked);
            return Kicked::Closing;
        }
        locked.broker.gone(self.now(), id).map_or(Kicked::Unknown, |row| Kicked::Gone(Box::new(row)))
    }

    /// One channel, and what there is beside it of a queue; `None` if there is none of this name.
    pub(crate) fn channel(&self, name: &[u8]) -> Option<(ChannelStatus, Option<QueueStatus>)> {
        let locked = self.lock()?;
        let now = self.now();
        Some((locked.broker.channel(now, name)?, locked.broker.queue(now, name)))
    }

    /// Number of messages dropped; `None` if there is no such queue.
    pub(crate) fn purge(&self, name: &[u8]) -> Option<usize> {
        self.change(|state, now, dirty| {
            #[cfg(debug_assertions)]
            panic_if_asked(name);
            let purged = state.broker.purge(now, name);
            state.dispatch(now, dirty);
            purged
        })?
    }

    /// The queues of a page.
    pub(crate) fn queues(&self, page: Page) -> Queues {
        self.lock().map(|locked| locked.broker.queues(self.now(), page)).unwrap_or_default()
    }

    /// Messages that wait in a queue, which stay there; `None` if there is no such queue.
    pub(crate) fn browse(&self, name: &[u8], query: &BrowseQuery) -> Option<Browse> {
        let locked = self.lock()?;
        locked.broker.browse(self.now(), name, query)
    }

    /// Moves what waits in a queue, and tells when that is done; `None` if the books cannot be trusted.
    pub(crate) fn move_messages(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        most: usize,
    ) -> Option<Result<(MoveOrder, oneshot::Receiver<MoveEnd>), MoveError>> {
        self.change(|state, now, dirty| {
            let order = state.broker.move_messages(now, from, to, most)?;
            let (done, end) = oneshot::channel();
            state.moves.insert(order.number, done);
            state.dispatch(now, dirty);
            Ok((order, end))
        })
    }

    /// Pauses a queue, or lets it go on. False if there is no such queue.
    pub(crate) fn pause_queue(&self, name: &[u8], pauses: bool) -> bool {
        let is_there = self.change(|state, now, dirty| {
            let broker = &mut state.broker;
            let is_there = if pauses { broker.pause_queue(now, name) } else { broker.resume_queue(now, name) };
            state.dispatch(now, dirty);
            is_there
        });
        is_there.unwrap_or(false)
    }
}

/// Simulates a bug in the broker for the tests of the program: to purge the queue that the variable names panics. A release
/// has no such queue.
#[cfg(debug_assertions)]
fn panic_if_asked(name: &[u8]) {
    let asked = std::env::var_os("SWITCHBOARD_TEST_PANIC");
    assert!(asked.is_none_or(|asked| asked.as_encoded_bytes() != name), "a bug that a test asks for");
}
