mod calls;
mod looks;

use crate::Report;
use crate::acker::Acker;
use crate::digest::Digest;
use crate::native::{Ending, Native};
use crate::oracle::{Act, Checked, LATENESS, Oracle};
use crate::rng::Rng;
use crate::settings::{DEAD, QUEUES, Settings, TOPICS};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use switchboard_broker::{Broker, Command, Event, StatusQuery, Time};

/// Time that the driver goes on writing to a connection that it closes.
const LINGER: Duration = Duration::from_millis(50);

/// Chosen so that the runs that tests and mutants name stay what they were.
const LATER: u64 = 0x8da5;

#[derive(Debug)]
pub(crate) enum Link {
    Native(Box<Native>),
    Acker(Box<Acker>),
}

pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) rng: Rng,
    /// For what came to be drawn later: the rest of a seed's run stays what it was.
    pub(crate) more: Rng,
    /// For draws that came last, likewise.
    later: Rng,
    pub(crate) now: Time,
    pub(crate) broker: Broker,
    pub(crate) oracle: Oracle,
    pub(crate) links: BTreeMap<u64, Link>,
    next_id: u64,
    events: VecDeque<Event>,
    performing: bool,
    pub(crate) draining: bool,
    digest: Digest,
    pub(crate) counts: BTreeMap<String, u64>,
    trace: bool,
}

impl World {
    pub(crate) fn new(seed: u64, trace: bool) -> World {
        let mut rng = Rng::new(seed);
        let mut settings = Settings::draw(&mut rng);
        settings.draw_retries(&mut Rng::new(!seed));
        let mut more = Rng::new(seed.rotate_left(32) ^ 0x9e37);
        settings.pauses = more.one_in(4);
        let mut later = Rng::new(seed.rotate_left(48) ^ LATER);
        settings.draw_later(&mut later);
        settings.draw_nouns(&mut Rng::new(seed.rotate_left(16) ^ 0x517c));
        if trace {
            println!("{settings:#?}");
        }
        let mut broker = Broker::new(settings.limits.clone(), settings.rules.clone());
        broker.set_steps_per_call(settings.steps_per_call);
        World {
            broker,
            oracle: Oracle::new(&settings),
            settings,
            rng,
            more,
            later,
            now: Time::ZERO,
            links: BTreeMap::new(),
            next_id: 1,
            events: VecDeque::new(),
            performing: false,
            draining: false,
            digest: Digest::new(),
            counts: BTreeMap::new(),
            trace,
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    pub(crate) fn report(mut self) -> Report {
        self.oracle.counts.add_to(&mut self.counts);
        Report { hash: self.digest.0, counts: self.counts }
    }

    pub(crate) fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    pub(crate) fn tell(&self, line: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>12} {}", self.now.0, line());
        }
    }

    pub(crate) fn run(&mut self) -> Checked {
        for _ in 0..self.settings.steps {
            let pause = match self.rng.below(40) {
                0..26 => self.rng.below(100),
                26..37 => self.rng.below(3_000),
                37..39 => self.rng.below(40_000),
                _ => self.rng.below(700_000),
            };
            self.pass(self.now + Duration::from_micros(pause as u64))?;
            let few = self.links.len() < 3 || (self.links.len() < 12 && self.rng.one_in(12));
            if few && !self.draining {
                self.arrive()?;
            }
            self.operate()?;
            for _ in 0..self.rng.within(1, 4) {
                let place = self.rng.below(self.links.len().max(1));
                if let Some(&id) = self.links.keys().nth(place) {
                    self.turn(id)?;
                }
            }
        }
        self.end()
    }

    /// Lets time pass; timers are on time mostly, and never much too late.
    pub(crate) fn pass(&mut self, until: Time) -> Checked {
        while let Some(due) = self.broker.poll_timeout().filter(|due| *due <= until) {
            let late = if self.rng.one_in(8) { self.rng.below(LATENESS as usize / 2) } else { 0 };
            self.now = self.now.max(due + Duration::from_micros(late as u64));
            self.act(Act::Timeout)?;
        }
        self.now = self.now.max(until);
        Ok(())
    }

    pub(crate) fn arrive(&mut self) -> Checked {
        let link = if self.settings.ring || self.rng.one_in(3) {
            Link::Acker(Box::new(Acker::new(&mut self.rng, &self.settings)))
        } else {
            Link::Native(Box::new(Native::new(&self.settings, &mut self.rng)))
        };
        self.join(link).map(|_| ())
    }

    pub(crate) fn join(&mut self, link: Link) -> Checked<u64> {
        let id = self.next_id;
        self.next_id += 1;
        self.oracle_expects(id, &link);
        self.links.insert(id, link);
        let transport_acks = matches!(self.links.get(&id), Some(Link::Native(native)) if native.transport_acks);
        self.act(Act::Command(id, Command::Connect { transport_acks }))?;
        Ok(id)
    }

    fn oracle_expects(&mut self, id: u64, link: &Link) {
        let status = self.broker.status(self.now, &StatusQuery::top(usize::MAX));
        if self.oracle.has_place(&status) {
            let transport_acks = matches!(link, Link::Native(native) if native.transport_acks);
            self.oracle.expect(id, matches!(link, Link::Native(_)), transport_acks);
        }
    }

