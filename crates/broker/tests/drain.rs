//! The end of the service: who is closed when.

use bytes::Bytes;
use switchboard_broker::{
    AckMode, Batch, Broker, ChannelRule, CloseReason, Command, ConnectionId, Event, Limits, Pattern, SubscriptionId,
    Time,
};

fn connect(broker: &mut Broker, id: u64, pattern: &'static str) {
    broker.handle(Time::ZERO, ConnectionId(id), Command::Connect { transport_acks: false });
    let pattern = Bytes::from_static(pattern.as_bytes());
    let subscribe = Command::Subscribe { subscription: SubscriptionId(0), pattern, ack: AckMode::Auto };
    broker.handle(Time::ZERO, ConnectionId(id), subscribe);
}

fn publish(broker: &mut Broker, id: u64, channel: &'static str, data: &str) {
    let (channel, batch) = (Bytes::from_static(channel.as_bytes()), Batch::one(data.as_bytes()));
    broker.handle(Time::ZERO, ConnectionId(id), Command::Publish { channel, batch });
}

/// Connections that the broker closes now.
fn closed(broker: &mut Broker) -> Vec<u64> {
    let mut closed = Vec::new();
    while let Some(event) = broker.poll() {
        if let Event::Close { connection, reason } = event {
            assert_eq!(reason, CloseReason::Drained);
            closed.push(connection.0);
        }
    }
    closed
}

fn broker() -> Broker {
    let rule = |pattern, hold| ChannelRule {
        buffer_unsubscribed: hold,
        queue: Some(10),
        ..ChannelRule::new(Pattern::new(pattern))
    };
    Broker::new(Limits::default(), vec![rule("/queue/>", None), rule("/topic/held", Some(1))])
}

#[test]
fn one_that_comes_during_the_drain_is_closed_at_once() {
    let mut broker = broker();
    broker.drain(Time::ZERO);
    broker.handle(Time::ZERO, ConnectionId(1), Command::Connect { transport_acks: false });
    assert_eq!(closed(&mut broker), [1]);
}

#[test]
fn a_held_publisher_that_nobody_can_release_keeps_nobody_waiting() {
    for full in ["/queue/a", "/topic/held"] {
        let mut broker = broker();
        connect(&mut broker, 1, "/topic/a");
        connect(&mut broker, 2, "/null");
        publish(&mut broker, 2, full, "123456");
        publish(&mut broker, 2, full, "does not fit");
        assert_eq!(broker.totals().paused, 1);
        closed(&mut broker);
        broker.drain(Time::ZERO);
        assert_eq!(closed(&mut broker), [1, 2], "{full}");
    }
}

#[test]
fn a_held_publisher_that_a_worker_may_release_is_waited_for() {
    let mut broker = Broker::new(Limits { outbox: 10, ..Limits::default() }, Vec::new());
    connect(&mut broker, 1, "/topic/a");
    connect(&mut broker, 2, "/null");
    connect(&mut broker, 3, "/topic/slow");
    publish(&mut broker, 2, "/topic/slow", "123456");
    publish(&mut broker, 2, "/topic/slow", "654321");
    publish(&mut broker, 2, "/topic/a", "for 1");
    assert_eq!(broker.totals().paused, 1);
    closed(&mut broker);
    broker.drain(Time::ZERO);
    assert_eq!(closed(&mut broker), []);
    // The held message goes on its way, and so does the one behind it.
    broker.handle(Time::ZERO, ConnectionId(3), Command::Credit { bytes: 10 });
    assert_eq!(broker.totals().paused, 0);
    assert_eq!(closed(&mut broker), [2]);
    broker.handle(Time::ZERO, ConnectionId(1), Command::Credit { bytes: 9 });
    broker.handle(Time::ZERO, ConnectionId(3), Command::Credit { bytes: 10 });
    assert_eq!(closed(&mut broker), [1, 3]);
}

#[test]
fn once_nobody_is_owed_anything_all_are_closed_whoever_is_held() {
    let mut broker = Broker::new(
        Limits { connections: 2, memory: 2 * Limits::CONNECTION + 6000, queue: 10_000, ..Limits::default() },
        Vec::new(),
    );
    connect(&mut broker, 1, "/topic/a");
    connect(&mut broker, 2, "/null");
    publish(&mut broker, 2, "/topic/a", "owed");
    publish(&mut broker, 2, "/queue/a", &"x".repeat(3000));
    assert_eq!(broker.totals().paused, 1);
    closed(&mut broker);
    broker.drain(Time::ZERO);
    assert_eq!(closed(&mut broker), []);
    broker.handle(Time::ZERO, ConnectionId(1), Command::Credit { bytes: 8 });
    assert_eq!(closed(&mut broker), [1, 2]);
}
