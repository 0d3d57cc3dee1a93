//! The beginning of a frame or pair that is not whole yet, and the memory that is reserved for it.

use super::Session;
use switchboard_broker::Command;

/// A buffer up to this size, in bytes, belongs to the fixed charge of a connection and is not reserved.
pub(super) const UNCHARGED: usize = 512;

impl Session {
    /// The buffer for the next bytes, if something was begun. It grows only here, so that a peer whose
    /// [`Command::Reserve`] waits for memory, and that is thus not read, costs nothing. It is never longer than
    /// what has come already, apart from a first few bytes: an announced length alone takes no memory.
    pub fn spare(&mut self) -> &mut [u8] {
        self.extend_tail(self.room);
        &mut self.tail[self.filled..self.room]
    }

    /// So many bytes were put at the beginning of [`Session::spare`].
    pub fn filled(&mut self, bytes: usize) {
        self.filled += bytes;
        debug_assert!(self.filled <= self.room);
    }

    pub(super) fn begin_tail(&mut self, input: &[u8], need: usize, commands: &mut Vec<Command>) {
        if !input.is_empty() {
            self.need = need;
            self.keep(input);
            self.reserve_ahead(commands);
        }
    }

    pub(super) fn set_need(&mut self, need: usize, commands: &mut Vec<Command>) {
        self.need = need;
        self.reserve_ahead(commands);
    }

    /// Makes room for as much again as has come, once that has no room left: the copies of a growing tail stay
    /// below twice its size, and what a peer announces costs it as much as it costs us.
    pub(super) fn reserve_ahead(&mut self, commands: &mut Vec<Command>) {
        if self.filled < self.room {
            return;
        }
        self.room = self.need.min(self.filled.saturating_mul(2).max(UNCHARGED));
        if self.room > UNCHARGED {
            self.reserve(self.room, self.need, commands);
        }
    }

    pub(super) fn reserve(&mut self, bytes: usize, whole: usize, commands: &mut Vec<Command>) {
        self.reserved = true;
        commands.push(Command::Reserve { bytes, whole });
    }

    pub(super) fn keep(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        self.extend_tail(end.max(self.need.min(UNCHARGED)));
        self.tail[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
    }

    /// Exactly as long: what is charged is what is there, and a whole tail can be handed on without a copy.
    fn extend_tail(&mut self, length: usize) {
        if self.tail.len() < length {
            self.tail.reserve_exact(length - self.tail.len());
            self.tail.resize(length, 0);
        }
    }

    pub(super) fn end_tail(&mut self, commands: &mut Vec<Command>) {
        (self.filled, self.need, self.room) = (0, 0, 0);
        if std::mem::take(&mut self.reserved) {
            commands.push(Command::Reserve { bytes: 0, whole: 0 });
        }
    }
}
