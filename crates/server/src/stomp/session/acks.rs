//! ACK and NACK.

use super::frames::missing;
use super::{Session, StompError};
use std::borrow::Cow;
use std::ops::RangeInclusive;
use switchboard_broker::{Command, DeliveryTag, SubscriptionId};
use switchboard_wire::stomp::{Frame, Version};

/// Which message a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Tagged(SubscriptionId, u64),
    /// Of a topic: nothing waits for its ack.
    Untagged,
}

/// An ack or nack of one message, or of all up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settlement {
    subscription: SubscriptionId,
    tag: u64,
    act: Act,
}

/// Outcome of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Ack,
    Nack {
        /// Tried again, or else to the dead letters.
        requeue: bool,
    },
}

impl Session {
    pub(super) fn ack(
        &mut self,
        frame: &Frame<'_>,
        nacks: bool,
        commands: &mut Vec<Command>,
    ) -> Result<(), StompError> {
        let named = if self.version >= Version::V1_2 { "id" } else { "message-id" };
        let id = frame.header(named.as_bytes()).ok_or_else(|| missing(frame, named))?;
        let unknown = || StompError::new(format!("no message was delivered here as {}", id.escape_ascii()));
        let name = self.name(&id).ok_or_else(unknown)?;
        if self.version == Version::V1_1 {
            let subscription = frame.header(b"subscription").ok_or_else(|| missing(frame, "subscription"))?;
            let of = self.subscriptions.get(&*subscription).map(|subscription| subscription.id);
            // Of a subscription that has ended, it comes late.
            if let (Name::Tagged(id, _), Some(of)) = (name, of)
                && id != of
            {
                return Err(unknown());
            }
        }
        let transaction = frame.header(b"transaction").map(Cow::into_owned);
        if let Some(transaction) = &transaction {
            self.transactions.check(transaction)?;
        }
        let Name::Tagged(subscription, tag) = name else { return Ok(()) };
        if !self.ledger.lock().is_given(tag) {
            return Err(unknown());
        }
        let act = match (nacks, frame.header(b"requeue").as_deref()) {
            (false, _) => Act::Ack,
            (true, None | Some(b"true")) => Act::Nack { requeue: true },
            (true, Some(b"false")) => Act::Nack { requeue: false },
            (true, Some(_)) => return Err(StompError::new("requeue is true or false")),
        };
        let settlement = Settlement { subscription, tag, act };
        match transaction {
            Some(transaction) => self.transactions.settle(&transaction, settlement)?,
            None => self.settle(settlement, commands),
        }
        Ok(())
    }

    /// Joins consecutive tags to one command.
    pub(super) fn settle(&mut self, settlement: Settlement, commands: &mut Vec<Command>) {
        let Settlement { subscription, tag, act } = settlement;
        for tags in self.ledger.lock().settle(subscription, tag) {
            let before = match (commands.last_mut(), act) {
                (Some(Command::Ack { last, .. }), Act::Ack) => Some(last),
                (Some(Command::Nack { last, requeue: before, .. }), Act::Nack { requeue }) if *before == requeue => {
                    Some(last)
                }
                _ => None,
            };
            match before {
                Some(last) if last.0 + 1 == *tags.start() => last.0 = *tags.end(),
                _ => commands.push(command(tags, act)),
            }
        }
    }

    /// The message of a `message-id` or `ack` header of this connection.
    fn name(&self, id: &[u8]) -> Option<Name> {
        let mut parts = std::str::from_utf8(id).ok()?.split('-');
        let (connection, subscription, tag) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || connection.parse() != Ok(self.connection.0) {
            return None;
        }
        if tag.starts_with('t') {
            return Some(Name::Untagged);
        }
        Some(Name::Tagged(SubscriptionId(subscription.parse().ok()?), tag.parse().ok()?))
    }
}

fn command(tags: RangeInclusive<u64>, act: Act) -> Command {
    let (first, last) = (DeliveryTag(*tags.start()), DeliveryTag(*tags.end()));
    match act {
        Act::Ack => Command::Ack { first, last },
        Act::Nack { requeue } => Command::Nack { first, last, requeue },
    }
}
