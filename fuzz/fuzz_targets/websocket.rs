//! WebSocket: however the bytes are cut, the same stream comes out and ends the same way.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard_wire::websocket::{Decoder, End};

/// The stream, the last ping, and the end.
fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, Option<Vec<u8>>, Option<End>) {
    let (mut decoder, mut stream, mut ping, mut end) = (Decoder::new(), Vec::new(), None, None);
    for piece in pieces {
        let mut piece = piece.to_vec();
        let decoded = decoder.decode(&mut piece);
        assert!(decoded.bytes <= piece.len());
        assert!(end.is_none() || decoded.bytes == 0 && decoded.ping.is_none() && decoded.end.is_none());
        stream.extend_from_slice(&piece[..decoded.bytes]);
        ping = decoded.ping.or(ping);
        end = end.or(decoded.end);
    }
    (stream, ping, end)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let whole = decode(std::iter::once(bytes));
    assert_eq!(whole, decode(bytes.chunks(usize::from(size).max(1))));
});
