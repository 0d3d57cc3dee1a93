//! Calls of the broker, and what it asks for in return.

use super::{LINGER, Link, World};
use crate::native::Ending;
use crate::oracle::{Act, Checked, promise};
use switchboard_broker::{CloseReason, Command, ConnectionId, Event, PauseReason, StatusQuery};

impl World {
    /// Changes the broker, checks what comes of it, and does what it asks for.
    pub(crate) fn act(&mut self, mut act: Act) -> Checked {
        self.tell(|| format!("{act:?}"));
        self.oracle.before(self.now, &act)?;
        match &mut act {
            Act::Command(id, command) => {
                self.broker.handle(self.now, ConnectionId(*id), command.clone());
            }
            Act::Timeout => self.broker.handle_timeout(self.now),
            Act::Drain => self.broker.drain(self.now),
            Act::SetRules(rules) => self.broker.set_rules(self.now, rules.clone()),
            Act::Pause(name, true, known) => *known = self.broker.pause_queue(self.now, name.as_bytes()),
            Act::Pause(name, false, known) => *known = self.broker.resume_queue(self.now, name.as_bytes()),
            Act::Move(from, most, order) => {
                *order = self.broker.move_messages(self.now, from.as_bytes(), None, *most).ok();
            }
            Act::Purge(name, count) => *count = self.broker.purge(self.now, name.as_bytes()),
        }
        // The rest of a call's work is done before any act for which the books would have to know of it.
        let commands = matches!(act, Act::Command(..));
        let mut new: Vec<Event> = std::iter::from_fn(|| self.broker.poll()).collect();
        for call in 0.. {
            if self.broker.poll_timeout() != Some(self.now) {
                break;
            }
            promise!(call < 1_000_000, "calls go on with work that never ends");
            // A message that is published while a subscription joins topics might be their value before or after.
            if commands && !self.settings.retains && self.rng.one_in(3) {
                self.credit_between(&new)?;
            }
            self.broker.handle_timeout(self.now);
        }
        self.note_act(&act);
        new.extend(std::iter::from_fn(|| self.broker.poll()));
        for event in &new {
            self.digest.event(event);
            self.note(event);
            self.tell(|| format!("    {event:?}"));
        }
        let dropped = self.counts.get("dropped").copied().unwrap_or(0);
        let status = self.broker.status(self.now, &StatusQuery::top(usize::MAX));
        if status.totals.dropped_slow > dropped {
            self.tell(|| format!("    dropped: {}", status.totals.dropped_slow - dropped));
            self.counts.insert("dropped".into(), status.totals.dropped_slow);
            self.count(format!("drops {:?}", self.settings.limits.policy));
        }
        let audit = self.broker.audit();
        self.oracle.after(&act, &new, &status, audit)?;
        if self.oracle.looks() {
            self.look(&status)?;
        }
        self.events.extend(new);
        if std::mem::replace(&mut self.performing, true) {
            return Ok(());
        }
        while let Some(event) = self.events.pop_front() {
            self.perform(event)?;
        }
        self.performing = false;
        Ok(())
    }

    /// Somebody tells what was written to him while the broker still has work left over.
    fn credit_between(&mut self, new: &[Event]) -> Checked {
        let judged = |id| new.iter().any(|event| matches!(event, Event::Slow { connection } if connection.0 == id));
        let status = self.broker.status(self.now, &StatusQuery::top(usize::MAX));
        // One that was recalled or judged just now must not have said it before, and of one that has just missed
        // something it has to be known what that was before it gets what stood behind.
        let able: Vec<u64> = self
            .links
            .iter()
            .filter(|(_, link)| matches!(link, Link::Native(native) if native.uncredited > 0))
            .map(|(&id, _)| id)
            .filter(|&id| !self.oracle.may_be_recalled(id) && !judged(id) && self.oracle.knows_drops(id, &status))
            .collect();
        if able.is_empty() {
            return Ok(());
        }
        let id = self.rng.pick(&able);
        let Some(Link::Native(native)) = self.links.get_mut(&id) else { return Ok(()) };
        let bytes = std::mem::take(&mut native.uncredited);
        self.tell(|| format!("meanwhile {id} tells credit for {bytes} bytes"));
        self.oracle.credit_between(id, bytes)?;
        self.broker.handle(self.now, ConnectionId(id), Command::Credit { bytes });
        self.count("credit while work is left over");
        Ok(())
    }

