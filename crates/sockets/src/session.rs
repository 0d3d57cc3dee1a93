//! One connection after its handshake: what the peer sends, and what is answered. No I/O, no clock.

use crate::change::Change;
use crate::options::Options;
use crate::subscriptions::Subscriptions;
use bytes::{Bytes, BytesMut};
use std::mem;
use std::ops::Range;
use std::time::{Duration, Instant};
use switchboard_driver::{Check, Deadline, Heartbeat};
use switchboard_wire::zmtp::{Command, DecodeError, Decoder, Found, SocketType, frame};

/// One connection.
#[derive(Debug)]
pub(crate) struct Session {
    kind: SocketType,
    decoder: Decoder,
    heartbeat: Heartbeat,
    /// The silence that PINGs ask the peer to take for our death, in tenths of a second.
    ttl: u16,
    minor: u8,
    /// Commands that are to be sent.
    output: Vec<u8>,
}

const OVERDUE: usize = 64 << 10;

/// The contents of one read.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// Runs of wanted messages, with how many there are in each, and the number of cancellations they were filtered by.
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
        // Some peers of 3.0 take a PING for an error.
        let settings = options.heartbeat.filter(|_| minor > 0);
        let tenths = settings.and_then(|settings| settings.ttl).map_or(0, |ttl| ttl.as_millis() / 100);
        Session {
            kind,
            decoder: Decoder::new(options.limits()),
            heartbeat: Heartbeat::new(settings.map(|settings| (settings.interval, settings.timeout)), now),
            ttl: u16::try_from(tenths).unwrap_or(u16::MAX),
            minor,
            output: Vec::new(),
        }
    }

    /// Takes whole messages and commands from the start of `input`.
    pub(crate) fn received(
        &mut self,
        input: &mut BytesMut,
        subscriptions: &Subscriptions,
        now: Instant,
        incoming: &mut Incoming,
    ) -> Result<(), Fault> {
        self.heartbeat.received(now);
        let mut runs: Vec<(Range<usize>, usize)> = Vec::new();
        let mut at = 0;
        let result = if self.kind.subscribes() {
            subscriptions.filter(|filtered, is_wanted| {
                incoming.filtered = filtered;
                self.scan(input, &mut at, &mut runs, is_wanted, incoming)
            })
        } else {
            let receives = self.kind == SocketType::Pull;
            self.scan(input, &mut at, &mut runs, &|_| receives, incoming)
        };
        if at == 0 {
            return result;
        }
        let whole = input.split_to(at).freeze();
        match &runs[..] {
            [(range, count)] if range.len() == whole.len() => incoming.messages.push((whole, *count)),
            runs => incoming.messages.extend(runs.iter().map(|(range, count)| (whole.slice(range.clone()), *count))),
        }
        result
    }

    fn scan(
        &mut self,
        input: &[u8],
        at: &mut usize,
        runs: &mut Vec<(Range<usize>, usize)>,
        is_wanted: &dyn Fn(&[u8]) -> bool,
        incoming: &mut Incoming,
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
                            incoming.changes.push(Change::new(begins == 1, false, prefix));
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
                    self.command(&rest[body], incoming)?;
                }
                Found::Need(bytes) => {
                    incoming.need = bytes;
                    return Ok(());
                }
            }
        }
    }

    fn command(&mut self, body: &[u8], incoming: &mut Incoming) -> Result<(), Fault> {
        match Command::decode(body).map_err(DecodeError::from)? {
            Command::Ping { ttl, context } => {
                let ttl = (ttl > 0).then(|| Duration::from_millis(u64::from(ttl) * 100));
                self.heartbeat.set_peer_ttl(ttl);
                Command::Pong(context).encode(&mut self.output);
            }
            Command::Subscribe(prefix) if self.kind.publishes() => {
                incoming.changes.push(Change::new(true, false, prefix));
            }
            Command::Cancel(prefix) if self.kind.publishes() => {
                incoming.changes.push(Change::new(false, false, prefix));
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

    /// Returns true if so much is to be sent that nothing more should be read: the peer does not read.
    pub(crate) fn is_overdue(&self) -> bool {
        self.output.len() > OVERDUE
    }

    /// Returns the bytes to be sent before any messages.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        mem::take(&mut self.output)
    }

    /// Bytes were written. `was_blocked`: the write before had filled the kernel's buffer. `commands_left`: commands that were taken
    /// are not wholly written yet.
    pub(crate) fn wrote(&mut self, now: Instant, bytes: usize, was_blocked: bool, commands_left: bool) {
        self.heartbeat.wrote(now, bytes, was_blocked);
        if self.heartbeat.is_probe_queued() && self.output.is_empty() && !commands_left {
            self.heartbeat.probe_written(now);
        }
    }

    /// When [`Session::handle_timeout`] is due.
    pub(crate) fn deadline(&self) -> Deadline {
        self.heartbeat.deadline()
    }

    /// `reading` is false while the peer is not read on purpose.
    pub(crate) fn handle_timeout(&mut self, now: Instant, reading: bool) -> Result<(), Fault> {
        match self.heartbeat.check(now, reading) {
            Check::Alive => Ok(()),
            Check::Probe => {
                Command::Ping { ttl: self.ttl, context: b"" }.encode(&mut self.output);
                Ok(())
            }
            Check::Dead { silent } => Err(Fault::Silent(silent)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Heartbeat as Settings;

    const SECOND: Duration = Duration::from_secs(1);

    fn session(ttl: Option<Duration>, minor: u8, now: Instant) -> Session {
        let heartbeat = Some(Settings { interval: SECOND, timeout: SECOND, ttl });
        Session::new(SocketType::Push, minor, &Options { heartbeat, ..Options::default() }, now)
    }

    #[test]
    fn the_time_to_live_that_is_asked_for_is_rounded_down_and_bounded() {
        for (ttl, tenths) in [
            (None, 0),
            (Some(Duration::from_millis(99)), 0),
            (Some(Duration::from_millis(199)), 1),
            (Some(Duration::from_millis(6_553_500)), u16::MAX),
            (Some(Duration::MAX), u16::MAX),
        ] {
            let now = Instant::now();
            let mut session = session(ttl, 1, now);
            session.handle_timeout(now + SECOND, true).unwrap();
            let mut expected = Vec::new();
            Command::Ping { ttl: tenths, context: b"" }.encode(&mut expected);
            assert_eq!(session.take_output(), expected);
        }
    }

    #[test]
    fn a_ping_is_written_when_no_command_is_left_and_only_then_must_be_answered() {
        let now = Instant::now();
        let mut session = session(None, 1, now);
        session.handle_timeout(now + SECOND, true).unwrap();
        // It waits in the output, then in what is being written.
        session.wrote(now + 10 * SECOND, 1, false, false);
        assert_eq!(session.deadline(), Deadline::NEVER);
        session.take_output();
        session.wrote(now + 20 * SECOND, 1, false, true);
        assert_eq!(session.deadline(), Deadline::NEVER);
        session.wrote(now + 30 * SECOND, 1, false, false);
        assert_eq!(session.deadline(), Deadline::at(now + 31 * SECOND));
        assert!(session.handle_timeout(now + 31 * SECOND, true).is_err());
    }

    #[test]
    fn a_peer_of_zmtp_3_0_is_not_probed() {
        let now = Instant::now();
        assert_eq!(session(None, 0, now).deadline(), Deadline::NEVER);
    }
}
