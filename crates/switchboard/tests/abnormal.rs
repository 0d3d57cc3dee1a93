//! Clients that break the rules or just break, on real sockets: the log says what was wrong, that
//! connection ends, and nobody else notices.

mod common;

use common::{Broker, Bystanders, Client, frame, listening};

#[test]
fn a_first_frame_over_the_limit_closes_that_connection_only() {
    let broker = Broker::start(&[]);
    let mut bystanders = Bystanders::of(&broker);
    for (bytes, length) in [(frame(&[b'x'; 1025]), "1025"), (vec![0xff; 4], "4294967295")] {
        let mut wrong = Client::silent(&broker);
        wrong.write(&bytes);
        assert_eq!(wrong.rest(), Vec::<Vec<u8>>::new());
        let why = format!("closed: a channel name of {length} bytes is over the limit of 1024 (limit: channel-name)");
        broker.log.find(&["WARN", &why, &wrong.name()]);
    }
    bystanders.are_alone(&broker);
}

#[test]
fn lengths_of_ff_are_refused_wherever_they_come_and_what_came_before_is_kept() {
    let broker = Broker::start(&[]);
    let mut bystanders = Bystanders::of(&broker);
    for (before, what) in [
        (Vec::new(), "a channel name of 4294967295 bytes is over the limit of 1024 (limit: channel-name)"),
        (frame(b"/topic/foo"), "a message of 4294967295 bytes is over the limit of 16777216 (limit: message)"),
    ] {
        let mut listener = Client::listening(&broker, "/topic/foo");
        let mut wrong = Client::publisher(&broker);
        wrong.publish("/topic/foo", b"before");
        wrong.write(&[&before[..], &[0xff; 4], &[0; 50_000]].concat());
        assert_eq!(wrong.rest(), Vec::<Vec<u8>>::new());
        broker.log.find(&["WARN", "closed: ", what, &wrong.name()]);
        assert_eq!(listener.received(), [b"before"]);
    }
    bystanders.are_alone(&broker);
}

#[test]
fn an_end_in_the_middle_of_a_frame_loses_that_frame_only() {
    let broker = Broker::start(&[]);
    let mut bystanders = Bystanders::of(&broker);
    let mut listener = Client::listening(&broker, "/topic/foo");
    let large = (10u32 << 20).to_be_bytes();
    for (torn, missing) in [
        (frame(b"/topic/foo")[..3].to_vec(), "1 byte"),
        (frame(b"/topic/foo"), "4 bytes"),
        ([frame(b"/topic/foo"), frame(b"torn")[..6].to_vec()].concat(), "2 bytes"),
        ([&frame(b"/topic/foo")[..], &large, &[7; 50_000]].concat(), "10435760 bytes"),
    ] {
        let mut cut = Client::publisher(&broker);
        cut.publish("/topic/foo", b"whole");
        cut.write(&torn);
        let name = cut.name();
        if torn.len() > 50_000 {
            // Received bytes are counted, not announced ones.
            let reserved = 50_000..1 << 20;
            broker.status_until("what has come is reserved", |status| {
                status["totals"]["memory"].as_u64().is_some_and(|memory| reserved.contains(&memory))
            });
        }
        drop(cut);
        let line = broker.log.find(&["WARN", "disconnected in the middle of a frame, which lacks at least ", &name]);
        assert!(line.contains(&format!("at least {missing}")), "{line}");
        assert_eq!(listener.received(), [b"whole"]);
    }
    drop(listener);
    bystanders.are_alone(&broker);
}

#[test]
fn who_never_sends_a_first_frame_is_closed() {
    let broker = Broker::start(&["--set", "handshake=1s"]);
    let mut bystanders = Bystanders::of(&broker);
    let mut silent = Client::silent(&broker);
    let mut half = Client::silent(&broker);
    half.write(&frame(b"/topic/foo")[..7]);
    for client in [&mut silent, &mut half] {
        assert_eq!(client.rest(), Vec::<Vec<u8>>::new());
        broker.log.find(&["WARN", "closed: no whole first frame within 1 s (limit: handshake)", &client.name()]);
    }
    bystanders.are_alone(&broker);
}

#[test]
fn one_that_reads_nothing_misses_messages_and_the_rest_of_the_topic_does_not() {
    let broker = Broker::start(&["--set", "outbox=1MiB"]);
    let mut bystanders = Bystanders::of(&broker);
    let mut reading = Client::listening(&broker, "/topic/*");
    let stalled = Client::listening(&broker, "/topic/foo");
    let mut publisher = Client::publisher(&broker);
    let message = [7; 64 << 10];
    let mut count = 0;
    while listening(&broker.status(), "/topic/foo")["dropped"] == 0 {
        assert!(count < 1000, "the sockets' buffers take more than any have");
        publisher.publish("/topic/foo", &message);
        assert_eq!(reading.receive().expect("a message"), message);
        count += 1;
    }
    let id = listening(&broker.status(), "/topic/foo")["id"].to_string();
    broker.log.find(&["INFO", &format!("paused: connection {id} is slow to take what is published to /topic/foo")]);
    reading.settle();
    bystanders.are_well();
    drop((stalled, reading, publisher));
    bystanders.are_alone(&broker);
}

