//! Messages taken in, their receivers, and those that missed them.

use super::link::{Due, Lost};
use super::{Act, Checked, Fate, Oracle, promise, rule_of};
use switchboard_broker::{Command, Limits, OverflowPolicy, Status};

impl Oracle {
    /// Untaken messages of a connection may be dropped when it leaves, all of them, if memory is short
    /// or too many have left so.
    pub(super) fn leave_behind(&mut self, act: &Act, status: &Status) -> Checked {
        let lost = (status.totals.dropped_publisher_gone
            - std::mem::replace(&mut self.left, status.totals.dropped_publisher_gone)) as usize;
        if lost == 0 {
            let stays =
                |id: &u64| self.links.get(id).is_some_and(|link| link.is_let_go && link.taken < link.sent.len());
            let is_kept = matches!(act, Act::Command(id, Command::Disconnect) if stays(id));
            promise!(!is_kept, "what one had sent that was let go is neither taken nor dropped");
            return Ok(());
        }
        let Act::Command(id, Command::Disconnect) = act else {
            return Err(format!("{lost} messages were dropped though nobody left"));
        };
        let gone = self.links.values().filter(|link| link.gone && link.taken < link.sent.len()).count();
        let limits = &self.settings.limits;
        let set_aside = limits.connections.saturating_sub(self.connections) * Limits::CONNECTION;
        let short = self.memory + set_aside >= limits.memory || gone > limits.connections;
        promise!(
            short || self.links[id].is_let_go,
            "{lost} messages of {id} were dropped though there was room for them: {} + {set_aside} of {}, {gone} gone",
            self.memory,
            limits.memory
        );
        let link = self.link(*id);
        let (taken, sent) = (link.taken, link.sent.len());
        promise!(taken + lost == sent, "{lost} messages of {id} were dropped, and {} waited", sent - taken);
        let dropped = link.sent.split_off(taken);
        let is_let_go = link.is_let_go;
        self.counts.dropped_departed += if is_let_go { lost as u64 } else { 0 };
        dropped.into_iter().for_each(|message| self.messages[message].fate = Fate::Done);
        Ok(())
    }

    /// The count of what a connection published says which of its messages were taken in.
    pub(super) fn take_in(&mut self, status: &Status) -> Checked {
        for reported in &status.connections {
            if let Some(link) = self.links.get_mut(&reported.id.0) {
                link.dropping = reported.dropped > link.dropped;
            }
        }
        let ids: Vec<u64> = self.links.keys().copied().collect();
        for id in ids {
            let reported = status.connections.iter().find(|connection| connection.id.0 == id);
            let link = &self.links[&id];
            let taken = match reported {
                Some(connection) => connection.published as usize,
                // It has left, and so has what it sent before.
                None if link.gone => link.sent.len(),
                None => return Err(format!("{id} is not in the status")),
            };
            promise!(taken <= link.sent.len(), "{id} published {taken} messages, and sent {}", link.sent.len());
            promise!(taken >= link.taken, "{id} published {taken} messages, after {}", link.taken);
            let new: Vec<usize> = link.sent[link.taken..taken].to_vec();
            self.link(id).taken = taken;
            for message in new {
                self.take(message)?;
            }
        }
        promise!(
            status.totals.published == self.published,
            "{} messages were published, and {} counted",
            self.published,
            status.totals.published
        );
        promise!(
            status.totals.dropped_no_subscribers == self.nobody,
            "nobody was there for {} messages, and {} were counted",
            self.nobody,
            status.totals.dropped_no_subscribers
        );
        Ok(())
    }

