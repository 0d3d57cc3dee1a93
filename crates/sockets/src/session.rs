//! What a peer sends after its handshake, and what of it is answered. No I/O, no clock.

use crate::heart::{Beat, Heart};
use crate::options::Options;
use crate::wants::{Change, Wants};
use bytes::{Bytes, BytesMut};
use std::mem;
use std::ops::Range;
use std::time::{Duration, Instant};
use switchboard_wire::zmtp::{Command, DecodeError, Decoder, Found, SocketType, frame};

/// One connection.
#[derive(Debug)]
pub(crate) struct Session {
    kind: SocketType,
    decoder: Decoder,
    heart: Heart,
    minor: u8,
    /// Commands that are to be sent.
    output: Vec<u8>,
}

const OVERDUE: usize = 64 << 10;

/// What was in what was received.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    /// Runs of wanted messages, with their numbers, and what they were filtered by.
    pub(crate) messages: Vec<(Bytes, usize)>,
    pub(crate) filtered: u64,
    /// Subscriptions of the peer.
    pub(crate) changes: Vec<Change>,
    /// The input must hold so many bytes before there is more in it.
    pub(crate) need: usize,
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("the peer ends the connection: {0}")]
    Refused(String),
    #[error("the peer sent nothing for {} s", .0.as_secs_f32())]
    Silent(Duration),
}

impl Session {
    pub(crate) fn new(kind: SocketType, minor: u8, options: &Options, now: Instant) -> Session {
        // Some peers of 3.0 take a question for an error.
        let beat = options.heartbeat.filter(|_| minor > 0);
        Session {
            kind,
            decoder: Decoder::new(options.limits()),
            heart: Heart::new(beat, now),
            minor,
            output: Vec::new(),
        }
    }

    /// Takes whole messages and commands from the start of `input`.
    pub(crate) fn received(
        &mut self,
        input: &mut BytesMut,
        wants: &Wants,
        now: Instant,
        brought: &mut Brought,
    ) -> Result<(), Fault> {
        self.heart.heard(now);
        let mut runs: Vec<(Range<usize>, usize)> = Vec::new();
        let mut at = 0;
        let result = if self.kind.subscribes() {
            wants.filter(|filtered, is_wanted| {
                brought.filtered = filtered;
                self.scan(input, &mut at, &mut runs, is_wanted, brought)
            })
        } else {
            let receives = self.kind == SocketType::Pull;
            self.scan(input, &mut at, &mut runs, &|_| receives, brought)
        };
        if at == 0 {
            return result;
        }
        let whole = input.split_to(at).freeze();
        match &runs[..] {
            [(range, count)] if range.len() == whole.len() => brought.messages.push((whole, *count)),
            runs => brought.messages.extend(runs.iter().map(|(range, count)| (whole.slice(range.clone()), *count))),
        }
        result
    }

    fn scan(
        &mut self,
        input: &[u8],
        at: &mut usize,
        runs: &mut Vec<(Range<usize>, usize)>,
        is_wanted: &dyn Fn(&[u8]) -> bool,
        brought: &mut Brought,
    ) -> Result<(), Fault> {
        loop {
            let rest = &input[*at..];
            match self.decoder.next(rest)? {
                Found::Message { length, first, parts } => {
                    let message = *at..*at + length;
                    *at = message.end;
                    if self.kind.publishes() {
                        // Anything else that a subscriber says has no meaning here.
                        if let (1, Some((&begins @ (0 | 1), prefix))) = (parts, rest[first].split_first()) {
                            let prefix = Bytes::copy_from_slice(prefix);
                            brought.changes.push(Change { begins: begins == 1, prefix });
                        }
                    } else if is_wanted(&rest[first]) {
                        match runs.last_mut() {
                            Some((run, count)) if run.end == message.start => {
                                run.end = message.end;
                                *count += 1;
                            }
                            _ => runs.push((message, 1)),
                        }
                    }
                }
                Found::Command { length, body } => {
                    *at += length;
                    self.command(&rest[body], brought)?;
                }
                Found::Need(bytes) => {
                    brought.need = bytes;
                    return Ok(());
                }
            }
        }
    }

    fn command(&mut self, body: &[u8], brought: &mut Brought) -> Result<(), Fault> {
        match Command::decode(body).map_err(DecodeError::from)? {
            Command::Ping { ttl, context } => {
                self.heart.asked(ttl);
                Command::Pong(context).encode(&mut self.output);
            }
            Command::Subscribe(prefix) if self.kind.publishes() => {
                brought.changes.push(Change { begins: true, prefix: Bytes::copy_from_slice(prefix) });
            }
            Command::Cancel(prefix) if self.kind.publishes() => {
                brought.changes.push(Change { begins: false, prefix: Bytes::copy_from_slice(prefix) });
            }
            Command::Error(reason) => return Err(Fault::Refused(reason.escape_ascii().to_string())),
            _ => {}
        }
        Ok(())
    }

    /// Tells the peer of a subscription.
    pub(crate) fn tell(&mut self, change: &Change) {
        match (self.minor, change.begins) {
            (0, begins) => {
                let mut body = vec![u8::from(begins)];
                body.extend_from_slice(&change.prefix);
                frame::encode(&body, false, &mut self.output);
            }
            (_, true) => Command::Subscribe(&change.prefix).encode(&mut self.output),
            (_, false) => Command::Cancel(&change.prefix).encode(&mut self.output),
        }
    }

    /// Whether so much is to be said that nothing more should be asked: the peer does not read.
    pub(crate) fn is_overdue(&self) -> bool {
        self.output.len() > OVERDUE
    }

    /// What is to be sent before any messages.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        mem::take(&mut self.output)
    }

    /// When [`Session::handle_timeout`] is due.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.heart.timeout()
    }

    /// `listening` is whether the peer is read.
    pub(crate) fn handle_timeout(&mut self, now: Instant, listening: bool) -> Result<(), Fault> {
        match self.heart.handle_timeout(now, listening) {
            Beat::Nothing => Ok(()),
            // One that is not even written is enough.
            Beat::Ask if !self.output.is_empty() => Ok(()),
            Beat::Ask => {
                Command::Ping { ttl: self.heart.ttl(), context: b"" }.encode(&mut self.output);
                Ok(())
            }
            Beat::Dead(silence) => Err(Fault::Silent(silence)),
        }
    }
}
