//! Connections, endpoints and sockets in the less usual cases: slow links, long times, repeated calls, ends.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use switchboard_sockets::{
    Endpoint, Error, Event, Events, Heartbeat, Message, Options, Pub, Pull, Push, Security, Sub, XPub, XSub, proxy,
};

/// Generous; only what must come to its end waits so long.
const DEADLINE: Duration = Duration::from_secs(60);

/// The first event that it matches.
fn wait_for(events: &mut Events, matches: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.wait_timeout(DEADLINE).expect("an event, in time").expect("an event before the end");
        if matches(&event) {
            return event;
        }
    }
}

fn received(pull: &mut Pull) -> Message {
    pull.recv().wait_timeout(DEADLINE).unwrap()
}

/// Stands before `target`, and passes on so many bytes a second of what comes for it, with little in its own buffers.
fn throttled(target: &Endpoint, per_second: usize) -> String {
    let Endpoint::Tcp { port, .. } = *target else { panic!("of another kind") };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&listener).set_recv_buffer_size(64 << 10).unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for outer in listener.incoming().map_while(Result::ok) {
            let inner = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (back, forth) = (inner.try_clone().unwrap(), outer.try_clone().unwrap());
            thread::spawn(move || pass(outer, inner, Some(per_second)));
            thread::spawn(move || pass(back, forth, None));
        }
    });
    endpoint
}

