//! STOMP: however the bytes are cut, the same frames come out, and what they say can be written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard_wire::stomp::{DecodeError, Decoder, Found, FrameWriter, Limits, Version};

/// Small, so that the fuzzer finds them.
const LIMITS: Limits = Limits { headers: 8, line: 40, body: 6000 };

/// Its headers without `content-length`, which is about how the frame is written.
type Plain = (Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>, Vec<u8>);

fn decode<'a>(
    version: Version,
    limits: Limits,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Plain>, Option<DecodeError>) {
    let mut decoder = Decoder::new(limits);
    decoder.set_version(version);
    let (mut waiting, mut frames) = (Vec::new(), Vec::new());
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            match decoder.next(&waiting) {
                Ok(Found::Frame { frame, length }) => {
                    let headers = frame.headers().map(|header| (header.name.into_owned(), header.value.into_owned()));
                    let headers = headers.filter(|(name, _)| name != b"content-length").collect();
                    frames.push((frame.command.to_vec(), headers, frame.body.to_vec()));
                    waiting.drain(..length);
                }
                Ok(Found::Need { skip, bytes }) => {
                    waiting.drain(..skip);
                    assert!(bytes > waiting.len());
                    break;
                }
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (size, version, bytes) = input;
    let version = Version::ALL[usize::from(version) % 3];
    let whole = decode(version, LIMITS, std::iter::once(bytes));
    assert_eq!(whole, decode(version, LIMITS, bytes.chunks(usize::from(size).max(1))));
    // Only 1.2 can express everything, but for a command that ends with CR.
    let mut written = Vec::new();
    for (command, headers, body) in &whole.0 {
        let mut writer = FrameWriter::new(command, Version::V1_2, &mut written);
        for (name, value) in headers {
            writer = writer.header(name, value);
        }
        writer.body(body);
    }
    let unescaped =
        |command: &[u8]| matches!(command, b"CONNECT" | b"STOMP" | b"CONNECTED") || command.ends_with(b"\r");
    if !whole.0.iter().any(|(command, ..)| unescaped(command)) {
        let more = Limits { headers: 9, line: 200, ..LIMITS };
        assert_eq!(decode(Version::V1_2, more, std::iter::once(&written[..])), (whole.0, None));
    }
});
