//! SUBSCRIBE and UNSUBSCRIBE.

use super::frames::missing;
use super::refused::{self, SUBSCRIBE};
use super::{Session, StompError};
use crate::stomp::destination;
use bytes::Bytes;
use switchboard_broker::{AckMode, Command, Kind, SubscriptionId};
use switchboard_wire::stomp::{Frame, FrameWriter, Version};

/// The prefetch of a client that names none: the broker knows the channel's.
const PREFETCH: u32 = 0;

/// One of a session's subscriptions.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) id: SubscriptionId,
    pub(super) life: Life,
    /// Bytes of its names: as a key, in each message, and of its queue.
    bytes: usize,
}

/// Time for which messages are kept for a subscription.
#[derive(Debug)]
pub(super) enum Life {
    /// A queue keeps them.
    Queue,
    /// A topic's subscriber gets those that come while it is there.
    Topic,
    /// The subscription's queue keeps them.
    Durable(Bytes),
}

impl Session {
    pub(super) fn subscribe(&mut self, frame: &Frame<'_>, commands: &mut Vec<Command>) -> Result<(), StompError> {
        refused::check_all(&SUBSCRIBE, frame)?;
        let destination = frame.header(b"destination").ok_or_else(|| missing(frame, "destination"))?;
        let pattern = destination::pattern(&destination, self.connection)?;
        let durable = self.durable(frame, &pattern)?;
        let is_topic = Kind::of(&pattern) == Kind::Topic;
        if let Some(routing) = frame.header(b"subscription-type") {
            refused::check_routing("subscription-type", &routing, Kind::of(&pattern))?;
        }
        check_life(frame, durable.is_some(), is_topic)?;
        let id = frame.header(b"id");
        // In 1.0 a subscription may be known by its destination alone.
        let key: Box<[u8]> = match &id {
            Some(id) => Box::from(&**id),
            None if self.version == Version::V1_0 => Box::from(&*destination),
            None => return Err(missing(frame, "id")),
        };
        // One that another session has ended makes room for the next of its name.
        if self.subscriptions.get(&key).is_some_and(|before| self.ledger.lock().is_live(before.id)) {
            return Err(StompError::new(format!("there is a subscription {} already", key.escape_ascii())));
        }
        let (ack, is_cumulative) = match frame.header(b"ack").as_deref() {
            None | Some(b"auto") => (AckMode::Auto, false),
            Some(mode @ (b"client" | b"client-individual")) => {
                (AckMode::Manual { prefetch: prefetch(frame)? }, mode == b"client")
            }
            Some(other) => {
                return Err(StompError::new(format!(
                    "ack is auto, client or client-individual, and not {}",
                    other.escape_ascii()
                )));
            }
        };
        let is_exclusive = is_exclusive(frame)?;
        if is_exclusive && is_topic && durable.is_none() {
            return Err(StompError::new(
                "only a queue has an exclusive consumer: every subscriber gets what a topic has",
            ));
        }
        let subscription = SubscriptionId(self.next_subscription);
        self.next_subscription = self
            .next_subscription
            .checked_add(1)
            .ok_or_else(|| StompError::new("the session has had too many subscriptions: connect anew"))?;
        let line = id.map_or_else(Vec::new, |id| FrameWriter::lines_of(b"subscription", &id, self.version));
        let life = match &durable {
            Some(queue) => Life::Durable(queue.clone()),
            None if is_topic => Life::Topic,
            None => Life::Queue,
        };
        let bytes = key.len() + line.len() + durable.as_ref().map_or(0, Bytes::len);
        self.subscription_bytes += bytes;
        self.ledger.lock().subscribe(subscription, line, is_cumulative);
        if let Some(ended) = self.subscriptions.insert(key, Subscription { id: subscription, life, bytes }) {
            self.subscription_bytes -= ended.bytes;
        }
        self.is_consumer |= ack == AckMode::Auto && (durable.is_some() || !is_topic);
        commands.push(match durable {
            Some(queue) => Command::SubscribeDurable { subscription, queue, source: pattern, ack },
            None => Command::Subscribe { subscription, pattern, ack },
        });
        if is_exclusive {
            commands.push(Command::Claim { subscription });
        }
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, frame: &Frame<'_>, commands: &mut Vec<Command>) -> Result<(), StompError> {
        let mut durable = self.durable_to_end(frame)?;
        let key = match (frame.header(b"id"), frame.header(b"destination")) {
            (Some(id), _) => Some(id),
            (None, Some(destination)) if self.version == Version::V1_0 => Some(destination),
            _ if durable.is_some() => None,
            _ => return Err(missing(frame, "id")),
        };
        match key.as_ref().and_then(|key| self.subscriptions.remove(&**key)) {
            Some(Subscription { id: subscription, life, bytes }) => {
                self.subscription_bytes -= bytes;
                // Another session has ended it already, and may have begun it anew.
                let is_own = matches!((&life, &durable), (Life::Durable(own), Some(queue)) if own == queue);
                if is_own && !self.ledger.lock().is_live(subscription) {
                    durable = None;
                }
                commands.push(Command::Unsubscribe { subscription });
            }
            // A durable one may end while it has no subscriber.
            None if durable.is_some() => {}
            None => {
                let key = key.unwrap_or_default();
                return Err(StompError::new(format!("there is no subscription {}", key.escape_ascii())));
            }
        }
        commands.extend(durable.map(|queue| Command::EndDurable { queue }));
        Ok(())
    }
}

