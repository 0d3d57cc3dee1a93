//! Work with outboxes that are full, or have much that is over.

use super::{Case, MANUAL, NOW, STEPS, ack, broker_with, case, command, limits, publish, subscribe_to};
use crate::{AckMode, Attributes, Batch, Command, ConnectionId, Limits};
use std::sync::Arc;
use std::time::Duration;

/// Connection 2 may have one message of all queues, and its outbox is full.
pub(super) fn ack_of_a_full_consumer(others: usize) -> Case {
    let mut broker = broker_with(Limits { outbox: 10, ..limits() });
    subscribe_to(&mut broker, 2, 0, "/queue/*", MANUAL);
    (0..others).for_each(|queue| publish(&mut broker, 1, format!("/queue/{queue}")));
    subscribe_to(&mut broker, 2, 1, "/topic/a", AckMode::Auto);
    (0..2).for_each(|_| publish(&mut broker, 1, "/topic/a"));
    assert_eq!(broker.totals().paused, 1, "its outbox is full");
    command(broker, STEPS, 2, ack(1))
}

/// The window of connection 1 is full, and what waits behind it expires.
pub(super) fn credit_before_expired(others: usize) -> Case {
    let later = NOW + Duration::from_secs(1);
    let mut broker = broker_with(Limits { window: 5, outbox: 1 << 30, ..limits() });
    subscribe_to(&mut broker, 1, 0, "/topic/a", AckMode::Auto);
    publish(&mut broker, 2, "/topic/a");
    for _ in 0..others {
        let batch = Batch::one(b"x").with_attributes(Arc::new(Attributes::default().with_expires(later)));
        broker.handle(NOW, ConnectionId(2), Command::Publish { channel: "/topic/a".into(), batch });
    }
    case(broker, STEPS, move |broker| broker.handle(later, ConnectionId(1), Command::Credit { bytes: 5 }))
}
