//! WebSocket (RFC 6455) as a server speaks it, without extensions: the [`Decoder`] for what comes, [`head`] for what goes.
//!
//! Messages are a stream here: their bytes are handed on as they come, and where one ends is of no interest to what is
//! spoken inside. So no message is too long, and none is kept. A message of text that is no UTF-8 is an error, as soon as the
//! byte has come that cannot be right.
//!
//! ```
//! use switchboard_wire::websocket::{Decoder, Opcode, head};
//!
//! // "Hi" as a client sends it: masked.
//! let mut bytes = *b"\x81\x82\x01\x02\x03\x04Ik";
//! let decoded = Decoder::new().decode(&mut bytes);
//! assert_eq!(&bytes[..decoded.bytes], b"Hi");
//!
//! assert_eq!(&head(Opcode::Text, 2)[..], b"\x81\x02");
//! ```

mod decoder;
mod error;
mod head;
#[cfg(test)]
mod tests;
mod utf8;

pub use decoder::{Decoded, Decoder, End, Kind};
pub use error::WebSocketError;
pub use head::{Head, Opcode, head};
