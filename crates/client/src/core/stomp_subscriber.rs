//! A subscription's connection over STOMP, once CONNECTED has come.

use super::beats::Beats;
use super::keepalive::{Keepalive, Liveness};
use super::subscriber::Effect;
use crate::Reason;
use crate::inbox::Envelope;
use crate::protocol::Token;
use crate::stomp::{self, Acks, Agreed, ReceiptId, Refused, Subscribing};
use crate::subscribe::AckMode;
use bytes::{Buf, BytesMut};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use switchboard_driver::Deadline;
use switchboard_wire::stomp::{Decoder, Found, Frame, Version};

/// Its driver writes what [`StompSubscriber::take_output`] gives after each call of another method.
#[derive(Debug)]
pub(crate) struct StompSubscriber {
    of: Arc<Subscribing>,
    acks: Arc<Acks>,
    token: Token,
    version: Version,
    decoder: Decoder,
    keepalive: Keepalive,
    beats: Beats,
    /// The number of the receipt that was asked for last, and the last that has come.
    asked: u64,
    back: u64,
    confirmed: bool,
    /// The receipt of the frame that ends the subscription, then the session.
    ending: Ending,
    connection: u64,
    output: Vec<u8>,
    /// Errors behind which the session goes on.
    reported: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    No,
    Unsubscribed(u64),
    Disconnected(u64),
    Done,
}

impl StompSubscriber {
    pub(crate) fn new(
        of: Arc<Subscribing>,
        acks: Arc<Acks>,
        (token, agreed): (Token, Agreed),
        heartbeat: Duration,
        max_frame: usize,
        now: Instant,
    ) -> StompSubscriber {
        let mut decoder = Decoder::new(stomp::limits(max_frame));
        decoder.set_version(agreed.version);
        let beats = Beats::new(agreed, now);
        let mut output = Vec::new();
        stomp::subscribe(&of, token, 1, agreed.version, &mut output);
        StompSubscriber {
            connection: acks.connected(agreed.version),
            of,
            acks,
            token,
            version: agreed.version,
            decoder,
            keepalive: Keepalive::new(beats.silence(heartbeat).unwrap_or(heartbeat), now),
            beats,
            asked: 1,
            back: 0,
            confirmed: false,
            ending: Ending::No,
            output,
            reported: Vec::new(),
        }
    }

    /// Returns true if the subscription is in force: its receipt has come, or its first message.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Takes the server's errors behind which the session goes on.
    pub(crate) fn take_reported(&mut self) -> Vec<String> {
        std::mem::take(&mut self.reported)
    }

    /// Returns true if the session has ended in good order.
    pub(crate) fn is_done(&self) -> bool {
        self.ending == Ending::Done
    }

    /// Takes pending output, acks included.
    pub(crate) fn take_output(&mut self, out: &mut Vec<u8>, now: Instant) {
        if self.takes_acks() {
            self.acks.write(self.token, &mut self.asked, &mut self.output);
        }
        if !self.output.is_empty() {
            self.beats.sent(now);
            out.append(&mut self.output);
        }
    }

    /// Returns false once DISCONNECT is written: nothing may follow it.
    fn takes_acks(&self) -> bool {
        !matches!(self.ending, Ending::Disconnected(_) | Ending::Done)
    }

    /// Ends the subscription. Auto: what the server has sent by then still comes. Manual: what was not settled goes back.
    pub(crate) fn end(&mut self) {
        if self.ending != Ending::No {
            return;
        }
        // Acks come before it.
        let asked = self.acks.write_before_receipt(self.token, &mut self.asked, &mut self.output);
        self.ending = Ending::Unsubscribed(asked);
        stomp::unsubscribe(&self.of, self.token, asked, self.version, &mut self.output);
        if self.of.how.ack == AckMode::Manual {
            // Whatever else comes is not for the program.
            self.disconnect();
        }
    }

    fn disconnect(&mut self) {
        self.asked += 1;
        self.ending = Ending::Disconnected(self.asked);
        stomp::disconnect(self.token, self.asked, self.version, &mut self.output);
    }

