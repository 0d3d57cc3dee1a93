use crate::Message;
use crate::message::INLINE;
use bytes::Bytes;
use switchboard_wire::zmtp::frame;

/// Parts of up to so many bytes are copied when they are received. A longer one shares the buffer that it was read into with its
/// neighbors: 64 KiB, or 256 KiB where messages are longer than 16 KiB, or the message itself.
const COPIED: usize = 4 << 10;

/// Consecutive whole messages as they came from a peer. The receiver cuts them out one by one, in its own thread.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Bytes,
    at: usize,
    left: usize,
    /// The number of cancelled subscriptions that the messages were filtered by.
    pub(crate) filtered: u64,
}

impl Chunk {
    pub(crate) fn new(bytes: Bytes, messages: usize, filtered: u64) -> Chunk {
        Chunk { bytes, at: 0, left: messages, filtered }
    }

    /// Returns the number of messages that are left.
    pub(crate) fn messages(&self) -> usize {
        self.left
    }

    /// The bytes of those that are left, with their frames' headers.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Leaves only the last message.
    pub(crate) fn keep_last(&mut self) {
        while self.left > 1 {
            self.skip();
        }
    }

    fn skip(&mut self) {
        loop {
            let Ok(Some(header)) = frame::header(&self.bytes[self.at..]) else { unreachable!("{WHOLE}") };
            self.at += header.size + header.length;
            if !header.more && !header.command {
                break;
            }
        }
        self.left -= 1;
    }

    /// The next message.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Message> {
        if self.left == 0 {
            return None;
        }
        // Nearly all have one part, and that is short.
        let rest = &self.bytes[self.at..];
        if let [0, length, rest @ ..] = rest
            && usize::from(*length) <= INLINE
        {
            let length = usize::from(*length);
            let message = Message::inline(&rest[..length]);
            self.at += 2 + length;
            self.left -= 1;
            return Some(message);
        }
        Some(self.any())
    }

    fn any(&mut self) -> Message {
        self.left -= 1;
        let mut parts = Vec::new();
        loop {
            let Ok(Some(header)) = frame::header(&self.bytes[self.at..]) else { unreachable!("{WHOLE}") };
            let body = self.at + header.size..self.at + header.size + header.length;
            self.at = body.end;
            // Heartbeats may stand between parts.
            if header.command {
                continue;
            }
            let part = if header.length > COPIED {
                self.bytes.slice(body)
            } else if parts.is_empty() && !header.more && header.length <= INLINE {
                return Message::inline(&self.bytes[body]);
            } else {
                Bytes::copy_from_slice(&self.bytes[body])
            };
            if !header.more {
                if parts.is_empty() {
                    return part.into();
                }
                parts.push(part);
                return Message::multipart(parts);
            }
            parts.push(part);
        }
    }
}

const WHOLE: &str = "only whole messages come here";
