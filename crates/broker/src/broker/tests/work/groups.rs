//! Work with messages of groups.

use super::{Case, MANUAL, NOW, STEPS, ack, broker, case, command, connect, publish, subscribe_to};
use crate::{AckMode, Attributes, Batch, Broker, Command, ConnectionId};
use bytes::Bytes;
use std::sync::Arc;

fn publish_of(broker: &mut Broker, group: impl Into<Bytes>) {
    let attributes = Attributes::default().with_group(group.into() as Bytes);
    let batch = Batch::one(b"x").with_attributes(Arc::new(attributes));
    broker.handle(NOW, ConnectionId(2), Command::Publish { channel: "/queue/a".into(), batch });
}

/// Connection 1 has a message of group 0, and no room for others of it.
fn with_group(others: usize) -> Broker {
    let mut broker = broker();
    subscribe_to(&mut broker, 1, 0, "/queue/a", MANUAL);
    (0..=others).for_each(|_| publish_of(&mut broker, "0"));
    broker
}

pub(super) fn publish_behind_a_group(others: usize) -> Case {
    let mut broker = with_group(others);
    connect(&mut broker, 3);
    subscribe_to(&mut broker, 3, 0, "/queue/a", MANUAL);
    command(broker, 4096, 2, Command::Publish { channel: "/queue/a".into(), batch: Batch::one(b"x") })
}

pub(super) fn ack_behind_a_group(others: usize) -> Case {
    let mut broker = with_group(others);
    connect(&mut broker, 3);
    subscribe_to(&mut broker, 3, 0, "/queue/a", MANUAL);
    (0..2).for_each(|_| publish(&mut broker, 2, "/queue/a"));
    command(broker, 4096, 3, ack(1))
}

pub(super) fn ack_before_its_group(others: usize) -> Case {
    command(with_group(others), 4096, 1, ack(1))
}

/// Connection 1 has a message of each group, and no room for others of them.
fn with_groups(others: usize) -> Broker {
    let mut broker = broker();
    subscribe_to(&mut broker, 1, 0, "/queue/a", AckMode::Manual { prefetch: others as u32 + 1 });
    (0..=others).for_each(|group| publish_of(&mut broker, group.to_string()));
    (0..=others).for_each(|group| publish_of(&mut broker, group.to_string()));
    broker
}

pub(super) fn ack_beside_groups(others: usize) -> Case {
    command(with_groups(others), 4096, 1, ack(1))
}

pub(super) fn disconnect_with_groups(others: usize) -> Case {
    let mut broker = with_groups(others);
    connect(&mut broker, 3);
    subscribe_to(&mut broker, 3, 0, "/queue/a", AckMode::Manual { prefetch: 1 << 30 });
    command(broker, STEPS, 1, Command::Disconnect)
}

pub(super) fn purge_groups(others: usize) -> Case {
    let mut broker = broker();
    (0..others).for_each(|group| publish_of(&mut broker, group.to_string()));
    case(broker, STEPS, move |broker| assert_eq!(broker.purge(NOW, b"/queue/a"), Some(others)))
}
