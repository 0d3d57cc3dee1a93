//! Answers of the broker to a publisher: barriers come back, and in STOMP an ERROR may come.

use super::Publisher;
use super::requests::Refusal;
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
        self.paused = false;
        self.input.extend_from_slice(bytes);
        if self.decoder.is_some() {
            return self.frames(token);
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

    fn frames(&mut self, token: protocol::Token) -> Result<(), Reason> {
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
                    match frame.command {
                        b"RECEIPT" => {
                            if let Some(number) = stomp::receipt(token, &frame) {
                                self.confirmed(number);
                            }
                        }
                        // It names the message that it is about; whether the server closes is up to the server.
                        b"ERROR" if let Some(number) = self.outstanding(token, &frame) => {
                            self.refused(number, Refused::of(&frame).0.into());
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

    /// The number of the barrier that an answer names, if one of that number is awaited.
    fn outstanding(&self, token: protocol::Token, frame: &Frame<'_>) -> Option<u64> {
        stomp::receipt(token, frame).filter(|number| self.barriers_back < *number && *number <= self.barriers)
    }

    /// The messages behind the barrier before this one were not taken, or not all of them. They are not sent again: the server
    /// would refuse them again.
    fn refused(&mut self, number: u64, message: Arc<str>) {
        let behind = |bound: u64| {
            let last = self.unconfirmed.iter().rposition(|sent| sent.barrier.is_some_and(|barrier| barrier < bound));
            last.map_or(0, |last| last + 1)
        };
        let mut doubt = Doubt::default();
        self.unconfirmed.range(behind(number)..behind(number + 1)).for_each(|sent| doubt.add(sent.doubt));
        let refusal = Refusal { rejected: None, reason: Some(message) };
        if !self.flushes.refuse(number, doubt, &refusal) {
            self.lost.add(doubt);
            self.refusal.add(&refusal);
        }
        self.confirmed(number);
    }

    fn confirmed(&mut self, number: u64) {
        self.barriers_back = self.barriers_back.max(number);
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
