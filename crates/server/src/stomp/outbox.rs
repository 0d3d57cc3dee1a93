//! Frames that are to be written to one peer.

mod ahead;
mod cut;
mod entry;

use super::StompError;
use super::destination;
use super::framing::Framing;
pub(crate) use ahead::AllAhead;
use ahead::{AHEAD, Ahead};
use bytes::Bytes;
pub(crate) use entry::Entry;
use std::collections::VecDeque;
use std::io::{IoSlice, Write};
use std::sync::Arc;
use switchboard_broker::{Batch, Kind, SubscriptionId};
use switchboard_wire::stomp::{FrameWriter, Version};

/// Bytes of a length before each message of a packed buffer.
const PREFIX: usize = Batch::PREFIX;

/// A body above this size, in bytes, is written from where it is.
const COPIED: usize = 4 << 10;

/// Bytes of a frame beside its common lines and its body: what names and measures it. Longer names only take a little more
/// room.
const AROUND: usize = 80;

/// A frame that was made: how long it is, and the packed bytes that it stands for.
#[derive(Debug)]
struct Mark {
    wire: usize,
    packed: usize,
    tag: Option<u64>,
    /// Of a topic's message.
    topic_of: Option<SubscriptionId>,
}

/// Entries become frames shortly before they are written. [`Outbox::advance`] counts in the packed bytes of the broker's
/// credit, whatever the frames take.
#[derive(Debug)]
pub(crate) struct Outbox {
    connection: u64,
    version: Version,
    framing: Framing,
    /// Goes first, at the end of a frame. The first bytes of it may be written.
    control: Vec<u8>,
    control_written: usize,
    /// Receipts in it, and those that are written: how many, and their packed bytes.
    receipts: (usize, usize),
    receipts_written: (usize, usize),
    entries: VecDeque<Entry>,
    /// Of the first entry: how many bytes of its batch are frames already, and how many messages; its common header lines,
    /// and what its messages' names begin with.
    made: (usize, u64),
    lines: Vec<u8>,
    names: Vec<u8>,
    /// Frames, in pieces. The first bytes of the first are written.
    pieces: VecDeque<Bytes>,
    written: usize,
    /// Bytes of frames at the last write that found no room.
    stalled: Ahead,
    /// Frames are made until so many bytes wait.
    ahead: usize,
    marks: VecDeque<Mark>,
    /// Of the first mark: bytes that are written, and packed bytes that are credited.
    begun: usize,
    credited: usize,
    /// Messages without a tag so far.
    untagged: u64,
    has_failed: bool,
}

impl Outbox {
    pub(crate) fn new(connection: u64, framing: Framing, all: Arc<AllAhead>) -> Outbox {
        Outbox {
            connection,
            version: Version::V1_0,
            framing,
            control: Vec::new(),
            control_written: 0,
            receipts: (0, 0),
            receipts_written: (0, 0),
            entries: VecDeque::new(),
            made: (0, 0),
            lines: Vec::new(),
            names: Vec::new(),
            pieces: VecDeque::new(),
            written: 0,
            stalled: Ahead::new(all),
            ahead: AHEAD,
            marks: VecDeque::new(),
            begun: 0,
            credited: 0,
            untagged: 0,
            has_failed: false,
        }
    }

