use super::{NativeError, Session};
use switchboard_broker::{Batch, Command, Limits};
use switchboard_wire::native::encode;

fn frames(bodies: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for body in bodies {
        encode(body, &mut bytes);
    }
    bytes
}

/// What was asked for, message by message, so that runs cut otherwise compare equal.
fn flat(commands: &[Command]) -> Vec<(String, Vec<u8>)> {
    let mut flat = Vec::new();
    for command in commands {
        match command {
            Command::Subscribe { pattern, .. } => flat.push(("subscribe".into(), pattern.to_vec())),
            Command::Publish { channel, batch } => {
                flat.extend(batch.iter().map(|body| (format!("{}", channel.escape_ascii()), body.to_vec())));
            }
            Command::Barrier { batch } => flat.extend(batch.iter().map(|body| ("echo".into(), body.to_vec()))),
            Command::Finish => flat.push(("finish".into(), Vec::new())),
            Command::Reserve { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    flat
}

#[test]
fn a_run_of_one_channel_is_one_batch() {
    let mut session = Session::new(&Limits::default());
    let mut commands = Vec::new();
    let bytes = frames(&[b"/null", b"/a", b"1", b"/a", b"", b"/b", b"3", b"/switchboard/echo", b"x"]);
    session.received(&bytes, &mut commands).unwrap();
    assert_eq!(commands.len(), 4);
    let Command::Publish { batch, .. } = &commands[1] else { panic!("{commands:?}") };
    assert_eq!(batch.iter().collect::<Vec<_>>(), [&b"1"[..], b""]);
    assert_eq!(commands[3], Command::Barrier { batch: Batch::one(b"x") });
    assert_eq!(session.missing(), 0);
}

#[test]
fn cuts_change_nothing() {
    let large = vec![7; 10_000];
    let bytes =
        frames(&[b"/null", b"/a", b"1", b"/a", &large, b"/b", b"", b"/switchboard/echo", b"x", b"", b"/late", b"y"]);
    let mut whole = Vec::new();
    Session::new(&Limits::default()).received(&bytes, &mut whole).unwrap();
    for step in [1, 2, 3, 5, 7, 11, 64, 4096, 9_999] {
        for direct in [false, true] {
            let mut session = Session::new(&Limits::default());
            let mut commands = Vec::new();
            for mut piece in bytes.chunks(step) {
                if direct {
                    let spare = session.spare();
                    let count = spare.len().min(piece.len());
                    spare[..count].copy_from_slice(&piece[..count]);
                    session.filled(count);
                    piece = &piece[count..];
                }
                session.received(piece, &mut commands).unwrap();
            }
            assert_eq!(flat(&commands), flat(&whole), "{step} {direct}");
            assert!(session.is_ended());
        }
    }
}

#[test]
fn a_large_frame_is_reserved_before_it_grows_and_released_after_it_is_published() {
    let mut session = Session::new(&Limits::default());
    let mut commands = Vec::new();
    let bytes = frames(&[b"/null", b"/a", &vec![7; 10_000]]);
    session.received(&bytes[..30], &mut commands).unwrap();
    let need = 4 + 2 + 4 + 10_000;
    assert_eq!(commands[1..], [Command::Reserve { bytes: need }]);
    session.received(&bytes[30..], &mut commands).unwrap();
    assert!(matches!(commands[2], Command::Publish { .. }));
    assert_eq!(commands[3..], [Command::Reserve { bytes: 0 }]);
}

#[test]
fn limits_are_named() {
    let limits = Limits { channel_name: 4, message: 8, ..Limits::default() };
    for (frames, error) in [
        (frames(&[b"/long"]), NativeError::ChannelTooLong { length: 5, limit: 4 }),
        (frames(&[b"/a", b"/long", b""]), NativeError::ChannelTooLong { length: 5, limit: 4 }),
        (frames(&[b"/a", b"/b", b"123456789"]), NativeError::DataTooLong { length: 9, limit: 8 }),
    ] {
        for step in [1, 3, 100] {
            let mut session = Session::new(&limits);
            let result = frames.chunks(step).try_for_each(|piece| session.received(piece, &mut Vec::new()));
            assert_eq!(result, Err(error));
        }
    }
}

#[test]
fn what_is_missing_is_known() {
    let mut session = Session::new(&Limits::default());
    session.received(&frames(&[b"/null", b"/a", b"12345"])[..17], &mut Vec::new()).unwrap();
    assert_eq!(session.missing(), 2);
    session.received(&[0], &mut Vec::new()).unwrap();
    assert_eq!(session.missing(), 1);
}

/// What a session asks for when its peer shuts its side down after these bytes.
fn shut_down_after(bytes: &[u8]) -> (Vec<Command>, Session) {
    let mut session = Session::new(&Limits::default());
    session.received(bytes, &mut Vec::new()).unwrap();
    let mut commands = Vec::new();
    session.shut_down(&mut commands);
    (commands, session)
}

#[test]
fn a_shut_down_between_pairs_ends_a_listener_s_session() {
    for before in [frames(&[b"/topic/a"]), frames(&[b"/null", b"/a", b"1"]), frames(&[b"queue", b"/queue/a", b""])] {
        let (commands, session) = shut_down_after(&before);
        assert_eq!(commands, [Command::Finish]);
        assert!(session.is_ended());
    }
}

#[test]
fn a_shut_down_leaves_a_worker_s_session_to_its_disconnection() {
    for before in [frames(&[b"/queue/a"]), frames(&[b"/queue/*"]), frames(&[b"/queueX", b"/a", b"1"])] {
        let (commands, session) = shut_down_after(&before);
        assert_eq!(commands, []);
        assert!(!session.is_ended());
    }
}

#[test]
fn a_shut_down_ends_nothing_that_is_not_begun_not_whole_or_ended_already() {
    let whole = frames(&[b"/topic/a", b"/a", b"1"]);
    // Every place but the bounds behind the first frame and behind the pair.
    for cut in (0..whole.len()).filter(|cut| *cut != 12) {
        let (commands, session) = shut_down_after(&whole[..cut]);
        assert_eq!(commands, [], "cut at {cut}");
        assert!(!session.is_ended());
    }
    let (commands, session) = shut_down_after(&frames(&[b"/topic/a", b""]));
    assert_eq!(commands, []);
    assert!(session.is_ended());
}
