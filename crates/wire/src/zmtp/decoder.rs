use super::frame::{self, FrameError};
use super::{CommandError, Limits};
use std::ops::Range;
use thiserror::Error;

/// Finds messages and commands in what a peer sends after the handshake.
///
/// It copies nothing. It remembers how far it has scanned, so that a message that arrives in many small pieces
/// is scanned once.
#[derive(Debug, Clone)]
pub struct Decoder {
    limits: Limits,
    /// Position up to which the message at the start of the input is known: the start of a frame.
    at: usize,
    /// Of that message, so far.
    parts: usize,
    body: usize,
    first: Range<usize>,
}

/// The result of [`Decoder::next`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A whole message.
    Message {
        /// Number of bytes of the input that it took; the next call begins behind them.
        length: usize,
        /// Position of its first part's body.
        first: Range<usize>,
        /// Number of its parts.
        parts: usize,
    },
    /// A command. Where it stood between the parts of a message, as libzmq's heartbeats may, `length` is 0:
    /// those parts stay at the start of the input, and the command's frame among them.
    Command {
        /// Number of bytes of the input that are done with; the next call begins behind them.
        length: usize,
        /// Position of its body.
        body: Range<usize>,
    },
    /// Nothing whole. The input must hold this many bytes before it is worth while to ask again.
    Need(usize),
}

/// The stream cannot be decoded any further: the start of the next message is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// No frame begins so.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A command that cannot be decoded.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Known as soon as the last header is there, so that nobody reserves memory for it.
    #[error("message of {length} bytes or more is over the limit of {limit} bytes")]
    MessageTooLong {
        /// Its bytes, as far as they are known.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// More parts than allowed.
    #[error("message of more than {limit} parts, which is the limit")]
    TooManyParts {
        /// The limit.
        limit: usize,
    },
    /// A command longer than allowed.
    #[error("command of {length} bytes is over the limit of {limit} bytes")]
    CommandTooLong {
        /// Its bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
}

impl Decoder {
    /// One for a new connection.
    #[must_use]
    pub fn new(limits: Limits) -> Decoder {
        Decoder { limits, at: 0, parts: 0, body: 0, first: 0..0 }
    }

    /// Decodes the start of `input`. After [`Found::Need`] call with the same bytes and more behind them;
    /// after the others without the `length` bytes that were found.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]; the connection is of no use after it.
    #[inline]
    pub fn next(&mut self, input: &[u8]) -> Result<Found, DecodeError> {
        loop {
            let rest = input.get(self.at..).unwrap_or_default();
            let Some(header) = frame::header(rest)? else {
                return Ok(Found::Need(self.at + if rest.len() < 2 { 2 } else { frame::LONGEST_HEADER }));
            };
            let body = self.at + header.size..self.at + header.size + header.length;
            if header.command {
                if header.length > self.limits.command {
                    return Err(DecodeError::CommandTooLong { length: header.length, limit: self.limits.command });
                }
                if input.len() < body.end {
                    return Ok(Found::Need(body.end));
                }
                let between = self.parts > 0;
                if between {
                    // They are kept with the message, and so are of its size.
                    self.body = self.body.saturating_add(body.end - self.at);
                    self.at = body.end;
                    self.check(self.body)?;
                }
                return Ok(Found::Command { length: if between { 0 } else { body.end }, body });
            }
            let length = self.body.saturating_add(header.length);
            self.check(length)?;
            if self.parts == self.limits.parts {
                return Err(DecodeError::TooManyParts { limit: self.limits.parts });
            }
            if input.len() < body.end {
                return Ok(Found::Need(body.end));
            }
            if self.parts == 0 {
                self.first = body.clone();
            }
            if header.more {
                (self.at, self.body, self.parts) = (body.end, length, self.parts + 1);
                continue;
            }
            let found = Found::Message { length: body.end, first: self.first.clone(), parts: self.parts + 1 };
            (self.at, self.body, self.parts) = (0, 0, 0);
            return Ok(found);
        }
    }

    #[inline]
    fn check(&self, length: usize) -> Result<(), DecodeError> {
        if length > self.limits.message {
            return Err(DecodeError::MessageTooLong { length, limit: self.limits.message });
        }
        Ok(())
    }
}