    /// Whether nothing waits to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_idle() && self.framing.is_idle()
    }

    /// The same, where what belongs to WebSocket alone does not count.
    fn is_idle(&self) -> bool {
        self.control.is_empty() && self.entries.is_empty() && self.marks.is_empty()
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        if let Entry::WebSocket(signal) = entry {
            return self.framing.signal(if self.has_failed { signal.after_error() } else { signal });
        }
        if self.has_failed || self.framing.is_closed() {
            // It is never credited: what is a queue's goes to others.
            return;
        }
        let begin = self.control.len();
        match entry {
            Entry::Connected(version, frame) => {
                self.version = version;
                self.control.extend_from_slice(&frame);
                self.framing.wrap(&mut self.control, begin, &[]);
            }
            Entry::Beat => {
                if self.is_idle() {
                    self.control.push(b'\n');
                    self.framing.wrap(&mut self.control, begin, &[]);
                }
            }
            Entry::Receipts(batch) => {
                if let Some(error) = StompError::of_receipt(&batch) {
                    error.write(self.version, &mut self.control);
                    self.framing.wrap(&mut self.control, begin, &[]);
                } else {
                    for receipt in batch.iter() {
                        let begin = self.control.len();
                        let frame = FrameWriter::new(b"RECEIPT", self.version, &mut self.control);
                        frame.header(b"receipt-id", receipt).end();
                        self.framing.wrap(&mut self.control, begin, &[]);
                    }
                }
                self.receipts = (self.receipts.0 + batch.len(), self.receipts.1 + batch.bytes());
            }
            Entry::Rejected(batch, reason, bytes) => {
                for receipt in batch.iter() {
                    let begin = self.control.len();
                    StompError::rejected(reason.clone(), receipt).write(self.version, &mut self.control);
                    self.framing.wrap(&mut self.control, begin, &[]);
                }
                self.receipts = (self.receipts.0 + batch.len(), self.receipts.1 + bytes);
            }
            Entry::Error(error) => {
                self.has_failed = true;
                self.cut();
                self.entries = VecDeque::new();
                error.write(self.version, &mut self.control);
                self.framing.wrap(&mut self.control, begin, &[]);
            }
            Entry::Ended(subscription) => self.end(subscription),
            entry => self.entries.push_back(entry),
        }
    }

    /// The receipts that were written since the last call: how many, and their packed bytes.
    pub(crate) fn take_receipts(&mut self) -> (usize, usize) {
        std::mem::take(&mut self.receipts_written)
    }

    /// Makes frames of what waits, and gives the packed bytes that are to be credited although nothing is written for them.
    pub(crate) fn prepare(&mut self) -> usize {
        let is_over = self.is_idle();
        self.framing.prepare(&mut self.control, is_over);
        let mut wire: usize = self.pieces.iter().map(Bytes::len).sum();
        let mut open = Vec::new();
        self.ahead = self.stalled.most_ahead();
        while wire < self.ahead
            && let Some(entry) = self.entries.pop_front()
        {
            wire += self.make(&entry, self.ahead - wire, &mut open);
            if self.made.0 < entry.packed() {
                self.entries.push_front(entry);
            } else {
                self.made = (0, 0);
                self.lines.clear();
            }
        }
        self.close(&mut open);
        self.advance(0)
    }

    /// Makes frames of an entry until they have so many bytes, and gives how many they have.
    fn make(&mut self, entry: &Entry, most: usize, open: &mut Vec<u8>) -> usize {
        let mut wire = 0;
        match entry {
            Entry::Messages { batch, .. } => {
                while wire < most && self.made.0 < batch.bytes() {
                    wire += self.make_message(entry, batch, open);
                }
            }
            &Entry::Skipped(packed) => {
                self.made.0 = packed;
                self.marks.push_back(Mark { wire: 0, packed, tag: None, topic_of: None });
            }
            // They never wait here.
            _ => {}
        }
        wire
    }

    fn make_message(&mut self, entry: &Entry, batch: &Batch, open: &mut Vec<u8>) -> usize {
        let Entry::Messages { subscription: (id, line), channel, headers, tag, redelivered, .. } = entry else {
            unreachable!("only messages are asked for");
        };
        let attributes = batch.attributes();
        let shared = headers.as_ref().zip(attributes);
        let shared = shared.and_then(|(lines, attributes)| lines.of(&attributes.headers, self.version));
        let topic_of = (Kind::of(channel) == Kind::Topic).then_some(*id);
        let (at, index) = self.made;
        if index == 0 {
            let lines = &mut self.lines;
            let shown = destination::shown(channel, batch.attributes().map(|attributes| &**attributes));
            let frame = FrameWriter::new(b"MESSAGE", self.version, lines).lines(line).header(b"destination", &shown);
            let mut frame = if *redelivered { frame.header(b"redelivered", b"true") } else { frame };
            let own = attributes.filter(|_| shared.is_none());
            for (name, value) in own.iter().flat_map(|attributes| attributes.headers.iter()) {
                frame = frame.header(name, value);
            }
            let _ = frame;
            self.names.clear();
            let untagged = if tag.is_none() { "t" } else { "" };
            let _ = write!(self.names, "{}-{}-{untagged}", self.connection, id.0);
        }
        let packed = batch.packed();
        let length = packed[at..].first_chunk::<PREFIX>().map_or(0, |prefix| u32::from_be_bytes(*prefix) as usize);
        let body = at + PREFIX..at + PREFIX + length;
        let begin = open.len();
        let tag = tag.map(|tag| tag + index);
        let number = tag.unwrap_or_else(|| {
            self.untagged += 1;
            self.untagged
        });
        // A piece that ends with this head keeps all of its room while it waits, so it gets no more than it needs.
        let is_apart = shared.is_some() || length > COPIED;
        if open.capacity() - begin < self.lines.len() + AROUND + if is_apart { 0 } else { length } {
            let head = self.lines.len() + AROUND;
            // Of a few frames no more than they take, but for the last.
            let most = if self.ahead < AHEAD { self.ahead + head + length } else { usize::MAX };
            open.reserve(if is_apart { head } else { room_for(batch, self.made, self.lines.len()).min(most) });
        }
        let frame = FrameWriter::resume(self.version, open).lines(&self.lines);
        let mut frame = frame.numbered(b"message-id", &self.names, number);
        if self.version >= Version::V1_2 {
            frame = frame.numbered(b"ack", &self.names, number);
        }
        // Behind headers that are shared, the rest begins a piece of its own.
        let mut rest = Vec::new();
        if shared.is_some() {
            frame = FrameWriter::resume(self.version, &mut rest);
        }
        let large: &[u8] = if length > COPIED { &packed[body.clone()] } else { &[] };
        if large.is_empty() {
            frame.body(&packed[body.clone()]);
        } else {
            frame.body_follows(length);
        }
        let end: &[u8] = if large.is_empty() { &[] } else { &[0] };
        let behind = [shared.as_deref().unwrap_or_default(), &rest, large, end];
        self.framing.wrap(open, begin, &behind);
        let wire = open.len() - begin + behind.iter().map(|part| part.len()).sum::<usize>();
        if let Some(shared) = shared {
            self.close(open);
            self.pieces.push_back(shared);
            *open = rest;
        }
        if length > COPIED {
            self.close(open);
            self.pieces.push_back(packed.slice(body));
            open.push(0);
        }
        self.made = (at + PREFIX + length, index + 1);
        self.marks.push_back(Mark { wire, packed: PREFIX + length, tag, topic_of });
        wire
    }

    fn close(&mut self, open: &mut Vec<u8>) {
        if !open.is_empty() {
            self.pieces.push_back(std::mem::take(open).into());
        }
    }

    /// Whether the control lane is next: at the end of a frame only.
    fn is_control_next(&self) -> bool {
        !self.control.is_empty() && self.begun == 0
    }

    /// Puts what is to be written next into `slices`, and says how many of them it took. [`Outbox::prepare`] comes before.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        if self.is_control_next() {
            slices[0] = IoSlice::new(&self.control[self.control_written..]);
            return 1;
        }
        // The control lane waits for the end of the frame that was begun.
        let is_cut = !self.control.is_empty();
        let mut left = match self.marks.front() {
            Some(first) if is_cut => first.wire - self.begun,
            _ => usize::MAX,
        };
        let mut used = 0;
        for (slot, piece) in slices.iter_mut().zip(&self.pieces) {
            let piece = if used == 0 { &piece[self.written..] } else { &piece[..] };
            let piece = &piece[..piece.len().min(left)];
            left -= piece.len();
            *slot = IoSlice::new(piece);
            used += 1;
            if left == 0 {
                break;
            }
        }
        used
    }

    /// So many further bytes are written. Gives the packed bytes that are to be credited.
    pub(crate) fn advance(&mut self, bytes: usize) -> usize {
        if bytes > 0 && self.is_control_next() {
            self.control_written += bytes;
            if self.control_written == self.control.len() {
                (self.control, self.control_written) = (Vec::new(), 0);
                let (receipts, bytes) = std::mem::take(&mut self.receipts);
                self.receipts_written.0 += receipts;
                self.receipts_written.1 += bytes;
            }
            return 0;
        }
        self.advance_pieces(bytes);
        let (mut rest, mut credit) = (bytes, 0);
        while let Some(first) = self.marks.front() {
            let left = first.wire - self.begun;
            if rest < left {
                self.begun += rest;
                // The last packed byte stands for the last byte of the frame.
                let due = self.begun.min(first.packed.saturating_sub(1)).max(self.credited);
                credit += due - self.credited;
                self.credited = due;
                break;
            }
            rest -= left;
            credit += first.packed - self.credited;
            (self.begun, self.credited) = (0, 0);
            self.marks.pop_front();
        }
        if self.marks.is_empty() && self.entries.is_empty() {
            // A burst must not leave its bookkeeping behind with an idle connection.
            (self.marks, self.entries, self.pieces) = Default::default();
            (self.lines, self.names) = Default::default();
        }
        credit
    }

    /// The socket has no room: what was made waits.
    pub(crate) fn stall(&mut self) {
        let wire: usize = self.pieces.iter().map(Bytes::len).sum();
        self.stalled.set(wire.min(AHEAD));
    }

    fn advance_pieces(&mut self, bytes: usize) {
        if bytes > 0 {
            self.stalled.set(0);
        }
        self.written += bytes;
        while let Some(first) = self.pieces.front()
            && self.written >= first.len()
        {
            self.written -= first.len();
            self.pieces.pop_front();
        }
    }
}

/// Room for the frames of what is left of a batch, as far as they are made ahead.
fn room_for(batch: &Batch, (at, index): (usize, u64), lines: usize) -> usize {
    let messages = batch.len().saturating_sub(usize::try_from(index).unwrap_or(usize::MAX));
    let frames = (batch.bytes() - at).saturating_add(messages.saturating_mul(lines + AROUND));
    // The last one made may go beyond.
    frames.min(AHEAD + COPIED + lines + AROUND)
}

#[cfg(test)]
mod tests;