    fn take(&mut self, id: usize) -> Checked {
        let step = self.step;
        self.published += 1;
        let message = &mut self.messages[id];
        promise!(message.fate == Fate::Sent, "message {id} was taken in twice");
        (message.fate, message.taken) = (Fate::Taken, step);
        let name = message.channel;
        let channel = self.channels.get_mut(name).expect("it was published");
        if name.starts_with("/queue") {
            channel.open.insert(id);
            return Ok(());
        }
        let mut heard = false;
        let credited_between = self.credited_between == step;
        for link in self.links.values_mut().filter(|link| !link.gone) {
            for subscription in link.listening(name) {
                heard = true;
                let sub = &link.subs[&subscription];
                // The name of a topic may be a pattern, too.
                let is_one = sub.pattern == name && !name.ends_with('>');
                let joins = credited_between && sub.since == step && !is_one;
                let lost = if joins { Lost::Unjoined } else { Lost::No };
                link.due.push(Due { message: id, subscription, since: step, lost });
            }
        }
        let retains = self.messages[id].retains;
        if retains {
            self.retain(id);
        }
        if self.feed(id) || heard {
            return Ok(());
        }
        let hold = self.buffer_of(name);
        if hold == 0 {
            // One that its topic retains is not lost.
            self.nobody += u64::from(!retains);
            return Ok(());
        }
        let channel = self.channels.get_mut(name).expect("it was published");
        channel.kept.push(id);
        promise!(channel.kept.len() <= hold, "{name} keeps {} messages, more than {hold}", channel.kept.len());
        let (kept, bytes, bound) = (channel.kept.len(), self.kept_bytes(name), self.bound_of(name));
        promise!(kept == 1 || bytes <= bound, "{name} keeps {bytes} bytes, more than its bound of {bound}");
        Ok(())
    }

    /// Bytes that a topic keeps for its first subscriber.
    pub(super) fn kept_bytes(&self, name: &str) -> usize {
        let kept = self.channels.get(name).into_iter().flat_map(|channel| &channel.kept);
        kept.map(|&id| self.messages[id].size).sum()
    }

    pub(super) fn buffer_of(&self, name: &str) -> usize {
        let rule = rule_of(&self.settings.rules, name.as_bytes());
        rule.and_then(|rule| rule.buffer_unsubscribed).unwrap_or(self.settings.limits.buffer_unsubscribed)
    }

    pub(super) fn policy_of(&self, name: &[u8]) -> OverflowPolicy {
        let rule = rule_of(&self.settings.rules, name);
        rule.and_then(|rule| rule.policy).unwrap_or(self.settings.limits.policy)
    }

    /// Whether it was looked at since the connection missed something last.
    pub(crate) fn knows_drops(&self, id: u64, status: &Status) -> bool {
        let reported = status.connections.iter().find(|reported| reported.id.0 == id);
        reported.is_none_or(|reported| self.links[&id].dropped == reported.dropped)
    }

    /// Infers from the counts of dropped messages which they were.
    pub(super) fn check_drops(&mut self, status: &Status) -> Checked {
        let mut sum = self.dropped_by_gone;
        for reported in &status.connections {
            let id = reported.id.0;
            let Some(link) = self.links.get(&id).filter(|link| !link.gone) else { continue };
            sum += reported.dropped;
            let new = (reported.dropped - link.dropped) as usize;
            if new > 0 {
                let blocking = self.settings.uniform && self.settings.limits.policy == OverflowPolicy::Block;
                let excused = link.closing || link.overlaps;
                promise!(excused || !blocking, "{id} missed a message though the policy is to block");
                promise!(excused || reported.slow, "{id} missed a message and was not judged slow");
                self.mark_lost(id, new)?;
            }
            let handed = self.links[&id].handed_bytes();
            let link = self.link(id);
            link.dropped = reported.dropped;
            let undelivered = link.due.len() as u64 + link.missed;
            let unjoined = link.due.iter().filter(|due| due.lost == Lost::Unjoined).count() as u64;
            promise!(
                reported.dropped <= undelivered,
                "{id} missed {undelivered} messages at most, and {} are counted as dropped",
                reported.dropped
            );
            if reported.outbox != handed {
                continue;
            }
            promise!(
                undelivered - unjoined <= reported.dropped,
                "nothing waits for {id}, which was not given {undelivered} messages, and {} are counted as dropped",
                reported.dropped
            );
            link.missed = reported.dropped;
            link.due.clear();
        }
        promise!(
            sum == status.totals.dropped_slow,
            "connections missed {sum} messages, and {} are counted",
            status.totals.dropped_slow
        );
        Ok(())
    }

