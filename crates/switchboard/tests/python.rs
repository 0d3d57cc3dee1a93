//! Programs in Python that speak the native protocol, as their authors know it from its description:
//! asyncio streams, the standard library, and nothing of ours.

mod common;

use common::{Broker, Program, listening};

fn up_to(count: usize) -> Vec<usize> {
    (0..count).collect()
}

#[test]
fn a_missing_python_is_named() {
    let error = Program::python("python3-that-is-not-there", "listener.py", &[]).err().expect("an error");
    assert!(error.ends_with("install it: apt-get install python3"), "{error}");
}

#[test]
fn two_listeners_on_a_topic_both_get_all() {
    let broker = Broker::start(&[]);
    let first = broker.listen("/topic/foo");
    let second = broker.listen("/topic/foo");
    broker.send("/topic/foo", 20);
    assert_eq!(first.numbers(20), up_to(20));
    assert_eq!(second.numbers(20), up_to(20));
    broker.stop(vec![first, second]);
}

#[test]
fn two_listeners_on_a_queue_take_turns_from_the_newest() {
    let broker = Broker::start(&[]);
    let first = broker.listen("/queue/foo");
    let newest = broker.listen("/queue/foo");
    broker.send("/queue/foo", 10);
    assert_eq!(newest.numbers(5), [0, 2, 4, 6, 8]);
    assert_eq!(first.numbers(5), [1, 3, 5, 7, 9]);
    broker.stop(vec![first, newest]);
}

#[test]
fn a_late_listener_finds_what_waited_in_a_queue() {
    let broker = Broker::start(&[]);
    broker.send("/queue/foo", 25);
    let late = broker.python("listener.py", &["--listen", "/queue/foo"]);
    assert!(late.line().expect("a line").starts_with("Starting up "));
    assert!(late.line().expect("a line").starts_with("I am ('127.0.0.1', "));
    assert_eq!(late.numbers(25), up_to(25));
    late.until("Subscribed.");
    broker.stop(vec![late]);
}

#[test]
fn a_topic_that_holds_holds_its_publisher_until_a_late_listener_gets_all() {
    let broker = Broker::start(&["--channel", "/topic/foo,buffer-unsubscribed=10"]);
    let mut sender = broker.python("sender.py", &["--interval", "0", "--count", "25"]);
    sender.until("Written.");
    let status = broker.status_until("the publisher is paused", |status| status["totals"]["paused"] == 1);
    let reason = "topic /topic/foo has no subscriber and buffers 10 messages already (limit: buffer-unsubscribed)";
    assert_eq!(listening(&status, "/null")["paused"], reason);
    assert_eq!(status["channels"][0]["depth"], 10);
    broker.log.find(&["INFO", "paused: ", reason]);

    let late = broker.python("listener.py", &[]);
    late.line();
    late.line();
    assert_eq!(late.numbers(25), up_to(25));
    sender.until("Connection ended.");
    assert_eq!(sender.end().code(), Some(0));
    broker.log.find(&["DEBUG", "resumed"]);
    broker.stop(vec![late]);
}

#[test]
fn a_stalled_listener_harms_nobody_on_its_topic() {
    let broker = Broker::start(&[]);
    let stalled = broker.listen_as(&["--paused"]);
    // Its own name for the topic tells the two apart in the status.
    let listener = broker.listen("/topic/*");
    let mut first = 0;
    // Never as much at once as an outbox holds, so that the one that reads is at no time slow.
    const ROUND: usize = 100;
    let round = |first: usize| {
        let (count, first_text) = (ROUND.to_string(), first.to_string());
        broker.send_as(&["--count", &count, "--first", &first_text, "--size", "65536"]);
        assert_eq!(listener.numbers(ROUND), (first..first + ROUND).collect::<Vec<_>>());
    };
    while listening(&broker.status(), "/topic/foo")["dropped"] == 0 {
        assert!(first < 10 * ROUND, "the sockets' buffers take more than any have");
        round(first);
        first += ROUND;
    }
    round(first);
    let status = broker.status();
    assert_eq!(listening(&status, "/topic/foo")["slow"], true);
    assert_eq!(listening(&status, "/topic/*")["dropped"], 0);
    drop(stalled);
    broker.settles_at(1);
    broker.stop(vec![listener]);
}

#[test]
fn frames_cut_everywhere_are_the_same_frames() {
    let broker = Broker::start(&[]);
    let listener = broker.listen("/topic/foo");
    broker.send_as(&["--count", "10", "--cut", "everywhere"]);
    assert_eq!(listener.numbers(10), up_to(10));
    broker.stop(vec![listener]);
}

#[test]
fn ten_thousand_frames_in_one_write_arrive_in_order() {
    let broker = Broker::start(&[]);
    let on_topic = broker.listen("/topic/foo");
    let on_queue = broker.listen("/queue/foo");
    for (channel, listener) in [("/topic/foo", &on_topic), ("/queue/foo", &on_queue)] {
        broker.send_as(&["--channel", channel, "--count", "10000", "--cut", "nowhere"]);
        assert_eq!(listener.numbers(10_000), up_to(10_000));
    }
    broker.stop(vec![on_topic, on_queue]);
}

#[test]
fn a_name_need_not_be_text() {
    let broker = Broker::start(&[]);
    let listener = broker.listen_as(&["--listen-hex", "ff00"]);
    let neighbour = broker.listen_as(&["--listen-hex", "ff01"]);
    broker.send_as(&["--channel-hex", "ff00", "--count", "3"]);
    assert_eq!(listener.numbers(3), up_to(3));
    let channels = broker.status()["channels"].as_array().expect("a list").clone();
    assert!(channels.iter().any(|channel| channel["name_hex"] == "ff00"), "{channels:?}");
    broker.stop(vec![listener, neighbour]);
}

#[test]
fn an_empty_payload_is_a_message_and_ends_nothing() {
    let broker = Broker::start(&[]);
    let on_topic = broker.listen("/topic/foo");
    let on_queue = broker.listen("/queue/foo");
    for (channel, listener) in [("/topic/foo", &on_topic), ("/queue/foo", &on_queue)] {
        broker.send_as(&["--channel", channel, "--count", "2", "--data", ""]);
        broker.send(channel, 1);
        assert_eq!(listener.received(2), ["b''", "b''"]);
        assert_eq!(listener.numbers(1), [0]);
    }
    broker.stop(vec![on_topic, on_queue]);
}
