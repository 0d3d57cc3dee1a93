//! Peers that are old, slow, rude, or broken. Each costs one connection and one event, and other peers nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use switchboard_sockets::{Error, Event, Events, Heartbeat, Options, Pull, Push, Security, Socket, Sub, XPub};
use switchboard_wire::zmtp::{Command, Greeting, Mechanism, frame};

const DEADLINE: Duration = Duration::from_secs(30);

/// Returns the content of the first such event.
fn wait_for<T>(mut events: Events, what: impl Fn(&Event) -> Option<T>) -> T {
    loop {
        let event = events.wait_timeout(DEADLINE).expect("an event, in time").expect("an event before the end");
        if let Some(it) = what(&event) {
            return it;
        }
    }
}

fn failed(event: &Event) -> Option<String> {
    match event {
        Event::HandshakeFailed { reason, .. } => Some(reason.clone()),
        _ => None,
    }
}

fn disconnected(event: &Event) -> Option<String> {
    match event {
        Event::Disconnected { reason, .. } => Some(reason.clone()),
        _ => None,
    }
}

fn bound(socket: &Socket) -> String {
    socket.bind("tcp://127.0.0.1:*").unwrap().to_string()
}

fn raw(endpoint: &str) -> TcpStream {
    let stream = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn greeting(minor: u8) -> Vec<u8> {
    Greeting { minor, mechanism: Mechanism::Null, as_server: false }.encode().to_vec()
}

fn command(command: Command<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    command.encode(&mut bytes);
    bytes
}

fn message(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        frame::encode(part, number + 1 < parts.len(), &mut bytes);
    }
    bytes
}

/// The next frame, without its header.
fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        if let Some(header) = frame::header(&bytes).unwrap() {
            let mut body = vec![0; header.length];
            stream.read_exact(&mut body).unwrap();
            return body;
        }
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
}

/// A peer of this type that has got through the handshake.
fn peer(endpoint: &str, minor: u8, kind: &str) -> TcpStream {
    let mut stream = raw(endpoint);
    stream.write_all(&greeting(minor)).unwrap();
    let mut metadata = b"\x0bSocket-Type\0\0\0".to_vec();
    metadata.push(u8::try_from(kind.len()).unwrap());
    metadata.extend_from_slice(kind.as_bytes());
    stream.write_all(&command(Command::Ready(&metadata))).unwrap();
    stream.read_exact(&mut [0; 64]).unwrap();
    assert!(read_frame(&mut stream).starts_with(b"\x05READY"));
    stream
}

/// It is still there for others.
fn still_works(pull: &mut Pull, endpoint: &str) {
    let mut good = peer(endpoint, 1, "PUSH");
    good.write_all(&message(&[b"good"])).unwrap();
    assert_eq!(pull.recv().wait_timeout(DEADLINE).unwrap().data(), b"good");
}

#[test]
fn a_peer_that_fails_the_handshake_is_reported_and_costs_one_connection() {
    let options = Options { handshake_timeout: Duration::from_millis(100), ..Options::default() };
    let mut pull = Pull::with(options).unwrap();
    let endpoint = bound(&pull);
    let mut old = greeting(0);
    old[10] = 1;
    let mut curve = greeting(1);
    curve[12..17].copy_from_slice(b"CURVE");
    let mut stalls = greeting(1);
    stalls.extend_from_slice(b"\x04");
    let mut garbage = greeting(1);
    garbage.extend_from_slice(&[0xff; 100]);
    for (bytes, reason) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "the peer speaks HTTP, not ZMTP: its first bytes are GET / HTTP"),
        (&old[..11], "the peer speaks ZMTP 2"),
        (&curve[..], "the peer demands the mechanism CURVE, which is not known here; use NULL or PLAIN there"),
        (&garbage[..], "a frame begins with the flags 0xff"),
        (b"", "the peer has not finished it within 0.1 s (handshake_timeout)"),
        (&stalls[..], "the peer has not finished it within 0.1 s (handshake_timeout)"),
    ] {
        let events = pull.events();
        let mut stream = raw(&endpoint);
        stream.write_all(bytes).unwrap();
        let reason_given = wait_for(events, failed);
        assert!(reason_given.starts_with(reason), "{reason_given}");
        still_works(&mut pull, &endpoint);
    }
}

