//! All that the rest of the crate knows of the native protocol. Another protocol has its own words for
//! the same things: how a session begins, what a message is, and how one asks for a barrier, behind which
//! everything before it is dealt with (here an echo, in STOMP a receipt).

use crate::options::Protocol;
use switchboard_wire::native::{ForeignProtocol, FrameTooLong, PREFIX, Split, encode, split};

const ECHO: &[u8] = b"/switchboard/echo";
/// Subscribes to nothing.
pub(crate) const NOTHING: &[u8] = b"/null";

/// The bytes of a barrier's data. A limit for messages must not forbid barriers.
const BARRIER: usize = 24;

/// A random number that distinguishes a connection's barriers from messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Token(pub(crate) u128);

/// One frame that has come in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Message { consumed: usize },
    Barrier { number: u64, consumed: usize },
    Need(usize),
}

/// Begins a session that subscribes to `pattern`.
pub(crate) fn hello(pattern: &[u8], out: &mut Vec<u8>) {
    encode(pattern, out);
}

/// Returns true for the name of a queue, and for a pattern of such names.
pub(crate) fn is_queue(name: &[u8]) -> bool {
    name.starts_with(b"/queue")
}

/// Size of both frames.
pub(crate) fn size(channel: &[u8], data: &[u8]) -> usize {
    2 * PREFIX + channel.len() + data.len()
}

pub(crate) fn message(channel: &[u8], data: &[u8], out: &mut Vec<u8>) {
    encode(channel, out);
    encode(data, out);
}

/// Asks for an answer that comes behind everything that was sent before.
pub(crate) fn barrier(token: Token, number: u64, out: &mut Vec<u8>) {
    let mut data = [0; BARRIER];
    data[..16].copy_from_slice(&token.0.to_be_bytes());
    data[16..].copy_from_slice(&number.to_be_bytes());
    message(ECHO, &data, out);
}

/// Ends the session.
pub(crate) fn end(out: &mut Vec<u8>) {
    encode(b"", out);
}

/// The next thing in what was received.
#[inline]
pub(crate) fn incoming(input: &[u8], token: Token, limit: usize) -> Result<Incoming, FrameTooLong> {
    Ok(match split(input, limit.max(BARRIER))? {
        Split::Need(bytes) => Incoming::Need(bytes),
        Split::Frame { body, consumed } => match body.split_first_chunk::<16>() {
            Some((begin, number)) if body.len() == BARRIER && u128::from_be_bytes(*begin) == token.0 => {
                let number = number.first_chunk().map_or(0, |number| u64::from_be_bytes(*number));
                Incoming::Barrier { number, consumed }
            }
            _ => Incoming::Message { consumed },
        },
    })
}

/// The other protocol that is known by what was received first.
pub(crate) fn known(input: &[u8]) -> Option<String> {
    ForeignProtocol::recognize_answer(*input.first_chunk()?).map(|protocol| protocol.to_string())
}

/// Bytes of an unknown protocol that are shown.
const SHOWN: usize = 16;

/// Which other protocol begins with what was received first.
pub(crate) fn another(input: &[u8], expected: Protocol) -> Option<String> {
    let first: [u8; 4] = *input.first_chunk()?;
    if let Some(protocol) = known(input) {
        return Some(protocol);
    }
    // The beginning of CONNECTED.
    if first == *b"CONN" {
        return (expected == Protocol::Native).then(|| ForeignProtocol::Stomp.to_string());
    }
    // Read as a native length, text announces half a gigabyte at least, and no broker begins with that.
    let is_text = first.iter().all(|byte| (b' '..=b'~').contains(byte));
    let begin = String::from_utf8_lossy(&input[..input.len().min(SHOWN)]);
    is_text.then(|| format!("a protocol whose first bytes are \"{}\"", begin.trim_end().escape_debug()))
}

/// Counts the whole messages in the first `written` bytes of `messages`, and returns their end, too.
/// The broker ignores one of which it got a part.
pub(crate) fn whole(messages: &[u8], written: usize) -> (u64, usize) {
    let (mut count, mut end) = (0, 0);
    loop {
        let mut next = end;
        for _ in 0..2 {
            match split(&messages[next..], usize::MAX) {
                Ok(Split::Frame { consumed, .. }) => next += consumed,
                _ => return (count, end),
            }
        }
        if next > written {
            return (count, end);
        }
        (count, end) = (count + 1, next);
    }
}

/// The lengths of the first message's name and data. The data may be there in part only.
pub(crate) fn first_lengths(messages: &[u8]) -> (usize, usize) {
    let length = |at: usize| messages.get(at..at + PREFIX).and_then(|prefix| prefix.try_into().ok());
    let length = |at| length(at).map_or(0, |prefix| u32::from_be_bytes(prefix) as usize);
    let name = length(0);
    (name, length(PREFIX + name))
}

/// The size of the first of `messages`.
pub(crate) fn first(messages: &[u8]) -> usize {
    (0..2).fold(0, |end, _| match split(&messages[end..], usize::MAX) {
        Ok(Split::Frame { consumed, .. }) => end + consumed,
        _ => messages.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_that_is_not_known_is_shown_by_its_first_bytes() {
        for expected in [Protocol::Native, Protocol::Stomp] {
            let of = |bytes: &[u8]| another(bytes, expected);
            let shown = "a protocol whose first bytes are \"220 smtp ESMTP\"";
            assert_eq!(of(b"220 smtp ESMTP\r\n").as_deref(), Some(shown));
            assert_eq!(of(b"HTTP/1.1 200 OK").as_deref(), Some("HTTP"));
            assert_eq!((of(b"220"), of(b"\0\0\0\x18\0")), (None, None));
        }
        assert_eq!(another(b"CONNECTED\n", Protocol::Native).as_deref(), Some("STOMP"));
        assert_eq!(another(b"CONNECTED\n", Protocol::Stomp), None);
    }
}
