use bytes::Bytes;
use std::collections::VecDeque;
use std::io::IoSlice;

/// Bytes of a length before each message of a packed buffer.
const PREFIX: usize = switchboard_broker::Batch::PREFIX;

/// Pending output to one peer: packed buffers, of which the first may be written in part.
/// No output is done here.
#[derive(Debug, Default)]
pub struct Outbox {
    buffers: VecDeque<Bytes>,
    /// Bytes written of the first buffer.
    written: usize,
}

impl Outbox {
    /// Whether nothing waits to be written.
    pub fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }

    /// Appends whole messages, each behind its length.
    pub fn push(&mut self, packed: Bytes) {
        if !packed.is_empty() {
            self.buffers.push_back(packed);
        }
    }

    /// Puts what is to be written next into `slices`, and says how many of them it took.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut used = 0;
        for (slot, buffer) in slices.iter_mut().zip(&self.buffers) {
            let skip = if used == 0 { self.written } else { 0 };
            *slot = IoSlice::new(&buffer[skip..]);
            used += 1;
        }
        used
    }

    /// So many further bytes are written.
    pub fn advance(&mut self, bytes: usize) {
        self.written += bytes;
        while let Some(front) = self.buffers.front() {
            if self.written < front.len() {
                return;
            }
            self.written -= front.len();
            self.buffers.pop_front();
        }
        debug_assert_eq!(self.written, 0, "more was written than there was");
        if self.buffers.capacity() > 64 {
            // A burst must not leave its bookkeeping behind with an idle connection.
            self.buffers = VecDeque::new();
        }
    }

    /// Forgets everything but the rest of a message that was begun, and says how long that is.
    pub fn recall(&mut self) -> usize {
        let front = self.buffers.pop_front();
        self.buffers = VecDeque::new();
        let Some(mut front) = front else { return 0 };
        let written = std::mem::take(&mut self.written);
        let end = message_end(&front, written);
        if end == written {
            return 0;
        }
        // From its beginning on, so that a second recall finds the bounds too.
        front.truncate(end);
        self.buffers.push_back(front);
        self.written = written;
        end - written
    }
}

/// The first message bound at or behind `position`.
fn message_end(packed: &[u8], position: usize) -> usize {
    let mut end = 0;
    while end < position {
        let Some(prefix) = packed[end..].first_chunk::<PREFIX>() else { return packed.len() };
        end += PREFIX + u32::from_be_bytes(*prefix) as usize;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchboard_broker::Batch;

    fn packed(bodies: &[&[u8]]) -> Bytes {
        let mut bytes = Vec::new();
        for body in bodies {
            bytes.extend_from_slice(Batch::one(body).packed());
        }
        bytes.into()
    }

    fn unwritten(outbox: &Outbox) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 8];
        let used = outbox.slices(&mut slices);
        slices[..used].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn everything_comes_out_in_order_however_it_is_cut() {
        let whole = [packed(&[b"a", b"", b"longer"]), packed(&[b"z"])].concat();
        for step in 1..=whole.len() {
            let mut outbox = Outbox::default();
            outbox.push(packed(&[b"a", b"", b"longer"]));
            outbox.push(packed(&[b"z"]));
            let mut got = Vec::new();
            while !outbox.is_empty() {
                let rest = unwritten(&outbox);
                let take = step.min(rest.len());
                got.extend_from_slice(&rest[..take]);
                outbox.advance(take);
            }
            assert_eq!(got, whole);
        }
    }

    #[test]
    fn a_recall_keeps_only_the_rest_of_what_was_begun() {
        // The bounds are at 0, 5, 9, 19 and, in the second buffer, 24.
        for (written, kept) in [(0, 0), (1, 4), (4, 1), (5, 0), (6, 3), (9, 0), (18, 1), (19, 0), (20, 4), (23, 1)] {
            let mut outbox = Outbox::default();
            outbox.push(packed(&[b"a", b"", b"longer"]));
            outbox.push(packed(&[b"z"]));
            let expected = unwritten(&outbox)[written..written + kept].to_vec();
            outbox.advance(written);
            assert_eq!(outbox.recall(), kept, "{written} written");
            assert_eq!(unwritten(&outbox), expected);
            outbox.advance(kept);
            assert!(outbox.is_empty());
            outbox.push(packed(&[b"new"]));
            assert_eq!(unwritten(&outbox), packed(&[b"new"]));
        }
    }

    #[test]
    fn a_second_recall_knows_that_the_rest_is_a_part() {
        let mut outbox = Outbox::default();
        outbox.push(packed(&[b"0123456789"]));
        outbox.advance(3);
        assert_eq!(outbox.recall(), 11);
        outbox.push(packed(&[b"next"]));
        assert_eq!(outbox.recall(), 11);
        outbox.advance(2);
        assert_eq!(outbox.recall(), 9);
    }
}
