//! Output on its way to a socket, in whichever protocol.

use crate::outbox::Outbox;
use crate::stomp;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::IoSlice;

/// Output that was added, and is not in the outbox yet.
#[derive(Debug)]
pub(crate) enum Incoming {
    Packed(Bytes),
    Stomp(Box<stomp::Entry>),
}

/// A connection's encoder, and what waits in it. Credit counts packed bytes, whatever the protocol writes.
#[derive(Debug)]
pub(crate) struct Writer {
    encoder: Encoder,
    is_closed: bool,
}

#[derive(Debug)]
enum Encoder {
    Native(Outbox),
    Stomp(Box<stomp::Outbox>),
}

impl Default for Writer {
    fn default() -> Writer {
        Writer { encoder: Encoder::Native(Outbox::default()), is_closed: false }
    }
}

impl Writer {
    /// STOMP is spoken from now on.
    pub(crate) fn speak(&mut self, outbox: stomp::Outbox) {
        if !self.is_closed {
            self.encoder = Encoder::Stomp(Box::new(outbox));
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Nothing is written from now on.
    pub(crate) fn close(&mut self) {
        *self = Writer { is_closed: true, ..Writer::default() };
    }

    pub(crate) fn is_empty(&self) -> bool {
        match &self.encoder {
            Encoder::Native(outbox) => outbox.is_empty(),
            Encoder::Stomp(outbox) => outbox.is_empty(),
        }
    }

    pub(crate) fn push(&mut self, added: Incoming) {
        match (added, &mut self.encoder) {
            (Incoming::Packed(packed), Encoder::Native(outbox)) => outbox.push(packed),
            (Incoming::Stomp(entry), Encoder::Stomp(outbox)) => outbox.push(*entry),
            // After the writer was closed.
            (Incoming::Packed(_), Encoder::Stomp(_)) | (Incoming::Stomp(_), Encoder::Native(_)) => {}
        }
    }

    /// Encodes what comes next. Gives packed bytes that are to be credited although nothing is written for them.
    pub(crate) fn prepare(&mut self) -> usize {
        match &mut self.encoder {
            Encoder::Native(_) => 0,
            Encoder::Stomp(outbox) => outbox.prepare(),
        }
    }

    /// Puts what is to be written next into `slices`, and says how many of them it took.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match &self.encoder {
            Encoder::Native(outbox) => outbox.slices(slices),
            Encoder::Stomp(outbox) => outbox.slices(slices),
        }
    }

    /// So many further bytes are written. Gives the packed bytes that are to be credited.
    pub(crate) fn advance(&mut self, bytes: usize) -> usize {
        match &mut self.encoder {
            Encoder::Native(outbox) => {
                outbox.advance(bytes);
                bytes
            }
            Encoder::Stomp(outbox) => outbox.advance(bytes),
        }
    }

    /// The socket has no room.
    pub(crate) fn stall(&mut self) {
        if let Encoder::Stomp(outbox) = &mut self.encoder {
            outbox.stall();
        }
    }

    /// The receipts that were written since the last call: how many, and their packed bytes.
    pub(crate) fn take_receipts(&mut self) -> (usize, usize) {
        match &mut self.encoder {
            Encoder::Native(_) => (0, 0),
            Encoder::Stomp(outbox) => outbox.take_receipts(),
        }
    }

    /// Forgets what was not begun. Gives the packed bytes that are still to be credited, and the first tag that is forgotten.
    pub(crate) fn recall(&mut self) -> (usize, Option<u64>) {
        match &mut self.encoder {
            Encoder::Native(outbox) => (outbox.recall(), None),
            Encoder::Stomp(outbox) => outbox.recall(),
        }
    }

    /// The packed bytes left of a message that was begun, once nothing but an ERROR comes behind it, and no queue waits for
    /// them.
    pub(crate) fn left_before_error(&self) -> Option<usize> {
        match &self.encoder {
            Encoder::Native(_) => None,
            Encoder::Stomp(outbox) => outbox.left_before_error(),
        }
    }
}

/// Ends of writes: in bytes of the socket, and in packed bytes.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    ends: VecDeque<(u64, u64)>,
    /// Packed bytes whose frames are known to be acknowledged.
    acknowledged: u64,
}

/// Writes that are told apart, until the peer's machine has acknowledged them.
const MARKS: usize = 64;

impl Marks {
    pub(crate) fn push(&mut self, wire: u64, packed: u64) {
        if self.ends.len() >= MARKS {
            // Both are known to be acknowledged a little later.
            self.ends.pop_back();
        }
        self.ends.push_back((wire, packed));
    }

    /// So many bytes of the socket are acknowledged: gives how many packed bytes are.
    pub(crate) fn acknowledge(&mut self, wire: u64) -> u64 {
        while let Some((_, packed)) = self.ends.pop_front_if(|(end, _)| *end <= wire) {
            self.acknowledged = packed;
        }
        self.acknowledged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_bytes_are_acknowledged_with_the_last_byte_of_their_write() {
        let mut marks = Marks::default();
        marks.push(100, 40);
        marks.push(130, 60);
        assert_eq!((marks.acknowledge(99), marks.acknowledge(100), marks.acknowledge(129)), (0, 40, 40));
        assert_eq!((marks.acknowledge(130), marks.acknowledge(1000)), (60, 60));
    }

    #[test]
    fn writes_beyond_the_bound_are_acknowledged_later_and_never_early() {
        let mut marks = Marks::default();
        for write in 1..=1000 {
            marks.push(write * 10, write);
        }
        assert_eq!(marks.ends.len(), MARKS);
        assert_eq!(marks.acknowledge(630), 63);
        assert_eq!(marks.acknowledge(9_999), 63);
        assert_eq!(marks.acknowledge(10_000), 1000);
    }
}
