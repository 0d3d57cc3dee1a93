//! A question to the running broker, for watchdogs.

use crate::hub::Hub;
use crate::sync::Mutex;
use std::sync::{Arc, Weak};

/// Finds out whether a [`Server`](crate::Server) still answers, from [`Server::probe`](crate::Server::probe). A clone asks
/// the same server.
#[derive(Clone, Debug)]
pub struct Probe(Arc<Mutex<Weak<Hub>>>);

impl Probe {
    pub(crate) fn new() -> Probe {
        Probe(Arc::new(Mutex::new(Weak::new())))
    }

    /// The broker that is asked from now on.
    pub(crate) fn follow(&self, hub: &Arc<Hub>) {
        *self.0.lock() = Arc::downgrade(hub);
    }

    /// Reads the broker's totals, under the lock that every message passes: returns within milliseconds, or never if a task
    /// does not give the lock back. Returns false after a panic has stopped the broker, true before it runs and after it has ended.
    #[must_use]
    pub fn answers(&self) -> bool {
        // The lock of the probe is given back first: another probe is not to wait for ours.
        let hub = self.0.lock().upgrade();
        hub.is_none_or(|hub| {
            let _ = hub.totals();
            !hub.has_failed()
        })
    }
}
