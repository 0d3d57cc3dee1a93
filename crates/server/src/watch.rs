//! Connections whose peer's machine owes an acknowledgement, and a slow timer that asks for it.

use crate::dirty::Dirty;
use crate::handle::{CloseMode, ConnectionHandle};
use crate::hub::Hub;
use crate::slice::Slice;
use crate::sync::{Mutex, Notify};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Interval of asking the kernel. Acknowledged bytes are known, and their memory free, up to this much later.
const PERIOD: Duration = Duration::from_millis(250);

/// Connections whose peer's machine owes an acknowledgement.
#[derive(Debug)]
pub(crate) struct Watch {
    connections: Mutex<Vec<Watched>>,
    added: Notify,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Watched {
    handle: Weak<ConnectionHandle>,
    /// Whether the last look found the peer's machine silent for too long.
    is_suspect: bool,
}

impl Watch {
    pub(crate) fn new() -> Watch {
        Watch { connections: Mutex::new(Vec::new()), added: Notify::new() }
    }

    /// Looks after the connection until nothing of what was written to it is unacknowledged.
    pub(crate) fn add(&self, handle: &Arc<ConnectionHandle>) {
        if handle.begin_watch() {
            let mut connections = self.connections.lock();
            connections.push(Watched::new(handle));
            if connections.len() == 1 {
                self.added.notify_one();
            }
        }
    }

    /// All that are watched now.
    pub(crate) fn take(&self) -> Vec<Watched> {
        std::mem::take(&mut *self.connections.lock())
    }

    /// Asks what was acknowledged, and puts the connection back if something is missing.
    pub(crate) fn look_at(&self, mut watched: Watched, limit: Duration, dirty: &mut Dirty) {
        let Some(handle) = watched.handle.upgrade() else { return };
        if watched.look(&handle, limit, dirty) {
            return self.connections.lock().push(watched);
        }
        handle.end_watch();
        // Written between the look and now: its writer found it watched.
        if handle.closing().is_none() && handle.unacknowledged() > 0 {
            self.add(&handle);
        }
    }

    /// Asks for ever. A connection whose peer's machine has not answered for `limit` ends; 0 is no limit.
    ///
    /// The kernel's own TCP_USER_TIMEOUT would end a living peer that does not read, too: it counts from the first
    /// window probe on, whether that is answered or not.
    pub(crate) async fn run(hub: Arc<Hub>, limit: Duration) {
        loop {
            if hub.watch().connections.lock().is_empty() {
                hub.watch().added.notified().await;
            }
            tokio::time::sleep(PERIOD).await;
            let mut dirty = Dirty::default();
            let mut slice = Slice::begin();
            for watched in hub.watch().take() {
                hub.watch().look_at(watched, limit, &mut dirty);
                while slice.is_over() || !hub.pump(&mut dirty, &slice) {
                    tokio::task::yield_now().await;
                    slice = Slice::begin();
                }
            }
        }
    }
}

impl Watched {
    pub(crate) fn new(handle: &Arc<ConnectionHandle>) -> Watched {
        Watched { handle: Arc::downgrade(handle), is_suspect: false }
    }

    /// Returns whether to look again.
    pub(crate) fn look(&mut self, handle: &Arc<ConnectionHandle>, limit: Duration, dirty: &mut Dirty) -> bool {
        let Some(transport) = handle.sample() else { return false };
        if handle.owes_credit() {
            dirty.uncredited.push(handle.clone());
        }
        if handle.unacknowledged() == 0 {
            return false;
        }
        // Twice: a probe that was sent this moment has no answer yet, and the one before it may be long ago.
        let was_suspect = self.is_suspect;
        self.is_suspect = !limit.is_zero() && transport.is_unanswered && transport.silence >= limit;
        if was_suspect && self.is_suspect {
            handle.close(CloseMode::Vanished);
            return false;
        }
        true
    }
}
