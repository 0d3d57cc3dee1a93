//! A client of the native protocol at its end of the pipes, and the driver's side of them.

use crate::oracle::{Checked, Oracle, promise};
use crate::pipe::{Pipe, Taken};
use crate::rng::Rng;
use crate::settings::{QUEUE_PATTERNS, QUEUES, Settings, TOPIC_PATTERNS, TOPICS};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Duration;
use switchboard_broker::{Command, ECHO, Time};
use switchboard_server::{Outbox, Session};
use switchboard_wire::native::encode;

/// Requests that a client put into its pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Subscribe(Vec<u8>),
    Publish(Vec<u8>, Vec<u8>),
    Barrier(Vec<u8>),
    Finish,
    /// A frame over a limit: what follows means nothing.
    TooLong,
}

/// The driver's ways to end a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Waiting bytes are written until then.
    Rest(Time),
    NoRest,
}

#[derive(Debug)]
pub(crate) struct Native {
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
    unsent: Vec<u8>,
    said: VecDeque<(usize, Said)>,
    said_bytes: usize,
    talks: bool,
    silent: bool,
    half_closes: bool,
    asleep: Option<Time>,
    pub(crate) session: Session,
    pub(crate) outbox: Outbox,
    pub(crate) uncredited: usize,
    pub(crate) transport_acks: bool,
    /// Bytes that the client's machine took, and the broker does not know of.
    pub(crate) acknowledged: usize,
    /// A recall has left nothing to write: no written byte will tell that the pipe takes some.
    pub(crate) emptied: bool,
    read_bytes: usize,
    reserved: usize,
    pub(crate) paused: bool,
    pub(crate) finished: bool,
    /// The broker knows that it sends nothing more, before its end is read.
    has_departed: bool,
    pub(crate) failed: bool,
    pub(crate) ending: Option<Ending>,
}

impl Native {
    pub(crate) fn new(settings: &Settings, rng: &mut Rng) -> Native {
        let pattern: &str = match rng.below(10) {
            0..3 => "/null",
            3..6 => rng.pick(&QUEUE_PATTERNS),
            _ => rng.pick(&TOPIC_PATTERNS),
        };
        let talks = pattern == "/null" || rng.one_in(4);
        Native::with(settings, rng, pattern, talks)
    }

    pub(crate) fn with(settings: &Settings, rng: &mut Rng, pattern: &str, talks: bool) -> Native {
        let mut native = Native {
            up: Pipe::new(settings.pipe, settings.delay),
            down: Pipe::new(rng.within(settings.pipe / 4, settings.pipe), settings.delay),
            unsent: Vec::new(),
            said: VecDeque::new(),
            said_bytes: 0,
            talks,
            silent: false,
            half_closes: false,
            asleep: None,
            session: Session::new(&settings.limits),
            outbox: Outbox::default(),
            uncredited: 0,
            transport_acks: rng.one_in(2),
            acknowledged: 0,
            emptied: false,
            read_bytes: 0,
            reserved: 0,
            paused: false,
            finished: false,
            has_departed: false,
            failed: false,
            ending: None,
        };
        native.say(&[pattern.as_bytes()], Said::Subscribe(pattern.as_bytes().to_vec()));
        native
    }

    fn say(&mut self, frames: &[&[u8]], said: Said) {
        let before = self.unsent.len();
        for frame in frames {
            encode(frame, &mut self.unsent);
        }
        self.said_bytes += self.unsent.len() - before;
        self.said.push_back((self.said_bytes, said));
    }

    /// One turn of the client: it says something, writes a part, reads a part.
    pub(crate) fn turn(&mut self, id: u64, now: Time, settings: &Settings, oracle: &mut Oracle, rng: &mut Rng) {
        if !self.silent && self.unsent.len() < 2 * settings.body + 100 {
            self.talk(id, settings, oracle, rng);
        }
        if rng.one_in(settings.laziness) {
            let forever = rng.one_in(4);
            let pause = if forever { 1 << 50 } else { rng.pick(&[1_000, 30_000, 300_000, 3_000_000]) };
            self.asleep = Some(now + Duration::from_micros(pause));
        }
        self.write(now, rng);
        self.read(now, rng);
        if rng.one_in(settings.churn) {
            match rng.below(4) {
                0 if !self.silent => {
                    self.say(&[b""], Said::Finish);
                    self.silent = true;
                }
                0 => {}
                1 => {
                    self.silent = true;
                    self.half_closes = true;
                }
                _ => {
                    self.up.break_off();
                    self.down.break_off();
                }
            }
        }
    }

    fn talk(&mut self, id: u64, settings: &Settings, oracle: &mut Oracle, rng: &mut Rng) {
        if !settings.queues_only && rng.one_in(12) {
            let body = vec![b'e'; rng.below(12)];
            self.say(&[ECHO, &body], Said::Barrier(body.clone()));
        }
        if !self.talks {
            return;
        }
        let limits = &settings.limits;
        if rng.one_in(400) {
            self.silent = true;
            let (channel, body) = (vec![b'x'; limits.channel_name + 1], vec![b'x'; limits.message + 1]);
            let frames: [&[u8]; 2] = if rng.one_in(2) { [&channel, b"x"] } else { [b"/topic/a", &body] };
            return self.say(&frames, Said::TooLong);
        }
        let channel = if settings.queues_only || rng.one_in(2) { rng.pick(&QUEUES) } else { rng.pick(&TOPICS) };
        for _ in 0..rng.pick(&[0, 1, 1, 2, 5]) {
            let length = length(settings, rng);
            let Some(body) = oracle.mint(id, channel, length) else { continue };
            self.say(&[channel.as_bytes(), &body], Said::Publish(channel.into(), body.clone()));
        }
    }

