//! Frames that a client writes, and its receipts.

use crate::protocol::Token;
use crate::subscribe::{AckMode, Subscribe};
use switchboard_wire::stomp::{Decoder, Found, Frame, FrameWriter, Limits, Version};

/// The one subscription of a connection.
const ID: &[u8] = b"0";
/// Offset of a further header in a SEND frame.
const BEHIND_COMMAND: usize = b"SEND\n".len();

/// Appends a message. `lines` are header lines of the same version.
pub(crate) fn send(version: Version, channel: &[u8], lines: &[u8], data: &[u8], out: &mut Vec<u8>) {
    FrameWriter::new(b"SEND", version, out).header(b"destination", channel).lines(lines).body(data);
}

/// Asks for a receipt of the frame of SEND that begins at `last`, and returns how many bytes that takes. A receipt of the message
/// itself says more than one of a frame behind it: some servers answer that before they have stored the message.
pub(crate) fn mark(token: Token, number: u64, last: usize, out: &mut Vec<u8>) -> usize {
    let line = format!("receipt:{}\n", name(token, number));
    let at = last + BEHIND_COMMAND;
    out.splice(at..at, line.bytes());
    line.len()
}

/// Asks for a receipt without doing anything else: a transaction that is begun and dropped.
pub(crate) fn barrier(token: Token, number: u64, version: Version, out: &mut Vec<u8>) {
    let name = name(token, number);
    FrameWriter::new(b"BEGIN", version, out)
        .header(b"transaction", name.as_bytes())
        .header(b"receipt", name.as_bytes())
        .end();
    FrameWriter::new(b"ABORT", version, out).header(b"transaction", name.as_bytes()).end();
}

fn name(token: Token, number: u64) -> String {
    format!("{:x}-{number}", token.0)
}

/// The number of the barrier that a RECEIPT answers; none if it answers another connection's.
pub(crate) fn receipt(token: Token, frame: &Frame<'_>) -> Option<u64> {
    let id = frame.header(b"receipt-id")?;
    let (of, number) = std::str::from_utf8(&id).ok()?.split_once('-')?;
    (u128::from_str_radix(of, 16) == Ok(token.0)).then(|| number.parse().ok())?
}

/// A subscription as it is asked for on each of its connections.
#[derive(Debug)]
pub(crate) struct Subscribing {
    pub(crate) destination: bytes::Bytes,
    pub(crate) how: Subscribe,
}

pub(crate) fn subscribe(of: &Subscribing, token: Token, number: u64, version: Version, out: &mut Vec<u8>) {
    let mut frame =
        FrameWriter::new(b"SUBSCRIBE", version, out).header(b"id", ID).header(b"destination", &of.destination);
    frame = match of.how.ack {
        AckMode::Auto => frame.header(b"ack", b"auto"),
        // The names of ActiveMQ and of RabbitMQ; each ignores the other's.
        AckMode::Manual => frame
            .header(b"ack", b"client-individual")
            .number(b"activemq.prefetchSize", of.how.prefetch.into())
            .number(b"prefetch-count", of.how.prefetch.into()),
    };
    for (name, value) in &of.how.headers {
        frame = frame.header(name, value);
    }
    frame.header(b"receipt", name(token, number).as_bytes()).end();
}

pub(crate) fn unsubscribe(of: &Subscribing, token: Token, number: u64, version: Version, out: &mut Vec<u8>) {
    FrameWriter::new(b"UNSUBSCRIBE", version, out)
        .header(b"id", ID)
        .header(b"destination", &of.destination)
        .header(b"receipt", name(token, number).as_bytes())
        .end();
}

/// Ends the session in good order.
pub(crate) fn disconnect(token: Token, number: u64, version: Version, out: &mut Vec<u8>) {
    FrameWriter::new(b"DISCONNECT", version, out).header(b"receipt", name(token, number).as_bytes()).end();
}

/// Our own frames are within any limit.
const ANY: Limits = Limits { headers: usize::MAX, line: usize::MAX, body: usize::MAX };

/// Counts the whole frames in the first `written` bytes of `messages`, and returns where they end.
pub(crate) fn whole(version: Version, messages: &[u8], written: usize) -> (u64, usize) {
    let mut decoder = Decoder::new(ANY);
    decoder.set_version(version);
    let (mut count, mut end) = (0, 0);
    while let Ok(Found::Frame { length, .. }) = decoder.next(&messages[end..])
        && end + length <= written
    {
        (count, end) = (count + 1, end + length);
    }
    (count, end)
}

/// The lengths of the first message's destination and body, and of its frame.
pub(crate) fn first_lengths(version: Version, messages: &[u8]) -> (usize, usize, usize) {
    let mut decoder = Decoder::new(ANY);
    decoder.set_version(version);
    match decoder.next(messages) {
        Ok(Found::Frame { frame, length }) => {
            (frame.header(b"destination").map_or(0, |name| name.len()), frame.body.len(), length)
        }
        _ => (0, 0, messages.len()),
    }
}

/// Returns true if the version can express this name or value of a header.
pub(crate) fn is_expressible(version: Version, text: &[u8], is_name: bool) -> bool {
    let line = match is_name {
        true => FrameWriter::lines_of(text, b"", version),
        false => FrameWriter::lines_of(b"n", text, version),
    };
    let mut frame = b"SEND\n".to_vec();
    frame.extend_from_slice(&line);
    frame.extend_from_slice(b"\n\0");
    let mut decoder = Decoder::new(ANY);
    decoder.set_version(version);
    let Ok(Found::Frame { frame, .. }) = decoder.next(&frame) else { return false };
    frame.headers().next().is_some_and(|header| *(if is_name { header.name } else { header.value }) == *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_header_of_the_last_message() {
        let mut out = Vec::new();
        send(Version::V1_2, b"/queue/a", b"", b"one", &mut out);
        let last = out.len();
        send(Version::V1_2, b"/queue/a", b"k:v\n", b"two", &mut out);
        let before = out.len();
        let line = mark(Token(10), 3, last, &mut out);
        assert_eq!(out.len(), before + line);
        assert_eq!(
            out[last..],
            b"SEND\nreceipt:a-3\ndestination:/queue/a\nk:v\ncontent-length:3\n\ntwo\0"[..],
            "{}",
            out.escape_ascii()
        );
        assert_eq!(whole(Version::V1_2, &out, out.len()), (2, out.len()));
        assert_eq!(whole(Version::V1_2, &out, out.len() - 1), (1, last));
        assert_eq!(whole(Version::V1_2, &out, last - 1), (0, 0));
        assert_eq!(first_lengths(Version::V1_2, &out), (8, 3, last));
    }

    #[test]
    fn headers_that_a_version_cannot_express_are_found() {
        for (version, text, is_name, can) in [
            (Version::V1_0, &b"a b"[..], false, true),
            (Version::V1_0, b" a", false, false),
            (Version::V1_0, b"a\n", false, false),
            (Version::V1_0, b"a:b", false, true),
            (Version::V1_0, b"a:b", true, false),
            (Version::V1_1, b" a\n:\\", false, true),
            (Version::V1_1, b"a\r", false, false),
            (Version::V1_2, b"a\r\n:\\", true, true),
            (Version::V1_2, b"a\0", false, false),
            (Version::V1_2, b"", false, true),
            (Version::V1_2, b"", true, false),
        ] {
            assert_eq!(is_expressible(version, text, is_name), can, "{version} {}", text.escape_ascii());
        }
    }
}
