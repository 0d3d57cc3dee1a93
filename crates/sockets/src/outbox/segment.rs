use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::IoSlice;
use switchboard_wire::zmtp::frame;

/// Bytes on their way out.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) bytes: Bytes,
    /// The number of messages that begin in it.
    pub(crate) messages: usize,
    /// It continues the message of the segment before it. Else a frame begins here.
    pub(crate) continues: bool,
    /// Commands belong to the connection, messages to the peer.
    pub(crate) command: bool,
}

impl Segment {
    pub(crate) fn command(bytes: Vec<u8>) -> Segment {
        Segment { bytes: bytes.into(), messages: 0, continues: false, command: true }
    }
}

/// The segments that a connection is writing. The first never continues another: the segment in which a message begins is kept until the
/// message is wholly written, so that it can be written again on another connection.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    segments: VecDeque<Segment>,
    /// The number of their bytes that are written.
    written: usize,
    /// All bytes of them.
    bytes: usize,
}

impl InFlight {
    pub(crate) fn push(&mut self, segment: Segment) {
        self.bytes += segment.bytes.len();
        self.segments.push_back(segment);
    }

    /// Returns true if everything is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == self.written
    }

    /// Returns the number of messages that are not wholly written.
    pub(crate) fn messages(&self) -> usize {
        self.segments.iter().map(|segment| segment.messages).sum()
    }

    /// Returns true if a command is not wholly written.
    pub(crate) fn has_command(&self) -> bool {
        self.segments.front().is_some_and(|first| first.command)
    }

    /// Fills `slices` with the next bytes to write; returns the number of filled ones.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let (mut skip, mut count) = (self.written, 0);
        for segment in &self.segments {
            if skip >= segment.bytes.len() {
                skip -= segment.bytes.len();
                continue;
            }
            let Some(slice) = slices.get_mut(count) else { break };
            *slice = IoSlice::new(&segment.bytes[skip..]);
            (skip, count) = (0, count + 1);
        }
        count
    }

    /// `written` more bytes were written.
    pub(crate) fn advance(&mut self, written: usize) {
        self.written += written;
        while !self.segments.is_empty() {
            // The segments of a message leave together.
            let whole = 1 + self.segments.iter().skip(1).take_while(|segment| segment.continues).count();
            let size: usize = self.segments.iter().take(whole).map(|segment| segment.bytes.len()).sum();
            if self.written < size {
                break;
            }
            self.segments.drain(..whole);
            self.written -= size;
            self.bytes -= size;
        }
    }

    /// The connection is gone: messages that were not wholly written are to be written from their first byte
    /// on, and commands not at all, because they belong to the connection.
    pub(crate) fn rewind(&mut self) {
        if self.segments.front().is_some_and(|first| first.command) {
            self.written = 0;
        }
        self.segments.retain(|segment| !segment.command);
        self.bytes = self.segments.iter().map(|segment| segment.bytes.len()).sum();
        let (mut start, mut messages) = (0, 0);
        while let Some(end) = self.end_of_message(start).filter(|end| *end <= self.written) {
            (start, messages) = (end, messages + 1);
        }
        // All of these are in the first segment, else it would not be here any more.
        if let Some(first) = self.segments.front_mut() {
            first.bytes.advance(start);
            first.messages -= messages;
            self.bytes -= start;
        }
        self.written = 0;
    }

    /// Returns the end of the message that begins at `start`.
    fn end_of_message(&self, mut start: usize) -> Option<usize> {
        loop {
            let mut at = start;
            let segment = self.segments.iter().find(|segment| {
                let inside = at < segment.bytes.len();
                if !inside {
                    at -= segment.bytes.len();
                }
                inside
            })?;
            // Headers are never cut.
            let header = frame::header(&segment.bytes[at..]).ok().flatten()?;
            start += header.size + header.length;
            if !header.more {
                return Some(start).filter(|end| *end <= self.bytes);
            }
        }
    }
}