fn pass(mut from: TcpStream, mut to: TcpStream, per_second: Option<usize>) {
    let (began, mut passed) = (Instant::now(), 0);
    let mut buffer = vec![0; 16 << 10];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..bytes]).is_err() {
            break;
        }
        passed += bytes;
        if let Some(per_second) = per_second {
            let due = Duration::from_secs_f64(passed as f64 / per_second as f64);
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

/// It takes some five times as long as the heartbeat's time-out.
#[test]
fn a_long_message_over_a_slow_link_is_delivered_once_in_spite_of_a_heartbeat() {
    const SIZE: usize = 16 << 20;
    let mut pull = Pull::new().unwrap();
    let endpoint = throttled(&pull.bind("tcp://127.0.0.1:*").unwrap(), 6 << 20);
    let heartbeat = Some(Heartbeat::every(Duration::from_millis(500)));
    let push = Push::with(Options { heartbeat, ..Options::default() }).unwrap();
    push.connect(&endpoint).unwrap();
    push.send("first").wait().unwrap();
    push.send(vec![7; SIZE]).wait().unwrap();
    assert_eq!(received(&mut pull), "first");
    let mut events = pull.events();
    let long = received(&mut pull);
    assert!(long.data().len() == SIZE && long.data().iter().all(|byte| *byte == 7));
    let connections = std::iter::from_fn(|| events.try_next()).filter(|event| matches!(event, Event::Accepted { .. }));
    assert_eq!(connections.count(), 0, "it was sent again on another connection");
    push.send("last").wait().unwrap();
    assert_eq!(received(&mut pull), "last");
}

#[test]
fn every_address_of_a_name_is_listened_on() {
    use std::net::ToSocketAddrs;
    let mut pull = Pull::new().unwrap();
    let endpoint = pull.bind("tcp://localhost:*").unwrap();
    let Endpoint::Tcp { host, port } = &endpoint else { panic!("of another kind") };
    for address in (host.as_str(), *port).to_socket_addrs().unwrap() {
        let push = Push::new().unwrap();
        push.connect(Endpoint::from(address)).unwrap();
        push.send("x").wait().unwrap();
        assert_eq!(received(&mut pull), "x");
    }
}

#[test]
fn a_sub_or_pub_that_connects_twice_has_every_message_once_and_disconnects_once() {
    for name in ["tcp://127.0.0.1:*", "ipc://*", "inproc://twice"] {
        let mut publisher = XPub::with(Options { verbose: true, ..Options::default() }).unwrap();
        let endpoint = publisher.bind(name).unwrap();
        let mut subscriber = Sub::new().unwrap();
        subscriber.subscribe("").unwrap();
        (0..3).for_each(|_| subscriber.connect(&endpoint).unwrap());
        assert_eq!(publisher.recv().wait_timeout(DEADLINE).unwrap(), b"\x01");
        for message in ["x", "y"] {
            publisher.send(message).wait().unwrap();
            assert_eq!(subscriber.recv().wait_timeout(DEADLINE).unwrap(), message);
        }
        subscriber.disconnect(&endpoint).unwrap();
        assert!(matches!(subscriber.disconnect(&endpoint), Err(Error::NoSuchEndpoint { .. })));
        assert_eq!(publisher.recv().wait_timeout(DEADLINE).unwrap(), b"\0");

        // Of the other types each connection counts, as in libzmq.
        let pull = Pull::new().unwrap();
        let mut events = pull.events();
        let endpoint = pull.bind(name.replace("twice", "both")).unwrap();
        let push = Push::new().unwrap();
        for _ in 0..2 {
            push.connect(&endpoint).unwrap();
            wait_for(&mut events, |event| matches!(event, Event::HandshakeSucceeded { .. }));
        }
        (0..2).for_each(|_| push.disconnect(&endpoint).unwrap());
    }
    let publisher = Pub::new().unwrap();
    let mut subscriber = Sub::new().unwrap();
    let endpoint = subscriber.bind("tcp://127.0.0.1:*").unwrap();
    subscriber.subscribe("").unwrap();
    (0..2).for_each(|_| publisher.connect(&endpoint).unwrap());
    publisher.disconnect(&endpoint).unwrap();
    assert!(publisher.disconnect(&endpoint).is_err());
    assert!(subscriber.try_recv().is_none());
}

const CHILD: &str = "SWITCHBOARD_SOCKETS_CHILD";

/// The program of the next test.
#[test]
fn child() {
    let Ok(endpoint) = std::env::var(CHILD) else { return };
    {
        let push = Push::new().unwrap();
        push.connect(endpoint).unwrap();
        (0..500).for_each(|number: u32| push.send(number.to_string()).wait().unwrap());
    }
    std::process::exit(0);
}

#[test]
fn a_program_that_sends_and_ends_loses_nothing() {
    let mut pull = Pull::new().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap().to_string();
    // Its peer comes later.
    pull.unbind(&endpoint).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = command.args(["--exact", "child", "--nocapture"]).env(CHILD, &endpoint).spawn().unwrap();
    pull.bind(&endpoint).unwrap();
    for expected in 0..500u32 {
        assert_eq!(received(&mut pull), expected.to_string());
    }
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_socket_that_async_code_drops_blocks_nobody() {
    let linger = Duration::MAX;
    smol::block_on(async {
        let push = Push::with(Options { linger, ..Options::default() }).unwrap();
        push.connect("inproc://nobody-there").unwrap();
        push.send("never").await.unwrap();
        drop(push);
    });
    // Nor one without anything to send.
    let push = Push::with(Options { linger, ..Options::default() }).unwrap();
    push.connect("inproc://nobody-there").unwrap();
    drop(push);
}

#[test]
fn an_xpub_that_nobody_receives_from_keeps_only_what_is_in_force() {
    let mut publisher = XPub::new().unwrap();
    let subscriber = Sub::new().unwrap();
    subscriber.connect(publisher.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    for number in 0..20_000u32 {
        subscriber.subscribe(number.to_be_bytes()).unwrap();
        subscriber.unsubscribe(number.to_be_bytes());
    }
    subscriber.subscribe("last").unwrap();
    // It has come when it is in force.
    let mut receiver = subscriber;
    while receiver.recv().wait_timeout(Duration::from_millis(20)).is_err() {
        publisher.send("last").wait().unwrap();
    }
    let mut left: Vec<Message> = std::iter::from_fn(|| publisher.try_recv()).collect();
    assert!(left.len() <= 1025, "{} changes are kept", left.len());
    assert_eq!(left.pop().unwrap(), b"\x01last");
}

#[test]
fn unbind_sends_what_waits_ends_the_peers_and_frees_the_port_at_once() {
    let push = Push::new().unwrap();
    let endpoint = push.bind("tcp://127.0.0.1:*").unwrap();
    let mut pull = Pull::new().unwrap();
    let mut events = pull.events();
    pull.connect(&endpoint).unwrap();
    (0..100).for_each(|_| push.send("x").wait().unwrap());
    push.unbind(&endpoint).unwrap();
    let Endpoint::Tcp { port, .. } = endpoint else { panic!("of another kind") };
    TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    assert_eq!((push.last_endpoint(), push.unbind(&endpoint).is_err()), (None, true));
    assert_eq!(pull.iter().take(100).count(), 100);
    wait_for(&mut events, |event| matches!(event, Event::Disconnected { .. }));
    // Nobody is left to send to, but a peer of another endpoint.
    assert!(matches!(push.try_send("nobody"), Err(Error::WouldBlock)));
    let other = push.bind("inproc://other").unwrap();
    pull.connect(&other).unwrap();
    push.send("other").wait_timeout(DEADLINE).unwrap();
    assert_eq!(received(&mut pull), "other");
    push.unbind(&other).unwrap();
    Pull::new().unwrap().bind(&other).expect("the name is free");
    wait_for(&mut events, |event| matches!(event, Event::Disconnected { endpoint, .. } if *endpoint == other));
}

#[test]
fn a_verbose_xpub_receives_every_repeated_subscription_through_a_forwarder_too() {
    let verbose = || XPub::with(Options { verbose: true, ..Options::default() }).unwrap();
    let (mut publisher, mut to, mut from) = (verbose(), verbose(), XSub::new().unwrap());
    from.connect(publisher.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    let outlet = to.bind("tcp://127.0.0.1:*").unwrap();
    thread::spawn(move || proxy(&mut from, &mut to).wait());
    let subscribers: Vec<Sub> = (0..2).map(|_| Sub::new().unwrap()).collect();
    for subscriber in &subscribers {
        subscriber.connect(&outlet).unwrap();
        for _ in 0..2 {
            subscriber.subscribe("a").unwrap();
            assert_eq!(publisher.recv().wait_timeout(DEADLINE).unwrap(), b"\x01a");
        }
    }
    for subscriber in &subscribers {
        (0..2).for_each(|_| assert!(subscriber.unsubscribe("a")));
    }
    assert_eq!(publisher.recv().wait_timeout(DEADLINE).unwrap(), b"\0a");
    subscribers[0].subscribe("b").unwrap();
    assert_eq!(publisher.recv().wait_timeout(DEADLINE).unwrap(), b"\x01b");
}

#[test]
fn the_longest_duration_is_as_good_as_never() {
    let longest = || Options {
        linger: Duration::MAX,
        reconnect: Duration::MAX,
        reconnect_max: Some(Duration::MAX),
        connect_timeout: Duration::MAX,
        handshake_timeout: Duration::MAX,
        heartbeat: Some(Heartbeat { interval: Duration::MAX, timeout: Duration::MAX, ttl: Some(Duration::MAX) }),
        ..Options::default()
    };
    let mut pull = Pull::with(longest()).unwrap();
    let push = Push::with(Options { reconnect: Duration::from_millis(1), ..longest() }).unwrap();
    push.connect(pull.bind("tcp://localhost:*").unwrap()).unwrap();
    push.send("x").wait_timeout(Duration::MAX).unwrap();
    assert_eq!(pull.recv().wait_timeout(Duration::MAX).unwrap(), "x");
    push.flush().wait_timeout(Duration::MAX).unwrap();
    let always = Heartbeat { interval: Duration::from_millis(1), timeout: Duration::MAX, ttl: Some(Duration::MAX) };
    let other = Push::with(Options { heartbeat: Some(always), ..longest() }).unwrap();
    other.connect(pull.last_endpoint().unwrap()).unwrap();
    other.send("y").wait().unwrap();
    assert_eq!(received(&mut pull), "y");
    for closing in [push.close(), other.close(), pull.close()] {
        closing.wait().unwrap();
    }
    // A pause that never ends is one, and no panic.
    let push = Push::with(Options { linger: Duration::ZERO, ..longest() }).unwrap();
    let mut events = push.events();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    push.connect(Endpoint::from(free)).unwrap();
    wait_for(
        &mut events,
        |event| matches!(event, Event::RetryIn { after, .. } if *after > Duration::from_secs(1 << 40)),
    );
}

#[test]
fn a_panic_of_the_password_check_refuses_the_peer_and_is_an_event() {
    let security = Security::plain_server(|name, _| if name == b"bad" { panic!("no such user") } else { true });
    let mut pull = Pull::with(Options { security, ..Options::default() }).unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let mut events = pull.events();
    let client = |name: &str| {
        let options = Options { security: Security::plain(name, "x"), linger: Duration::ZERO, ..Options::default() };
        let push = Push::with(options).unwrap();
        push.connect(&endpoint).unwrap();
        push.send(name).wait().unwrap();
        push
    };
    let _bad = client("bad");
    let Event::TaskPanicked { reason, endpoint: of } =
        wait_for(&mut events, |event| matches!(event, Event::TaskPanicked { .. }))
    else {
        panic!("of another kind")
    };
    assert_eq!((reason.as_str(), of), ("the task panicked: no such user", endpoint.clone()));
    let _good = client("good");
    assert_eq!(received(&mut pull), "good");
}

#[test]
fn an_abstract_name_and_a_fresh_path_can_be_connected_to() {
    let abstract_name = format!("ipc://@switchboard-{:x}", fastrand::u64(..));
    for endpoint in ["ipc://*", &abstract_name] {
        let mut pull = Pull::new().unwrap();
        let bound = pull.bind(endpoint).unwrap();
        let push = Push::new().unwrap();
        assert_eq!(bound.to_string() == endpoint, endpoint != "ipc://*");
        push.connect(&bound).unwrap();
        push.send("x").wait().unwrap();
        assert_eq!(received(&mut pull), "x");
    }
    assert!(matches!(Push::new().unwrap().connect("ipc://*"), Err(Error::Endpoint { .. })));
}

#[test]
fn no_debug_output_has_a_password() {
    let options = Options { security: Security::plain("me", "s3cret"), ..Options::default() };
    let mut text = format!("{options:?}");
    let push = Push::with(options).unwrap();
    push.connect("tcp://127.0.0.1:9").unwrap();
    text += &format!("{push:?} {:#?}", push.events());
    assert!(text.contains("me") && !text.contains("s3cret") && !text.contains("115, 51, 99"), "{text}");
}
