//! Fate of messages when their connection breaks.

use super::Publisher;
use super::batch::Sent;
use super::beats::Beats;
use super::rejected::Continuation;
use super::requests::Refusal;
use crate::dialect::Dialect;
use crate::native::LIMIT;
use crate::options::MAX_CHANNEL;
use crate::{Doubt, Event, Link, Reason};

/// A broker that ends the connection this often within the same message will not take it. Where a message is over the
/// usual limits, once is enough.
const STUCK: u32 = 5;

impl Publisher {
    /// The connection is gone. What it had taken wholly and the broker has not confirmed is in doubt. Returns true if it confirmed
    /// anything.
    pub(crate) fn disconnected(&mut self, reason: Reason) -> bool {
        let Some((token, _)) = self.up.take() else { return false };
        let has_confirmed = std::mem::take(&mut self.has_confirmed);
        self.attempts += 1;
        self.input.clear();
        self.decoder = None;
        (self.beats, self.progress) = (Beats::default(), None);
        self.dead = false;
        (self.must_ask, self.paused, self.wants_probe, self.without_barrier_since) = (false, false, false, None);
        self.barriers_back = self.barriers;
        self.continuation = Continuation::Sure;
        self.flushes.reset();
        let mut partly = None;
        let words = match &reason {
            Reason::Error(message) => Some(message.as_str().into()),
            _ => None,
        };
        // Words where nothing waits for its receipt may be about the message that was begun, or about the connection: a kick and
        // the broker's end have words, too. So only a second refusal gives it up.
        let mut is_about_first = words.is_some() && self.unconfirmed.is_empty();
        if let Some((batch, written)) = self.writing.take() {
            self.writing_barrier = None;
            let (whole, rest) = batch.split_at(written);
            if whole.messages > 0 {
                self.stuck = 0;
                is_about_first = false;
            }
            if written > rest.start && rest.messages > 0 && !rest.begins_with(&self.rejected) {
                self.stuck += 1;
                partly = Some(self.dialect.first_lengths(&rest.bytes[rest.start..rest.end]));
            }
            let size = rest.size();
            let rest = rest.without(&self.rejected);
            self.buffered -= size - rest.size();
            if rest.size() > 0 {
                self.again.push_front(rest);
            }
            if whole.messages > 0 {
                let keeps = self.options.resend > 0;
                let sent = if keeps {
                    Sent { doubt: whole.doubt(), again: Some(whole), barrier: None }
                } else {
                    self.buffered -= whole.size();
                    Sent { doubt: whole.without(&self.rejected).doubt(), again: None, barrier: None }
                };
                self.unconfirmed.push_back(sent);
            }
        }
        let mut in_doubt = Doubt::default();
        let mut rejected = None;
        if let Some((name, length)) = partly
            && (self.stuck >= self.options.resend.max(STUCK)
                || is_about_first && (self.stuck > 1 || !self.options.reconnect)
                || self.dialect == Dialect::Native && (length > LIMIT || name > MAX_CHANNEL))
        {
            in_doubt = self.give_up_first();
            rejected = Some(length);
            self.stuck = 0;
        }
        let resend = self.attempts <= self.options.resend;
        for sent in std::mem::take(&mut self.unconfirmed).into_iter().rev() {
            let charged = sent.doubt.bytes as usize;
            match sent.again.map(|batch| batch.without(&self.rejected)) {
                Some(batch) if resend => {
                    self.buffered -= charged - batch.size();
                    if batch.messages > 0 {
                        self.again.push_front(batch);
                    }
                }
                Some(batch) => {
                    self.buffered -= charged;
                    in_doubt.add(batch.doubt());
                }
                None => in_doubt.add(self.doubt_beside_rejected(sent.doubt, token, sent.barrier)),
            }
        }
        self.rejected.clear();
        self.unconfirmed_bytes = 0;
        // They are reported where they may be about a message.
        let reason_of_loss = words.filter(|_| in_doubt.messages > 0);
        self.doubts(in_doubt, &Refusal { rejected, reason: reason_of_loss });
        // Messages in doubt take no room any more.
        self.admit();
        // Nothing is sent again: the broker may close every connection, and would never return a barrier.
        if self.again.is_empty() && self.filling.is_empty() {
            self.flushes.complete_known(&mut self.due);
        }
        self.due.events.push(Event::Disconnected { link: Link::Publisher, reason, in_doubt });
        has_confirmed
    }

    /// Every flush that waits reports it when it is done; if none does, the next one.
    fn doubts(&mut self, doubt: Doubt, refusal: &Refusal) {
        if !self.tell_parked(doubt, refusal) && self.flushes.is_empty() {
            self.lost.add(doubt);
            self.refusal.add(refusal);
        }
        self.flushes.doubt(doubt, refusal);
    }

    /// Tells the flushes that wait behind publishes without room. Returns false if there are none.
    pub(super) fn tell_parked(&mut self, doubt: Doubt, refusal: &Refusal) -> bool {
        let parked = self.waiting.0.iter_mut().filter(|waiting| waiting.frames.is_none());
        parked.map(|waiting| waiting.flush.add(doubt, refusal)).count() > 0
    }

    /// The message at the head is one that no connection survives.
    fn give_up_first(&mut self) -> Doubt {
        let Some(batch) = self.again.pop_front() else { return Doubt::default() };
        let size = self.dialect.first(&batch.bytes[batch.start..batch.end]);
        let (first, rest) = {
            let written = batch.start + size;
            batch.split_at(written)
        };
        self.buffered -= first.size();
        if rest.messages > 0 {
            self.again.push_front(rest);
        }
        first.doubt()
    }
}
