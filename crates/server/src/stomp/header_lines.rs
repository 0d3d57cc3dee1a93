//! Header lines of messages with large headers, made once for all subscribers.

use bytes::Bytes;
use std::sync::{Arc, OnceLock, Weak};
use switchboard_broker::{Attributes, Batch, Headers};
use switchboard_wire::stomp::{FrameWriter, Version};

/// Headers of more packed bytes are shared: the core charges for that. Copies of shorter ones keep to what a connection has
/// made ahead.
const SHARED: usize = Headers::LARGE;

/// Headers that are looked through for those of a delivery. A subscriber that lags behind by more makes its own lines.
const KNOWN: usize = 64;

/// The core charges large headers so often more once they are handed out.
const CHARGED: usize = 2;

/// The lines of some headers, for each version once they are asked for: each escapes other bytes. `None` where they would take
/// more than the core charges, beside those of other versions.
#[derive(Debug, Default)]
pub(crate) struct HeaderLines([OnceLock<Option<Bytes>>; 3]);

impl HeaderLines {
    /// The lines of these headers, which are the same in each call; `None` if a connection is to make its own.
    pub(super) fn of(&self, headers: &Headers, version: Version) -> Option<Bytes> {
        let made = match version {
            Version::V1_0 => &self.0[0],
            Version::V1_1 => &self.0[1],
            Version::V1_2 => &self.0[2],
        };
        made.get_or_init(|| self.share(headers, lines_of(headers, version))).clone()
    }

    /// Lines that are kept for all subscribers of their version, if there is room for them.
    fn share(&self, headers: &Headers, lines: Bytes) -> Option<Bytes> {
        let mut bytes = lines.len();
        let mut last = None;
        for other in self.0.iter().filter_map(|other| other.get()?.as_ref()) {
            // Most headers have nothing to escape.
            if *other == lines {
                return Some(other.clone());
            }
            if last != Some(other.as_ptr()) {
                bytes += other.len();
            }
            last = Some(other.as_ptr());
        }
        (bytes <= CHARGED * headers.bytes()).then_some(lines)
    }
}

fn lines_of(headers: &Headers, version: Version) -> Bytes {
    let mut lines = Vec::with_capacity(headers.bytes());
    let mut frame = FrameWriter::resume(version, &mut lines);
    for (name, value) in headers.iter() {
        frame = frame.header(name, value);
    }
    let _ = frame;
    lines.into_boxed_slice().into()
}

/// Gives deliveries of the same messages the same lines. The core charges them with the messages.
#[derive(Debug, Default)]
pub(crate) struct SharedLines {
    known: Vec<(Weak<Attributes>, Weak<HeaderLines>)>,
    /// Index of the one that is forgotten next.
    oldest: usize,
}

