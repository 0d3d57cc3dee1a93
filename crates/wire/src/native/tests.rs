use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{FrameTooLong, PREFIX, Split, encode, header, split};

const LIMIT: usize = 64;

fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(body, &mut bytes);
    bytes
}

/// Reads frames as a connection does: bytes come in `pieces`, and wait until they make a frame.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> (Vec<Vec<u8>>, Option<FrameTooLong>) {
    let mut waiting = Vec::new();
    let mut frames = Vec::new();
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            match split(&waiting, limit) {
                Ok(Split::Frame { body, consumed }) => {
                    frames.push(body.to_vec());
                    waiting.drain(..consumed);
                }
                Ok(Split::Need(bytes)) => {
                    assert!(bytes > waiting.len(), "asked for what was there already");
                    break;
                }
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

/// Cuts `bytes` at the given points, in whatever order they come.
fn cut<'a>(bytes: &'a [u8], points: &[Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = points.iter().map(|p| p.index(bytes.len() + 1)).collect();
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

#[test]
fn a_frame_is_its_big_endian_length_and_its_bytes() {
    assert_eq!(frame(b"/topic/a"), b"\x00\x00\x00\x08/topic/a");
    assert_eq!(header(0x0102_0304), [1, 2, 3, 4]);
    assert_eq!(header(u32::MAX as usize), [0xff; 4]);
}

#[test]
#[cfg(target_pointer_width = "64")]
#[should_panic(expected = "32 bits")]
fn a_length_that_does_not_fit_is_never_cut_short() {
    let _ = header(u32::MAX as usize + 1);
}

#[test]
fn a_frame_below_or_at_the_limit_is_accepted() {
    for length in [LIMIT - 1, LIMIT] {
        let body = vec![b'x'; length];
        assert_eq!(split(&frame(&body), LIMIT), Ok(Split::Frame { body: &body, consumed: PREFIX + length }));
    }
}

#[test]
fn a_frame_above_the_limit_is_refused_as_soon_as_its_length_is_there() {
    let bytes = frame(&[b'x'; LIMIT + 1]);
    let refused = Err(FrameTooLong { length: LIMIT + 1, limit: LIMIT });
    assert_eq!(split(&bytes[..PREFIX - 1], LIMIT), Ok(Split::Need(PREFIX)));
    assert_eq!(split(&bytes[..PREFIX], LIMIT), refused);
    assert_eq!(split(&bytes, LIMIT), refused);
}

#[test]
fn the_longest_length_that_can_be_written_is_refused() {
    let error = split(&[0xff; 4], 16 * 1024 * 1024).unwrap_err();
    assert_eq!(error.length, u32::MAX as usize);
    assert_eq!(error.to_string(), "frame of 4294967295 bytes is over the limit of 16777216 bytes");
}

#[test]
fn an_empty_frame_is_a_frame_even_when_the_limit_is_nothing() {
    let empty = Split::Frame { body: b"", consumed: PREFIX };
    assert_eq!(split(&frame(b""), LIMIT), Ok(empty));
    assert_eq!(split(&frame(b""), 0), Ok(empty));
}

#[test]
fn no_input_needs_a_length_first() {
    assert_eq!(split(b"", LIMIT), Ok(Split::Need(PREFIX)));
}

#[test]
fn what_stands_behind_a_frame_is_left_alone() {
    let mut bytes = frame(b"one");
    encode(b"two", &mut bytes);
    let first = Split::Frame { body: b"one".as_slice(), consumed: 7 };
    assert_eq!(split(&bytes, LIMIT), Ok(first));
    let second = Split::Frame { body: b"two".as_slice(), consumed: 7 };
    assert_eq!(split(&bytes[7..], LIMIT), Ok(second));
}

#[test]
fn a_frame_that_comes_one_byte_at_a_time_says_each_time_what_it_needs() {
    let bytes = frame(b"hello");
    for have in 0..bytes.len() {
        let need = if have < PREFIX { PREFIX } else { bytes.len() };
        assert_eq!(split(&bytes[..have], LIMIT), Ok(Split::Need(need)));
    }
    let (frames, error) = decode(bytes.chunks(1), LIMIT);
    assert_eq!((frames, error), (vec![b"hello".to_vec()], None));
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_however_it_is_cut(
        bodies in vec(vec(any::<u8>(), 0..=LIMIT), 0..12),
        points in vec(any::<Index>(), 0..24),
    ) {
        let mut bytes = Vec::new();
        for body in &bodies {
            encode(body, &mut bytes);
        }
        prop_assert_eq!(decode([&bytes[..]], LIMIT), (bodies.clone(), None));
        prop_assert_eq!(decode(cut(&bytes, &points), LIMIT), (bodies, None));
    }

    // Lengths are small mostly, or nearly all such bytes would be refused at once.
    #[test]
    fn arbitrary_bytes_decode_to_the_same_frames_and_error_however_they_are_cut(
        bytes in vec(prop_oneof![8 => Just(0), 2 => 0..80u8, 1 => any::<u8>()], 0..400),
        points in vec(any::<Index>(), 0..24),
    ) {
        prop_assert_eq!(decode(cut(&bytes, &points), LIMIT), decode([&bytes[..]], LIMIT));
    }
}
