//! The first hour of users of the crates `zmq` and `zeromq`. Most of it has only to compile.

#![allow(clippy::cmp_owned, clippy::nonminimal_bool, clippy::op_ref, clippy::needless_borrows_for_generic_args)]
#![allow(clippy::useless_vec, clippy::into_iter_on_ref, reason = "what users write is what is tested")]

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_sink::Sink;
use std::borrow::Cow;
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use switchboard_sockets::{
    Endpoint, Error, Event, Message, Options, Payload, PeerId, Pub, Pull, Push, SocketKind, SocketReceive, SocketSend,
    SocketType, Sub, XPub, XSub,
};

/// Generous; only what must come to its end waits so long.
const DEADLINE: Duration = Duration::from_secs(30);

fn pair() -> (Push, Pull) {
    let (push, pull) = (Push::new().unwrap(), Pull::new().unwrap());
    push.connect(pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    (push, pull)
}

fn next(receiver: &mut impl SocketReceive) -> Message {
    receiver.recv().wait_timeout(DEADLINE).unwrap()
}

#[test]
fn endpoints_are_given_as_text_or_as_what_bind_returns() {
    let pull = Pull::new().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:0").unwrap();
    let push = Push::new().unwrap();
    push.connect(endpoint.to_string()).unwrap();
    push.disconnect(&endpoint.to_string()).unwrap();
    push.connect(&endpoint).unwrap();
    push.disconnect(endpoint.clone()).unwrap();
    push.connect(endpoint.to_string().as_str()).unwrap();
    for text in &["inproc://a", "inproc://b"] {
        push.connect(text).unwrap();
    }
    let Endpoint::Tcp { port, .. } = endpoint else { panic!("of another kind") };
    let address: std::net::SocketAddr = ([127, 0, 0, 1], port).into();
    assert_eq!(Endpoint::from(address), endpoint);
    assert_eq!(Endpoint::try_from("inproc://x").unwrap(), "inproc://x".parse().unwrap());
    pull.unbind(pull.last_endpoint().unwrap()).unwrap();
    assert!(matches!(pull.bind("nonsense"), Err(Error::Endpoint { .. })));
}

#[test]
fn whatever_is_bytes_can_be_sent() {
    fn check(message: impl Payload, parts: &[&str]) {
        let (push, mut pull) = (Push::new().unwrap(), Pull::new().unwrap());
        let name = format!("inproc://payload-{}", fastrand::u64(..));
        pull.bind(&name).unwrap();
        push.connect(&name).unwrap();
        push.send(message).wait().unwrap();
        assert_eq!(next(&mut pull), parts.iter().copied().map(String::from).collect::<Message>());
    }
    check("x", &["x"]);
    check(b"x", &["x"]);
    check(*b"x", &["x"]);
    check(&b"x"[..], &["x"]);
    check(String::from("x"), &["x"]);
    check(&String::from("x"), &["x"]);
    check(vec![b'x'], &["x"]);
    check(&vec![b'x'], &["x"]);
    check(Box::<[u8]>::from(*b"x"), &["x"]);
    check(Box::<str>::from("x"), &["x"]);
    check(Arc::<[u8]>::from(*b"x"), &["x"]);
    check(Arc::<str>::from("x"), &["x"]);
    check(Cow::Borrowed("x"), &["x"]);
    check(Cow::<[u8]>::Owned(vec![b'x']), &["x"]);
    check(Bytes::from_static(b"x"), &["x"]);
    check(BytesMut::from("x"), &["x"]);
    check(Message::from("x"), &["x"]);
    check(&Message::from("x"), &["x"]);
    check(["x", "y"], &["x", "y"]);
    check(["x", "y"].as_slice(), &["x", "y"]);
    check(&["x", "y"], &["x", "y"]);
    check(vec!["x", "y"], &["x", "y"]);
    check(vec![String::from("x"), String::from("y")], &["x", "y"]);
    check([vec![b'x'], vec![b'y']], &["x", "y"]);
    check([b"x", b"y"], &["x", "y"]);
    check(vec![Arc::<[u8]>::from(*b"x")], &["x"]);
    check(("x",), &["x"]);
    check(("topic", vec![b'x'], Bytes::from_static(b"y"), b"z"), &["topic", "x", "y", "z"]);
    check(("a", "b", "c", "d", "e", "f", "g", String::from("h")), &["a", "b", "c", "d", "e", "f", "g", "h"]);
    // Long ones go another way.
    let long = "l".repeat(20_000);
    check(long.as_str(), &[&long]);
    check((Arc::<[u8]>::from(long.as_bytes()), "x"), &[&long, "x"]);
    check(("x", Bytes::from(long.clone()), long.clone()), &["x", &long, &long]);
    check(("x", long.clone(), "y", Arc::<str>::from(long.as_str())), &["x", &long, "y", &long]);
}

#[test]
fn a_message_is_compared_indexed_iterated_hashed_and_converted() {
    let one = Message::from("x");
    assert!(one == "x" && one == b"x" && one == *b"x" && "x" == one && one == b"x"[..] && one == String::from("x"));
    assert_eq!(one, "x");
    assert_eq!((one.len(), one.is_empty(), one.as_str()), (1, false, Some("x")));
    let many: Message = ["a", "b"].into_iter().collect();
    assert_eq!((&many[0], many.get(1), many.get(2)), (&b"a"[..], Some(&b"b"[..]), None));
    assert_eq!(many.iter().len(), 2);
    for (part, expected) in many.iter().zip([b"a", b"b"]) {
        assert_eq!(part, expected);
    }
    for part in &many {
        assert_eq!(part.len(), 1);
    }
    let kept: Vec<Bytes> = many.clone().into_iter().collect();
    assert_eq!(Message::from(kept), many);
    let counts: HashMap<Message, u32> = [(many.clone(), 1), (one.clone(), 2)].into();
    assert_eq!(counts[&many], 1);
    assert_eq!(String::try_from(one.clone()).unwrap(), "x");
    assert_eq!(Vec::<u8>::from(one.clone()), b"x");
    assert_eq!(Message::from(Cow::Borrowed("x")), Message::from(*b"x"));
    let mut pushed = Message::from("a");
    pushed.push("b");
    assert_eq!(pushed, many);
    assert!(Message::default().is_empty());
}

#[test]
fn code_for_any_kind_of_socket_is_written_once() {
    fn make<S: SocketKind>() -> S {
        let socket = S::with(Options::default()).unwrap();
        assert_eq!(socket.socket_type(), S::TYPE);
        socket.bind("tcp://127.0.0.1:*").unwrap();
        socket
    }
    fn exchange(sender: &impl SocketSend, receiver: &mut impl SocketReceive) {
        sender.send("x").wait_timeout(DEADLINE).unwrap();
        assert_eq!(next(receiver), "x");
        sender.try_send(("y", 7u32.to_be_bytes())).unwrap();
        while receiver.try_recv().is_none() {
            std::thread::yield_now();
        }
    }
    let (push, mut pull) = (make::<Push>(), make::<Pull>());
    push.connect(pull.last_endpoint().unwrap()).unwrap();
    exchange(&push, &mut pull);
    for closing in [
        make::<Pub>().close(),
        make::<Sub>().close(),
        make::<XPub>().close(),
        make::<XSub>().close(),
        SocketKind::close(push),
        SocketKind::close(pull),
    ] {
        closing.wait().unwrap();
    }
    assert_eq!(<XSub as SocketKind>::TYPE, SocketType::XSub);
}

#[test]
fn an_xpub_and_an_xsub_split_into_a_sending_and_a_receiving_half() {
    let (publisher, subscriber) = (XPub::new().unwrap(), XSub::new().unwrap());
    subscriber.connect(publisher.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    let ((sender, mut subscriptions), (forwarder, mut receiver)) = (publisher.split(), subscriber.split());
    let publishing = std::thread::spawn(move || {
        assert_eq!(next(&mut subscriptions), b"\x01a");
        assert_eq!(next(&mut subscriptions), b"\0a");
        subscriptions
    });
    forwarder.send(b"\x01a").unwrap();
    assert!(matches!(forwarder.send("a"), Err(Error::NotASubscription)));
    // Until the publisher knows of it, in the other thread.
    let first = (0..).find_map(|_| {
        sender.send(("a", "news")).wait().unwrap();
        receiver.recv().wait_timeout(Duration::from_millis(20)).ok()
    });
    assert_eq!(first.unwrap(), Message::multipart(["a", "news"]));
    forwarder.send(b"\0a").unwrap();
    let subscriptions = publishing.join().unwrap();
    let other = XPub::new().unwrap().split().0;
    let (_, subscriptions) = {
        let error = other.reunite(subscriptions).unwrap_err();
        (error.0, error.1)
    };
    sender.reunite(subscriptions).unwrap().close().wait().unwrap();
    forwarder.reunite(receiver).unwrap().close().wait().unwrap();
}

#[tokio::test]
async fn a_sending_socket_is_a_sink_and_a_receiving_one_a_stream() {
    fn is_stream<T: Stream<Item = Message>>(_: &T) {}
    let pull = Pull::new().unwrap();
    is_stream(&pull);
    let mut push = Push::with(Options { send_hwm: 1, ..Options::default() }).unwrap();
    push.connect(pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    let receiving = tokio::spawn(async move {
        let mut pull = pull;
        for expected in 0..100u32 {
            let message = poll_fn(|context| Pin::new(&mut pull).poll_next(context)).await.unwrap();
            assert_eq!(message, expected.to_string());
        }
    });
    for sent in 0..100u32 {
        poll_fn(|context| Sink::<String>::poll_ready(Pin::new(&mut push), context)).await.unwrap();
        Pin::new(&mut push).start_send(sent.to_string()).unwrap();
    }
    poll_fn(|context| Sink::<String>::poll_flush(Pin::new(&mut push), context)).await.unwrap();
    receiving.await.unwrap();
    poll_fn(|context| Sink::<&str>::poll_close(Pin::new(&mut push), context)).await.unwrap();
}

#[test]
fn events_say_which_peer_and_are_taken_with_and_without_waiting() {
    let (push, mut pull) = (Push::new().unwrap(), Pull::new().unwrap());
    let mut events = pull.events();
    assert_eq!(events.try_next(), None);
    assert!(matches!(events.wait_timeout(Duration::from_millis(1)), Err(Error::TimedOut(_))));
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    assert_eq!(events.try_next(), Some(Event::Listening(endpoint.clone())));
    push.connect(&endpoint).unwrap();
    push.send("x").wait().unwrap();
    assert_eq!(next(&mut pull), "x");
    let Some(Event::Accepted { peer: accepted, .. }) = events.wait_timeout(DEADLINE).unwrap() else {
        panic!("not accepted")
    };
    let Some(Event::HandshakeSucceeded { peer, socket_type, .. }) = events.wait() else { panic!("no handshake") };
    assert_eq!((peer, socket_type), (accepted, SocketType::Push));
    let PeerId { address, .. } = peer;
    assert!(address.unwrap().ip().is_loopback());
    push.close().wait().unwrap();
    let ended = events.iter().find_map(|event| match event {
        Event::Disconnected { peer, .. } => Some(peer),
        _ => None,
    });
    assert_eq!(ended, Some(peer));
}

#[test]
fn a_flush_waits_until_everything_is_written() {
    let (push, mut pull) = pair();
    (0..1000).for_each(|_| push.send("x").wait().unwrap());
    push.flush().wait().unwrap();
    assert_eq!(pull.iter().take(1000).count(), 1000);
    let away = Push::with(Options { linger: Duration::ZERO, ..Options::default() }).unwrap();
    away.flush().wait().unwrap();
    away.connect("inproc://away").unwrap();
    away.send("x").wait().unwrap();
    assert!(matches!(away.flush().wait_timeout(Duration::from_millis(1)), Err(Error::TimedOut(_))));
}
