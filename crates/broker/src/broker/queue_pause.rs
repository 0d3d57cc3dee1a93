//! Queues that an operator pauses: what is published waits, and nothing is handed out.

use super::Broker;
use crate::Time;
use crate::name::Kind;
use crate::slots::ChannelSlot;

impl Broker {
    /// Pauses a queue: nothing of it is handed out any more until [`Broker::resume_queue`]. Messages that wait in
    /// outboxes go back to it, in steps; what the drivers have is still written, and acks are taken. What is published
    /// waits, up to the queue's bounds. A paused queue is not forgotten. False if there is no such queue.
    pub fn pause_queue(&mut self, now: Time, name: &[u8]) -> bool {
        self.begin(now);
        let Some(slot) = self.find_queue(name) else { return false };
        let channel = self.channels.edit(slot);
        if !std::mem::replace(&mut channel.is_paused, true) {
            channel.returning += 1;
            channel.pauses = channel.everybody.first;
        }
        self.run_effects();
        true
    }

    /// A paused queue goes on. False if there is no such queue.
    pub fn resume_queue(&mut self, now: Time, name: &[u8]) -> bool {
        self.begin(now);
        let Some(slot) = self.find_queue(name) else { return false };
        let channel = self.channels.edit(slot);
        if std::mem::take(&mut channel.is_paused) {
            channel.returning -= 1;
            channel.pauses = None;
            let rank = channel.backlog.first_rank();
            rank.into_iter().for_each(|rank| self.note_rank(slot, rank));
            // Acks make room in it again, also those of its publishers.
            self.look_at_waiters(slot);
        }
        self.run_effects();
        true
    }

    pub(super) fn find_queue(&self, name: &[u8]) -> Option<ChannelSlot> {
        self.names.get(name).copied().filter(|&slot| self.channels[slot].kind == Kind::Queue)
    }
}
