//! Frames on the wire: as they are, or each in a message of WebSocket.

use switchboard_wire::websocket::{self, Opcode};

/// Form of frames on the wire.
#[derive(Debug)]
pub(crate) enum Framing {
    /// One behind the other.
    Plain,
    /// Each is a message of WebSocket.
    WebSocket(WebSocket),
}

/// State of a WebSocket beside its frames.
#[derive(Debug, Default)]
pub(crate) struct WebSocket {
    /// The peer sends text, and so gets text where a frame is UTF-8.
    is_text: bool,
    /// The answer to the last ping.
    pong: Option<Vec<u8>>,
    /// The status of the close that goes last.
    close: Option<u16>,
    is_closed: bool,
}

/// Something that a WebSocket's peer is owed.
#[derive(Debug)]
pub(crate) enum Signal {
    /// The peer sends text.
    Text,
    /// The answer to a ping. One that was not written yet gives way.
    Pong(Vec<u8>),
    /// The end, behind all frames. The first status counts.
    Close(u16),
}

/// Statuses of a close: an end in order, a server that ends, and behind an ERROR that says nothing else a broken protocol.
pub(crate) const NORMAL: u16 = 1000;
pub(crate) const GOING_AWAY: u16 = 1001;
const BROKEN: u16 = 1002;

impl Signal {
    pub(super) fn after_error(self) -> Signal {
        if let Signal::Close(NORMAL | GOING_AWAY) = self { Signal::Close(BROKEN) } else { self }
    }
}

impl Framing {
    /// A WebSocket whose peer has sent nothing yet.
    pub(crate) fn web_socket() -> Framing {
        Framing::WebSocket(WebSocket::default())
    }

    /// Makes the frame from `begin` to the end of `out` a message. The parts in `behind` belong to it, and are written
    /// elsewhere.
    pub(super) fn wrap(&self, out: &mut Vec<u8>, begin: usize, behind: &[&[u8]]) {
        let Framing::WebSocket(socket) = self else { return };
        let parts = || [&out[begin..]].into_iter().chain(behind.iter().copied());
        let is_text = socket.is_text && parts().all(|part| std::str::from_utf8(part).is_ok());
        let length: usize = parts().map(<[u8]>::len).sum();
        let head = websocket::head(if is_text { Opcode::Text } else { Opcode::Binary }, length as u64);
        out.splice(begin..begin, head.iter().copied());
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        let Framing::WebSocket(socket) = self else { return };
        match signal {
            Signal::Text => socket.is_text = true,
            Signal::Pong(payload) => socket.pong = (socket.close.is_none()).then_some(payload),
            Signal::Close(status) => _ = socket.close.get_or_insert(status),
        }
    }

    /// Whether nothing may follow any more.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Framing::WebSocket(socket) if socket.is_closed)
    }

    /// Whether the peer is owed nothing but frames.
    pub(super) fn is_idle(&self) -> bool {
        match self {
            Framing::Plain => true,
            Framing::WebSocket(socket) => socket.pong.is_none() && (socket.close.is_none() || socket.is_closed),
        }
    }

    /// Adds what is due to the control lane, where only one of each is at a time; a close where all else `is_over`.
    pub(super) fn prepare(&mut self, control: &mut Vec<u8>, is_over: bool) {
        let Framing::WebSocket(socket) = self else { return };
        if !control.is_empty() {
            return;
        }
        if let Some(payload) = socket.pong.take() {
            control.extend_from_slice(&websocket::head(Opcode::Pong, payload.len() as u64));
            control.extend_from_slice(&payload);
        }
        if let Some(status) = socket.close.filter(|_| is_over && !socket.is_closed) {
            socket.is_closed = true;
            control.extend_from_slice(&websocket::head(Opcode::Close, 2));
            control.extend_from_slice(&status.to_be_bytes());
        }
    }
}
