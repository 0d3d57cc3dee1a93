//! A worker that stalls when nothing of a message was begun.

use bytes::Bytes;
use switchboard_broker::{AckMode, Batch, Broker, Command, ConnectionId, Event, Limits, SubscriptionId, Time};

const WORKER: ConnectionId = ConnectionId(1);

fn delivers(event: Option<Event>) -> bool {
    matches!(event, Some(Event::Deliver { connection: WORKER, .. }))
}

#[test]
fn it_gets_nothing_until_it_is_said_that_it_takes_bytes_and_then_what_it_had_lost() {
    let limits = Limits::default();
    let stall = Time(u64::try_from(limits.write_timeout.as_micros()).expect("a short time"));
    let mut broker = Broker::new(limits, Vec::new());
    let queue = Bytes::from_static(b"/queue/a");
    let (pattern, channel) = (queue.clone(), queue);
    broker.handle(Time::ZERO, WORKER, Command::Connect { transport_acks: false });
    let subscribe = Command::Subscribe { subscription: SubscriptionId(0), pattern, ack: AckMode::Auto };
    broker.handle(Time::ZERO, WORKER, subscribe);
    let publish = Command::Publish { channel, batch: Batch::one(b"job") };
    broker.handle(Time::ZERO, WORKER, publish.clone());
    assert!(delivers(broker.poll()));
    // As long as it does not stall, it says nothing new.
    broker.handle(Time::ZERO, WORKER, Command::Credit { bytes: 0 });
    assert_eq!(broker.poll(), None);

    broker.handle_timeout(stall);
    assert_eq!(broker.poll(), Some(Event::Recall { connection: WORKER }));
    broker.handle(stall, WORKER, Command::Recalled { kept: 0 });
    assert_eq!(broker.totals().requeued, 1);
    broker.handle(stall, WORKER, publish);
    assert_eq!(broker.poll(), None);

    broker.handle(stall, WORKER, Command::Credit { bytes: 0 });
    let mut messages = 0;
    while let Some(event) = broker.poll() {
        let Event::Deliver { connection: WORKER, batch, .. } = event else { panic!("{event:?}") };
        messages += batch.len();
    }
    assert_eq!(messages, 2);
}
