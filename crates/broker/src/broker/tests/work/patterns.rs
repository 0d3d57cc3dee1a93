//! Work with all that a pattern matches.

use super::{Case, MANUAL, NOW, ONE, STEPS, broker, command, subscribe_to};
use crate::{AckMode, Batch, Broker, Command, ConnectionId};

/// Connection 1 subscribes to so many topics.
fn with_topics(topics: usize) -> Broker {
    let mut broker = broker();
    (0..topics).for_each(|topic| subscribe_to(&mut broker, 1, topic, format!("/topic/{topic}"), AckMode::Auto));
    broker
}

pub(super) fn subscribe(others: usize) -> Case {
    let (subscription, pattern) = (ONE, "/topic/*".into());
    command(with_topics(others), STEPS, 2, Command::Subscribe { subscription, pattern, ack: AckMode::Auto })
}

fn durable() -> Command {
    let queue = "/queue/subscription/me/x".into();
    Command::SubscribeDurable { subscription: ONE, queue, source: "/topic/*".into(), ack: MANUAL }
}

pub(super) fn subscribe_durable(others: usize) -> Case {
    command(with_topics(others), STEPS, 2, durable())
}

/// Connection 1 has so many subscriptions to a pattern.
fn with_patterns(others: usize, pattern: &'static str) -> Broker {
    let mut broker = broker();
    (0..others).for_each(|number| subscribe_to(&mut broker, 1, number, pattern, AckMode::Auto));
    broker
}

pub(super) fn publish_to_a_new_topic(others: usize) -> Case {
    let publish = Command::Publish { channel: "/topic/new".into(), batch: Batch::one(b"x") };
    command(with_patterns(others, "/topic/*"), STEPS, 2, publish)
}

pub(super) fn subscribe_to_a_new_queue(others: usize) -> Case {
    let (subscription, pattern) = (ONE, "/queue/new".into());
    command(with_patterns(others, "/queue/*"), STEPS, 2, Command::Subscribe { subscription, pattern, ack: MANUAL })
}

/// It has so many messages, and is fed by as many topics.
pub(super) fn end_durable(others: usize) -> Case {
    let mut broker = with_topics(others);
    broker.handle(NOW, ConnectionId(2), durable());
    for topic in 0..others {
        let (channel, batch) = (format!("/topic/{topic}").into(), Batch::one(b"x"));
        broker.handle(NOW, ConnectionId(2), Command::Publish { channel, batch });
    }
    command(broker, STEPS, 2, Command::EndDurable { queue: "/queue/subscription/me/x".into() })
}
