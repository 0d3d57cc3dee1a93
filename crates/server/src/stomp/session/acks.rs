//! ACK and NACK.

use super::frames::{missing, pass};
use super::{Ledger, Session, StompError};
use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::str::FromStr;
use switchboard_broker::{Command, DeliveryTag, SubscriptionId};
use switchboard_wire::stomp::{Frame, Header, Version};

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

/// The headers that have a meaning in an ACK or NACK, found in one pass over its lines. Of repeated ones the first counts.
#[derive(Default)]
struct Headers<'a> {
    id: Option<Cow<'a, [u8]>>,
    message: Option<Cow<'a, [u8]>>,
    subscription: Option<Cow<'a, [u8]>>,
    transaction: Option<Cow<'a, [u8]>>,
    requeue: Option<Cow<'a, [u8]>>,
}

impl<'a> Headers<'a> {
    fn of(frame: &Frame<'a>) -> Headers<'a> {
        let mut headers = Headers::default();
        for Header { name, value } in frame.headers() {
            let header = match &*name {
                b"id" => &mut headers.id,
                b"message-id" => &mut headers.message,
                b"subscription" => &mut headers.subscription,
                b"transaction" => &mut headers.transaction,
                b"requeue" => &mut headers.requeue,
                _ => continue,
            };
            header.get_or_insert(value);
        }
        headers
    }
}

impl Session {
    pub(super) fn ack(
        &mut self,
        frame: &Frame<'_>,
        nacks: bool,
        commands: &mut Vec<Command>,
    ) -> Result<(), StompError> {
        let headers = Headers::of(frame);
        let (named, id) =
            if self.version >= Version::V1_2 { ("id", headers.id) } else { ("message-id", headers.message) };
        let id = id.ok_or_else(|| missing(frame, named))?;
        // A transaction is not to be committed without one of its acks: the end of the session aborts it.
        let is_alone = headers.transaction.is_none();
        let no_such = |error: StompError| if is_alone { error.passing() } else { error };
        let name = self.name(&id).ok_or_else(|| no_such(unknown(&id)))?;
        if self.version == Version::V1_1 {
            let subscription = headers.subscription.ok_or_else(|| missing(frame, "subscription"))?;
            // Of a subscription that has ended, it comes late, also if another has its name by now.
            if let Name::Tagged(of, _) = name
                && self.subscriptions.get(&*subscription).is_none_or(|named| named.id != of)
                && let Some((key, _)) = self.subscriptions.iter().find(|(_, one)| one.id == of)
            {
                return Err(no_such(StompError::new(format!(
                    "the message {} is of the subscription {} and not of {}",
                    id.escape_ascii(),
                    key.escape_ascii(),
                    subscription.escape_ascii()
                ))));
            }
        }
        if let Some(transaction) = &headers.transaction {
            self.transactions.check(transaction)?;
        }
        let Name::Tagged(subscription, tag) = name else { return Ok(()) };
        let act = match (nacks, headers.requeue.as_deref()) {
            (false, _) => Act::Ack,
            (true, None | Some(b"true")) => Act::Nack { requeue: true },
            (true, Some(b"false")) => Act::Nack { requeue: false },
            (true, Some(_)) => return Err(StompError::new("requeue is true or false")),
        };
        let settlement = Settlement { subscription, tag, act };
        match headers.transaction {
            None => self.settle_given(settlement, &id, commands),
            Some(_) if !self.ledger.lock().is_given(tag) => Err(unknown(&id)),
            Some(transaction) => self.transactions.settle(&transaction, settlement),
        }
    }

    /// As [`Session::ack`] for an ACK that has an id and no other header.
    pub(super) fn bare_ack(&mut self, id: &[u8], commands: &mut Vec<Command>) -> Result<(), StompError> {
        self.flush(commands);
        match self.name(id) {
            Some(Name::Tagged(subscription, tag)) => {
                let settled = self.settle_given(Settlement { subscription, tag, act: Act::Ack }, id, commands);
                settled.or_else(|error| pass(error, commands))
            }
            Some(Name::Untagged) => Ok(()),
            None => pass(unknown(id).passing(), commands),
        }
    }

    /// Acks or nacks what was delivered.
    fn settle_given(&self, settlement: Settlement, id: &[u8], commands: &mut Vec<Command>) -> Result<(), StompError> {
        let mut ledger = self.ledger.lock();
        if !ledger.is_given(settlement.tag) {
            return Err(unknown(id).passing());
        }
        settle(&mut ledger, settlement, commands);
        Ok(())
    }

    /// Acks or nacks of a transaction.
    pub(super) fn settle(&self, settlement: Settlement, commands: &mut Vec<Command>) {
        settle(&mut self.ledger.lock(), settlement, commands);
    }

    /// The message of a `message-id` or `ack` header of this connection.
    fn name(&self, id: &[u8]) -> Option<Name> {
        let mut parts = id.split(|&byte| byte == b'-');
        let (connection, subscription, tag) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || number(connection) != Some(self.connection.0) {
            return None;
        }
        if tag.first() == Some(&b't') {
            return Some(Name::Untagged);
        }
        Some(Name::Tagged(SubscriptionId(number(subscription)?), number(tag)?))
    }
}

fn unknown(id: &[u8]) -> StompError {
    StompError::new(format!("no message was delivered here as {}", id.escape_ascii()))
}

fn number<T: FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Joins consecutive tags to one command.
fn settle(ledger: &mut Ledger, Settlement { subscription, tag, act }: Settlement, commands: &mut Vec<Command>) {
    ledger.settle(subscription, tag, |tags| {
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
    });
}

fn command(tags: RangeInclusive<u64>, act: Act) -> Command {
    let (first, last) = (DeliveryTag(*tags.start()), DeliveryTag(*tags.end()));
    match act {
        Act::Ack => Command::Ack { first, last },
        Act::Nack { requeue } => Command::Nack { first, last, requeue },
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::session;
    use super::*;

    #[test]
    fn an_ack_or_nack_in_1_1_names_the_subscription_that_the_message_is_of() {
        let two = |id| format!("SUBSCRIBE\nid:{id}\ndestination:/queue/{id}\nack:client-individual\n\n\0");
        let connect = "CONNECT\naccept-version:1.1\nhost:h\n\n\0";
        for command in ["ACK", "NACK"] {
            for (named, is_right) in [("A", true), ("B", false), ("zz", false), ("", false)] {
                let (mut session, ledger) = session();
                let begin = format!("{connect}{}{}", two("A"), two("B"));
                session.received_up_to(begin.as_bytes(), usize::MAX, &mut Vec::new()).unwrap();
                let batch = switchboard_broker::Batch::one(b"x");
                let of = SubscriptionId(0);
                ledger.lock().deliver(of, "/queue/A".into(), (batch, None), Some(DeliveryTag(1)), false);
                let frame = format!("{command}\nmessage-id:5-0-1\nsubscription:{named}\n\n\0");
                let mut commands = Vec::new();
                session.received_up_to(frame.as_bytes(), usize::MAX, &mut commands).unwrap();
                match &commands[..] {
                    [Command::Ack { .. } | Command::Nack { .. }] => assert!(is_right, "{command} {named}"),
                    [Command::Receipt { batch, .. }] => {
                        let error = StompError::of_receipt(batch).unwrap();
                        let expected = format!("the message 5-0-1 is of the subscription A and not of {named}");
                        assert!(!is_right && error.message.contains(&expected), "{error:?}");
                    }
                    other => panic!("{command} {named}: {other:?}"),
                }
            }
        }
    }
}
