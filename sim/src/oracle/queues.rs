//! Whose turn it was, and in which order a queue is dealt.

use super::link::Link;
use super::{Act, Checked, Fate, LATENESS, Oracle, promise, rule_of};
use std::collections::BTreeMap;
use switchboard_broker::{Command, Event, Kind, PauseReason, Status, Time};

impl Oracle {
    pub(super) fn purge(&mut self, name: &'static str, count: usize) -> Checked {
        if !self.channels.contains_key(name) {
            return Ok(());
        }
        let exact = self.is_exact(name);
        let Some(channel) = self.channels.get_mut(name) else { return Ok(()) };
        let kept = std::mem::take(&mut channel.kept).len();
        if !name.starts_with("/queue") {
            promise!(kept == count, "a purge dropped {count} of the {kept} messages that {name} kept");
            return Ok(());
        }
        channel.has_purged_groups |= channel.has_groups;
        let waits = |id: &usize| self.messages[*id].fate == Fate::Taken;
        let waiting: Vec<usize> = channel.open.iter().copied().filter(waits).collect();
        if exact {
            promise!(waiting.len() == count, "a purge dropped {count} of the {} messages of {name}", waiting.len());
            for id in waiting {
                channel.open.remove(&id);
                self.messages[id].fate = Fate::Done;
            }
            return Ok(());
        }
        channel.purged += count;
        waiting.into_iter().for_each(|id| self.messages[id].purged = true);
        Ok(())
    }

    /// An operator pauses a queue, or lets it go on. What was dealt and not handed out goes back unseen.
    pub(super) fn pause_queue(&mut self, name: &'static str, pauses: bool) {
        let Some(books) = self.channels.get_mut(name) else { return };
        books.is_paused = pauses;
        for &id in &books.open {
            let message = &mut self.messages[id];
            message.returned |= message.fate == Fate::Taken;
        }
    }

