//! What becomes of messages when their connection breaks.

use super::Publisher;
use super::batch::Sent;
use crate::protocol;
use crate::{Doubt, Event, Link, Reason};

/// A broker that ends the connection this often within the same message will not take it.
const STUCK: u32 = 5;

impl Publisher {
    /// The connection is gone. What it had taken wholly and nobody has confirmed is in doubt.
    pub(crate) fn disconnected(&mut self, reason: Reason) {
        if self.up.take().is_none() {
            return;
        }
        self.attempts += 1;
        self.input.clear();
        (self.must_ask, self.held, self.suspects, self.unmarked_since) = (false, false, false, None);
        self.marks_back = self.marks;
        self.flushes.unmark();
        let mut partly = None;
        if let Some((batch, written)) = self.writing.take() {
            self.writing_mark = None;
            let (whole, rest) = batch.cut(written);
            if written > rest.start && rest.messages > 0 {
                partly = Some(rest.start);
            }
            if rest.size() > 0 {
                self.again.push_front(rest);
            }
            if whole.messages > 0 {
                self.unconfirmed_bytes += whole.size();
                let keeps = self.options.resend > 0;
                if !keeps {
                    self.buffered -= whole.size();
                }
                self.unconfirmed.push_back(Sent { doubt: whole.doubt(), again: keeps.then_some(whole), mark: None });
            }
        }
        let mut in_doubt = Doubt::default();
        if partly.is_some() && self.attempts >= self.options.resend.max(STUCK) {
            in_doubt = self.give_up_first();
        }
        let resend = self.attempts <= self.options.resend;
        for sent in self.unconfirmed.drain(..).rev() {
            match sent.again {
                Some(batch) if resend => {
                    if batch.messages > 0 {
                        self.again.push_front(batch);
                    }
                }
                again => {
                    in_doubt.add(sent.doubt);
                    if again.is_some() {
                        self.buffered -= sent.doubt.bytes as usize;
                    }
                }
            }
        }
        self.unconfirmed_bytes = 0;
        self.doubts(in_doubt);
        // What is in doubt takes no room any more.
        self.admit();
        self.due.events.push(Event::Disconnected { link: Link::Publisher, reason, in_doubt });
    }

    /// All who wait for a flush are told when it is done; else whoever asks for the next one.
    fn doubts(&mut self, doubt: Doubt) {
        let parked = self.waiting.0.iter_mut().filter(|waiting| waiting.frames.is_none());
        let parked = parked.map(|waiting| waiting.flush.doubt.add(doubt)).count();
        if self.flushes.is_empty() && parked == 0 {
            self.lost.add(doubt);
        }
        self.flushes.doubt(doubt);
    }

    /// The message at the head is one that no connection survives.
    fn give_up_first(&mut self) -> Doubt {
        let Some(batch) = self.again.pop_front() else { return Doubt::default() };
        let size = protocol::first(&batch.bytes[batch.start..batch.end]);
        let (first, rest) = {
            let written = batch.start + size;
            batch.cut(written)
        };
        self.buffered -= first.size();
        if rest.messages > 0 {
            self.again.push_front(rest);
        }
        first.doubt()
    }
}
