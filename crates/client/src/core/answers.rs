//! Answers of the broker to a publisher: barriers come back, and in STOMP an ERROR may come.

use super::Publisher;
use crate::protocol::{self, Incoming};
use crate::stomp::{self, Refused};
use crate::{Event, Link, Reason};
use std::time::Instant;
use switchboard_wire::stomp::Found;

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
                        // It names the message that it is about.
                        b"ERROR" if let Some(of) = self.awaited(token, &frame) => self.refused(token, of, &frame),
                        b"ERROR" if stomp::is_passing(&frame) => {
                            let message = Refused::of(&frame).0;
                            self.due.events.push(Event::ServerError { link: Link::Publisher, message });
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

    /// The barrier of this number is back.
    pub(super) fn confirmed(&mut self, number: u64) {
        self.barriers_back = self.barriers_back.max(number);
        self.paused = false;
        (self.attempts, self.stuck, self.has_confirmed) = (0, 0, true);
        let last = self.unconfirmed.iter().rposition(|sent| sent.barrier.is_some_and(|barrier| barrier <= number));
        for sent in self.unconfirmed.drain(..last.map_or(0, |last| last + 1)) {
            let bytes = sent.doubt.bytes as usize;
            self.unconfirmed_bytes -= bytes;
            if sent.again.is_some() {
                self.buffered -= bytes;
            }
        }
        self.flushes.confirm(number, &mut self.due);
        self.confirmed_beside_rejected(number);
        self.admit();
    }
    /// Messages that were accepted, and are neither confirmed nor told to be lost.
    pub(crate) fn unconfirmed(&self) -> u64 {
        let again: u64 = self.again.iter().map(|batch| batch.messages).sum();
        let parked = self.waiting.0.iter().filter(|waiting| waiting.frames.is_some()).count() as u64;
        self.messages + again + self.on_their_way() + parked
    }

    /// Messages that were written, in part at least, and are not confirmed.
    pub(super) fn on_their_way(&self) -> u64 {
        let writing = self.writing.as_ref().map_or(0, |(batch, _)| batch.messages);
        self.unconfirmed.iter().map(|sent| sent.doubt.messages).sum::<u64>() + writing
    }
}
