//! A ZMTP peer from its first byte on: however the bytes are cut, the same is found, and what waits is bounded.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchboard_wire::zmtp::{
    Command, Decoder, Found, GreetingError, Handshake, HandshakeError, Limits, Local, Security, SocketType,
};

/// Small, so that the fuzzer finds them.
const LIMITS: Limits = Limits { message: 3000, parts: 8, command: 200 };

/// The messages, the answers of the handshake, and the error at the end.
type Heard = (Vec<(bool, Vec<u8>)>, Vec<u8>, Option<String>);

fn hear<'a>(server: bool, greeted: bool, pieces: impl Iterator<Item = &'a [u8]>) -> Heard {
    let security = if server { Security::plain_server(|name, password| name == password) } else { Security::Null };
    let local = Local { socket_type: SocketType::Pull, identity: Vec::new(), security };
    let mut handshake = (!greeted).then(|| Handshake::new(local, LIMITS));
    let mut decoder = Decoder::new(LIMITS);
    let (mut waiting, mut found) = (Vec::new(), Vec::new());
    let mut answers = handshake.as_mut().map(Handshake::take_output).unwrap_or_default();
    for piece in pieces {
        waiting.extend_from_slice(piece);
        if let Some(shaking) = &mut handshake {
            let result = shaking.received(&waiting);
            answers.extend(shaking.take_output());
            match result {
                // It shows what was there by then.
                Err(HandshakeError::Greeting(GreetingError::NotZmtp(_))) => {
                    return (found, answers, Some("not ZMTP".into()));
                }
                Err(error) => return (found, answers, Some(error.to_string())),
                Ok((done, peer)) => {
                    waiting.drain(..done);
                    if peer.is_none() {
                        assert!(waiting.len() < 64 + 9 + LIMITS.command);
                        continue;
                    }
                    handshake = None;
                }
            }
        }
        loop {
            match decoder.next(&waiting) {
                Ok(Found::Message { length, first, parts }) => {
                    assert!(parts <= LIMITS.parts && first.len() <= LIMITS.message);
                    found.push((false, waiting.drain(..length).collect()));
                }
                Ok(Found::Command { length, body }) => {
                    let body = waiting[body].to_vec();
                    if let Ok(command) = Command::decode(&body)
                        && !matches!(command, Command::Other(_) | Command::Welcome)
                    {
                        let mut again = Vec::new();
                        command.encode(&mut again);
                        assert!(again.ends_with(&body));
                    }
                    found.push((true, body));
                    waiting.drain(..length);
                }
                Ok(Found::Need(bytes)) => {
                    assert!(bytes > waiting.len(), "a reader would wait for nothing");
                    assert!(bytes <= LIMITS.message + 9 * LIMITS.parts + LIMITS.command + 9);
                    break;
                }
                Err(error) => return (found, answers, Some(error.to_string())),
            }
        }
    }
    (found, answers, None)
}

fuzz_target!(|input: (bool, bool, u8, &[u8])| {
    let (server, greeted, size, bytes) = input;
    let whole = hear(server, greeted, std::iter::once(bytes));
    let cut = hear(server, greeted, bytes.chunks(usize::from(size).max(1)));
    assert_eq!(whole, cut);
});
