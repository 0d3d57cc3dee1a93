//! A subscription's connection, whatever it speaks.

use super::dial::Open;
use super::outgoing::Outgoing;
use super::shared::Shared;
use super::subscribe::SubscribeRequest;
use crate::core::{Effect, StompSubscriber, Subscriber};
use crate::inbox::Chunk;
use crate::subscribe::AckMode;
use crate::{Reason, protocol};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::Instant;
use switchboard_driver::Deadline;

#[derive(Debug)]
pub(crate) enum Session {
    Native(Subscriber, Vec<Bytes>),
    Stomp { core: Box<StompSubscriber>, is_manual: bool },
}

impl Session {
    /// Begins a subscription; what is to be written first is in `outgoing`.
    pub(crate) fn begin(shared: &Shared, request: &SubscribeRequest, open: &Open, outgoing: &mut Outgoing) -> Session {
        let (options, now) = (&shared.options, Instant::now());
        match open.agreed {
            None => {
                let pattern = &request.subscribing.destination;
                let (core, first) = Subscriber::new(pattern, open.token, options.heartbeat, options.max_frame, now);
                outgoing.push(|bytes| bytes.extend_from_slice(&first));
                Session::Native(core, Vec::new())
            }
            Some(agreed) => {
                let (subscribing, acks) = (request.subscribing.clone(), request.acks.clone());
                let is_manual = subscribing.how.ack == AckMode::Manual;
                let begun = (open.token, agreed);
                let core = StompSubscriber::new(subscribing, acks, begun, options.heartbeat, options.max_frame, now);
                Session::Stomp { core: Box::new(core), is_manual }
            }
        }
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        match self {
            Session::Native(core, _) => core.is_confirmed(),
            Session::Stomp { core, .. } => core.is_confirmed(),
        }
    }

    /// Returns true if the server has said that it is the end.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Session::Stomp { core, .. } if core.is_done())
    }

    /// Takes the server's errors behind which the session goes on.
    pub(crate) fn take_reported(&mut self) -> Vec<String> {
        match self {
            Session::Native(..) => Vec::new(),
            Session::Stomp { core, .. } => core.take_reported(),
        }
    }

    /// Moves whole messages from `input` to `chunks`; the result is how many bytes are to be there to go on.
    pub(crate) fn received(
        &mut self,
        input: &mut BytesMut,
        chunks: &mut Vec<Chunk>,
        now: Instant,
    ) -> Result<usize, Reason> {
        match self {
            Session::Native(core, frames) => {
                let result = core.received(input, frames, now);
                chunks.extend(frames.drain(..).map(Chunk::Native));
                Ok(result?)
            }
            Session::Stomp { core, .. } => {
                let mut messages = VecDeque::new();
                let result = core.received(input, &mut messages, now);
                if !messages.is_empty() {
                    chunks.push(Chunk::Stomp(messages));
                }
                result
            }
        }
    }

    /// The subscription ends: without acks the queue keeps what was not sent, with acks what was not settled goes back.
    pub(crate) fn drain(&mut self, outgoing: &mut Outgoing) {
        match self {
            Session::Native(..) => outgoing.shut_down(),
            Session::Stomp { core, .. } => core.end(),
        }
    }

    /// The client is closed: what is on its way is still received.
    pub(crate) fn end(&mut self, outgoing: &mut Outgoing) {
        match self {
            Session::Native(..) => outgoing.push(protocol::end),
            Session::Stomp { core, .. } => core.end(),
        }
    }

    /// Returns true while [`Session::drain`] has to wait for the program, which has taken messages and not settled them.
    pub(crate) fn must_settle(&self, request: &SubscribeRequest) -> bool {
        matches!(self, Session::Stomp { is_manual: true, .. }) && !request.acks.is_settled()
    }

    /// Returns true if untaken messages are lost with the subscription.
    pub(crate) fn discards(&self) -> bool {
        !matches!(self, Session::Stomp { is_manual: true, .. })
    }

    pub(crate) fn write(&mut self, outgoing: &mut Outgoing) {
        if let Session::Stomp { core, .. } = self {
            outgoing.push(|bytes| core.take_output(bytes, Instant::now()));
        }
    }

    pub(crate) fn resumed(&mut self, now: Instant) {
        match self {
            Session::Native(core, _) => core.resumed(now),
            Session::Stomp { core, .. } => core.resumed(now),
        }
    }

    pub(crate) fn timeout(&self) -> Deadline {
        match self {
            Session::Native(core, _) => core.timeout(),
            Session::Stomp { core, .. } => core.timeout(),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, is_writing: bool) -> Effect {
        match self {
            Session::Native(core, _) => core.handle_timeout(now),
            Session::Stomp { core, .. } => core.handle_timeout(now, is_writing),
        }
    }
}
