//! Answers of the broker to a publisher: barriers come back, and in STOMP an ERROR may come.

use super::Publisher;
use super::requests::Refusal;
use crate::options::Receipts;
use crate::protocol::{self, Incoming};
use crate::stomp::{self, Refused};
use crate::{Doubt, Reason};
use std::sync::Arc;
use std::time::Instant;
use switchboard_wire::stomp::{Found, Frame};

impl Publisher {
    pub(crate) fn received(&mut self, bytes: &[u8], now: Instant) -> Result<(), Reason> {
        let Some((token, keepalive)) = &mut self.up else { return Ok(()) };
        let token = *token;
        keepalive.heard(now);
        // Signs of life say nothing about what was published.
        self.paused &= self.progress.is_some();
        self.input.extend_from_slice(bytes);
        if self.decoder.is_some() {
            return self.frames(token, now);
        }
        let mut used = 0;
        let result = loop {
            match protocol::incoming(&self.input[used..], token, self.options.max_frame) {
                Ok(Incoming::Need(_)) => break Ok(()),
                // A message for `/null`: ignored.
                Ok(Incoming::Message { consumed }) => used += consumed,
                Ok(Incoming::Barrier { number, consumed }) => {
                    used += consumed;
                    self.confirmed(number);
                }
                Err(error) => break Err(error.to_string().into()),
            }
        };
        self.input.drain(..used);
        result
    }

    fn frames(&mut self, token: protocol::Token, now: Instant) -> Result<(), Reason> {
        let Some(mut decoder) = self.decoder.take() else { return Ok(()) };
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        let result = loop {
            match decoder.next(&input[at..]) {
                Ok(Found::Need { skip, .. }) => {
                    at += skip;
                    break Ok(());
                }
                Ok(Found::Frame { frame, length }) => {
                    at += length;
                    // Heart-beats are no frames: each frame is an answer.
                    self.progress.iter_mut().for_each(|progress| progress.heard(now));
                    match frame.command {
                        b"RECEIPT" => {
                            if let Some(number) = stomp::receipt(token, &frame) {
                                self.confirmed(number);
                            }
                        }
                        // It names the message that it is about; whether the server closes is up to the server.
                        b"ERROR" if let Some(of) = self.rejected(token, &frame) => {
                            self.refused(of, Refused::of(&frame).0.into());
                        }
                        b"ERROR" => break Err(Reason::Error(Refused::of(&frame).0)),
                        // Nothing was subscribed to.
                        b"MESSAGE" => {}
                        other => break Err(stomp::shown(other).into()),
                    }
                }
                Err(error) => break Err(error.to_string().into()),
            }
        };
        self.input = input;
        self.input.drain(..at);
        self.decoder = Some(decoder);
        result
    }

    /// The barrier behind the message that an ERROR is about, if that is awaited, and whether it is that message's own; `None` inside
    /// for a message that an earlier connection took, too.
    fn rejected(&self, token: protocol::Token, frame: &Frame<'_>) -> Option<Option<(u64, bool)>> {
        let of = stomp::rejected(token, frame)?;
        let is_awaited = |number: u64| self.barriers_back < number && number <= self.barriers;
        of.is_none_or(|(number, _)| is_awaited(number)).then_some(of)
    }

    /// Messages were not taken: that which the answer names, and without receipts of each message perhaps others between the barrier
    /// before this one and it. They are not sent again: the server would refuse them again.
    fn refused(&mut self, of: Option<(u64, bool)>, message: Arc<str>) {
        let refusal = Refusal { rejected: None, reason: Some(message) };
        let one = Doubt { messages: 1, bytes: 0 };
        let Some((number, is_barrier)) = of else {
            if !self.tell_parked(one, &refusal) && self.flushes.is_empty() {
                self.lost.add(one);
                self.refusal.add(&refusal);
            }
            return self.flushes.add(one, &refusal);
        };
        let doubt = if self.options.receipts == Receipts::Message { one } else { self.since_barrier_before(number) };
        let is_told = self.tell_parked(doubt, &refusal);
        if !self.flushes.refuse(number, doubt, &refusal) && !is_told {
            self.lost.add(doubt);
            self.refusal.add(&refusal);
        }
        if is_barrier {
            self.confirmed(number);
        }
    }

    fn since_barrier_before(&self, number: u64) -> Doubt {
        let behind = |bound: u64| {
            let last = self.unconfirmed.iter().rposition(|sent| sent.barrier.is_some_and(|barrier| barrier < bound));
            last.map_or(0, |last| last + 1)
        };
        let mut doubt = Doubt::default();
        self.unconfirmed.range(behind(number)..behind(number + 1)).for_each(|sent| doubt.add(sent.doubt));
        doubt
    }

    fn confirmed(&mut self, number: u64) {
        self.barriers_back = self.barriers_back.max(number);
        self.paused = false;
        (self.attempts, self.stuck) = (0, 0);
        let last = self.unconfirmed.iter().rposition(|sent| sent.barrier.is_some_and(|barrier| barrier <= number));
        for sent in self.unconfirmed.drain(..last.map_or(0, |last| last + 1)) {
            let bytes = sent.doubt.bytes as usize;
            self.unconfirmed_bytes -= bytes;
            if sent.again.is_some() {
                self.buffered -= bytes;
            }
        }
        self.flushes.confirm(number, &mut self.due);
        self.admit();
    }
}