#[test]
fn a_peer_that_breaks_the_protocol_is_reported_and_what_came_before_is_kept() {
    let mut pull = Pull::with(Options { max_message: 100, max_parts: 3, ..Options::default() }).unwrap();
    let endpoint = bound(&pull);
    for (bytes, reason) in [
        (vec![0x40], "a frame begins with the flags 0x40"),
        (message(&[&[0; 60], &[0; 41]]), "message of 101 bytes or more is over the limit of 100 bytes"),
        (message(&[&b""[..]; 4]), "message of more than 3 parts, which is the limit"),
        (command(Command::Error(b"bye")), "the peer ends the connection: bye"),
        (b"\x04\x03\x05PI".to_vec(), "a command of 3 bytes ends within its name"),
    ] {
        let events = pull.events();
        let faulty = |event: &Event| disconnected(event).filter(|reason| reason != "the peer closed the connection");
        let mut stream = peer(&endpoint, 1, "PUSH");
        let mut all = message(&[&[0; 60], &[0; 40]]);
        all.extend(message(&[b"", b"", b""]));
        all.extend(bytes);
        stream.write_all(&all).unwrap();
        assert!(wait_for(events, faulty).starts_with(reason));
        assert_eq!(pull.recv().wait_timeout(DEADLINE).unwrap().len(), 2);
        assert_eq!(pull.recv().wait_timeout(DEADLINE).unwrap().len(), 3);
        still_works(&mut pull, &endpoint);
    }
    let linger = Duration::ZERO;
    let push = Push::with(Options { max_message: 100, max_parts: 3, linger, ..Options::default() }).unwrap();
    push.connect("inproc://limits").unwrap();
    for length in [99, 100] {
        push.try_send(vec![0; length]).unwrap();
    }
    assert!(matches!(push.try_send(vec![0; 101]), Err(Error::MessageTooLong { length: 101, limit: 100 })));
    for parts in [1, 2, 3] {
        push.try_send(vec![String::new(); parts]).unwrap();
    }
    for parts in [0, 4] {
        let error = push.try_send(vec![String::new(); parts]).unwrap_err();
        assert!(error.to_string().starts_with(&format!("message of {parts} parts: from 1 to 3 are allowed")));
    }
}

