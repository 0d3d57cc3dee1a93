use super::{Outbox, PipeId};
use std::task::Waker;

/// A flush: for each pipe, the number of its messages that must be written.
#[derive(Debug)]
pub(crate) struct FlushTarget(Vec<(PipeId, u64, u64)>);

impl Outbox {
    /// Everything that was accepted so far.
    pub(crate) fn flush_target(&self) -> FlushTarget {
        let pipes = self.pipes.iter().filter(|(_, pipe)| pipe.unwritten() > 0);
        FlushTarget(pipes.map(|(id, pipe)| (id, pipe.serial, pipe.added)).collect())
    }

    /// Returns true when it is written, or its peer is gone for good.
    pub(crate) fn is_flushed(&self, target: &mut FlushTarget) -> bool {
        target.0.retain(|(id, serial, added)| {
            let pipe = self.pipes.get(*id).filter(|pipe| pipe.serial == *serial);
            pipe.is_some_and(|pipe| pipe.added - (pipe.unwritten() as u64) < *added)
        });
        target.0.is_empty()
    }

    /// Returns the flushes to wake after a write.
    pub(crate) fn flushers_to_wake(&self) -> Vec<Waker> {
        self.flushers.all()
    }
}