#[test]
fn one_that_reads_nothing_is_closed_where_the_channel_says_so() {
    let broker = Broker::start(&["--set", "outbox=1MiB", "--channel", "/topic/foo,policy=disconnect"]);
    let mut bystanders = Bystanders::of(&broker);
    let mut stalled = Client::listening(&broker, "/topic/foo");
    let mut publisher = Client::publisher(&broker);
    while !listening(&broker.status(), "/topic/foo").is_null() {
        publisher.publish("/topic/foo", &[7; 64 << 10]);
        publisher.settle();
    }
    let why = "closed: too slow for a channel whose policy is to disconnect";
    broker.log.find(&["WARN", why, &stalled.name()]);
    stalled.is_closed();
    drop(publisher);
    bystanders.are_alone(&broker);
}

#[test]
fn a_half_closed_listener_gets_what_waits_and_then_the_end() {
    const COUNT: usize = 200;
    let broker = Broker::start(&["--set", "outbox=64MiB"]);
    let mut bystanders = Bystanders::of(&broker);
    let mut listener = Client::listening(&broker, "/topic/foo");
    let mut publisher = Client::publisher(&broker);
    for number in 0..COUNT {
        publisher.publish("/topic/foo", &[number as u8; 64 << 10]);
    }
    publisher.settle();
    assert!(listening(&broker.status(), "/topic/foo")["outbox"].as_u64() > Some(0));
    listener.half_close();
    // It says no more, so it listens to nothing more; but what waits is its own.
    broker.status_until("its subscription is over", |status| listening(status, "/topic/foo").is_null());
    let rest = listener.rest();
    assert_eq!(rest.len(), COUNT);
    assert!(rest.iter().enumerate().all(|(number, message)| message[..] == [number as u8; 64 << 10]));
    broker.log.find(&["DEBUG", "disconnected: finished", &listener.name()]);
    drop(publisher);
    bystanders.are_alone(&broker);
}

#[test]
fn all_that_a_half_closed_publisher_sent_arrives() {
    let broker = Broker::start(&[]);
    let mut bystanders = Bystanders::of(&broker);
    let mut listener = Client::listening(&broker, "/topic/foo");
    let mut publisher = Client::publisher(&broker);
    for number in 0..1000u32 {
        publisher.publish("/topic/foo", &number.to_be_bytes());
    }
    publisher.half_close();
    assert_eq!(publisher.rest(), Vec::<Vec<u8>>::new());
    broker.log.find(&["DEBUG", "disconnected: finished", &publisher.name()]);
    assert_eq!(listener.received(), (0..1000).map(u32::to_be_bytes).collect::<Vec<_>>());
    drop(listener);
    bystanders.are_alone(&broker);
}

#[test]
fn a_half_closed_worker_leaves_what_it_was_not_sent_to_others() {
    const COUNT: usize = 200;
    let broker = Broker::start(&["--set", "outbox=64MiB"]);
    let mut bystanders = Bystanders::of(&broker);
    let mut worker = Client::listening(&broker, "/queue/foo");
    let mut publisher = Client::publisher(&broker);
    for number in 0..COUNT {
        publisher.publish("/queue/foo", &[number as u8; 64 << 10]);
    }
    publisher.settle();
    worker.half_close();
    broker.log.find(&["DEBUG", "disconnected", &worker.name()]);
    broker.status_until("it comes back", |status| status["totals"]["requeued"].as_u64() > Some(0));
    let mut other = Client::silent(&broker);
    other.send(b"/queue/foo");
    let mut back = other.receive_some(1);
    // Its stream ends within the message that it was being sent, which is with the others now.
    let first = back[0][0] as usize;
    back.extend(other.receive_some(COUNT - first - 1));
    assert!(back.iter().zip(first..).all(|(message, number)| message[..] == [number as u8; 64 << 10]));
    let had = worker.receive_some(first);
    assert!(had.iter().enumerate().all(|(number, message)| message[..] == [number as u8; 64 << 10]));
    worker.is_closed();
    drop((other, publisher));
    bystanders.are_alone(&broker);
}

#[test]
fn a_reset_ends_that_connection_only() {
    let broker = Broker::start(&[]);
    let mut bystanders = Bystanders::of(&broker);
    let mut listener = Client::listening(&broker, "/topic/foo");
    let mut publisher = Client::publisher(&broker);
    publisher.publish("/topic/foo", b"before");
    assert_eq!(listener.receive().expect("a message"), b"before");
    for client in [listener, publisher, Client::silent(&broker)] {
        let name = client.name();
        broker.status_until("it is seen", |status| status["totals"]["connections"].as_u64() > Some(2));
        client.reset();
        broker.log.find(&["DEBUG", "disconnected: Connection reset by peer", &name]);
        bystanders.are_well();
    }
    bystanders.are_alone(&broker);
}
