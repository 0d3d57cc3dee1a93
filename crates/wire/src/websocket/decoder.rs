use super::utf8::Utf8;
use super::{Opcode, WebSocketError};

/// Bytes of a head that say how long it is.
const FIRST: usize = 2;

/// The longest payload of a control frame, in bytes.
const CONTROL: u64 = 125;

/// The kind of a message's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8, by the peer's word.
    Text,
    /// Any bytes.
    Binary,
}

/// The end of the peer's side. Nothing behind it means anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By a close, with its status if it has one.
    Closed(Option<u16>),
    /// By an error.
    Broken(WebSocketError),
}

/// The content of some bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of messages, unmasked, at the beginning of the input.
    pub bytes: usize,
    /// The kind of the last message that was begun, if one was.
    pub kind: Option<Kind>,
    /// The payload of the last ping: earlier ones need no answer.
    pub ping: Option<Vec<u8>>,
    /// The end, behind the bytes.
    pub end: Option<End>,
}

/// The bytes of one client's frames, cut anywhere, become those of its messages.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    state: State,
    /// A message was begun whose last frame has not begun.
    in_message: bool,
    /// Of a message of text: what is checked so far.
    text: Option<Utf8>,
    /// The payload of a control frame, as far as it has come.
    control: Vec<u8>,
    has_ended: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// A head, of which so many bytes have come.
    Head([u8; 14], usize),
    Payload {
        opcode: Opcode,
        mask: [u8; 4],
        left: u64,
    },
}

impl Default for State {
    fn default() -> State {
        State::Head([0; 14], 0)
    }
}

impl Decoder {
    /// A decoder of a connection from its first frame on.
    #[must_use]
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Moves the bytes of messages to the beginning of `input`, unmasked. Behind the peer's end, input is dropped.
    pub fn decode(&mut self, input: &mut [u8]) -> Decoded {
        let mut decoded = Decoded::default();
        let mut at = 0;
        // Also where nothing is left: a control frame may have no payload.
        while !self.has_ended && (at < input.len() || self.is_whole()) {
            let end = match self.state {
                State::Head(..) => self.head(input, &mut at, &mut decoded).map(|()| None),
                State::Payload { .. } => self.payload(input, &mut at, &mut decoded),
            };
            decoded.end = end.unwrap_or_else(|error| Some(End::Broken(error)));
            self.has_ended = decoded.end.is_some();
        }
        decoded
    }

    /// Whether all of a payload has come.
    fn is_whole(&self) -> bool {
        matches!(self.state, State::Payload { left: 0, .. })
    }

    fn head(&mut self, input: &[u8], at: &mut usize, decoded: &mut Decoded) -> Result<(), WebSocketError> {
        let State::Head(head, have) = &mut self.state else { return Ok(()) };
        let need = if *have < FIRST { FIRST } else { head_length(head[1]) };
        let taken = (need - *have).min(input.len() - *at);
        head[*have..*have + taken].copy_from_slice(&input[*at..*at + taken]);
        *have += taken;
        *at += taken;
        if *have < FIRST {
            return Ok(());
        }
        let head = *head;
        let is_final = head[0] & 0x80 != 0;
        if head[0] & 0x70 != 0 {
            return Err(WebSocketError::Reserved);
        }
        let opcode = Opcode::of(head[0] & 0x0f).ok_or(WebSocketError::UnknownOpcode { opcode: head[0] & 0x0f })?;
        if head[1] & 0x80 == 0 {
            return Err(WebSocketError::Unmasked);
        }
        if *have < head_length(head[1]) {
            return Ok(());
        }
        let (length, mask) = match head[1] & 0x7f {
            126 => (u64::from(u16::from_be_bytes([head[2], head[3]])), 4),
            127 => (u64::from_be_bytes([head[2], head[3], head[4], head[5], head[6], head[7], head[8], head[9]]), 10),
            short => (u64::from(short), 2),
        };
        if length > u64::MAX / 2 {
            return Err(WebSocketError::TooLong { length });
        }
        if opcode.is_control() {
            if length > CONTROL || !is_final {
                return Err(WebSocketError::ControlTooLong { length });
            }
        } else {
            if self.in_message != (opcode == Opcode::Continuation) {
                return Err(WebSocketError::OutOfTurn);
            }
            self.in_message = !is_final;
            match opcode {
                Opcode::Text => (decoded.kind, self.text) = (Some(Kind::Text), Some(Utf8::default())),
                Opcode::Binary => (decoded.kind, self.text) = (Some(Kind::Binary), None),
                _ => {}
            }
        }
        let mask = [head[mask], head[mask + 1], head[mask + 2], head[mask + 3]];
        self.state = State::Payload { opcode, mask, left: length };
        Ok(())
    }

    fn payload(
        &mut self,
        input: &mut [u8],
        at: &mut usize,
        decoded: &mut Decoded,
    ) -> Result<Option<End>, WebSocketError> {
        let State::Payload { opcode, mask, left } = &mut self.state else { return Ok(None) };
        let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len() - *at);
        let part = &mut input[*at..*at + taken];
        unmask(part, *mask);
        // The next part begins with another byte of it.
        mask.rotate_left(taken % 4);
        *left -= taken as u64;
        let (is_over, opcode) = (*left == 0, *opcode);
        if opcode.is_control() {
            self.control.extend_from_slice(part);
        } else {
            let valid = self.text.as_mut().map_or(taken, |text| text.check(part));
            input.copy_within(*at..*at + valid, decoded.bytes);
            decoded.bytes += valid;
            let ends = is_over && !self.in_message;
            if valid < taken || ends && self.text.is_some_and(|text| !text.is_whole()) {
                return Err(WebSocketError::Text);
            }
        }
        *at += taken;
        if !is_over {
            return Ok(None);
        }
        self.state = State::default();
        let control = std::mem::take(&mut self.control);
        match opcode {
            Opcode::Ping => decoded.ping = Some(control),
            Opcode::Close => {
                return close(&control).map(|status| Some(End::Closed(status)));
            }
            Opcode::Pong | Opcode::Continuation | Opcode::Text | Opcode::Binary => {}
        }
        Ok(None)
    }
}

/// The status of a close. Some are for a program's own use, as for an end without a close, and most are reserved.
fn close(payload: &[u8]) -> Result<Option<u16>, WebSocketError> {
    match *payload {
        [] => Ok(None),
        [_] => Err(WebSocketError::HalfStatus),
        [one, two, ref reason @ ..] => {
            let status = u16::from_be_bytes([one, two]);
            if !matches!(status, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(WebSocketError::Status { status });
            }
            std::str::from_utf8(reason).map_err(|_| WebSocketError::Reason)?;
            Ok(Some(status))
        }
    }
}

/// Bytes of a head whose second byte is this, its mask included.
fn head_length(second: u8) -> usize {
    match second & 0x7f {
        126 => 8,
        127 => 14,
        _ => 6,
    }
}

fn unmask(part: &mut [u8], mask: [u8; 4]) {
    let mut words = part.chunks_exact_mut(4);
    for word in &mut words {
        for (byte, mask) in word.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask) {
        *byte ^= mask;
    }
}