/// Fails if a header asks for another life of what is subscribed to than it has.
fn check_life(frame: &Frame<'_>, is_durable: bool, is_topic: bool) -> Result<(), StompError> {
    let auto_deletes = match frame.header(b"auto-delete").as_deref() {
        None | Some(b"" | b"0" | b"false") => false,
        Some(b"true") => true,
        Some(_) => return Err(StompError::new("auto-delete is true or false")),
    };
    Err(StompError::new(match (is_topic, is_durable, auto_deletes) {
        (false, true, _) => "a durable subscription is to a /topic/: a queue keeps its messages without one",
        (false, false, true) => "auto-delete: a queue does not end with its consumer here: use /temp-queue/",
        (true, true, true) => "auto-delete: a durable subscription ends with an UNSUBSCRIBE that names it",
        _ => return Ok(()),
    }))
}

/// Returns true if a header asks that no other subscription consume.
fn is_exclusive(frame: &Frame<'_>) -> Result<bool, StompError> {
    let mut is_exclusive = false;
    for name in ["exclusive", "activemq.exclusive", "x-single-active-consumer"] {
        match frame.header(name.as_bytes()).as_deref() {
            None | Some(b"" | b"0" | b"false") => {}
            Some(b"true") => is_exclusive = true,
            Some(_) => return Err(StompError::new(format!("{name} is true or false"))),
        }
    }
    Ok(is_exclusive)
}

/// ActiveMQ's header or RabbitMQ's.
fn prefetch(frame: &Frame<'_>) -> Result<u32, StompError> {
    let asked = frame.header(b"activemq.prefetchSize").or_else(|| frame.header(b"prefetch-count"));
    let Some(asked) = asked else { return Ok(PREFETCH) };
    let number =
        std::str::from_utf8(&asked).ok().and_then(|asked| asked.trim().parse().ok()).filter(|&asked| asked > 0);
    number.ok_or_else(|| StompError::new("the prefetch is a number of messages from 1 to 4294967295"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{CONNECT, session};
    use super::*;

    #[test]
    fn a_subscribe_replaces_a_subscription_of_its_id_that_has_ended_and_no_other() {
        let (mut session, ledger) = session();
        let subscribe = "SUBSCRIBE\nid:1\ndestination:/topic/a\ndurable:true\n\n\0";
        session.received_up_to(format!("{CONNECT}{subscribe}").as_bytes(), usize::MAX, &mut Vec::new()).unwrap();
        let bytes = session.subscription_bytes;
        // Its queue was ended by another session.
        ledger.lock().forget(SubscriptionId(0));
        let mut commands = Vec::new();
        session.received_up_to(subscribe.as_bytes(), usize::MAX, &mut commands).unwrap();
        let [Command::SubscribeDurable { subscription, .. }] = commands[..] else { panic!("{commands:?}") };
        assert_eq!((subscription, session.subscription_bytes), (SubscriptionId(1), bytes));
        let error = session.received_up_to(subscribe.as_bytes(), usize::MAX, &mut commands).unwrap_err();
        assert!(error.message.contains("there is a subscription 1 already"), "{error:?}");
    }
    #[test]
    fn an_unsubscribe_of_a_durable_subscription_that_another_session_has_ended_ends_nothing_and_is_no_error() {
        for is_live in [true, false] {
            let (mut session, ledger) = session();
            let subscribe = "SUBSCRIBE\nid:1\ndestination:/topic/a\ndurable:true\n\n\0";
            session.received_up_to(format!("{CONNECT}{subscribe}").as_bytes(), usize::MAX, &mut Vec::new()).unwrap();
            if !is_live {
                ledger.lock().forget(SubscriptionId(0));
            }
            let mut commands = Vec::new();
            let end = "UNSUBSCRIBE\nid:1\ndurable:true\nreceipt:r\n\n\0";
            session.received_up_to(end.as_bytes(), usize::MAX, &mut commands).unwrap();
            let ends = commands.iter().any(|command| matches!(command, Command::EndDurable { .. }));
            assert_eq!(ends, is_live, "{commands:?}");
            assert!(matches!(commands.last(), Some(Command::Receipt { .. })), "{commands:?}");
        }
    }
}
