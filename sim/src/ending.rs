//! The end of a run: everybody is given the time that he needs, and then the books must balance.

use crate::acker::Acker;
use crate::native::Native;
use crate::oracle::{Act, Checked, promise};
use crate::settings::{DEAD, DURABLE, QUEUES, TOPICS};
use crate::world::{Link, World};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use switchboard_broker::{Attributes, Batch, Command, StatusQuery, Time};

impl World {
    pub(crate) fn end(&mut self) -> Checked {
        self.tell(|| "everybody reads again".into());
        if !self.draining {
            self.resume_all()?;
        }
        self.settle()?;
        if !self.draining {
            self.oracle.at_rest(&self.broker.status(self.now, &StatusQuery::top(usize::MAX)))?;
        }
        // Whose acks were lost leaves: what waits for them goes to others.
        let ids: Vec<u64> = self.links.keys().copied().collect();
        for id in ids {
            // Nobody consumes the temporary queues of others.
            if self.settings.temporary || matches!(self.links.get(&id), Some(Link::Acker(_))) {
                self.gone(id)?;
            }
        }
        if self.draining {
            return self.end_of_service();
        }
        self.sweep()?;
        self.consume_durables()?;
        self.clear_values()?;
        self.oracle.at_rest(&self.broker.status(self.now, &StatusQuery::top(usize::MAX)))?;
        self.oracle.all_done(&self.broker.status(self.now, &StatusQuery::top(usize::MAX)))?;
        DEAD.iter().try_for_each(|name| self.act(Act::Purge(name, None)))?;
        if self.rng.one_in(3) {
            self.draining = true;
            self.act(Act::Drain)?;
            self.settle()?;
            promise!(self.links.is_empty(), "connections are left when the service has ended: {:?}", self.links.keys());
        }
        self.all_leave()
    }

    /// The service ended in the middle of it all.
    fn end_of_service(&mut self) -> Checked {
        self.settle()?;
        let left = self.links.keys();
        promise!(self.links.is_empty(), "connections are left when the service has ended: {left:?}");
        // Nobody comes any more. What is left is lost, and known.
        self.end_durables()?;
        self.clear_values()?;
        while self.broker.waiting() > 0 {
            self.purge_all()?;
        }
        // Values of publishers that have left came only now: their other messages waited for room.
        self.clear_values()?;
        self.oracle.all_done(&self.broker.status(self.now, &StatusQuery::top(usize::MAX)))?;
        self.all_leave()
    }

    /// A worker for all queues and a listener to all topics come and read everything.
    fn sweep(&mut self) -> Checked {
        let is_apart = |name: &[u8]| name.starts_with(b"/queue/dead/") || name.starts_with(b"/queue/subscription/");
        // Some are disconnected for being slow, and come again.
        let mut left = usize::MAX;
        for (round, pattern) in ["/queue/>", ">"].into_iter().cycle().enumerate() {
            let status = self.broker.status(self.now, &StatusQuery::top(usize::MAX));
            let waits = status.channels.iter().any(|channel| channel.depth > 0 && !is_apart(&channel.name));
            // One that is gone may still wait with its last messages.
            let is_paused = status.connections.iter().any(|row| row.paused.is_some());
            if round > 1 && !is_paused && !waits {
                break;
            }
            if round % 2 == 0 {
                let before = std::mem::replace(&mut left, self.oracle.left_over());
                promise!(
                    left < before,
                    "a worker and a listener have read what there was, and {left} messages are left"
                );
            }
            let native = Native::with(&self.settings, &mut self.rng, pattern, false);
            while !self.free_connection()? {
                // Connections that left while their last messages wait take all that is allowed.
                self.purge_all()?;
            }
            self.join(Link::Native(Box::new(native)))?;
            self.settle()?;
        }
        Ok(())
    }

    /// A consumer takes everything of the durable subscriptions, one after the other, and then they end.
    fn consume_durables(&mut self) -> Checked {
        if !self.settings.durable {
            return Ok(());
        }
        for durable in DURABLE {
            let id = self.join_acker()?;
            let (now, settings, rng) = (self.now, &self.settings, &mut self.rng);
            if let Some(Link::Acker(acker)) = self.links.get_mut(&id) {
                acker.subscribe_durable(now, settings, durable, rng);
            }
            self.settle()?;
            self.gone(id)?;
            self.settle()?;
        }
        self.end_durables()
    }

