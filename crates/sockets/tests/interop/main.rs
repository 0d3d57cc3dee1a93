//! Against libzmq (pyzmq): {PUSH/PULL, PUB/SUB, XPUB/XSUB}, either side ours, we bind or we connect, tcp or ipc; and in each of
//! these cells what can happen between two peers. Nothing is lost or doubled where libzmq loses nothing.

mod case;
mod ours;
mod proxy;
mod python;
mod security;

use case::each;
use ours::{SYNC, number, payload, until};
use python::DEADLINE;
use serde_json::json;
use std::time::Duration;
use switchboard_sockets::{Event, Heartbeat, Options};

#[test]
fn the_one_that_binds_comes_first() {
    each(|case, python| {
        let (mut ours, _) = case.open(python, Options::default(), &json!({}));
        case.sync(&mut ours, python);
        case.exchange(&mut ours, python, 0, 500);
        // Several parts, of which one is empty, and a long one.
        if case.we_send() {
            ours.send([&payload(500, 300)[..], b"", b"third"]);
            assert_eq!(python.receive(1, DEADLINE), (vec![500], json!([300]), json!([3])));
        } else {
            python.send(500, 1, 300, 3);
            let message =
                std::iter::repeat_with(|| ours.recv(DEADLINE).unwrap()).find(|one| one.data() != SYNC).unwrap();
            let parts: Vec<&[u8]> = message.iter().collect();
            assert_eq!(parts, [&payload(500, 300)[..], b"part 1", b"part 2"]);
        }
        ours.close();
        python.close(true);
    });
}

#[test]
fn the_one_that_connects_comes_first() {
    each(|case, python| {
        let (mut ours, _) = case.open_connector_first(python);
        case.sync(&mut ours, python);
        case.exchange(&mut ours, python, 0, 500);
        ours.close();
        python.close(true);
    });
}

#[test]
fn a_peer_that_restarts_gets_what_it_should() {
    each(|case, python| {
        let (mut ours, endpoint) = case.open(python, Options::default(), &json!({}));
        case.sync(&mut ours, python);
        case.exchange(&mut ours, python, 0, 300);
        let events = ours.socket().events();
        python.close(false);
        until(events, "the end of the connection", |event| matches!(event, Event::Disconnected { .. }));
        if case.we_send() && !case.we_bind {
            // Kept for it, with its subscription.
            (300..500).for_each(|number| ours.send(payload(number, 40)));
            python.open(case.theirs, true, &endpoint, &json!({}));
            assert_eq!(python.receive(200, DEADLINE).0, (300..500).collect::<Vec<_>>());
        } else {
            python.open(case.theirs, !case.we_bind, &endpoint, &json!({}));
            case.sync(&mut ours, python);
        }
        case.exchange(&mut ours, python, 500, 300);
        ours.close();
        python.close(true);
    });
}

#[test]
fn a_late_receiver_gets_what_waited_and_a_late_subscriber_what_comes_then() {
    each(|case, python| {
        let mut ours = case.ours(Options::default());
        let nowhere = json!({ "do": "try_send", "name": "it", "first": 0, "most": 100, "size": 40 });
        let mut waited = 0;
        if case.we_send() {
            let endpoint = case.somewhere();
            if case.we_bind {
                ours.socket().bind(&endpoint).unwrap();
            } else {
                ours.socket().connect(&endpoint).unwrap();
            }
            let sent = (0..100).filter(|number| ours.try_send(&payload(*number, 40))).count() as u64;
            // A connected PUSH has a pipe before it has a peer.
            waited = if case.publishes() || case.we_bind { 0 } else { 100 };
            assert_eq!(sent, if case.publishes() { 100 } else { waited });
            python.open(case.theirs, !case.we_bind, &endpoint, &json!({}));
        } else if case.we_bind {
            let endpoint = case.somewhere();
            python.open(case.theirs, false, &endpoint, &json!({}));
            waited = if case.publishes() { 0 } else { 100 };
            assert_eq!(python.ask(&nowhere)["sent"], 100);
            ours.socket().bind(&endpoint).unwrap();
        } else {
            let endpoint = python.open(case.theirs, true, &case.somewhere(), &json!({}));
            assert_eq!(python.ask(&nowhere)["sent"], if case.publishes() { 100 } else { 0 });
            ours.socket().connect(&endpoint).unwrap();
        }
        let expected: Vec<u64> = (0..waited).collect();
        if case.we_send() {
            assert_eq!(python.receive(waited, DEADLINE).0, expected);
        } else {
            assert_eq!(ours.receive(waited, DEADLINE), expected);
        }
        case.sync(&mut ours, python);
        case.exchange(&mut ours, python, 100, 100);
        ours.close();
        python.close(true);
    });
}

