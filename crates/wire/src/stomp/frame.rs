use super::{DecodeError, Version};
use std::borrow::Cow;
use std::ops::Range;

/// A whole frame. It borrows the input of the decoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The first line.
    pub command: &'a [u8],
    /// Header lines as they came, each with its end.
    pub(super) lines: &'a [u8],
    /// Position of the lines in the input.
    pub(super) lines_at: usize,
    pub(super) version: Version,
    /// Any bytes.
    pub body: &'a [u8],
    /// Position of the body in the input.
    pub body_range: Range<usize>,
}

/// A header without its escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header<'a> {
    /// Never empty.
    pub name: Cow<'a, [u8]>,
    /// May be empty.
    pub value: Cow<'a, [u8]>,
}

impl<'a> Frame<'a> {
    /// The headers in their order. Of repeated ones the first counts.
    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        Header::of_lines(self.lines, self.version)
    }

    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &[u8]) -> Option<Cow<'a, [u8]>> {
        // Most lines are passed over by their first byte, which is that of the name but for an escape, and for blanks in 1.0.
        let has_blanks = self.version == Version::V1_0;
        let may_be = |line: &&[u8]| has_blanks || line.first() == name.first() || line.first() == Some(&b'\\');
        let mut headers = lines(self.lines).filter(may_be).filter_map(|line| Header::of_line(line, self.version).ok());
        headers.find(|header| *header.name == *name).map(|header| header.value)
    }

    /// The header lines as they came. Frames of one connection whose lines are equal have equal headers.
    #[must_use]
    pub fn lines(&self) -> &'a [u8] {
        self.lines
    }

    /// Range of the header lines in the input.
    #[must_use]
    pub fn lines_range(&self) -> Range<usize> {
        self.lines_at..self.lines_at + self.lines.len()
    }
}

impl<'a> Header<'a> {
    /// The header of a line without its end.
    pub(super) fn of_line(line: &'a [u8], version: Version) -> Result<Header<'a>, DecodeError> {
        let (name, value) = split(line).ok_or(DecodeError::NoColon)?;
        // One look at a line costs less than one at each half of it.
        if version > Version::V1_0 && memchr::memchr(b'\\', line).is_none() {
            return Ok(Header { name: Cow::Borrowed(name), value: Cow::Borrowed(value) });
        }
        Ok(Header { name: version.unescape(name)?, value: version.unescape(value)? })
    }

    /// The headers of lines that [`Frame::lines`] gave of a frame other than CONNECT and CONNECTED.
    pub fn of_lines(text: &'a [u8], version: Version) -> impl Iterator<Item = Header<'a>> + use<'a> {
        lines(text).filter_map(move |line| {
            // The decoder has found nothing wrong with them.
            Header::of_line(line, version).ok()
        })
    }
}

/// The lines of some bytes, each of which ends with a line feed, without their ends.
pub(super) fn lines(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let end = memchr::memchr(b'\n', rest)?;
        let line = &rest[..end];
        rest = &rest[end + 1..];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// The name and the value of a header line, with their escapes. A colon in the value is tolerated.
pub(super) fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    Some((&line[..colon], &line[colon + 1..]))
}
