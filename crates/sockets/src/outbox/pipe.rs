use super::segment::Segment;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::Notify;

/// The messages that wait for one peer.
#[derive(Debug)]
pub(super) struct Pipe {
    sealed: VecDeque<Segment>,
    sealed_bytes: usize,
    /// In the open buffer that all pipes share: where there is something for this peer.
    open: Vec<Range<usize>>,
    open_messages: usize,
    /// The number of waiting messages.
    pub(super) messages: usize,
    pub(super) bytes: usize,
    /// Whether the peer's task knows that there is something.
    pub(super) awake: bool,
    pub(super) wake: Arc<Notify>,
    /// Its endpoint was disconnected: nothing more is to be added.
    pub(super) retired: bool,
    /// The last message that it was chosen for.
    pub(super) chosen: u64,
    /// See [`Pipes`](super::pipes::Pipes).
    pub(super) serial: u64,
    /// All messages that were ever added.
    pub(super) added: u64,
    /// Messages that were taken, and are not wholly written as far as is known.
    pub(super) in_flight: usize,
    /// The peer's subscriptions, each with its position among the prefix's subscribers.
    pub(super) prefixes: BTreeMap<Box<[u8]>, usize>,
    pub(super) prefixes_bytes: usize,
}

/// Up to so many bytes are copied rather than shared, so that a short range does not pin a buffer of 64 KiB.
const COPIED: usize = 4 << 10;

impl Pipe {
    pub(super) fn new(wake: Arc<Notify>) -> Pipe {
        Pipe {
            sealed: VecDeque::new(),
            sealed_bytes: 0,
            open: Vec::new(),
            open_messages: 0,
            messages: 0,
            bytes: 0,
            awake: false,
            wake,
            retired: false,
            chosen: 0,
            serial: 0,
            added: 0,
            in_flight: 0,
            prefixes: BTreeMap::new(),
            prefixes_bytes: 0,
        }
    }

    /// One message, in the open buffer.
    #[inline]
    pub(super) fn add_open(&mut self, range: Range<usize>) {
        self.messages += 1;
        self.added += 1;
        self.bytes += range.len();
        self.open_messages += 1;
        match self.open.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.open.push(range),
        }
    }

    /// One message, in segments of its own. The open buffer must be sealed.
    pub(super) fn add_segments(&mut self, segments: &[Segment]) {
        debug_assert!(self.open.is_empty(), "what is open would be overtaken");
        for segment in segments {
            self.messages += segment.messages;
            self.added += segment.messages as u64;
            self.bytes += segment.bytes.len();
            self.sealed_bytes += segment.bytes.len();
            self.sealed.push_back(segment.clone());
        }
    }

    /// The open buffer has become `buffer`. Pipes that follow each other often have the same part of it: `last` is the
    /// one that was made last.
    pub(super) fn seal(&mut self, buffer: &bytes::Bytes, last: &mut Option<(Range<usize>, bytes::Bytes)>) {
        let bytes = match &self.open[..] {
            [] => return,
            [range] => match last {
                Some((same, bytes)) if same == range => bytes.clone(),
                _ => {
                    let sparse = range.len() <= COPIED || range.len() < buffer.len() / 4;
                    let part = buffer.slice(range.clone());
                    let bytes = if sparse { bytes::Bytes::copy_from_slice(&part) } else { part };
                    *last = Some((range.clone(), bytes.clone()));
                    bytes
                }
            },
            ranges => {
                let mut bytes = Vec::with_capacity(ranges.iter().map(Range::len).sum());
                ranges.iter().for_each(|range| bytes.extend_from_slice(&buffer[range.clone()]));
                bytes.into()
            }
        };
        self.open.clear();
        self.sealed_bytes += bytes.len();
        let messages = std::mem::take(&mut self.open_messages);
        self.sealed.push_back(Segment { bytes, messages, continues: false, command: false });
    }

    /// Returns the number of messages that are not written yet.
    pub(super) fn unwritten(&self) -> usize {
        self.messages + self.in_flight
    }

    #[inline]
    pub(super) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    pub(super) fn sealed_bytes(&self) -> usize {
        self.sealed_bytes
    }

    /// The next segment. One that continues another must follow it.
    pub(super) fn take(&mut self) -> Option<Segment> {
        let segment = self.sealed.pop_front()?;
        self.messages -= segment.messages;
        self.bytes -= segment.bytes.len();
        self.sealed_bytes -= segment.bytes.len();
        Some(segment)
    }

    pub(super) fn continues(&self) -> bool {
        self.sealed.front().is_some_and(|segment| segment.continues)
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        self.sealed.clear();
        self.open.clear();
        (self.sealed_bytes, self.open_messages, self.messages, self.bytes) = (0, 0, 0, 0);
    }
}