    /// The names of all queues that the books know.
    pub(super) fn queues(&self) -> Vec<&'static str> {
        self.channels.keys().filter(|name| name.starts_with("/queue")).copied().collect()
    }

    /// Whether nothing of a queue can lie in an outbox without having been handed out.
    pub(super) fn is_exact(&self, name: &str) -> bool {
        let Some(books) = self.channels.get(name) else { return false };
        let recalling = self.links.values().any(|link| link.recalling && !link.gone);
        let finishing = self.links.values().any(|link| link.finishing && !link.gone);
        let crowded = self.links.values().any(|link| link.is_crowded() && !link.gone);
        self.settings.wide && !recalling && !finishing && !crowded && books.purged == 0 && !books.has_times
    }

    pub(super) fn check_queues(&mut self, act: &Act, events: &[Event], status: &Status) -> Checked {
        let mut dealt: BTreeMap<&'static str, Vec<(usize, u64, u32)>> = BTreeMap::new();
        for event in events {
            let Event::Deliver { connection, subscription, channel, batch, .. } = event else { continue };
            if Kind::of(channel) != Kind::Queue {
                continue;
            }
            for body in batch.iter() {
                let id = self.identify(channel, body)?;
                dealt.entry(self.messages[id].channel).or_default().push((id, connection.0, subscription.0));
            }
        }
        let returns = |command: &Command| {
            matches!(
                command,
                Command::Disconnect | Command::Finish | Command::Unsubscribe { .. } | Command::Recalled { .. }
            )
        };
        if matches!(act, Act::Command(_, command) if returns(command)) {
            dealt.iter().try_for_each(|(name, dealt)| self.check_return(name, dealt))?;
        }
        for name in self.queues() {
            let reported = status.channels.iter().find(|channel| channel.name == name);
            self.check_queue(name, dealt.remove(name).unwrap_or_default(), reported.map(|channel| channel.depth))?;
        }
        Ok(())
    }

    fn check_queue(&mut self, name: &'static str, mut dealt: Vec<(usize, u64, u32)>, depth: Option<usize>) -> Checked {
        let books = &self.channels[name];
        let waiting: Vec<usize> =
            books.open.iter().copied().filter(|&id| self.messages[id].fate == Fate::Taken).collect();
        let known = waiting.len() - books.purged.min(waiting.len());
        let most = waiting.len() + books.back;
        promise!(
            depth.unwrap_or(0) <= most,
            "{name} has {} messages in it, and only {most} can be",
            depth.unwrap_or(0)
        );
        let exact = self.is_exact(name);
        if exact {
            promise!(depth.unwrap_or(0) == known, "{name} has {:?} messages in it, not {known}", depth);
            self.check_order(name, &dealt, &waiting)?;
            self.check_bound(name, &waiting)?;
        }
        dealt.sort_by_key(|a| self.place(a.0));
        let ambiguous = dealt.windows(2).any(|pair| !self.is_before(pair[0].0, pair[1].0));
        // Only what is dealt as it comes: what follows from an ack or credit is dealt in several
        // goes, of which each has its own full workers.
        let is_claimed = self.has_claim(name);
        let is_plain = !is_claimed
            && self.channels[name].source.is_none()
            && !self.channels[name].has_groups
            && !self.channels[name].has_priorities;
        let at_once = is_plain
            && dealt.iter().all(|&(id, ..)| self.messages[id].taken == self.step && !self.messages[id].returned);
        // Workers by pattern alone keep no queue in being: its turns begin anew with every message.
        let books = &self.channels[name];
        let stays = books.rotation.iter().any(|(id, sub)| self.links[id].subs[sub].pattern == name);
        if exact && stays && !ambiguous && at_once {
            self.check_rotation(name, &dealt)?;
        } else if !dealt.is_empty() || !exact || is_claimed {
            self.set_adrift(name);
        }
        if exact && depth.is_some_and(|depth| depth > 0) {
            // A consumer that had a turn meanwhile had no room.
            self.set_adrift(name);
        }
        if depth.is_none() {
            // It was forgotten. When it comes again, its turns begin anew, with the newest.
            let links = &self.links;
            let books = self.channels.get_mut(name).expect("it is there");
            books.rotation.sort_by_key(|(id, sub)| links[id].subs[sub].since);
            books.adrift.clear();
        }
        Ok(())
    }

    fn set_adrift(&mut self, name: &str) {
        let books = self.channels.get_mut(name).expect("it is there");
        books.rotation.iter().for_each(|&worker| *books.adrift.entry(worker).or_default() = 0);
    }

    fn place(&self, id: usize) -> (u64, u64, usize) {
        (self.messages[id].taken, self.messages[id].publisher, id)
    }

    /// The head first: what came back was there before what came later.
    fn check_order(&self, name: &str, dealt: &[(usize, u64, u32)], waiting: &[usize]) -> Checked {
        for &(id, to, _) in dealt {
            // One whose back-off is just over may not have been made ready.
            let is_ready = |id: usize| {
                let message = &self.messages[id];
                message.not_before == Time::ZERO || message.not_before.0 + LATENESS < self.now.0
            };
            let is_first =
                |waits: usize| self.goes_before(waits, id) && is_ready(waits) && self.messages[waits].group.is_none();
            let earlier = waiting.iter().find(|&&waits| is_first(waits));
            if let Some(earlier) = earlier {
                return Err(format!("{to} got message {id} of {name}, and {earlier} was before it"));
            }
        }
        Ok(())
    }

    /// Messages returned by one call are there before any is dealt: nobody gets a later one first.
    fn check_return(&self, name: &str, dealt: &[(usize, u64, u32)]) -> Checked {
        for (at, &(earlier, to, subscription)) in dealt.iter().enumerate() {
            let is_own = |later: &&(usize, u64, u32)| {
                (later.1, later.2) == (to, subscription) && self.messages[later.0].group.is_none()
            };
            let own = dealt[at + 1..].iter().filter(is_own);
            // A back-off may be over in the course of the call.
            for &(later, ..) in own.filter(|later| self.messages[later.0].not_before == Time::ZERO) {
                promise!(
                    self.messages[later].priority != self.messages[earlier].priority || !self.is_before(later, earlier),
                    "{to} got message {earlier} of {name}, then {later} before it"
                );
            }
        }
        Ok(())
    }

    /// Only what goes back may bring a queue above its bound.
    fn check_bound(&self, name: &str, waiting: &[usize]) -> Checked {
        let bound = self.bound_of(name);
        let new = waiting.iter().any(|&id| self.messages[id].taken == self.step && !self.messages[id].returned);
        // It may have come back behind what was taken in: a publisher that leaves sends first what it has left.
        let is_older = |id: &usize| self.messages[*id].returned_in < self.step;
        let waiting: Vec<usize> = waiting.iter().copied().filter(is_older).collect();
        let bytes: usize = waiting.iter().map(|&id| self.messages[id].size).sum();
        let most = self.bound_in_messages(name);
        promise!(
            !new || most == 0 || waiting.len() <= most || self.is_tied(name),
            "{name} took a message in and has {}, more than its bound of {most}",
            waiting.len()
        );
        promise!(
            !new || waiting.len() == 1 || bytes <= bound || self.is_tied(name),
            "{name} took a message in and has {bytes} bytes, more than its bound of {bound}"
        );
        Ok(())
    }

    /// Whether all consumers of a queue have acks and are paused, or were until this step.
    fn is_tied(&self, name: &str) -> bool {
        let consumers = self.consumers(name);
        // A consumer that no waiting group is bound to can free nothing.
        self.channels[name].has_groups
            || !consumers.is_empty()
                && consumers.iter().all(|(id, sub)| {
                    let link = &self.links[id];
                    let paused = link.paused || link.paused_in == self.step;
                    link.closing || paused && link.subs[sub].prefetch.is_some()
                })
    }

    /// At rest: nobody waits for a queue, or its share of memory, whose consumers all wait in the same way, so that no
    /// ack of theirs is read.
    pub(super) fn check_knots(&self, status: &Status) -> Checked {
        let has_memory = self.free_memory(status) > 0;
        let mut tied: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        for reported in &status.connections {
            let id = reported.id.0;
            let Some(link) = self.links.get(&id).filter(|link| link.paused && !link.gone) else { continue };
            match &reported.paused {
                Some(PauseReason::QueueFull { channel, .. } | PauseReason::QueueMessages { channel, .. }) => {
                    let name = self.channels.keys().find(|name| name.as_bytes() == channel);
                    tied.insert(id, name.copied().into_iter().collect());
                }
                Some(PauseReason::Memory { .. }) if has_memory && link.has_acks() => {
                    tied.insert(id, self.fed_by(link));
                }
                _ => {}
            }
        }
        loop {
            let is_free = |name: &&str| {
                let consumers = self.consumers(name);
                consumers.is_empty() || consumers.iter().any(|(id, _)| !tied.contains_key(id))
            };
            let free = tied.iter().find(|(_, names)| names.iter().any(is_free));
            let Some((&id, _)) = free else { break };
            tied.remove(&id);
        }
        promise!(tied.is_empty(), "those that wait for each other keep each other's acks from being read: {tied:?}");
        Ok(())
    }

    /// Channels whose draining may free memory for a connection: that of its last message, and that of its next one.
    fn fed_by(&self, link: &Link) -> Vec<&str> {
        let (taken, next) = link.sent.split_at(link.taken);
        taken.last().into_iter().chain(next.first()).map(|&id| self.messages[id].channel).collect()
    }

    pub(super) fn bound_of(&self, name: &str) -> usize {
        let rule = rule_of(&self.settings.rules, name.as_bytes());
        rule.and_then(|rule| rule.queue).unwrap_or(self.settings.limits.queue)
    }

    pub(super) fn bound_in_messages(&self, name: &str) -> usize {
        let rule = rule_of(&self.settings.rules, name.as_bytes());
        rule.and_then(|rule| rule.queue_messages).unwrap_or(self.settings.limits.queue_messages)
    }

    /// Strict rotation, the newest first; who is skipped had no room, and is the last in turn when he has some again.
    fn check_rotation(&mut self, name: &str, dealt: &[(usize, u64, u32)]) -> Checked {
        for &(message, id, subscription) in dealt {
            let books = self.channels.get_mut(name).expect("it is there");
            let Some(place) = books.rotation.iter().rposition(|worker| *worker == (id, subscription)) else {
                return Err(format!("{id} got message {message} of {name}, and does not work for it"));
            };
            let was_adrift = books.adrift.remove(&(id, subscription)).is_some();
            let known = |worker: &(u64, u32)| !books.adrift.contains_key(worker);
            // One that was adrift came in behind all whose places are known.
            let first = if was_adrift { 0 } else { place + 1 };
            let before: Vec<(u64, u32)> = books.rotation[first..]
                .iter()
                .copied()
                .filter(|worker| known(worker) && *worker != (id, subscription))
                .collect();
            let worker = books.rotation.remove(place);
            books.rotation.insert(0, worker);
            for worker in before {
                // They may have had their turns since then.
                self.counts.skipped_turns += u64::from(!was_adrift);
                let is_busy = self.is_busy(worker);
                promise!(
                    is_busy || was_adrift,
                    "{} got message {message} of {name}, and it was the turn of {}",
                    id,
                    worker.0
                );
                if is_busy {
                    self.channels.get_mut(name).expect("it is there").adrift.insert(worker, 0);
                }
            }
            self.pass_over(name, message, (id, subscription))?;
        }
        Ok(())
    }

    /// Whether a worker may be without room. His own messages of this step may be later ones, by which he was full.
    fn is_busy(&self, (id, subscription): (u64, u32)) -> bool {
        let link = &self.links[&id];
        let prefetch = link.subs[&subscription].prefetch;
        let acks = prefetch.is_some_and(|prefetch| link.waiting_acks(subscription) >= prefetch);
        let outbox = link.outbox > 0 || !link.unacknowledged.is_empty() || link.maybe_full;
        link.closing || outbox || link.stalled || link.bars(subscription) || acks
    }

    /// One that has room again gets a turn before anybody else gets two.
    fn pass_over(&mut self, name: &str, message: usize, served: (u64, u32)) -> Checked {
        let adrift: Vec<(u64, u32)> = self.channels[name].adrift.keys().copied().collect();
        for worker in adrift.into_iter().filter(|&worker| worker != served) {
            let is_busy = self.is_busy(worker);
            let books = self.channels.get_mut(name).expect("it is there");
            // Others may join before it, and leave again.
            let most = 2 * books.rotation.len();
            let passed = books.adrift.entry(worker).or_default();
            *passed = if is_busy { 0 } else { *passed + 1 };
            promise!(
                *passed <= most,
                "{} has room for messages of {name}, and {passed} went to others, the last was {message}",
                worker.0
            );
        }
        Ok(())
    }
}