impl SharedLines {
    /// Gives the lines of a batch; `None` if its headers are not large.
    pub(crate) fn find(&mut self, batch: &Batch) -> Option<Arc<HeaderLines>> {
        let attributes = batch.attributes().filter(|attributes| attributes.headers.bytes() > SHARED)?;
        let known = self.known.iter().position(|(of, _)| Weak::as_ptr(of) == Arc::as_ptr(attributes));
        if let Some(lines) = known.and_then(|at| self.known[at].1.upgrade()) {
            return Some(lines);
        }
        let lines = Arc::new(HeaderLines::default());
        let entry = (Arc::downgrade(attributes), Arc::downgrade(&lines));
        // Lines that nobody has any more give way first: a second entry of the same headers would hide the first.
        let free = known.or_else(|| self.known.iter().position(|(_, lines)| lines.strong_count() == 0));
        match free {
            Some(at) => self.known[at] = entry,
            None if self.known.len() < KNOWN => self.known.push(entry),
            None => {
                self.known[self.oldest] = entry;
                self.oldest = (self.oldest + 1) % KNOWN;
            }
        }
        Some(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(bytes: usize) -> Batch {
        // A name of one byte, and three of lengths.
        batch_of(&vec![b'x'; bytes - 4])
    }

    fn batch_of(value: &[u8]) -> Batch {
        let mut headers = Headers::builder();
        headers.push(b"n", value);
        let mut attributes = Attributes::default();
        attributes.headers = headers.finish();
        assert_eq!(attributes.headers.bytes(), value.len() + 4);
        Batch::one(b"x").with_attributes(Arc::new(attributes))
    }

    #[test]
    fn large_headers_are_made_once_for_all_subscribers_of_a_version() {
        let mut shared = SharedLines::default();
        assert!(shared.find(&Batch::one(b"x")).is_none());
        assert!(shared.find(&batch(SHARED - 1)).is_none());
        assert!(shared.find(&batch(SHARED)).is_none());
        let large = batch(SHARED + 1);
        let (one, other) = (shared.find(&large).unwrap(), shared.find(&large.clone()).unwrap());
        assert!(Arc::ptr_eq(&one, &other));
        let headers = &large.attributes().unwrap().headers;
        for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
            let (lines, again) = (one.of(headers, version).unwrap(), other.of(headers, version).unwrap());
            assert_eq!(lines.as_ptr(), again.as_ptr());
            assert_eq!(lines, [b"n:", &vec![b'x'; SHARED - 3][..], b"\n"].concat());
        }
    }

    #[test]
    fn versions_share_lines_without_anything_to_escape_and_others_as_far_as_they_are_charged() {
        const ALL: [Version; 3] = [Version::V1_0, Version::V1_1, Version::V1_2];
        let shared = |value: &[u8], versions: [Version; 3]| {
            let (batch, lines) = (batch_of(value), HeaderLines::default());
            let headers = &batch.attributes().unwrap().headers;
            let all = versions.map(|version| lines.of(headers, version));
            // Whatever a version gets stays so.
            assert_eq!(versions.map(|version| lines.of(headers, version)), all);
            let mut buffers: Vec<_> = all.iter().flatten().map(|lines| (lines.as_ptr(), lines.len())).collect();
            buffers.sort_unstable();
            buffers.dedup();
            assert!(buffers.iter().map(|(_, bytes)| bytes).sum::<usize>() <= CHARGED * headers.bytes());
            (all.map(|lines| lines.is_some()), buffers.len())
        };
        let length = SHARED;
        assert_eq!(shared(&vec![b'x'; length], ALL), ([true; 3], 1));
        // A colon is escaped from 1.1 on.
        let few = [&vec![b'x'; length - 4], &b"::"[..]].concat();
        assert_eq!(shared(&few, ALL), ([true, true, true], 2));
        assert_eq!(shared(&vec![b':'; length], ALL), ([true, false, false], 1));
        assert_eq!(
            shared(&vec![b':'; length], [Version::V1_2, Version::V1_1, Version::V1_0]),
            ([true, true, false], 1)
        );
    }

    #[test]
    fn a_bounded_number_of_headers_is_known_and_none_is_kept() {
        let mut shared = SharedLines::default();
        let first = batch(SHARED + 1);
        let lines = shared.find(&first).unwrap();
        let batches: Vec<Batch> = (0..KNOWN).map(|_| batch(SHARED + 1)).collect();
        let mut others: Vec<_> = batches[1..].iter().map(|other| shared.find(other)).collect();
        assert!(Arc::ptr_eq(&lines, &shared.find(&first).unwrap()));
        others.push(shared.find(&batches[0]));
        let again = shared.find(&first).unwrap();
        assert!(!Arc::ptr_eq(&lines, &again));
        assert_eq!(shared.known.len(), KNOWN);
        let kept = Arc::downgrade(&lines);
        drop(lines);
        assert!(kept.upgrade().is_none());
    }

    #[test]
    fn lines_that_nobody_has_any_more_do_not_keep_later_subscribers_from_sharing() {
        let mut shared = SharedLines::default();
        let large = batch(SHARED + 1);
        // A subscriber of the native protocol has no use for them, and one of STOMP may have written its own.
        drop(shared.find(&large));
        let (one, other) = (shared.find(&large).unwrap(), shared.find(&large).unwrap());
        assert!(Arc::ptr_eq(&one, &other));
        assert_eq!(shared.known.len(), 1);
        drop((one, other));
        shared.find(&batch(SHARED + 1));
        assert_eq!(shared.known.len(), 1);
    }
}