    fn perform(&mut self, event: Event) -> Checked {
        let id = match &event {
            Event::Deliver { connection, .. } | Event::Barrier { connection, .. } => connection.0,
            Event::Receipt { connection, .. } => connection.0,
            Event::Pause { connection, .. } | Event::Resume { connection } => connection.0,
            Event::Refused { connection, .. } | Event::Recall { connection } => connection.0,
            Event::Close { connection, .. } | Event::Slow { connection } => connection.0,
            Event::Rejected { connection, .. } | Event::Unconfirmed { connection, .. } => connection.0,
            Event::Lapsed { connection, .. } | Event::Ended { connection, .. } => connection.0,
            // Nobody waits for it.
            Event::Moved { .. } => return Ok(()),
        };
        let (now, delay, rng) = (self.now, self.settings.delay, &mut self.rng);
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        match (event, link) {
            (Event::Deliver { batch, .. } | Event::Barrier { batch, .. }, Link::Native(native)) => {
                native.outbox.push(batch.packed().clone());
            }
            (Event::Deliver { batch, tag, .. }, Link::Acker(acker)) => acker.deliver(now, &batch, tag, delay, rng),
            (Event::Barrier { batch, .. }, Link::Acker(acker)) => acker.deliver(now, &batch, None, delay, rng),
            (Event::Pause { .. }, Link::Native(native)) => native.paused = true,
            (Event::Pause { .. }, Link::Acker(acker)) => acker.paused = true,
            (Event::Resume { .. }, Link::Native(native)) => native.paused = false,
            (Event::Resume { .. }, Link::Acker(acker)) => acker.paused = false,
            (Event::Recall { .. }, Link::Native(native)) => {
                let kept = native.outbox.recall();
                native.emptied = kept == 0;
                if native.failed {
                    self.oracle.broke(id);
                }
                self.credit(id)?;
                self.act(Act::Command(id, Command::Recalled { kept }))?;
                if kept > 0 {
                    self.count("recall in the middle of a message");
                }
            }
            (Event::Recall { .. }, Link::Acker(acker)) => acker.recall(now, delay, rng),
            (Event::Close { reason, .. }, Link::Native(native)) => {
                let is_abrupt = matches!(reason, CloseReason::Slow | CloseReason::Unfinished | CloseReason::Departed);
                let rest = if is_abrupt { Ending::NoRest } else { Ending::Rest(now + LINGER) };
                native.ending.get_or_insert(rest);
            }
            (Event::Close { .. }, Link::Acker(acker)) => acker.closing = true,
            // It hears that its ack is refused.
            (Event::Lapsed { .. } | Event::Ended { .. }, _) => {}
            (Event::Receipt { batch, .. }, Link::Acker(acker)) => {
                acker.get_receipt(now, batch.len(), batch.bytes(), delay, rng);
            }
            (Event::Unconfirmed { receipt, bytes, .. }, Link::Acker(acker)) => {
                acker.get_receipt(now, receipt.len(), bytes, delay, rng);
            }
            // The native protocol has no word for a receipt.
            (Event::Slow { .. } | Event::Receipt { .. } | Event::Rejected { .. } | Event::Unconfirmed { .. }, _) => {}
            (Event::Moved { .. }, _) => {}
            (Event::Refused { .. }, Link::Native(native)) => {
                native.ending.get_or_insert(Ending::Rest(now + LINGER));
            }
            (Event::Refused { refusal, .. }, Link::Acker(acker)) => {
                acker.closing |= matches!(refusal, switchboard_broker::Refusal::Connections { .. });
            }
        }
        Ok(())
    }

    fn note_act(&mut self, act: &Act) {
        match act {
            Act::Purge(name, Some(1..)) => {
                let kind = if name.starts_with("/queue") { "queue" } else { "topic" };
                self.count(format!("purge of a {kind}"));
            }
            Act::Pause(_, true, true) => self.count("pause of a queue"),
            Act::Drain => self.count("drain"),
            Act::SetRules(_) => self.count("rules change"),
            _ => {}
        }
    }

    fn note(&mut self, event: &Event) {
        let text = match event {
            Event::Deliver { tag, .. } => if tag.is_some() { "deliver with a tag" } else { "deliver" }.to_owned(),
            Event::Barrier { .. } => "barrier".into(),
            Event::Receipt { .. } => "receipt".into(),
            Event::Refused { refusal, .. } => format!("refused {refusal:?}"),
            Event::Pause { reason, .. } => match reason {
                PauseReason::SlowSubscriber { channel, .. } if channel == switchboard_broker::ECHO => {
                    "pause for a barrier".into()
                }
                other => format!("pause {other:?}"),
            },
            Event::Resume { .. } => "resume".into(),
            Event::Recall { .. } => "recall".into(),
            Event::Slow { .. } => "slow".into(),
            Event::Lapsed { .. } => "lapsed".into(),
            Event::Ended { .. } => "ended".into(),
            Event::Rejected { .. } => "rejected".into(),
            Event::Unconfirmed { .. } => "unconfirmed".into(),
            Event::Moved { .. } => "moved".into(),
            Event::Close { reason, .. } => format!("close {reason:?}"),
        };
        // Only what kind it was: the rest of a reason is figures.
        let kind = text.split(" {").next().unwrap_or_default().to_owned();
        self.count(kind);
    }
}
