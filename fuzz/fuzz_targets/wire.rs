//! A reader that waits for exactly what `split` says it needs finds the frames of the whole.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard_wire::native::{FrameTooLong, Split, encode, split};

/// The frames, how many bytes they take, and what ended them.
type Found = (Vec<Vec<u8>>, usize, Result<usize, FrameTooLong>);

fn at_once(input: &[u8], limit: usize) -> Found {
    let (mut frames, mut at) = (Vec::new(), 0);
    loop {
        match split(&input[at..], limit) {
            Ok(Split::Frame { body, consumed }) => {
                frames.push(body.to_vec());
                at += consumed;
            }
            Ok(Split::Need(need)) => return (frames, at, Ok(need)),
            Err(error) => return (frames, at, Err(error)),
        }
    }
}

fn as_needed(input: &[u8], limit: usize) -> Found {
    let (mut frames, mut at, mut have) = (Vec::new(), 0, 0);
    loop {
        match split(&input[at..at + have], limit) {
            Ok(Split::Frame { body, consumed }) => {
                // It never asked for a byte that is not this frame's.
                assert_eq!(consumed, have);
                frames.push(body.to_vec());
                at += consumed;
                have = 0;
            }
            Ok(Split::Need(need)) => {
                assert!(need > have, "a reader would wait for nothing");
                if at + need > input.len() {
                    return (frames, at, Ok(need));
                }
                have = need;
            }
            Err(error) => return (frames, at, Err(error)),
        }
    }
}

fuzz_target!(|input: (u16, &[u8])| {
    let (limit, bytes) = (usize::from(input.0), input.1);
    let (frames, end, stop) = at_once(bytes, limit);
    assert_eq!(as_needed(bytes, limit), (frames.clone(), end, stop));
    if let Err(error) = stop {
        assert!(error.length > limit && error.limit == limit);
    }
    let mut again = Vec::new();
    frames.iter().for_each(|body| encode(body, &mut again));
    assert_eq!(again, bytes[..end]);
});
