//! Temporary queues: each belongs to the connection in its name, and ends with it.

use super::Broker;
use super::channel::Channel;
use super::connection::Phase;
use crate::Refusal;
use crate::list::Link;
use crate::name::{is_temporary, owner_of};
use crate::slots::{ChannelSlot, ConnectionSlot};

fn owned(channel: &mut Channel) -> &mut Link<ChannelSlot> {
    &mut channel.owned
}

impl Broker {
    /// The connection that a channel of this name is to end with, if it is a temporary queue's. Fails if that is not there.
    pub(super) fn owner_of(&self, name: &[u8]) -> Result<Option<ConnectionSlot>, Refusal> {
        if !is_temporary(name) {
            return Ok(None);
        }
        owner_of(name).and_then(|owner| self.ids.get(&owner).copied()).map(Some).ok_or(Refusal::Ended)
    }

    /// Whether a connection may subscribe to this name or pattern.
    pub(super) fn may_subscribe(&self, slot: ConnectionSlot, pattern: &[u8]) -> bool {
        !is_temporary(pattern) || owner_of(pattern) == Some(self.connections[slot].id)
    }

    /// Adds a temporary queue to those of its owner.
    pub(super) fn add_to_owner(&mut self, slot: ChannelSlot) {
        let Some(owner) = self.channels[slot].owner else { return };
        let mut list = self.connections[owner].temporary;
        list.push_back(self.channels.quietly(), slot, owned);
        self.connections.quietly().row(owner).temporary = list;
    }

    /// Takes a temporary queue out of those of its owner.
    pub(super) fn remove_from_owner(&mut self, slot: ChannelSlot) {
        let Some(owner) = self.channels[slot].owner else { return };
        let mut list = self.connections[owner].temporary;
        list.remove(self.channels.quietly(), slot, owned);
        self.connections.edit(owner).temporary = list;
    }

    /// Ends the temporary queues of a connection that is gone, some a step.
    pub(super) fn end_temporary(&mut self, slot: ConnectionSlot) {
        debug_assert_eq!(self.connections[slot].phase, Phase::Gone);
        while let Some(queue) = self.connections[slot].temporary.first {
            if !self.spend(8) {
                self.connections.edit(slot);
                return;
            }
            self.end_queue(queue);
        }
    }
}
