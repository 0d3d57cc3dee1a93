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

/// Flattens commands message by message, so that runs cut otherwise compare equal.
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

/// Bytes that each command reserves.
fn reserved(commands: &[Command]) -> Vec<usize> {
    let bytes = |command: &Command| match command {
        Command::Reserve { bytes, .. } => Some(*bytes),
        _ => None,
    };
    commands.iter().filter_map(bytes).collect()
}

#[test]
fn a_large_frame_is_reserved_as_it_comes_and_released_after_it_is_published() {
    let mut session = Session::new(&Limits::default());
    let mut commands = Vec::new();
    let bytes = frames(&[b"/null", b"/a", &vec![7; 10_000]]);
    session.received(&bytes[..1030], &mut commands).unwrap();
    // The first frame took 9 bytes.
    assert_eq!(reserved(&commands), [2 * 1021]);
    session.received(&bytes[1030..3000], &mut commands).unwrap();
    assert_eq!(reserved(&commands), [2 * 1021, 2 * 2991]);
    session.received(&bytes[3000..], &mut commands).unwrap();
    assert!(matches!(commands[3], Command::Publish { .. }), "{commands:?}");
    assert_eq!(commands[4..], [Command::Reserve { bytes: 0, whole: 0 }]);
}

#[test]
fn an_announced_length_alone_reserves_nothing_and_takes_no_memory() {
    let mut session = Session::new(&Limits::default());
    let mut commands = Vec::new();
    let mut bytes = frames(&[b"/null", b"/a"]);
    bytes.extend((16_u32 << 20).to_be_bytes());
    session.received(&bytes, &mut commands).unwrap();
    assert_eq!(session.missing(), 16 << 20);
    assert!(reserved(&commands).is_empty());
    assert!(session.spare().len() <= 512);
}

#[test]
fn never_more_than_twice_what_has_come_is_reserved_for_a_frame() {
    const SIZE: usize = 300_000;
    let bytes = frames(&[b"/null", b"/a", &vec![7; SIZE]]);
    for step in [1, 100, 511, 512, 513, 4096, 100_000] {
        let mut session = Session::new(&Limits::default());
        let (mut come, mut last) = (0, 0);
        let mut whole = Vec::new();
        for mut piece in bytes.chunks(step) {
            let mut commands = Vec::new();
            come += piece.len();
            let spare = session.spare();
            let direct = spare.len().min(piece.len());
            spare[..direct].copy_from_slice(&piece[..direct]);
            session.filled(direct);
            piece = &piece[direct..];
            session.received(piece, &mut commands).unwrap();
            for bytes in reserved(&commands) {
                assert!(bytes <= (2 * come).min(SIZE + 10), "{bytes} bytes after {come}");
                last = bytes;
            }
            assert!(session.spare().len() <= come.max(512));
            whole.extend(commands);
        }
        assert_eq!(last, 0, "step {step}");
        let Some(Command::Publish { batch, .. }) = whole.iter().find(|c| matches!(c, Command::Publish { .. })) else {
            panic!("{whole:?}")
        };
        assert_eq!(batch.packed().len(), 4 + SIZE);
    }
}

#[test]
fn a_backlog_is_dealt_with_in_steps_and_changes_nothing() {
    let mut bytes = frames(&[b"/null"]);
    for number in 0..100_u8 {
        bytes.extend(frames(&[&[b'/', number], &vec![number; usize::from(number) * 10]]));
    }
    bytes.extend(frames(&[b"/unfinished", &[1; 2000]])[..600].iter());
    let mut whole = Vec::new();
    Session::new(&Limits::default()).received(&bytes, &mut whole).unwrap();
    for most in [1, 2, 3, 7, 50, 100, 101, 102, 1000] {
        let mut session = Session::new(&Limits::default());
        let (mut all, mut commands) = (Vec::new(), Vec::new());
        session.received_up_to(&bytes, most, &mut commands).unwrap();
        let mut held = reserved(&commands).last().copied().unwrap_or(0);
        loop {
            // Reservations come on top.
            assert!(flat(&commands).len() <= most, "{} commands for {most}", commands.len());
            all.append(&mut commands);
            if !session.has_backlog() {
                break;
            }
            assert!(held > 512, "the backlog is reserved");
            session.resume(most, &mut commands).unwrap();
            held = reserved(&commands).last().copied().unwrap_or(held);
        }
        assert_eq!(flat(&all), flat(&whole), "{most} at a time");
        let tail = session.missing() + 600;
        assert_eq!(held, 2 * 600, "only the unfinished pair of {tail} bytes is reserved");
    }
}

