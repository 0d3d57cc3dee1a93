use super::keepalive::{Keepalive, Liveness};
use crate::protocol::{self, Incoming, Token};
use bytes::{Buf, Bytes, BytesMut};
use std::time::{Duration, Instant};
use switchboard_driver::Deadline;

/// A subscription's connection.
#[derive(Debug)]
pub(crate) struct Subscriber {
    token: Token,
    keepalive: Keepalive,
    /// The number of the barrier that was asked for last.
    asked: u64,
    back: u64,
    confirmed: bool,
    max_frame: usize,
}

/// Effect of a timeout on the connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    /// Write these bytes.
    Check(Vec<u8>),
    /// The broker is dead.
    Disconnect,
}

impl Subscriber {
    /// A new connection, and what is to be written to it first.
    pub(crate) fn new(
        pattern: &[u8],
        token: Token,
        heartbeat: Duration,
        max_frame: usize,
        now: Instant,
    ) -> (Self, Vec<u8>) {
        let mut first = Vec::new();
        protocol::hello(pattern, &mut first);
        protocol::barrier(token, 1, &mut first);
        (
            Subscriber {
                token,
                keepalive: Keepalive::new(heartbeat, now),
                asked: 1,
                back: 0,
                confirmed: false,
                max_frame,
            },
            first,
        )
    }

    /// Returns true if the subscription is in force. The broker sends nothing before that, so its first byte says so, whatever
    /// it belongs to. The answer to the first barrier would come too late: it stands behind everything that waits in the
    /// channel, which may be more than the inbox takes until the program has the subscription.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Moves whole messages, as frames one behind the other, from `input` to `messages`. What is left
    /// is the beginning of one; it says how many bytes of it are to be there to go on.
    pub(crate) fn received(
        &mut self,
        input: &mut BytesMut,
        messages: &mut Vec<Bytes>,
        now: Instant,
    ) -> Result<usize, String> {
        self.keepalive.heard(now);
        self.confirmed |= !input.is_empty();
        let mut whole = 0;
        loop {
            match protocol::incoming(&input[whole..], self.token, self.max_frame) {
                Ok(Incoming::Message { consumed }) => whole += consumed,
                Ok(Incoming::Barrier { number, consumed }) => {
                    self.back = self.back.max(number);
                    hand_over(input, whole, messages);
                    input.advance(consumed);
                    whole = 0;
                }
                Ok(Incoming::Need(bytes)) => {
                    hand_over(input, whole, messages);
                    return Ok(bytes);
                }
                Err(error) => {
                    hand_over(input, whole, messages);
                    return Err(format!("{error} (option max_frame)"));
                }
            }
        }
    }

    /// The connection was not read meanwhile, so silence means nothing.
    pub(crate) fn resumed(&mut self, now: Instant) {
        self.keepalive.heard(now);
    }

    pub(crate) fn timeout(&self) -> Deadline {
        self.keepalive.due()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Effect {
        match self.keepalive.poll(now, self.asked > self.back) {
            Liveness::Alive => Effect::Nothing,
            Liveness::Silent => Effect::Disconnect,
            Liveness::Check => {
                self.asked += 1;
                let mut bytes = Vec::new();
                protocol::barrier(self.token, self.asked, &mut bytes);
                Effect::Check(bytes)
            }
        }
    }
}

fn hand_over(input: &mut BytesMut, bytes: usize, messages: &mut Vec<Bytes>) {
    if bytes > 0 {
        messages.push(input.split_to(bytes).freeze());
    }
}
