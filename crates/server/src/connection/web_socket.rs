//! STOMP over WebSocket: what comes is unmasked, and read as the stream that it would be over TCP.

use super::read_size::READ_MIN;
use super::{COMMANDS, Connection, SCRATCH, Scratch, Wrong};
use crate::slice::Slice;
use crate::stomp::{Entry, Signal, StompError};
use switchboard_broker::Command;
use switchboard_wire::websocket::{Decoder, End, Kind};

/// The way in of a WebSocket.
#[derive(Debug, Default)]
pub(super) struct WebSocket {
    decoder: Decoder,
    is_text: bool,
    /// The peer has sent its close.
    is_closed: bool,
    /// The peer broke the rules of WebSocket, behind what it has sent so far.
    broken: Option<StompError>,
}

impl Connection<'_> {
    /// Whether the peer has closed its WebSocket, and all that it sent before is on its way.
    pub(super) fn is_closed_by_peer(&self) -> bool {
        self.web_socket.as_ref().is_some_and(|socket| socket.is_closed) && !self.session.has_backlog()
    }

    /// The error behind all that the peer has sent, once that is on its way.
    pub(super) fn take_broken(&mut self) -> Option<Wrong> {
        if self.session.has_backlog() {
            return None;
        }
        self.web_socket.as_mut()?.broken.take().map(Wrong::Stomp)
    }

    /// Processes input that came with the upgrade request.
    pub(super) fn take_first(&mut self) {
        let first = self.handle.take_first();
        if first.is_empty() {
            return;
        }
        let slice = Slice::after(self.spent);
        SCRATCH.with_borrow_mut(|Scratch { commands, .. }| {
            self.take_web_socket(&mut first.to_vec(), commands, &slice);
        });
        self.spent += slice.elapsed();
    }

    /// Takes what a read gave.
    pub(super) fn take_web_socket(&mut self, input: &mut [u8], commands: &mut Vec<Command>, slice: &Slice) {
        let Some(socket) = &mut self.web_socket else { return };
        let decoded = socket.decoder.decode(input);
        if decoded.kind == Some(Kind::Text) && !socket.is_text {
            socket.is_text = true;
            self.handle.incoming_stomp(Entry::WebSocket(Signal::Text));
        }
        if let Some(payload) = decoded.ping {
            self.handle.incoming_stomp(Entry::WebSocket(Signal::Pong(payload)));
            self.dirty.push(self.handle);
        }
        match decoded.end {
            Some(End::Closed(_)) => socket.is_closed = true,
            Some(End::Broken(error)) => {
                socket.broken = Some(StompError::new(format!("WebSocket: {error}")).closing(error.status()));
            }
            None => {}
        }
        let parsed = self.session.received_up_to(&input[..decoded.bytes], COMMANDS, commands);
        if self.session.has_backlog() {
            self.read_size = (self.read_size.min(self.read_limit()) / 2).max(READ_MIN);
        }
        self.take(parsed, commands, slice);
    }
}
