use super::{DecodeError, Decoder, Found, FrameWriter, Limits, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

const LIMITS: Limits = Limits { headers: 6, line: 40, body: 64 };

#[derive(Debug, Clone, PartialEq, Eq)]
struct Plain {
    command: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
}

fn plain(command: &str, headers: &[(&str, &str)], body: &str) -> Plain {
    let headers = headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    Plain { command: command.into(), headers, body: body.into() }
}

/// Reads frames as a connection does: bytes come in `pieces`, and wait until they make a frame.
fn decode<'a>(
    version: Version,
    limits: Limits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Plain>, Option<DecodeError>) {
    let mut decoder = Decoder::new(limits);
    decoder.set_version(version);
    let (mut waiting, mut frames) = (Vec::new(), Vec::new());
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            match decoder.next(&waiting) {
                Ok(Found::Frame { frame, length }) => {
                    assert_eq!(frame.body, &waiting[frame.body_range.clone()]);
                    frames.push(Plain {
                        command: frame.command.to_vec(),
                        headers: frame.headers().map(|h| (h.name.into_owned(), h.value.into_owned())).collect(),
                        body: frame.body.to_vec(),
                    });
                    waiting.drain(..length);
                }
                Ok(Found::Need { skip, bytes }) => {
                    waiting.drain(..skip);
                    assert!(bytes > waiting.len(), "asked for what was there already");
                    break;
                }
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fn one(version: Version, bytes: &[u8]) -> Result<Vec<Plain>, DecodeError> {
    let whole = decode(version, LIMITS, [bytes]);
    assert_eq!(whole, decode(version, LIMITS, bytes.chunks(1)), "{}", bytes.escape_ascii());
    match whole {
        (frames, None) => Ok(frames),
        (_, Some(error)) => Err(error),
    }
}

use Version::{V1_0, V1_1, V1_2};

mod short;

#[test]
fn frames_of_every_kind_are_understood() {
    let send = |headers: &[(&str, &str)], body: &str| Ok(vec![plain("SEND", headers, body)]);
    let d = ("destination", "/queue/a");
    for version in Version::ALL {
        for (bytes, expected) in [
            (&b"SEND\ndestination:/queue/a\n\nhello\0"[..], send(&[d], "hello")),
            (b"SEND\r\ndestination:/queue/a\r\n\r\nhello\0", send(&[d], "hello")),
            (b"\n\r\n\nSEND\ndestination:/queue/a\n\n\0\n\n", send(&[d], "")),
            (b"SEND\ncontent-length:3\n\na\0b\0", send(&[("content-length", "3")], "a\0b")),
            (b"SEND\ncontent-length:0\n\n\0", send(&[("content-length", "0")], "")),
            (
                b"SEND\ncontent-length:1\ncontent-length:9\n\nx\0",
                send(&[("content-length", "1"), ("content-length", "9")], "x"),
            ),
            (b"SEND\nx:a:b\n\n\0", send(&[("x", "a:b")], "")),
            (b"SEND\nx:\n\n\n\n\0", send(&[("x", "")], "\n\n")),
            (b"DISCONNECT\n\n\0", Ok(vec![plain("DISCONNECT", &[], "")])),
            (b"BEGIN\ntransaction:t\n\n\0COMMIT\ntransaction:t\n\n\0\n", {
                let t = [("transaction", "t")];
                Ok(vec![plain("BEGIN", &t, ""), plain("COMMIT", &t, "")])
            }),
            (b"SEND\nnocolon\n\n\0", Err(DecodeError::NoColon)),
            (b"SEND\n:value\n\n\0", Err(DecodeError::NoName)),
            (b"SEND\nx:\0", Err(DecodeError::NulInHead)),
            (b"SEND\0", Err(DecodeError::NulInHead)),
            (b"\0", Err(DecodeError::NulInHead)),
            (b"SEND\ncontent-length:2\n\nabc\0", Err(DecodeError::NoNul { length: 2 })),
            (b"SEND\ncontent-length:\n\n\0", Err(DecodeError::BadContentLength)),
            (b"SEND\ncontent-length:-1\n\n\0", Err(DecodeError::BadContentLength)),
            (b"SEND\ncontent-length:+1\n\nx\0", Err(DecodeError::BadContentLength)),
            (
                b"SEND\ncontent-length:99999999999999999999999\n\n",
                Err(DecodeError::BodyTooLong { length: usize::MAX, limit: 64 }),
            ),
        ] {
            assert_eq!(one(version, bytes), expected, "{version}: {}", bytes.escape_ascii());
        }
    }
}

#[test]
fn headers_are_escaped_as_the_version_says() {
    let value = |version, text: &str| {
        let bytes = format!("SEND\nx:{text}\n\n\0");
        one(version, bytes.as_bytes()).map(|frames| String::from_utf8(frames[0].headers[0].1.clone()).unwrap())
    };
    let undefined = |escaped: Option<u8>| Err(DecodeError::UndefinedEscape { escaped });
    assert_eq!(value(V1_2, r"a\n\r\c\\b"), Ok("a\n\r:\\b".into()));
    assert_eq!(value(V1_1, r"a\n\c\\b"), Ok("a\n:\\b".into()));
    assert_eq!(value(V1_1, r"a\r"), undefined(Some(b'r')));
    for version in [V1_1, V1_2] {
        assert_eq!(value(version, r"a\t"), undefined(Some(b't')));
        assert_eq!(value(version, r"a\"), undefined(None));
        assert_eq!(value(version, " a "), Ok(" a ".into()));
    }
    assert_eq!(value(V1_0, r"a\n\t\"), Ok(r"a\n\t\".into()));
    assert_eq!(value(V1_0, "  a b\t"), Ok("a b".into()));
    let name = one(V1_2, b"SEND\na\\cb:c\n\n\0").unwrap();
    assert_eq!(name[0].headers[0].0, b"a:b");
}

#[test]
fn connect_and_connected_are_never_escaped() {
    for command in ["CONNECT", "STOMP", "CONNECTED"] {
        for version in Version::ALL {
            let bytes = format!("{command}\npasscode:a\\t\\\\\n\n\0");
            let frames = one(version, bytes.as_bytes()).unwrap();
            assert_eq!(frames, [plain(command, &[("passcode", r"a\t\\")], "")]);
            let mut out = Vec::new();
            FrameWriter::new(command.as_bytes(), version, &mut out).header(b"server", b"a\\b:c").end();
            assert_eq!(out, format!("{command}\nserver:a\\b:c\n\n\0").as_bytes());
        }
    }
}

#[test]
fn the_first_of_repeated_headers_is_found() {
    let mut decoder = Decoder::new(LIMITS);
    let Ok(Found::Frame { frame, .. }) = decoder.next(b"SEND\nx:1\nx:2\n\n\0") else { panic!("a frame") };
    assert_eq!(frame.header(b"x").as_deref(), Some(&b"1"[..]));
    assert_eq!(frame.header(b"y"), None);
}

#[test]
fn a_header_is_found_by_its_name_however_that_is_written() {
    let found = |version, line: &str, name: &str| {
        let mut decoder = Decoder::new(LIMITS);
        decoder.set_version(version);
        let bytes = format!("SEND\nother:0\n{line}\n\n\0");
        let Ok(Found::Frame { frame, .. }) = decoder.next(bytes.as_bytes()) else { panic!("{bytes:?} is no frame") };
        frame.header(name.as_bytes()).is_some_and(|value| *value == *b"1")
    };
    for (version, line, name, expected) in [
        (V1_2, "name:1", "name", true),
        (V1_2, "names:1", "name", false),
        (V1_2, " name:1", "name", false),
        (V1_2, "Name:1", "name", false),
        (V1_2, "\\cname:1", ":name", true),
        (V1_2, "\\cname:1", "\\cname", false),
        (V1_1, "\\\\name:1", "\\name", true),
        (V1_1, "\\nname:1", "\nname", true),
        (V1_0, " name : 1", "name", true),
        (V1_0, "\\cname:1", "\\cname", true),
        (V1_2, "name:1", "", false),
    ] {
        assert_eq!(found(version, line, name), expected, "{version}: {line} as {name:?}");
    }
}

#[test]
fn what_a_version_cannot_express_never_becomes_a_header() {
    let written = |version| {
        let mut out = Vec::new();
        FrameWriter::new(b"MESSAGE", version, &mut out).header(b"a:b\n", b"c\nd:\0\r").end();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(written(V1_0), "MESSAGE\na?b?:c?d:??\n\n\0");
    assert_eq!(written(V1_1), "MESSAGE\na\\cb\\n:c\\nd\\c?\r\n\n\0");
    assert_eq!(written(V1_2), "MESSAGE\na\\cb\\n:c\\nd\\c?\\r\n\n\0");
}

#[test]
fn every_limit_allows_exactly_itself() {
    let error = |bytes: Vec<u8>| one(V1_2, &bytes).err();
    let headers = |count: usize| [&b"SEND\n"[..], &b"a:b\n".repeat(count), b"\n\0"].concat();
    for (count, expected) in [(0, None), (5, None), (6, None), (7, Some(DecodeError::TooManyHeaders { limit: 6 }))] {
        assert_eq!(error(headers(count)), expected, "{count}");
    }
    let too_long = Some(DecodeError::LineTooLong { limit: 40 });
    for (length, expected) in [(39, None), (40, None), (41, too_long)] {
        for end in [&b"\n"[..], b"\r\n"] {
            let line = [b"a:".to_vec(), vec![b'x'; length - 2]].concat();
            assert_eq!(error([b"SEND\n", &line[..], end, b"\n\0"].concat()), expected, "{length}");
            assert_eq!(error([&vec![b'C'; length][..], end, b"\n\0"].concat()), expected, "{length}");
        }
    }
    // It does not have to end before it is refused.
    assert_eq!(error(vec![b'C'; 100]), too_long);
    for length in [63, 64, 65] {
        let body = vec![b'x'; length];
        let expected = (length > 64).then_some(DecodeError::BodyTooLong { length, limit: 64 });
        assert_eq!(error([b"SEND\n\n", &body[..], b"\0"].concat()), expected);
        let head = format!("SEND\ncontent-length:{length}\n\n");
        assert_eq!(error([head.as_bytes(), &body[..], b"\0"].concat()), expected);
        // The announcement is enough.
        assert_eq!(error(head.into_bytes()), expected);
    }
    let endless = error([&b"SEND\n\n"[..], &[b'x'; 1000]].concat());
    assert_eq!(endless, Some(DecodeError::BodyTooLong { length: 65, limit: 64 }));
}

#[test]
fn limits_of_nothing_allow_a_command_alone() {
    let limits = Limits { headers: 0, line: 1, body: 0 };
    assert_eq!(decode(V1_2, limits, [&b"A\n\n\0"[..]]), (vec![plain("A", &[], "")], None));
    assert_eq!(decode(V1_2, limits, [&b"A\n\nx"[..]]).1, Some(DecodeError::BodyTooLong { length: 1, limit: 0 }));
    let most = Limits { headers: usize::MAX, line: usize::MAX, body: usize::MAX };
    let huge = b"A\ncontent-length:18446744073709551615\n\nx";
    assert_eq!(decode(V1_2, most, [&huge[..]]).1, None);
}

#[test]
fn an_error_names_its_limit_and_figure() {
    for (error, text) in [
        (DecodeError::LineTooLong { limit: 40 }, "a header line of more than 40 bytes, which is the limit"),
        (DecodeError::TooManyHeaders { limit: 6 }, "a frame of more than 6 header lines, which is the limit"),
        (
            DecodeError::BodyTooLong { length: 65, limit: 64 },
            "a body of 65 bytes or more is over the limit of 64 bytes",
        ),
        (
            DecodeError::UndefinedEscape { escaped: Some(b't') },
            "an undefined escape in a header: a backslash before `t`",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn what_is_needed_of_an_announced_body_is_known() {
    let mut decoder = Decoder::new(LIMITS);
    let head = b"\n\nSEND\ncontent-length:10\n\nabc";
    assert_eq!(decoder.next(head), Ok(Found::Need { skip: 2, bytes: head.len() - 2 + 7 + 1 }));
}

fn cut<'a>(bytes: &'a [u8], points: &[Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = points.iter().map(|point| point.index(bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut start = 0;
    let mut pieces = Vec::new();
    for end in ends {
        pieces.push(&bytes[start..end]);
        start = end;
    }
    pieces
}

fn frames() -> impl Strategy<Value = Vec<Plain>> {
    let text = || vec(prop_oneof![4 => any::<u8>(), 1 => Just(b'\\'), 1 => Just(b':'), 1 => Just(b'\n')], 0..8);
    let legal = |text: &Vec<u8>| !text.contains(&0) && *text != b"content-length" && !text.ends_with(b"\r");
    let header = (
        text().prop_filter("a name", move |name| !name.is_empty() && legal(name)),
        text().prop_filter("a value", legal),
    );
    let frame = (prop_oneof![Just("SEND"), Just("MESSAGE"), Just("X")], vec(header, 0..5), vec(any::<u8>(), 0..=64));
    let frame = frame.prop_map(|(command, headers, body)| Plain { command: command.into(), headers, body });
    vec(frame, 0..6)
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_however_it_is_cut(
        frames in frames(),
        is_1_1 in any::<bool>(),
        eols in 0..3usize,
        points in vec(any::<Index>(), 0..24),
    ) {
        let version = if is_1_1 { V1_1 } else { V1_2 };
        let mut bytes = Vec::new();
        for frame in &frames {
            let mut writer = FrameWriter::new(&frame.command, version, &mut bytes);
            for (name, value) in &frame.headers {
                writer = writer.header(name, value);
            }
            writer.body(&frame.body);
            bytes.extend_from_slice(&b"\r\n\n"[..eols]);
        }
        let (mut decoded, error) = decode(version, Limits { line: 4096, ..LIMITS }, cut(&bytes, &points));
        for frame in &mut decoded {
            let (name, value) = frame.headers.pop().unwrap();
            prop_assert_eq!((&name[..], value), (&b"content-length"[..], frame.body.len().to_string().into_bytes()));
        }
        prop_assert_eq!((decoded, error), (frames, None));
    }

    #[test]
    fn arbitrary_bytes_decode_to_the_same_frames_and_error_however_they_are_cut(
        bytes in vec(prop_oneof![
            6 => Just(b"SEND\n".to_vec()), 4 => Just(b"a:b\n".to_vec()), 2 => Just(b"content-length:2\n".to_vec()),
            6 => Just(b"\n".to_vec()), 2 => Just(b"\r\n".to_vec()), 6 => Just(b"\0".to_vec()),
            2 => Just(b"\\".to_vec()), 2 => any::<u8>().prop_map(|byte| vec![byte]),
        ], 0..60),
        version in prop_oneof![Just(V1_0), Just(V1_1), Just(V1_2)],
        points in vec(any::<Index>(), 0..24),
    ) {
        let bytes = bytes.concat();
        prop_assert_eq!(decode(version, LIMITS, cut(&bytes, &points)), decode(version, LIMITS, [&bytes[..]]));
    }
}

#[test]
fn the_error_of_a_line_is_the_same_wherever_it_is_cut() {
    for length in 38..=43 {
        for end in ["\0", "\r\0", "\n\n\0", "\r\n\n\0", "\rx\n\n\0"] {
            for begin in ["", "SEND\n", "SEND\na:b\n"] {
                let bytes = format!("{begin}{}{end}", "h:".repeat(length)[..length].to_owned());
                let bytes = bytes.as_bytes();
                let whole = decode(V1_2, LIMITS, [bytes]);
                assert_eq!(whole, decode(V1_2, LIMITS, bytes.chunks(1)), "{bytes:?}");
                for cut in 0..bytes.len() {
                    assert_eq!(whole, decode(V1_2, LIMITS, [&bytes[..cut], &bytes[cut..]]), "{bytes:?} {cut}");
                }
            }
        }
    }
}

#[test]
fn a_broken_frame_names_its_receipt_as_far_as_it_has_come() {
    let limits = Limits { body: 5, ..Limits::default() };
    for (input, receipt) in [
        (&b"SEND\nreceipt:1\ncontent-length:99\n\n"[..], Some(&b"1"[..])),
        (b"\n\r\nSEND\r\ncontent-length:99\r\nreceipt:a\\cb\r\n\r\n", Some(b"a:b")),
        (b"SEND\nx\\t:1\nreceipt:2\nreceipt:3\n\n\0", Some(b"2")),
        (b"SEND\nreceipt:1\n\n123456", Some(b"1")),
        (b"SEND\nno colon\n\nreceipt:1\n\0", None),
        (b"SEND\nno colon\nreceip", None),
        (b"SEND\nreceipt:\\t\nx\n\n\0", None),
    ] {
        let mut decoder = Decoder::new(limits);
        decoder.set_version(V1_2);
        assert!(decoder.next(input).is_err(), "{}", input.escape_ascii());
        assert_eq!(decoder.header_of_broken(input, b"receipt").as_deref(), receipt, "{}", input.escape_ascii());
    }
}