#[test]
fn a_backlog_that_leaves_nothing_behind_is_released() {
    let mut bytes = frames(&[b"/null"]);
    for number in 0..200_u8 {
        bytes.extend(frames(&[&[b'/', number], b"12345678"]));
    }
    let mut session = Session::new(&Limits::default());
    let mut commands = Vec::new();
    session.received_up_to(&bytes, 10, &mut commands).unwrap();
    while session.has_backlog() {
        commands.clear();
        session.resume(10, &mut commands).unwrap();
    }
    assert_eq!(commands.last(), Some(&Command::Reserve { bytes: 0, whole: 0 }));
}

#[test]
fn an_error_in_a_backlog_comes_after_what_stands_before_it() {
    let mut bytes = frames(&[b"/null", b"/a", b"1", b"/b", b"2"]);
    bytes.extend([0xff; 4]);
    let mut session = Session::new(&Limits::default());
    let mut commands = Vec::new();
    session.received_up_to(&bytes, 2, &mut commands).unwrap();
    assert_eq!(flat(&commands).len(), 2);
    let error = session.resume(9, &mut commands).unwrap_err();
    assert_eq!(flat(&commands).len(), 3);
    assert!(matches!(error, NativeError::ChannelTooLong { .. }), "{error}");
}

#[test]
fn another_protocol_is_named_only_where_a_session_begins() {
    let limits = Limits::default();
    for (bytes, text) in [
        (&b"GET / HTTP/1.1\r\n"[..], "HTTP was spoken at a port for the native protocol and STOMP"),
        (b"\x16\x03\x01\x02\x00", "TLS was spoken at a port for the native protocol and STOMP"),
        (b"\x10\x0c\x00\x04MQTT", "MQTT was spoken at a port for the native protocol and STOMP"),
        (b"STOMP\n", "STOMP was spoken at a port for the native protocol and STOMP"),
        (b"AMQP\0\0\x09\x01", "AMQP was spoken at a port for the native protocol and STOMP"),
        (b"*1\r\n$4\r\nPING\r\n", "Redis (RESP) was spoken at a port for the native protocol and STOMP"),
        (b"PING\r\n", "Redis (RESP) was spoken at a port for the native protocol and STOMP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH was spoken at a port for the native protocol and STOMP"),
    ] {
        for step in [1, 3, 100] {
            let mut session = Session::new(&limits);
            let result = bytes.chunks(step).try_for_each(|piece| session.received(piece, &mut Vec::new()));
            assert_eq!(result.unwrap_err().to_string(), text);
        }
        let mut session = Session::new(&limits);
        session.received(&frames(&[b"/null"]), &mut Vec::new()).unwrap();
        let error = session.received(bytes, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, NativeError::ChannelTooLong { .. }), "{error}");
    }
}

#[test]
fn postgresql_is_named_as_soon_as_its_request_is_there_and_only_where_a_session_begins() {
    let session = b"\0\0\0\x22\0\x03\0\0user\0me\0database\0me\0\0".as_slice();
    for request in [&b"\0\0\0\x08\x04\xd2\x16\x2f"[..], b"\0\0\0\x08\x04\xd2\x16\x30", session] {
        for step in [1, 3, 5, 100] {
            let mut session = Session::new(&Limits::default());
            let mut seen = 0;
            let result = request.chunks(step).try_for_each(|piece| {
                seen += piece.len();
                session.received(piece, &mut Vec::new())
            });
            assert_eq!(
                result.unwrap_err().to_string(),
                "PostgreSQL was spoken at a port for the native protocol and STOMP"
            );
            assert!(seen < 8 + step, "{seen} in steps of {step}");
        }
        // As a channel's name behind the first frame it means nothing.
        let mut session = Session::new(&Limits::default());
        session.received(&frames(&[b"/null"]), &mut Vec::new()).unwrap();
        session.received(request, &mut Vec::new()).unwrap();
    }
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

/// Commands of a session whose peer shuts its side down after these bytes.
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