#[test]
fn more_peers_than_the_limit_are_refused_and_a_free_slot_is_used_again() {
    let pull = Pull::with(Options { max_connections: 2, ..Options::default() }).unwrap();
    let endpoint = bound(&pull);
    let first = peer(&endpoint, 1, "PUSH");
    let _second = peer(&endpoint, 1, "PUSH");
    let events = pull.events();
    let mut third = raw(&endpoint);
    let refused = wait_for(events, |event| match event {
        Event::Refused { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(refused, "2 peers are connected, the limit is 2 (max_connections)");
    assert!(matches!(third.read(&mut [0; 64]), Ok(0) | Err(_)));
    let events = pull.events();
    drop(first);
    wait_for(events, disconnected);
    // The slot is free a moment after the event.
    for attempt in 0.. {
        let mut again = raw(&endpoint);
        if matches!(again.read(&mut [0; 64]), Ok(1..)) {
            break;
        }
        assert!(attempt < 1000, "the slot is not used again");
    }
}

#[test]
fn a_subscription_is_understood_as_command_and_as_message_and_limited() {
    // Each counts as its bytes and 256.
    let mut publisher = XPub::with(Options { max_subscriptions: 3 * 257, ..Options::default() }).unwrap();
    let endpoint = bound(&publisher);
    let mut subscriber = peer(&endpoint, 1, "SUB");
    subscriber.write_all(&message(&[b"\x01a"])).unwrap();
    subscriber.write_all(&command(Command::Subscribe(b"b"))).unwrap();
    subscriber.write_all(&command(Command::Subscribe(b"a"))).unwrap();
    subscriber.write_all(&message(&[b"\0a"])).unwrap();
    subscriber.write_all(&command(Command::Cancel(b"b"))).unwrap();
    // Neither of these is one.
    subscriber.write_all(&message(&[b"\x01c", b"d"])).unwrap();
    subscriber.write_all(&message(&[b"\x02c"])).unwrap();
    for prefix in [&b"a"[..], b"c", b"d"] {
        subscriber.write_all(&command(Command::Subscribe(prefix))).unwrap();
    }
    for expected in [&b"\x01a"[..], b"\x01b", b"\0a", b"\0b", b"\x01a", b"\x01c", b"\x01d"] {
        assert_eq!(publisher.recv().wait_timeout(DEADLINE).unwrap().data(), expected);
    }
    publisher.send("cd").wait().unwrap();
    assert_eq!(read_frame(&mut subscriber), b"cd");
    let events = publisher.events();
    subscriber.write_all(&command(Command::Subscribe(b"e"))).unwrap();
    let reason = wait_for(events, disconnected);
    assert_eq!(reason, "the peer's subscriptions take 1028 bytes, over the limit of 771 bytes (max_subscriptions)");
}

#[test]
fn a_peer_of_zmtp_3_0_is_subscribed_to_with_messages_and_not_probed() {
    let heartbeat = Heartbeat::every(Duration::from_millis(10));
    let subscriber = Sub::with(Options { heartbeat: Some(heartbeat), ..Options::default() }).unwrap();
    let endpoint = bound(&subscriber);
    subscriber.subscribe("a").unwrap();
    let mut publisher = peer(&endpoint, 0, "PUB");
    assert_eq!(read_frame(&mut publisher), b"\x01a");
    subscriber.subscribe("b").unwrap();
    assert_eq!(read_frame(&mut publisher), b"\x01b");
    subscriber.unsubscribe("a");
    assert_eq!(read_frame(&mut publisher), b"\0a");
}

#[test]
fn what_an_old_subscription_brings_is_filtered_again() {
    let mut subscriber = Sub::new().unwrap();
    let endpoint = bound(&subscriber);
    subscriber.subscribe("a").unwrap();
    let mut publisher = peer(&endpoint, 1, "PUB");
    let mut all = Vec::new();
    for topic in ["b", "a1", "", "a2", "c", "a3"] {
        all.extend(message(&[topic.as_bytes(), b"part"]));
    }
    publisher.write_all(&all).unwrap();
    for expected in ["a1", "a2", "a3"] {
        let message = subscriber.recv().wait_timeout(DEADLINE).unwrap();
        assert_eq!((message.text().into_owned(), message.get(1)), (expected.to_owned(), Some(&b"part"[..])));
    }
}

#[test]
fn a_ping_is_answered_with_its_context_and_one_between_two_parts_is_no_part() {
    let mut pull = Pull::new().unwrap();
    let endpoint = bound(&pull);
    let mut push = peer(&endpoint, 1, "PUSH");
    let mut both = message(&[b"one", b"two"]);
    let ping = command(Command::Ping { ttl: 0, context: b"who" });
    both.splice(5..5, ping);
    push.write_all(&both).unwrap();
    assert_eq!(read_frame(&mut push), b"\x04PONGwho");
    let message = pull.recv().wait_timeout(DEADLINE).unwrap();
    assert_eq!(message.iter().collect::<Vec<_>>(), [b"one", b"two"]);
}

#[test]
fn a_peer_that_answers_nothing_or_outlives_its_own_time_is_given_up() {
    let heartbeat = Heartbeat { ttl: Some(Duration::from_millis(1234)), ..Heartbeat::every(Duration::from_millis(50)) };
    let pull = Pull::with(Options { heartbeat: Some(heartbeat), ..Options::default() }).unwrap();
    let endpoint = bound(&pull);
    let events = pull.events();
    let mut push = peer(&endpoint, 1, "PUSH");
    assert_eq!(read_frame(&mut push), b"\x04PING\0\x0c");
    assert!(wait_for(events, disconnected).starts_with("the peer sent nothing for "));

    let pull = Pull::new().unwrap();
    let endpoint = bound(&pull);
    let events = pull.events();
    let mut push = peer(&endpoint, 1, "PUSH");
    push.write_all(&command(Command::Ping { ttl: 1, context: b"" })).unwrap();
    assert!(wait_for(events, disconnected).starts_with("the peer sent nothing for "));
}

/// The unread answers would fill the memory.
#[test]
fn a_peer_that_sends_pings_and_does_not_read_is_not_read_for_ever() {
    let pull = Pull::new().unwrap();
    let endpoint = bound(&pull);
    let mut push = peer(&endpoint, 1, "PUSH");
    push.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let pings = command(Command::Ping { ttl: 0, context: b"0123456789abcdef" }).repeat(1000);
    let full = (0..100_000).find_map(|_| push.write_all(&pings).err());
    assert!(full.is_some(), "2.5 GB of PINGs were taken");
}

#[test]
fn a_stale_path_is_cleared_and_one_in_use_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it");
    let endpoint = format!("ipc://{}", path.display());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "nothing is stale");
    let mut pull = Pull::new().unwrap();
    pull.bind(&endpoint).unwrap();
    let other = Pull::new().unwrap();
    let error = other.bind(&endpoint).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {endpoint}: ")), "{error}");
    let push = Push::new().unwrap();
    push.connect(&endpoint).unwrap();
    push.send("here").wait().unwrap();
    assert_eq!(pull.recv().wait_timeout(DEADLINE).unwrap().data(), b"here");
    pull.close().wait().unwrap();
    assert!(!path.exists(), "it was left behind");
    std::fs::write(&path, "a file").unwrap();
    assert!(other.bind(&endpoint).is_err());
    assert!(path.exists(), "a file that is no socket was removed");
}

#[test]
fn a_wrong_password_is_reported_on_both_sides() {
    let pull = Pull::with(Options {
        security: Security::plain_server(|name, password| (name, password) == (b"me", b"secret")),
        ..Options::default()
    })
    .unwrap();
    let endpoint = bound(&pull);
    let push = Push::with(Options { security: Security::plain("me", "guess"), ..Options::default() }).unwrap();
    let (ours, theirs) = (pull.events(), push.events());
    push.connect(&endpoint).unwrap();
    assert_eq!(wait_for(ours, failed), "the password of me is not right");
    assert_eq!(wait_for(theirs, failed), "the peer refuses: wrong name or password");
}

#[test]
fn a_disconnected_endpoint_is_sent_nothing_more() {
    let push = Push::new().unwrap();
    let pulls = [Pull::new().unwrap(), Pull::new().unwrap()];
    let endpoints = [bound(&pulls[0]), bound(&pulls[1])];
    endpoints.iter().for_each(|endpoint| push.connect(endpoint).unwrap());
    let [mut first, mut second] = pulls;
    (0..2).for_each(|_| push.send("both").wait().unwrap());
    for pull in [&mut first, &mut second] {
        assert_eq!(pull.recv().wait_timeout(DEADLINE).unwrap().data(), b"both");
    }
    let events = first.events();
    push.disconnect(&endpoints[0]).unwrap();
    wait_for(events, disconnected);
    (0..2).for_each(|_| push.send("one").wait().unwrap());
    assert_eq!(second.iter().take(2).count(), 2);
    assert!(matches!(push.disconnect(&endpoints[0]), Err(Error::NoSuchEndpoint { what: "connected", .. })));
}