    /// A topic that blocks drops nothing, whatever others do to its subscribers; but for one
    /// that drops its oldest, which takes room wherever it finds it.
    pub(super) fn check_blocking(&mut self, purges: bool, status: &Status) -> Checked {
        let drops_old = self.settings.limits.policy == OverflowPolicy::DropOld
            || self.settings.rules.iter().any(|rule| rule.policy == Some(OverflowPolicy::DropOld));
        for reported in &status.channels {
            // A durable subscription drops its oldest, and what a temporary queue has ends with it.
            let drops_old = drops_old || reported.name.starts_with(b"/queue/subscription/");
            let drops_old = drops_old || reported.name.starts_with(b"/queue/temp/");
            let blocks = self.policy_of(&reported.name) == OverflowPolicy::Block && !drops_old;
            let Some((&name, books)) = self.channels.iter_mut().find(|(name, _)| reported.name == **name) else {
                continue;
            };
            let more = reported.dropped > std::mem::replace(&mut books.dropped, reported.dropped);
            let mut listeners = self.links.values().filter(|link| !link.gone && !link.listening(name).is_empty());
            if !more || books.has_times || !blocks || purges || reported.subscribers == 0 {
                continue;
            }
            promise!(listeners.any(|link| link.closing || link.overlaps), "{name} blocks, and dropped a message");
        }
        Ok(())
    }

    fn mark_lost(&mut self, id: u64, count: usize) -> Checked {
        let step = self.step;
        let (uniform, policy) = (self.settings.uniform, self.settings.limits.policy);
        let origins: std::collections::BTreeSet<(u64, &str)> = {
            let new = self.links[&id].due.iter().filter(|due| due.since == step);
            new.map(|due| (self.messages[due.message].publisher, self.messages[due.message].channel)).collect()
        };
        let mut certain = 0;
        let link = self.link(id);
        let vague = link.due.iter().any(|due| due.lost == Lost::Maybe);
        let joins = link.due.iter().any(|due| due.lost == Lost::Unjoined);
        let old = link.due.iter().filter(|due| due.since < step && due.lost == Lost::No).count();
        let new = link.due.iter().filter(|due| due.since == step).count();
        let drops_old = policy == OverflowPolicy::DropOld && !link.closing;
        if !uniform || joins || link.overlaps || link.recalling || (drops_old && vague) {
            link.due.iter_mut().filter(|due| due.lost == Lost::No).for_each(|due| due.lost = Lost::Maybe);
        } else if drops_old {
            let mut left = count;
            // Of what two publishers sent in one step it is not known which is the older.
            let olds: Vec<(u64, usize)> = {
                let olds = link.due.iter().filter(|due| due.since < step && due.lost == Lost::No);
                olds.map(|due| (due.since, due.message)).collect()
            };
            let cut = olds.get(count).filter(|next| count > 0 && olds[count - 1].0 == next.0).map(|next| next.0);
            if let Some(cut) = cut {
                let publisher = |&(_, message): &(u64, usize)| self.messages[message].publisher;
                let together: std::collections::BTreeSet<u64> =
                    olds.iter().filter(|old| old.0 == cut).map(publisher).collect();
                if together.len() > 1 {
                    let link = self.link(id);
                    let old = link.due.iter_mut().filter(|due| due.since <= cut && due.lost == Lost::No);
                    old.for_each(|due| due.lost = if due.since < cut { Lost::Yes } else { Lost::Maybe });
                    return Ok(());
                }
            }
            let link = self.link(id);
            for due in link.due.iter_mut().filter(|due| due.since < step && due.lost == Lost::No).take(count) {
                due.lost = Lost::Yes;
                (left, certain) = (left - 1, certain + 1);
            }
            promise!(left <= new, "{id} missed {count} messages, and only {} could be dropped", old + new);
            let exactly = left == new || origins.len() <= 1;
            let mark = if exactly { Lost::Yes } else { Lost::Maybe };
            let reach = if exactly { left } else { new };
            if left > 0 {
                link.due.iter_mut().filter(|due| due.since == step).take(reach).for_each(|due| due.lost = mark);
            }
        } else {
            promise!(count <= new, "{id} missed {count} messages, and only {new} were new");
            let mark = if count == new { Lost::Yes } else { Lost::Maybe };
            link.due.iter_mut().filter(|due| due.since == step).for_each(|due| due.lost = mark);
            certain += if count == new { count as u64 } else { 0 };
        }
        self.counts.certain_drops += certain;
        Ok(())
    }
}
