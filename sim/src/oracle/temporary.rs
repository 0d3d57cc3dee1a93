//! Temporary queues: each ends with the connection that owns it, and what is published to it later is rejected.

use super::{Checked, Oracle, promise};

impl Oracle {
    /// The connection that a temporary queue ends with.
    pub(super) fn owner_of(name: &[u8]) -> Option<u64> {
        let rest = std::str::from_utf8(name).ok()?.strip_prefix("/queue/temp/")?;
        rest.split('/').next()?.parse().ok()
    }

    /// Whether a connection is refused to consume a queue, which is another's.
    pub(super) fn is_foreign(id: u64, name: &[u8]) -> bool {
        Oracle::owner_of(name).is_some_and(|owner| owner != id)
    }

    /// A message to a temporary queue is rejected only once its connection is gone.
    pub(super) fn check_is_gone(&self, name: &str) -> Checked {
        let owner = Oracle::owner_of(name.as_bytes());
        let link = owner.and_then(|owner| self.links.get(&owner));
        promise!(owner.is_some() && link.is_none_or(|link| link.gone), "{name} is said to have ended, and has not");
        Ok(())
    }

    /// The temporary queues of a connection end, which is gone: what waits is dropped, and what comes back.
    pub(super) fn end_temporary(&mut self, id: u64) {
        let is_own = |name: &&&str| Oracle::owner_of(name.as_bytes()) == Some(id);
        let own: Vec<&'static str> = self.channels.keys().filter(is_own).copied().collect();
        own.into_iter().for_each(|name| self.end_queue(name));
    }
}