#[test]
fn at_the_high_water_mark_a_push_waits_and_a_publisher_drops_but_nothing_is_doubled_or_overtaken() {
    const SIZE: usize = 60_000;
    const MOST: u64 = 2000;
    each(|case, python| {
        let options = Options { send_hwm: 10, recv_hwm: 10, ..Options::default() };
        let (mut ours, _) = case.open(python, options, &json!({ "SNDHWM": 10, "RCVHWM": 10 }));
        case.sync(&mut ours, python);
        let (sent, numbers);
        if case.we_send() {
            if !case.publishes() {
                // There is a peer when the first has gone.
                ours.send(payload(0, SIZE));
            }
            let first = u64::from(!case.publishes());
            let more = (first..MOST).take_while(|number| ours.try_send(&payload(*number, SIZE))).count() as u64;
            sent = first + more;
            let most = sent - ours.socket().dropped();
            numbers = python.receive(most, DEADLINE).0;
            assert_eq!(numbers.len() as u64, most);
            assert_eq!(ours.socket().dropped() > 0, case.publishes());
        } else {
            let order = |most| json!({ "do": "try_send", "name": "it", "first": 0, "most": most, "size": SIZE });
            while !case.publishes() && python.ask(&order(0)).is_null() {}
            let first = if case.publishes() {
                0
            } else {
                python.send(0, 1, SIZE, 1);
                1
            };
            let order = json!({ "do": "try_send", "name": "it", "first": first, "most": MOST, "size": SIZE });
            sent = first + python.ask(&order)["sent"].as_u64().unwrap();
            let count = if case.publishes() { MOST } else { sent };
            numbers = ours.receive(count, if case.publishes() { Duration::from_millis(500) } else { DEADLINE });
        }
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "doubled or overtaken: {numbers:?}");
        if case.publishes() {
            assert!((numbers.len() as u64) < MOST, "nothing was dropped");
        } else {
            assert!(sent < MOST, "it never had to wait");
            assert_eq!(numbers, (0..sent).collect::<Vec<_>>());
        }
        case.sync(&mut ours, python);
        case.exchange(&mut ours, python, MOST, 5);
        ours.close();
        python.close(true);
    });
}

#[test]
fn heart_beats_keep_a_silent_connection() {
    each(|case, python| {
        let beat = Heartbeat { ttl: Some(Duration::from_millis(200)), ..Heartbeat::every(Duration::from_millis(30)) };
        let beat = Heartbeat { timeout: Duration::from_secs(5), ..beat };
        let options = Options { heartbeat: Some(beat), ..Options::default() };
        let theirs = json!({ "HEARTBEAT_IVL": 30, "HEARTBEAT_TIMEOUT": 5000, "HEARTBEAT_TTL": 300 });
        let (mut ours, _) = case.open(python, options, &theirs);
        case.sync(&mut ours, python);
        case.exchange(&mut ours, python, 0, 100);
        let mut events = ours.socket().events();
        // Longer than either lives without a word.
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(events.wait()));
        let event = receiver.recv_timeout(Duration::from_millis(500));
        assert!(event.is_err(), "it did not stay as it was: {event:?}");
        case.exchange(&mut ours, python, 100, 100);
        ours.close();
        python.close(true);
    });
}

#[test]
fn a_message_of_forty_megabytes_comes_whole() {
    const SIZE: usize = 40_000_000;
    each(|case, python| {
        let (mut ours, _) = case.open(python, Options::default(), &json!({}));
        case.sync(&mut ours, python);
        if case.we_send() {
            ours.send(payload(7, SIZE));
            assert_eq!(python.receive(1, DEADLINE), (vec![7], json!([SIZE]), json!([1])));
        } else {
            python.send(7, 1, SIZE, 1);
            let message =
                std::iter::repeat_with(|| ours.recv(DEADLINE).unwrap()).find(|one| one.data() != SYNC).unwrap();
            assert!(message.data() == payload(7, SIZE), "not the same bytes");
        }
        case.exchange(&mut ours, python, 8, 10);
        ours.close();
        python.close(true);
    });
}

#[test]
fn a_megabyte_in_segments_of_one_byte_comes_whole() {
    each(|case, python| {
        if case.we_send() {
            return;
        }
        let (mut ours, _proxy) = case.open_bytewise(python);
        case.sync(&mut ours, python);
        python.send(0, 1, 500_000, 1);
        python.send(1, 1, 500_000, 3);
        for expected in 0..2 {
            let message =
                std::iter::repeat_with(|| ours.recv(DEADLINE).unwrap()).find(|one| one.data() != SYNC).unwrap();
            assert_eq!((number(&message), message.data().len()), (expected, 500_000));
            assert_eq!(message.len(), if expected == 0 { 1 } else { 3 });
        }
        ours.close();
        python.close(true);
    });
}
