//! Frames that a client writes, and its receipts.

use crate::protocol::Token;
use crate::subscribe::{AckMode, Subscribe};
use std::collections::BTreeSet;
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

/// Asks for a receipt of each message, and gives the bytes of all. That of the last one is the barrier's; the others' are behind a
/// hyphen.
pub(crate) fn mark_each(token: Token, number: u64, version: Version, messages: &[u8]) -> Vec<u8> {
    let mut decoder = decoder(version);
    let (mut out, mut begin, mut index) = (Vec::with_capacity(messages.len() * 5 / 4), 0, 0_u64);
    while let Ok(Found::Frame { length, .. }) = decoder.next(&messages[begin..]) {
        let end = begin + length;
        let name = if end == messages.len() { name(token, number) } else { part(token, number, index) };
        out.extend_from_slice(&messages[begin..begin + BEHIND_COMMAND]);
        out.extend_from_slice(format!("receipt:{name}\n").as_bytes());
        out.extend_from_slice(&messages[begin + BEHIND_COMMAND..end]);
        (begin, index) = (end, index + 1);
    }
    out
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

fn part(token: Token, number: u64, index: u64) -> String {
    format!("{:x}-{number}-{index}", token.0)
}

/// The name of a receipt that one of a client's connections has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReceiptId {
    pub(crate) token: Token,
    /// Of the barrier.
    pub(crate) number: u64,
    /// Which of the messages before the barrier's own it is of; none for the barrier.
    pub(crate) part: Option<u64>,
}

impl ReceiptId {
    fn parse(id: &[u8]) -> Option<ReceiptId> {
        let mut parts = std::str::from_utf8(id).ok()?.split('-');
        let token = Token(u128::from_str_radix(parts.next()?, 16).ok()?);
        let number = parts.next()?.parse().ok()?;
        let part = parts.next().map(str::parse).transpose().ok()?;
        parts.next().is_none().then_some(ReceiptId { token, number, part })
    }

    /// That of the message that an ERROR or a RECEIPT is about.
    pub(crate) fn answered(frame: &Frame<'_>) -> Option<ReceiptId> {
        ReceiptId::parse(&frame.header(b"receipt-id")?)
    }

    /// That which a message asks for.
    fn asked(frame: &Frame<'_>) -> Option<ReceiptId> {
        ReceiptId::parse(&frame.header(b"receipt")?)
    }
}

/// The number of the barrier that a RECEIPT answers; none if it answers another connection's.
pub(crate) fn receipt(token: Token, frame: &Frame<'_>) -> Option<u64> {
    let id = ReceiptId::answered(frame)?;
    (id.token == token && id.part.is_none()).then_some(id.number)
}

/// The receipt that the first message asks for.
pub(crate) fn first_receipt(version: Version, messages: &[u8]) -> Option<ReceiptId> {
    let mut decoder = decoder(version);
    match decoder.next(messages) {
        Ok(Found::Frame { frame, .. }) => ReceiptId::asked(&frame),
        _ => None,
    }
}

/// The messages whose receipts are not among these, and the count of the others; none if there are no others.
pub(crate) fn without(version: Version, messages: &[u8], receipts: &BTreeSet<ReceiptId>) -> Option<(Vec<u8>, u64)> {
    let mut decoder = decoder(version);
    let (mut rest, mut dropped, mut begin) = (Vec::new(), 0, 0);
    while let Ok(Found::Frame { frame, length }) = decoder.next(&messages[begin..]) {
        if ReceiptId::asked(&frame).is_some_and(|id| receipts.contains(&id)) {
            dropped += 1;
        } else {
            rest.extend_from_slice(&messages[begin..begin + length]);
        }
        begin += length;
    }
    (dropped > 0).then_some((rest, dropped))
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

/// A decoder of our own frames.
fn decoder(version: Version) -> Decoder {
    let mut decoder = Decoder::new(ANY);
    decoder.set_version(version);
    decoder
}

/// Counts the whole frames in the first `written` bytes of `messages`, and returns where they end.
pub(crate) fn whole(version: Version, messages: &[u8], written: usize) -> (u64, usize) {
    let mut decoder = decoder(version);
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
    let mut decoder = decoder(version);
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
    let mut decoder = decoder(version);
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
    fn each_message_can_have_a_mark_of_its_own() {
        for bodies in [&["one"][..], &["one", "", "t\0hree"]] {
            let (mut out, mut expected) = (Vec::new(), Vec::new());
            for (index, body) in bodies.iter().enumerate() {
                send(Version::V1_2, b"/queue/a", b"", body.as_bytes(), &mut out);
                let begin = expected.len();
                send(Version::V1_2, b"/queue/a", b"", body.as_bytes(), &mut expected);
                let is_last = index + 1 == bodies.len();
                let line = if is_last { "receipt:a-3\n".to_owned() } else { format!("receipt:a-3-{index}\n") };
                expected.splice(begin + BEHIND_COMMAND..begin + BEHIND_COMMAND, line.bytes());
            }
            assert_eq!(mark_each(Token(10), 3, Version::V1_2, &out), expected);
        }
    }

    #[test]
    fn an_error_names_the_message_that_it_is_about() {
        let id = |token, number, part| Some(ReceiptId { token: Token(token), number, part });
        for (text, found) in [
            ("a-3", id(10, 3, None)),
            ("a-3-0", id(10, 3, Some(0))),
            ("b-3-18446744073709551615", id(11, 3, Some(u64::MAX))),
            ("b-3-18446744073709551616", None),
            ("a-3-0-1", None),
            ("a-3-x", None),
            ("a", None),
            ("x-3", None),
            ("", None),
        ] {
            let text = format!("ERROR\nreceipt-id:{text}\n\n\0");
            let mut decoder = Decoder::new(Limits::default());
            let Ok(Found::Frame { frame, .. }) = decoder.next(text.as_bytes()) else { panic!("a frame") };
            assert_eq!(ReceiptId::answered(&frame), found, "{text}");
        }
    }

    #[test]
    fn messages_are_left_out_by_their_receipts_and_the_others_stay_as_they_are() {
        let mut messages = Vec::new();
        ["one", "", "three"]
            .iter()
            .for_each(|body| send(Version::V1_2, b"/queue/a", b"k:v\n", body.as_bytes(), &mut messages));
        let messages = mark_each(Token(10), 3, Version::V1_2, &messages);
        let ends: Vec<usize> = (0..=messages.len())
            .filter(|&end| end == 0 || whole(Version::V1_2, &messages, end) != whole(Version::V1_2, &messages, end - 1))
            .collect();
        let of = |part| ReceiptId { token: Token(10), number: 3, part };
        let ids = [of(Some(0)), of(Some(1)), of(None)];
        assert_eq!(first_receipt(Version::V1_2, &messages), Some(ids[0]));
        for left_out in 0..8usize {
            let is_out = |at: usize| left_out & 1 << at != 0;
            let receipts = (0..3).filter(|&at| is_out(at)).map(|at| ids[at]).collect();
            let rest = (0..3).filter(|&at| !is_out(at)).map(|at| &messages[ends[at]..ends[at + 1]]);
            let expected = rest.collect::<Vec<_>>().concat();
            match without(Version::V1_2, &messages, &receipts) {
                None => assert_eq!(left_out, 0),
                Some(found) => assert_eq!(found, (expected, u64::from(left_out.count_ones()))),
            }
        }
        let others = [ReceiptId { token: Token(11), ..ids[0] }, ReceiptId { number: 2, ..ids[1] }];
        assert_eq!(without(Version::V1_2, &messages, &others.into_iter().collect()), None);
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