    pub(crate) fn write(&mut self, now: Time, rng: &mut Rng) {
        let count = rng.pick(&[1, 3, 40, 700, 1 << 20]).min(self.unsent.len());
        if let Some(taken) = self.up.put(now, &self.unsent[..count], rng) {
            self.unsent.drain(..taken);
        }
        if self.half_closes && self.unsent.is_empty() {
            self.up.end();
        }
    }

    pub(crate) fn read(&mut self, now: Time, rng: &mut Rng) {
        if self.asleep.is_none_or(|until| until <= now) {
            self.asleep = None;
            if let Taken::Bytes(bytes) = self.down.take(now, rng.pick(&[1, 10, 200, 5000, 1 << 20])) {
                self.acknowledged += bytes.len();
            }
        }
    }

    /// It reads again, and begins nothing new.
    pub(crate) fn wake(&mut self) {
        self.asleep = None;
        self.silent = true;
        self.up.widen();
        self.down.widen();
    }

    /// Whether everything that it said is with the driver.
    pub(crate) fn is_heard(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Whether a read would bring its end, or the failure.
    pub(crate) fn is_over(&self, reads: bool) -> bool {
        reads && self.up.is_over()
    }

    /// Whether the driver sees, the first time, that it has shut its side down, though it is not read.
    pub(crate) fn departs(&mut self, now: Time) -> bool {
        self.up.has_end(now) && !std::mem::replace(&mut self.has_departed, true)
    }

    /// The driver reads. Gives what was asked for, and whether the connection goes on.
    pub(crate) fn receive(&mut self, now: Time, read: usize, rng: &mut Rng) -> Checked<(Vec<Command>, bool)> {
        let mut commands = Vec::new();
        let most = rng.pick(&[1, 7, 100, read, read]).min(read);
        match self.up.take(now, most) {
            Taken::Nothing => Ok((commands, true)),
            Taken::Broken => Ok((commands, false)),
            Taken::End => {
                if !self.session.is_ended() {
                    self.session.shut_down(&mut commands);
                }
                self.finished = self.session.is_ended();
                Ok((commands, self.finished))
            }
            Taken::Bytes(bytes) => {
                self.read_bytes += bytes.len();
                let mut rest = &bytes[..];
                if rng.one_in(2) {
                    let spare = self.session.spare();
                    let direct = spare.len().min(rest.len());
                    spare[..direct].copy_from_slice(&rest[..direct]);
                    self.session.filled(direct);
                    rest = &rest[direct..];
                }
                let result = self.session.received(rest, &mut commands);
                self.check(&commands, result.is_err())?;
                Ok((commands, result.is_ok()))
            }
        }
    }

    /// The translator asks for what was said, no more, no less, in order.
    fn check(&mut self, commands: &[Command], failed: bool) -> Checked {
        let mut heard = Vec::new();
        for command in commands {
            match command {
                Command::Subscribe { pattern, .. } => heard.push(Said::Subscribe(pattern.to_vec())),
                Command::Publish { channel, batch } => {
                    heard.extend(batch.iter().map(|body| Said::Publish(channel.to_vec(), body.to_vec())));
                }
                Command::Barrier { batch } => heard.extend(batch.iter().map(|body| Said::Barrier(body.to_vec()))),
                Command::Finish => heard.push(Said::Finish),
                Command::Reserve { bytes, .. } => self.reserved = *bytes,
                other => return Err(format!("the translator made {other:?} of what was read")),
            }
        }
        for heard in heard {
            let Some((end, said)) = self.said.pop_front() else { return Err(format!("nobody said {heard:?}")) };
            promise!(said == heard, "{said:?} was said, and {heard:?} heard");
            promise!(end <= self.read_bytes, "{heard:?} was heard before it was wholly read");
        }
        let next = self.said.front();
        if failed {
            promise!(matches!(next, Some((_, Said::TooLong))), "what was within the limits was refused: {next:?}");
        } else if !self.session.is_ended() {
            let missed = next.is_some_and(|(end, _)| *end <= self.read_bytes);
            promise!(!missed, "the translator did not hear {next:?}");
            let begun = self.session.missing() > 0;
            promise!(begun || self.reserved == 0, "{} bytes are reserved for a frame that is whole", self.reserved);
        }
        Ok(())
    }

    /// The driver writes a part of what waits. Gives the bytes that the pipe took.
    pub(crate) fn flush(&mut self, now: Time, rng: &mut Rng) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 4];
        let used = self.outbox.slices(&mut slices);
        let most = rng.pick(&[1, 5, 100, 2000, 1 << 20]);
        let mut waiting = Vec::new();
        for slice in &slices[..used] {
            waiting.extend_from_slice(&slice[..slice.len().min(most - waiting.len())]);
        }
        match self.down.put(now, &waiting, rng) {
            Some(count) => {
                self.outbox.advance(count);
                self.uncredited += count;
                waiting[..count].to_vec()
            }
            None => {
                self.outbox = Outbox::default();
                self.failed = true;
                Vec::new()
            }
        }
    }
}

/// Mostly ordinary, at times none, at times the longest that is legal.
pub(crate) fn length(settings: &Settings, rng: &mut Rng) -> usize {
    match rng.below(40) {
        0 => 0,
        1 => settings.limits.message,
        2 => settings.limits.message - 1,
        _ => rng.below(settings.body),
    }
}
