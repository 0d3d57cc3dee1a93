//! The messages of a browser in a stream of bytes. Each ends with a zero byte.

use crate::devtools::{Incoming, decode, decode_cut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of a message. The longest one that is waited for has a page of 16 Mi characters, of six bytes each.
pub(super) const MAX_MESSAGE: usize = 100 << 20;
/// Bytes that are kept of either end of a longer message: they say which call or session it is for.
const END: usize = 1 << 10;
/// Room for a read.
const READ: usize = 64 << 10;
/// Memory that is kept for further messages.
const KEPT: usize = 1 << 20;

/// Reads messages. One over the limit is thrown away while it comes, but for its two ends.
pub(super) struct Messages {
    limit: usize,
    buffer: Vec<u8>,
    /// Bytes without a zero.
    seen: usize,
    is_cut: bool,
}

impl Messages {
    pub(super) fn new(limit: usize) -> Messages {
        Messages { limit, buffer: Vec::new(), seen: 0, is_cut: false }
    }

    /// Reads once. Returns false at the end of the stream.
    pub(super) async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
        self.buffer.reserve(READ);
        Ok(stream.read_buf(&mut self.buffer).await? > 0)
    }

    /// Returns the next message that was read as a whole, or whose ends were.
    pub(super) fn next(&mut self) -> Option<Incoming> {
        while let Some(length) = self.buffer[self.seen..].iter().position(|&byte| byte == 0) {
            let end = self.seen + length;
            let message = &self.buffer[..end];
            let is_long = self.is_cut || end > self.limit;
            let incoming = if is_long { decode_cut(message, self.limit) } else { decode(message) };
            self.buffer.drain(..=end);
            (self.seen, self.is_cut) = (0, false);
            self.shrink();
            if incoming.is_some() {
                return incoming;
            }
        }
        self.cut();
        None
    }

    /// Forgets the middle of a message that is too long already.
    fn cut(&mut self) {
        self.seen = self.buffer.len();
        self.is_cut |= self.seen > self.limit;
        if self.is_cut && self.seen > 2 * END {
            self.buffer.drain(END..self.seen - END);
            self.seen = self.buffer.len();
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        if self.buffer.capacity() > KEPT {
            self.buffer.shrink_to(KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devtools::{Event, Failure};

    /// Reads bytes in parts of this size.
    async fn all(bytes: &[u8], part: usize, limit: usize) -> Vec<Incoming> {
        let (mut messages, mut found) = (Messages::new(limit), Vec::new());
        for mut part in bytes.chunks(part) {
            while messages.read(&mut part).await.expect("read") {
                found.extend(std::iter::from_fn(|| messages.next()));
            }
            assert!(messages.buffer.len() <= limit.max(2 * END));
        }
        assert!(messages.buffer.is_empty() && messages.buffer.capacity() <= KEPT, "the memory is not kept");
        found
    }

    fn answer(length: usize) -> Vec<u8> {
        let (head, tail) = ("{\"id\":7,\"result\":\"", "\",\"sessionId\":\"s\"}");
        [head, &"x".repeat(length - head.len() - tail.len()), tail].concat().into_bytes()
    }

    fn event(length: usize) -> Vec<u8> {
        // A page has no quote that is not escaped.
        let (head, tail) = ("{\"method\":\"A.b\",\"params\":{\"sessionId\":\"t\",\"x\":\"", "\"},\"sessionId\":\"s\"}");
        let spoof = "\\\",\\\"sessionId\\\":\\\"t\\\"";
        [head, &"x".repeat(length - head.len() - tail.len() - spoof.len()), spoof, tail].concat().into_bytes()
    }

    #[tokio::test]
    async fn a_message_over_the_limit_fails_its_call_alone_however_it_is_cut() {
        let limit = 5 * END;
        for (length, is_whole) in [(limit - 1, true), (limit, true), (limit + 1, false), (9 * limit, false)] {
            let bytes = [&answer(length)[..], b"\0", &answer(64), b"\0"].concat();
            for part in [1, 1000, 4096, bytes.len()] {
                let found = all(&bytes, part, limit).await;
                let [Incoming::Answer { id: 7, result: first }, Incoming::Answer { id: 7, result: Ok(_) }] = &found[..]
                else {
                    panic!("{length} in {part}: {found:?}")
                };
                assert_eq!(first.is_ok(), is_whole, "{length} in {part}");
                assert!(is_whole || *first == Err(Failure::TooLong(limit)), "{first:?}");
            }
        }
    }

    #[tokio::test]
    async fn an_event_over_the_limit_has_its_session_and_nothing_else() {
        let limit = 5 * END;
        for (length, is_whole) in [(limit - 1, true), (limit, true), (limit + 1, false), (9 * limit, false)] {
            let bytes = [&event(length)[..], b"\0", &event(256), b"\0"].concat();
            for part in [1, 1000, 4096, bytes.len()] {
                let found = all(&bytes, part, limit).await;
                let [Incoming::Event(first), Incoming::Event(Event { params: Some(_), .. })] = &found[..] else {
                    panic!("{length} in {part}: {found:?}")
                };
                assert_eq!((first.session.as_str(), first.method.as_str()), ("s", "A.b"));
                assert_eq!(first.params.is_some(), is_whole, "{length} in {part}");
            }
        }
    }

    #[tokio::test]
    async fn the_memory_of_a_long_message_is_given_back() {
        for length in [KEPT, 4 * KEPT] {
            let bytes = [&answer(length)[..], b"\0"].concat();
            assert_eq!(all(&bytes, READ, 2 * KEPT).await.len(), 1);
        }
    }

    #[tokio::test]
    async fn rubbish_over_the_limit_is_ignored() {
        let limit = 5 * END;
        for rubbish in ["{", "x", "{\"method\":\"A.b", "{\"method\":\"A.b\",\"params\":\"", "{\"id\":", "\\"] {
            let bytes = [rubbish.as_bytes(), &vec![b'x'; 2 * limit], b"\0", &answer(64), b"\0"].concat();
            for part in [1, 1000, bytes.len()] {
                assert_eq!(all(&bytes, part, limit).await.len(), 1, "{rubbish} in {part}");
            }
        }
    }
}