    /// Random acts of an operator.
    fn operate(&mut self) -> Checked {
        if self.rng.one_in(60) {
            let name = if self.rng.one_in(3) { self.rng.pick(&TOPICS) } else { self.rng.pick(&QUEUES) };
            self.act(Act::Purge(name, None))?;
        }
        if self.rng.one_in(150)
            && let Some((&id, Link::Native(native))) = self.links.iter_mut().next()
        {
            native.ending.get_or_insert(Ending::NoRest);
            self.tell(|| format!("kick {id}"));
            self.count("kick");
        }
        if self.settings.changes_rules && self.rng.one_in(40) {
            let rules = self.settings.other_rules(&mut self.rng, &mut self.later);
            self.act(Act::SetRules(rules))?;
        }
        if self.settings.pauses && self.more.one_in(30) {
            let (name, pauses) = (self.more.pick(&QUEUES), self.more.one_in(2));
            self.act(Act::Pause(name, pauses, false))?;
        }
        if self.settings.moves && self.more.one_in(25) {
            // A durable subscription may have ended.
            let (from, most) = (self.more.pick(&DEAD[..QUEUES.len()]), self.more.pick(&[1, 3, usize::MAX]));
            self.act(Act::Move(from, most, None))?;
        }
        let late = self.now.0 > 200_000;
        if self.settings.drains && late && !self.draining && self.rng.one_in(200) {
            self.draining = true;
            self.act(Act::Drain)?;
        }
        Ok(())
    }

    /// One turn of a client, and of the driver for it.
    fn turn(&mut self, id: u64) -> Checked {
        let (now, settings, oracle, rng) = (self.now, &self.settings, &mut self.oracle, &mut self.rng);
        match self.links.get_mut(&id) {
            Some(Link::Native(native)) => {
                native.turn(id, now, settings, oracle, rng);
                self.drive(id)
            }
            Some(Link::Acker(acker)) => {
                acker.turn(id, now, settings, oracle, rng);
                if settings.departs && self.later.one_in(60) {
                    acker.leave(now, settings, rng);
                }
                self.drive_acker(id)
            }
            None => Ok(()),
        }
    }

    /// Drives a connection of the native protocol: a bit of everything.
    pub(crate) fn drive(&mut self, id: u64) -> Checked {
        if self.rng.one_in(2) {
            self.credit(id)?;
        }
        let Some(Link::Native(native)) = self.links.get_mut(&id) else { return Ok(()) };
        match native.ending {
            Some(Ending::NoRest) => return self.gone(id),
            Some(Ending::Rest(until)) if native.outbox.is_empty() || native.failed || self.now >= until => {
                return self.gone(id);
            }
            Some(Ending::Rest(_)) => {}
            None if native.failed => return self.gone(id),
            None if !native.paused && !native.finished && !self.draining => {
                let pressed = self.broker.memory_pressed();
                let read = if pressed { self.settings.body.min(100) } else { self.settings.read };
                let (commands, goes_on) = native.receive(self.now, read, &mut self.rng)?;
                for command in commands {
                    self.act(Act::Command(id, command))?;
                }
                if !goes_on {
                    return self.gone(id);
                }
            }
            None => {
                if !native.finished && native.departs(self.now) {
                    self.act(Act::Command(id, Command::Depart))?;
                }
            }
        }
        let Some(Link::Native(native)) = self.links.get_mut(&id) else { return Ok(()) };
        let bytes = native.flush(self.now, &mut self.rng);
        self.oracle.wrote(id, &bytes)?;
        if self.rng.one_in(2) { self.credit(id) } else { Ok(()) }
    }

    pub(crate) fn credit(&mut self, id: u64) -> Checked {
        self.credit_written(id)?;
        // Bytes that the client's machine acknowledged; credit for them came before.
        let Some(Link::Native(native)) = self.links.get_mut(&id) else { return Ok(()) };
        match std::mem::take(&mut native.acknowledged) {
            0 => Ok(()),
            bytes if native.transport_acks => self.act(Act::Command(id, Command::TransportAck { bytes })),
            _ => Ok(()),
        }
    }

    fn credit_written(&mut self, id: u64) -> Checked {
        let Some(Link::Native(native)) = self.links.get_mut(&id) else { return Ok(()) };
        match std::mem::take(&mut native.uncredited) {
            0 if native.emptied && native.down.has_room() => {
                native.emptied = false;
                self.act(Act::Command(id, Command::Credit { bytes: 0 }))
            }
            0 => Ok(()),
            bytes => self.act(Act::Command(id, Command::Credit { bytes })),
        }
    }

    /// The connection is gone: credit first, so that a message is written or goes back.
    pub(crate) fn gone(&mut self, id: u64) -> Checked {
        if let Some(Link::Native(native)) = self.links.get(&id)
            && native.session.missing() > 0
        {
            self.count("cut in the middle of a frame");
        }
        self.credit(id)?;
        self.links.remove(&id);
        let before = self.oracle.counts.returned;
        self.act(Act::Command(id, Command::Disconnect))?;
        if self.oracle.counts.returned > before {
            self.count("redelivery after a cut");
        }
        Ok(())
    }

    pub(crate) fn drive_acker(&mut self, id: u64) -> Checked {
        while let Some(Link::Acker(acker)) = self.links.get_mut(&id) {
            let lost = acker.losing.is_some_and(|at| at <= self.now);
            if lost || acker.closing {
                let (acks, credit) = (acker.lost_acks, acker.lost_credit);
                *self.counts.entry("lost acks".into()).or_default() += acks;
                *self.counts.entry("lost credit".into()).or_default() += credit;
                return self.gone(id);
            }
            let next = acker.next(self.now, self.draining);
            let departs = || acker.departs(self.now, self.draining).then_some(Command::Depart);
            let Some(command) = next.or_else(departs) else { return Ok(()) };
            self.act(Act::Command(id, command))?;
        }
        Ok(())
    }
}
