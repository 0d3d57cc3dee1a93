//! The native protocol from the first byte on: however the bytes are cut, the same is asked for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard_broker::{Command, Limits};
use switchboard_server::{NativeError, Session};

/// Small, so that the fuzzer finds them.
fn limits() -> Limits {
    Limits { channel_name: 40, message: 6000, ..Limits::default() }
}

/// The commands, message by message, and the error at the end.
type Asked = (Vec<(Vec<u8>, Vec<u8>)>, Option<NativeError>);

fn receive<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Asked {
    let mut session = Session::new(&limits());
    let mut asked = Vec::new();
    for piece in pieces {
        let mut commands = Vec::new();
        let spare = session.spare();
        let direct = spare.len().min(piece.len());
        spare[..direct].copy_from_slice(&piece[..direct]);
        session.filled(direct);
        let result = session.received(&piece[direct..], &mut commands);
        for command in commands {
            match command {
                Command::Subscribe { pattern, .. } => asked.push((b"subscribe".to_vec(), pattern.to_vec())),
                Command::Publish { channel, batch } => {
                    asked.extend(batch.iter().map(|body| (channel.to_vec(), body.to_vec())));
                }
                Command::Barrier { batch } => asked.extend(batch.iter().map(|body| (Vec::new(), body.to_vec()))),
                Command::Finish => asked.push((b"finish".to_vec(), Vec::new())),
                Command::Reserve { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        if let Err(error) = result {
            return (asked, Some(error));
        }
    }
    (asked, None)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let whole = receive(std::iter::once(bytes));
    let cut = receive(bytes.chunks(usize::from(size).max(1)));
    assert_eq!(whole, cut);
});
