//! SEND: messages, and runs of them.

use super::frames::missing;
use super::refused::{self, SEND};
use super::{Session, StompError};
use crate::stomp::destination;
use bytes::Bytes;
use std::sync::Arc;
use switchboard_broker::{Attributes, Batch, Command, Headers, Kind, Packer};
use switchboard_wire::stomp::Frame;

/// Headers about the frame, not the message; and those that the server gives a message.
const NOT_PASSED_ON: [&[u8]; 9] = [
    b"destination",
    b"content-length",
    b"receipt",
    b"transaction",
    b"message-id",
    b"subscription",
    b"ack",
    b"redelivered",
    b"retained",
];

/// The messages of one group go to one consumer.
const GROUP: &[u8] = b"JMSXGroupID";

/// Artemis' way to say whether a destination is a queue or a topic.
const ROUTING: &[u8] = b"destination-type";

/// Milliseconds from the SEND on.
const DELAY: &[u8] = b"AMQ_SCHEDULED_DELAY";

/// Parsed headers of a SEND.
#[derive(Debug)]
pub(super) struct Send {
    /// The header lines as they came.
    lines: Vec<u8>,
    channel: Bytes,
    attributes: Option<Arc<Attributes>>,
    transaction: Option<Vec<u8>>,
    receipt: Option<Vec<u8>>,
}

/// SEND frames to one destination with the same headers.
#[derive(Debug)]
pub(super) struct Run {
    send: Send,
    packer: Packer,
}

impl Session {
    /// Adds the frame to the run before it if it has the same headers.
    pub(super) fn run_on(&mut self, frame: &Frame<'_>) -> bool {
        match &mut self.run {
            Some(run) if run.send.lines == frame.lines() => {
                // The frames behind it are taken for more of the same.
                let (length, body) = (frame.body_range.end + 1, frame.body.len());
                run.packer.make_room(body, self.ahead / length);
                run.packer.push(frame.body);
                self.persistent += u64::from(run.send.is_persistent());
                true
            }
            _ => false,
        }
    }

    /// Reads the headers of a SEND.
    pub(super) fn send(&mut self, frame: &Frame<'_>) -> Result<Send, StompError> {
        self.check_drain()?;
        let (mut channel, mut transaction, mut receipt) = (None, None, None);
        let mut attributes = Attributes::default();
        let mut headers = Headers::builder();
        let (mut priority, mut expires, mut deliver_at, mut seen) = (None, None, None, 0);
        let (mut group, mut routing) = (None, None);
        for header in frame.headers() {
            let value = &*header.value;
            match &*header.name {
                b"destination" if channel.is_none() => channel = Some(value.to_vec()),
                b"transaction" if transaction.is_none() => transaction = Some(value.to_vec()),
                b"receipt" if receipt.is_none() => receipt = Some(value.to_vec()),
                name if NOT_PASSED_ON.contains(&name) => {}
                name if is_repeated(name, &mut seen) => headers.push(name, value),
                name => {
                    refused::check(&SEND, name, value)?;
                    if name == b"retain" {
                        // About this message alone: each subscriber is told by `retained`.
                        attributes.retain = retain(value)?;
                        continue;
                    }
                    if name == b"reply-to" {
                        let reply_to = self.limited("reply-to", destination::channel(value, self.connection)?)?;
                        headers.push(name, &reply_to);
                        continue;
                    }
                    match name {
                        b"persistent" => attributes.persistent = value == b"true",
                        b"priority" => priority = Some(self::priority(value)?),
                        b"expires" => expires = expires.or(self.epoch.at("expires", value)?),
                        b"expiration" => expires = expires.or(self.epoch.after("expiration", value)?),
                        DELAY => deliver_at = self.epoch.after("AMQ_SCHEDULED_DELAY", value)?,
                        ROUTING => routing = Some(value.to_vec()),
                        GROUP if !value.is_empty() => group = Some(Bytes::copy_from_slice(value)),
                        _ => {}
                    }
                    headers.push(name, value);
                }
            }
        }
        attributes.priority = priority.unwrap_or(attributes.priority);
        attributes.headers = headers.finish();
        let attributes = attributes.with_expires(expires).with_deliver_at(deliver_at).with_group(group);
        let channel = channel.ok_or_else(|| missing(frame, "destination"))?;
        let channel = self.limited("destination", destination::channel(&channel, self.connection)?)?;
        routing.map_or(Ok(()), |routing| refused::check_routing("destination-type", &routing, Kind::of(&channel)))?;
        if deliver_at.is_some() && Kind::of(&channel) == Kind::Topic {
            return Err(StompError::new("AMQ_SCHEDULED_DELAY is for queues: a topic's messages are delivered at once"));
        }
        if attributes.retain && Kind::of(&channel) == Kind::Queue {
            return Err(StompError::new("retain is for topics: a queue keeps its messages until they are consumed"));
        }
        if let Some(transaction) = &transaction {
            self.transactions.check(transaction)?;
        }
        let attributes = (attributes.retain || !attributes.headers.is_empty()).then(|| Arc::new(attributes));
        Ok(Send { lines: frame.lines().to_vec(), channel, attributes, transaction, receipt })
    }

