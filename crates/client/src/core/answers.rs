//! What the broker says to a publisher: nothing but that barriers come back.

use super::Publisher;
use crate::protocol::{self, Incoming};
use std::time::Instant;

impl Publisher {
    pub(crate) fn received(&mut self, bytes: &[u8], now: Instant) -> Result<(), String> {
        let Some((token, keepalive)) = &mut self.up else { return Ok(()) };
        let token = *token;
        keepalive.heard(now);
        self.paused = false;
        self.input.extend_from_slice(bytes);
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
                Err(error) => break Err(error.to_string()),
            }
        };
        self.input.drain(..used);
        result
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
