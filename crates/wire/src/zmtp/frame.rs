//! One frame's header out of bytes, and frames into bytes.

use thiserror::Error;

/// More frames of the same message follow.
const MORE: u8 = 1;
/// The length has 8 bytes instead of 1.
const LONG: u8 = 2;
/// A command, not a part of a message.
const COMMAND: u8 = 4;

/// The longest header: flags, and 8 bytes of length.
pub const LONGEST_HEADER: usize = 9;

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the body that follows.
    pub length: usize,
    /// Bytes of this header.
    pub size: usize,
    /// Whether more parts of the same message follow.
    pub more: bool,
    /// Whether the body is a command.
    pub command: bool,
}

/// Bytes that no frame begins with. The stream cannot be read on after this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Flags that ZMTP 3 does not have.
    #[error(
        "a frame begins with the flags 0x{0:02x}, which ZMTP 3 does not have: the stream is not ZMTP, or has lost its place"
    )]
    Flags(u8),
    /// A length that no machine has.
    #[error("a frame says that it is {0} bytes long")]
    Length(u64),
}

/// The header at the start of `input`; `None` if it is not wholly there.
///
/// # Errors
///
/// [`FrameError`], as soon as the byte that is wrong is there.
#[inline]
pub fn header(input: &[u8]) -> Result<Option<Header>, FrameError> {
    let Some((&flags, rest)) = input.split_first() else { return Ok(None) };
    // A command is one frame.
    if flags & !(MORE | LONG | COMMAND) != 0 || flags & (COMMAND | MORE) == COMMAND | MORE {
        return Err(FrameError::Flags(flags));
    }
    let (length, size) = if flags & LONG == 0 {
        let Some(&length) = rest.first() else { return Ok(None) };
        (usize::from(length), 2)
    } else {
        let Some(length) = rest.first_chunk::<8>() else { return Ok(None) };
        let length = u64::from_be_bytes(*length);
        // Its highest bit must not be set, by the specification.
        match usize::try_from(length) {
            Ok(fits) if fits <= isize::MAX as usize - LONGEST_HEADER => (fits, LONGEST_HEADER),
            _ => return Err(FrameError::Length(length)),
        }
    };
    Ok(Some(Header { length, size, more: flags & MORE != 0, command: flags & COMMAND != 0 }))
}

/// Returns the size of the frame of a body of `length` bytes.
#[inline]
#[must_use]
pub fn size(length: usize) -> usize {
    length + if length > 255 { LONGEST_HEADER } else { 2 }
}

/// The bytes that stand before a part of `length` bytes, in the first so many of the array: for
/// callers that write the body from where it already is.
#[inline]
#[must_use]
pub fn header_bytes(length: usize, more: bool) -> ([u8; LONGEST_HEADER], usize) {
    head(length, if more { MORE } else { 0 })
}

#[inline]
fn head(length: usize, flags: u8) -> ([u8; LONGEST_HEADER], usize) {
    let mut bytes = [0; LONGEST_HEADER];
    if let Ok(short) = u8::try_from(length) {
        bytes[..2].copy_from_slice(&[flags, short]);
        (bytes, 2)
    } else {
        bytes[0] = flags | LONG;
        bytes[1..].copy_from_slice(&(length as u64).to_be_bytes());
        (bytes, LONGEST_HEADER)
    }
}

/// Appends one part of a message to `out`; `more` parts follow it, or not.
pub fn encode(body: &[u8], more: bool, out: &mut Vec<u8>) {
    let (bytes, size) = header_bytes(body.len(), more);
    out.extend_from_slice(&bytes[..size]);
    out.extend_from_slice(body);
}

/// Appends a command's frame to `out`.
pub(super) fn encode_command(body: &[u8], out: &mut Vec<u8>) {
    let (bytes, size) = head(body.len(), COMMAND);
    out.extend_from_slice(&bytes[..size]);
    out.extend_from_slice(body);
}