    /// Carries out a SEND.
    pub(super) fn sent(&mut self, mut send: Send, batch: Batch, commands: &mut Vec<Command>) -> Result<(), StompError> {
        self.persistent += u64::from(send.is_persistent());
        if let Some(transaction) = send.transaction.take() {
            self.flush(commands);
            self.transactions.send(&transaction, send.channel, batch.with_attributes(send.attributes))?;
        } else if send.receipt.is_none() && batch.bytes() < RUN {
            match &mut self.run {
                // Only how the frames are written differs.
                Some(run) if run.send.is_alike(&send) => {
                    batch.iter().for_each(|body| run.packer.push(body));
                    run.send.lines = send.lines;
                }
                _ => {
                    self.flush(commands);
                    let mut packer = Packer::default();
                    batch.iter().for_each(|body| packer.push(body));
                    self.run = Some(Box::new(Run { send, packer }));
                }
            }
            return Ok(());
        } else {
            self.flush(commands);
            let (channel, batch) = (send.channel, batch.with_attributes(send.attributes));
            commands.push(match send.receipt.take() {
                Some(receipt) => Command::PublishWithReceipt { channel, batch, receipt: Batch::one(&receipt) },
                None => Command::Publish { channel, batch },
            });
        }
        if let Some(receipt) = send.receipt {
            commands.push(Command::Receipt { batch: Batch::one(&receipt), covers: 0, publishes: 0 });
        }
        Ok(())
    }

    /// Ends the run of SEND frames.
    pub(super) fn flush(&mut self, commands: &mut Vec<Command>) {
        let Some(run) = self.run.take() else { return };
        let Run { send, packer } = *run;
        if let Some(batch) = packer.finish() {
            commands.push(Command::Publish { channel: send.channel, batch: batch.with_attributes(send.attributes) });
        }
    }
}

/// A message of more packed bytes is a command of its own.
const RUN: usize = 4096;

impl Send {
    fn is_persistent(&self) -> bool {
        self.attributes.as_ref().is_some_and(|attributes| attributes.persistent)
    }

    fn is_alike(&self, other: &Send) -> bool {
        self.channel == other.channel && self.attributes == other.attributes
    }
}

/// Whether this is a second header of a name that means something here: the first one counts. `seen` has a bit for each.
fn is_repeated(name: &[u8], seen: &mut u32) -> bool {
    let own = [b"persistent" as &[u8], b"priority", b"expires", b"expiration", b"reply-to", b"retain", DELAY, GROUP];
    let Some(at) = own.into_iter().chain(SEND.iter().map(|(name, ..)| *name)).position(|known| known == name) else {
        return false;
    };
    let before = *seen;
    *seen |= 1 << at;
    *seen == before
}

fn priority(value: &[u8]) -> Result<u8, StompError> {
    match value {
        [digit @ b'0'..=b'9'] => Ok(digit - b'0'),
        _ => Err(StompError::new("priority is not a number from 0 to 9")),
    }
}

fn retain(value: &[u8]) -> Result<bool, StompError> {
    match value {
        b"true" => Ok(true),
        b"" | b"0" | b"false" => Ok(false),
        _ => Err(StompError::new("retain is true or false")),
    }
}