    /// Moves whole messages from `input` to `messages`. What is left is the beginning of a frame; the result is how many bytes
    /// of it are to be there to go on.
    pub(crate) fn received(
        &mut self,
        input: &mut BytesMut,
        messages: &mut VecDeque<Envelope>,
        now: Instant,
    ) -> Result<usize, Reason> {
        self.keepalive.heard(now);
        let mut at = 0;
        let mut found = Vec::new();
        let result = loop {
            match self.decoder.next(&input[at..]) {
                Ok(Found::Need { skip, bytes }) => {
                    at += skip;
                    break Ok(bytes);
                }
                Ok(Found::Frame { frame, length }) => {
                    if frame.command == b"MESSAGE" {
                        self.confirmed = true;
                        let lines = frame.lines_range();
                        found.push((
                            at + lines.start..at + lines.end,
                            at + frame.body_range.start..at + frame.body_range.end,
                        ));
                    } else if let Err(reason) = self.other(&frame) {
                        break Err(reason);
                    }
                    at += length;
                }
                Err(error) => break Err(format!("{error} (option max_frame bounds bodies)").into()),
            }
        };
        if found.is_empty() {
            input.advance(at);
        } else {
            let whole = input.split_to(at).freeze();
            messages.extend(found.into_iter().map(|(lines, body)| Envelope {
                lines: whole.slice(lines),
                body: whole.slice(body),
                connection: self.connection,
            }));
        }
        result
    }

    fn other(&mut self, frame: &Frame<'_>) -> Result<(), Reason> {
        match frame.command {
            b"RECEIPT" => {
                let Some(number) = stomp::receipt(self.token, frame) else { return Ok(()) };
                self.back = self.back.max(number);
                self.confirmed = true;
                self.acks.confirm(number);
                match self.ending {
                    Ending::Unsubscribed(asked) if number >= asked => self.disconnect(),
                    Ending::Disconnected(asked) if number >= asked => self.ending = Ending::Done,
                    _ => {}
                }
                Ok(())
            }
            // That of SUBSCRIBE would never come: it names its receipt, as an ack does not.
            b"ERROR" if stomp::is_passing(frame) && ReceiptId::answered(frame).is_none() => {
                if self.of.how.ack == AckMode::Manual {
                    self.acks.refused();
                }
                self.reported.push(Refused::of(frame).0);
                Ok(())
            }
            b"ERROR" => Err(Reason::Error(Refused::of(frame).0)),
            other => Err(stomp::shown(other).into()),
        }
    }

    /// The connection was not read meanwhile, so silence means nothing.
    pub(crate) fn resumed(&mut self, now: Instant) {
        self.keepalive.heard(now);
    }

    pub(crate) fn timeout(&self) -> Deadline {
        let beats = self.beats.due().unwrap_or(Deadline::NEVER);
        self.keepalive.due().earlier(beats).earlier(self.acks.deadline())
    }

    /// `is_writing`: bytes wait for the socket, so a sign of life would only wait behind them.
    pub(crate) fn handle_timeout(&mut self, now: Instant, is_writing: bool) -> Effect {
        self.acks.expire(now);
        if self.beats.is_due(now) {
            if !is_writing {
                self.output.push(b'\n');
            }
            self.beats.sent(now);
        }
        match self.keepalive.poll(now, self.asked > self.back) {
            Liveness::Alive => Effect::Nothing,
            Liveness::Silent => Effect::Disconnect,
            Liveness::Check => {
                if self.takes_acks() {
                    // Its receipt confirms what was written before.
                    self.acks.write_before_receipt(self.token, &mut self.asked, &mut self.output);
                } else {
                    self.asked += 1;
                }
                stomp::barrier(self.token, self.asked, self.version, &mut self.output);
                Effect::Nothing
            }
        }
    }
}

impl Drop for StompSubscriber {
    fn drop(&mut self) {
        self.acks.disconnected();
    }
}
