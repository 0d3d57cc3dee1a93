use super::{Outbox, PipeId};

/// A peer's subscriptions need more memory than it may have.
#[derive(Debug, thiserror::Error)]
#[error("the peer's subscriptions take {bytes} bytes, over the limit of {limit} bytes (max_subscriptions)")]
pub(crate) struct TooManySubscriptions {
    bytes: usize,
    limit: usize,
}

/// Approximate cost of a subscription besides its prefix: an entry of its pipe, and up to two nodes of the tree.
pub(crate) const OVERHEAD: usize = 256;

/// The result of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subscribed {
    /// The peer is the first to this prefix.
    First,
    /// Other peers have subscribed to it.
    Joined,
    /// The peer had subscribed to it already.
    Repeated,
}

impl Outbox {
    /// A peer subscribes.
    pub(crate) fn subscribe(
        &mut self,
        id: PipeId,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Subscribed, TooManySubscriptions> {
        let pipe = self.pipes.expect(id);
        if pipe.prefixes.contains_key(prefix) {
            return Ok(Subscribed::Repeated);
        }
        let bytes = pipe.prefixes_bytes + prefix.len() + OVERHEAD;
        if bytes > limit {
            return Err(TooManySubscriptions { bytes, limit });
        }
        pipe.prefixes_bytes = bytes;
        let ids = self.subscribers.get_or_insert_with(prefix, Vec::new);
        pipe.prefixes.insert(prefix.into(), ids.len());
        ids.push(id);
        Ok(if ids.len() == 1 { Subscribed::First } else { Subscribed::Joined })
    }

    /// A peer unsubscribes. `Some(true)` if nobody is subscribed to this prefix any more, `None` if it had not subscribed.
    pub(crate) fn unsubscribe(&mut self, id: PipeId, prefix: &[u8]) -> Option<bool> {
        self.step();
        let pipe = self.pipes.expect(id);
        let at = pipe.prefixes.remove(prefix)?;
        pipe.prefixes_bytes -= prefix.len() + OVERHEAD;
        let ids = self.subscribers.get_mut(prefix).expect("a prefix of a pipe has subscribers");
        ids.swap_remove(at);
        if let Some(&moved) = ids.get(at) {
            *self.pipes.expect(moved).prefixes.get_mut(prefix).expect("it has subscribed") = at;
        }
        let last = ids.is_empty();
        if last {
            self.subscribers.remove(prefix);
        }
        Some(last)
    }

    /// A peer unsubscribes from everything. Returns the prefixes that nobody is subscribed to any more.
    pub(crate) fn unsubscribe_all(&mut self, id: PipeId) -> Vec<Box<[u8]>> {
        let prefixes: Vec<_> = self.pipes.expect(id).prefixes.keys().cloned().collect();
        prefixes.into_iter().filter(|prefix| self.unsubscribe(id, prefix) == Some(true)).collect()
    }
}
