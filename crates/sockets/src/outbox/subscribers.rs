use super::{Outbox, PipeId};

/// A peer's subscriptions need more memory than it may have.
#[derive(Debug, thiserror::Error)]
#[error("the peer's subscriptions take {bytes} bytes, over the limit of {limit} bytes (max_subscriptions)")]
pub(crate) struct TooManySubscriptions {
    bytes: usize,
    limit: usize,
}

/// What a subscription costs besides its prefix, roughly.
const EACH: usize = 64;

impl Outbox {
    /// A peer subscribes. `Some(true)` if it is the first to this prefix, `None` if it had subscribed to it already.
    pub(crate) fn subscribe(
        &mut self,
        id: PipeId,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Option<bool>, TooManySubscriptions> {
        let pipe = self.pipes[id].as_mut().expect("the pipe of a peer");
        if pipe.prefixes.contains(prefix) {
            return Ok(None);
        }
        let bytes = pipe.prefixes_bytes + prefix.len() + EACH;
        if bytes > limit {
            return Err(TooManySubscriptions { bytes, limit });
        }
        pipe.prefixes_bytes = bytes;
        pipe.prefixes.insert(prefix.into());
        let ids = self.subscribers.get_or_insert_with(prefix, Vec::new);
        ids.push(id);
        Ok(Some(ids.len() == 1))
    }

    /// A peer unsubscribes. `Some(true)` if nobody is subscribed to this prefix any more, `None` if it had not subscribed.
    pub(crate) fn unsubscribe(&mut self, id: PipeId, prefix: &[u8]) -> Option<bool> {
        let pipe = self.pipes[id].as_mut().expect("the pipe of a peer");
        if !pipe.prefixes.remove(prefix) {
            return None;
        }
        pipe.prefixes_bytes -= prefix.len() + EACH;
        let ids = self.subscribers.get_mut(prefix).expect("a prefix of a pipe has subscribers");
        ids.retain(|other| *other != id);
        let last = ids.is_empty();
        if last {
            self.subscribers.remove(prefix);
        }
        Some(last)
    }

    /// A peer unsubscribes from everything. Says which prefixes nobody is subscribed to any more.
    pub(crate) fn unsubscribe_all(&mut self, id: PipeId) -> Vec<Box<[u8]>> {
        let prefixes = self.pipes[id].as_ref().expect("the pipe of a peer").prefixes.clone();
        prefixes.into_iter().filter(|prefix| self.unsubscribe(id, prefix) == Some(true)).collect()
    }
}
