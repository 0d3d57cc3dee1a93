//! One frame out of bytes, and one frame into bytes.

use thiserror::Error;

/// Size of the length before each frame's body, in bytes.
pub const PREFIX: usize = 4;

/// The result of [`split`] at the start of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split<'a> {
    /// A whole frame.
    Frame {
        /// The frame's bytes without their length. May be empty: an empty frame is a frame.
        body: &'a [u8],
        /// Number of bytes of the input that the frame took, its length included. The next frame starts
        /// there.
        consumed: usize,
    },
    /// No whole frame yet. The input must hold this many bytes, counted from its start, before it
    /// is worth while to ask again: [`PREFIX`] as long as the length itself is not whole,
    /// afterwards the size of the frame with its length.
    Need(usize),
}

/// A frame announced a body that is longer than the limit.
///
/// The stream cannot be read on after this: where the next frame begins is known only to somebody
/// who reads this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("frame of {length} bytes is over the limit of {limit} bytes")]
pub struct FrameTooLong {
    /// The length that the frame announced, without the [`PREFIX`].
    pub length: usize,
    /// The longest body that would have been accepted.
    pub limit: usize,
}

/// Finds the frame at the start of `input`.
///
/// It copies nothing and remembers nothing: as long as the answer is [`Split::Need`], call again
/// with the same bytes and more behind them.
///
/// # Errors
///
/// [`FrameTooLong`] if the body is longer than `limit`. This is known as soon as the length is
/// there, so that nobody reserves memory for a frame that will be refused.
#[inline]
pub fn split(input: &[u8], limit: usize) -> Result<Split<'_>, FrameTooLong> {
    let Some((prefix, rest)) = input.split_first_chunk::<PREFIX>() else {
        return Ok(Split::Need(PREFIX));
    };
    // If usize is narrower than the length, a length that does not fit is over any limit.
    let length = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
    if length > limit {
        return Err(FrameTooLong { length, limit });
    }
    let whole = PREFIX.saturating_add(length);
    Ok(match rest.get(..length) {
        Some(body) => Split::Frame { body, consumed: whole },
        None => Split::Need(whole),
    })
}

/// Appends `body` as one frame to `out`.
///
/// # Panics
///
/// As [`header`] does, if `body` is longer than a frame can say.
pub fn encode(body: &[u8], out: &mut Vec<u8>) {
    let header = header(body.len());
    out.reserve(PREFIX + body.len());
    out.extend_from_slice(&header);
    out.extend_from_slice(body);
}

/// The bytes that stand before a body of `length` bytes: for callers that write the body from where
/// it already is.
///
/// # Panics
///
/// If `length` does not fit into the 32 bits that the protocol has for it.
#[must_use]
pub fn header(length: usize) -> [u8; PREFIX] {
    u32::try_from(length).expect("a native frame's length fits into 32 bits").to_be_bytes()
}
