use std::ops::Deref;

/// The meaning of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// The rest of a message.
    Continuation,
    /// A message that is UTF-8.
    Text,
    /// A message of any bytes.
    Binary,
    /// The last frame, with a status of two bytes and a reason.
    Close,
    /// To be answered with a pong of the same payload.
    Ping,
    /// The answer to a ping.
    Pong,
}

impl Opcode {
    pub(super) fn code(self) -> u8 {
        match self {
            Opcode::Continuation => 0,
            Opcode::Text => 1,
            Opcode::Binary => 2,
            Opcode::Close => 8,
            Opcode::Ping => 9,
            Opcode::Pong => 10,
        }
    }

    pub(super) fn of(code: u8) -> Option<Opcode> {
        use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
        [Continuation, Text, Binary, Close, Ping, Pong].into_iter().find(|opcode| opcode.code() == code)
    }

    pub(super) fn is_control(self) -> bool {
        self.code() >= 8
    }
}

/// The bytes before a payload: 2, 4 or 10 of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    bytes: [u8; 10],
    length: usize,
}

impl Deref for Head {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The head of a whole message, or of a control frame, of a server: `length` bytes of payload follow, unmasked.
#[must_use]
pub fn head(opcode: Opcode, length: u64) -> Head {
    let mut bytes = [0x80 | opcode.code(), 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let used = match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => {
            bytes[1] = short;
            2
        }
        (_, Ok(medium)) => {
            bytes[1] = 126;
            bytes[2..4].copy_from_slice(&medium.to_be_bytes());
            4
        }
        _ => {
            bytes[1] = 127;
            bytes[2..].copy_from_slice(&length.to_be_bytes());
            10
        }
    };
    Head { bytes, length: used }
}