    fn end_durables(&mut self) -> Checked {
        if !self.settings.durable {
            return Ok(());
        }
        let id = self.join_acker()?;
        for (queue, _) in DURABLE {
            let queue = Bytes::from_static(queue.as_bytes());
            self.act(Act::Command(id, Command::EndDurable { queue }))?;
        }
        self.gone(id)?;
        // Topics find out that they feed nothing any more.
        self.act(Act::SetRules(self.settings.rules.clone()))?;
        self.settle()
    }

    /// Somebody clears the retained values, for topics with one are not forgotten.
    fn clear_values(&mut self) -> Checked {
        if !self.settings.retains {
            return Ok(());
        }
        let id = self.join_acker()?;
        for name in TOPICS {
            if self.oracle.mint_clearing(id, name) {
                let mut attributes = Attributes::default();
                attributes.retain = true;
                let batch = Batch::one(b"").with_attributes(Arc::new(attributes));
                self.act(Act::Command(id, Command::Publish { channel: name.into(), batch }))?;
            }
        }
        self.gone(id)?;
        self.settle()
    }

    /// Ends connections until there may be one more: whether there may be.
    fn free_connection(&mut self) -> Checked<bool> {
        while self.broker.totals().connections >= self.settings.limits.connections {
            let Some(&id) = self.links.keys().next() else { return Ok(false) };
            self.gone(id)?;
            self.settle()?;
        }
        Ok(true)
    }

    fn join_acker(&mut self) -> Checked<u64> {
        self.free_connection()?;
        let acker = Acker::new(&mut self.rng, &self.settings);
        self.join(Link::Acker(Box::new(acker)))
    }

    fn purge_all(&mut self) -> Checked {
        QUEUES.iter().chain(&TOPICS).chain(&DEAD).try_for_each(|name| self.act(Act::Purge(name, None)))
    }

    fn resume_all(&mut self) -> Checked {
        QUEUES.iter().try_for_each(|name| self.act(Act::Pause(name, false, false)))
    }

    fn all_leave(&mut self) -> Checked {
        self.resume_all()?;
        let ids: Vec<u64> = self.links.keys().copied().collect();
        for id in ids {
            self.gone(id)?;
        }
        self.pass(self.now + Duration::from_secs(10))?;
        self.oracle.nothing_left(&self.broker.status(self.now, &StatusQuery::top(usize::MAX)))
    }

    /// Lets everybody go on until nothing moves any more.
    pub(crate) fn settle(&mut self) -> Checked {
        for round in 0.. {
            promise!(round < 200_000, "it never comes to rest");
            let ids: Vec<u64> = self.links.keys().copied().collect();
            for id in ids {
                self.settle_one(id)?;
            }
            match self.next_at() {
                Some(at) if at <= self.now => self.pass(self.now + Duration::from_micros(20))?,
                Some(at) => self.pass(at)?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn settle_one(&mut self, id: u64) -> Checked {
        match self.links.get_mut(&id) {
            Some(Link::Native(native)) => {
                native.wake();
                native.write(self.now, &mut self.rng);
                self.drive(id)?;
                self.credit(id)?;
                if let Some(Link::Native(native)) = self.links.get_mut(&id) {
                    native.read(self.now, &mut self.rng);
                }
                Ok(())
            }
            Some(Link::Acker(acker)) => {
                acker.wake();
                acker.settle(self.now, &self.settings, &mut self.rng);
                self.drive_acker(id)
            }
            None => Ok(()),
        }
    }

    /// When something moves next; `None` at rest.
    fn next_at(&self) -> Option<Time> {
        let mut next = self.broker.poll_timeout();
        let mut soon = |at: Option<Time>| next = [next, at].into_iter().flatten().min();
        for link in self.links.values() {
            match link {
                Link::Native(native) => {
                    let reads = !native.paused && !native.finished && !self.draining && native.ending.is_none();
                    soon(native.down.next_at());
                    if reads {
                        soon(native.up.next_at());
                    }
                    let acknowledges = native.transport_acks && native.acknowledged > 0;
                    let tells = acknowledges || native.emptied && native.down.has_room();
                    let writes = !native.outbox.is_empty() || tells || native.ending.is_some() || native.failed;
                    let speaks = reads && !native.is_heard();
                    soon((writes || speaks || native.is_over(reads)).then_some(self.now));
                }
                Link::Acker(acker) => {
                    soon(acker.next_at(self.draining));
                    soon(acker.losing);
                    soon(acker.closing.then_some(self.now));
                }
            }
        }
        next
    }
}
