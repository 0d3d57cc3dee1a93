//! Connections whose peer's machine owes an acknowledgement, and a slow timer that asks for it.

use crate::dirty::Dirty;
use crate::handle::{CloseMode, ConnectionHandle};
use crate::hub::Hub;
use crate::slice::Slice;
use crate::sync::{Mutex, Notify};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the kernel is asked. What is acknowledged in between is only known, and its memory free, so much later.
const PERIOD: Duration = Duration::from_millis(250);

/// Connections whose peer's machine owes an acknowledgement.
#[derive(Debug)]
pub(crate) struct Watch {
    connections: Mutex<Vec<Watched>>,
    added: Notify,
}

#[derive(Debug)]
struct Watched {
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
            connections.push(Watched { handle: Arc::downgrade(handle), is_suspect: false });
            if connections.len() == 1 {
                self.added.notify_one();
            }
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
            let connections = std::mem::take(&mut *hub.watch().connections.lock());
            let mut dirty = Dirty::default();
            let mut slice = Slice::begin();
            for mut watched in connections {
                let Some(handle) = watched.handle.upgrade() else { continue };
                if watched.look(&handle, limit, &mut dirty) {
                    hub.watch().connections.lock().push(watched);
                } else {
                    handle.end_watch();
                    // Written between the look and now: its writer has seen it watched.
                    if handle.unacknowledged() > 0 {
                        hub.watch().add(&handle);
                    }
                }
                while slice.is_over() || !hub.pump(&mut dirty, &slice) {
                    tokio::task::yield_now().await;
                    slice = Slice::begin();
                }
            }
        }
    }
}

impl Watched {
    /// Returns whether to look again.
    fn look(&mut self, handle: &Arc<ConnectionHandle>, limit: Duration, dirty: &mut Dirty) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::scripted::Scripted;
    use crate::socket::{Origin, Socket};
    use switchboard_broker::ConnectionId;

    const LIMIT: Duration = Duration::from_secs(10);

    /// A consumer's connection to which 100 bytes are written.
    fn written() -> (Scripted, Arc<ConnectionHandle>, Watched) {
        let script = Scripted::default();
        let socket = Socket::Scripted(script.clone());
        let handle = Arc::new(ConnectionHandle::new(ConnectionId(1), Origin::Service("test"), socket));
        handle.set_consumes();
        handle.incoming(vec![0; 100].into());
        script.takes(&[Ok(100)]);
        handle.flush();
        let watched = Watched { handle: Arc::downgrade(&handle), is_suspect: false };
        (script, handle, watched)
    }

    #[test]
    fn a_machine_that_leaves_two_looks_unanswered_has_vanished() {
        let (script, handle, mut watched) = written();
        let mut dirty = Dirty::default();
        script.acknowledges(60, true, LIMIT);
        assert!(watched.look(&handle, LIMIT, &mut dirty));
        assert!(handle.closing().is_none());
        assert!(!watched.look(&handle, LIMIT, &mut dirty));
        assert!(matches!(handle.closing(), Some(CloseMode::Vanished)));
    }

    #[test]
    fn a_machine_that_answers_probes_has_not_vanished_however_long_its_program_takes_nothing() {
        let (script, handle, mut watched) = written();
        let mut dirty = Dirty::default();
        for look in 0..100 {
            // Now and then a probe has just been sent.
            script.acknowledges(60, look % 2 == 0, LIMIT * 10);
            assert!(watched.look(&handle, LIMIT, &mut dirty));
        }
        // Not long enough.
        script.acknowledges(60, true, LIMIT - Duration::from_millis(1));
        assert!(watched.look(&handle, LIMIT, &mut dirty));
        assert!(watched.look(&handle, LIMIT, &mut dirty));
        assert!(handle.closing().is_none());
    }

    #[test]
    fn without_a_limit_nobody_vanishes() {
        let (script, handle, mut watched) = written();
        script.acknowledges(60, true, Duration::MAX);
        for _ in 0..3 {
            assert!(watched.look(&handle, Duration::ZERO, &mut Dirty::default()));
        }
        assert!(handle.closing().is_none());
    }

    #[test]
    fn a_connection_is_watched_until_everything_is_acknowledged() {
        let (script, handle, mut watched) = written();
        handle.take_credit();
        for (acknowledged, more) in [(0, true), (99, true), (100, false)] {
            script.acknowledges(acknowledged, false, Duration::ZERO);
            let mut dirty = Dirty::default();
            assert_eq!(watched.look(&handle, LIMIT, &mut dirty), more, "{acknowledged} bytes");
            assert_eq!(dirty.uncredited.len(), usize::from(acknowledged > 0));
            handle.take_credit();
        }
    }
}
