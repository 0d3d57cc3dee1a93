use thiserror::Error;

/// The peer broke the rules of WebSocket's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WebSocketError {
    /// A frame of a client is not masked.
    #[error("a frame that is not masked")]
    Unmasked,
    /// Bits that belong to extensions, of which none was agreed on.
    #[error("a frame with reserved bits, though no extension was agreed on")]
    Reserved,
    /// An opcode that means nothing.
    #[error("a frame of the unknown opcode {opcode}")]
    UnknownOpcode {
        /// The opcode, 0 to 15.
        opcode: u8,
    },
    /// A ping, pong or close in parts, or longer than 125 bytes.
    #[error("a control frame of {length} bytes, or in parts: 125 bytes in one frame is the limit")]
    ControlTooLong {
        /// Bytes of its payload.
        length: u64,
    },
    /// The rest of a message that was not begun, or a message inside another one.
    #[error("a part of a message out of turn")]
    OutOfTurn,
    /// A length beyond what 63 bits can say.
    #[error("a frame of {length} bytes")]
    TooLong {
        /// The claimed length, in bytes.
        length: u64,
    },
    /// A close with a single byte, which is no status.
    #[error("a close with half a status")]
    HalfStatus,
    /// A close with a status that no peer may send (RFC 6455, section 7.4).
    #[error("a close with the status {status}, which no peer may send")]
    Status {
        /// The status.
        status: u16,
    },
    /// A message of text that is no UTF-8.
    #[error("a message of text that is no UTF-8: other bytes are for binary messages")]
    Text,
    /// A close whose reason is no UTF-8.
    #[error("a close with a reason that is no UTF-8")]
    Reason,
}

impl WebSocketError {
    /// The status of the close that answers it (RFC 6455, section 7.4.1).
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            WebSocketError::Text | WebSocketError::Reason => 1007,
            _ => 1002,
        }
    }
}
