//! ZMTP 3.1, the protocol of ZeroMQ's sockets (RFC 37 of the ZeroMQ project), with peers of version 3.0
//! accepted: the [`Handshake`], and after it the [`Decoder`] for what comes and [`frame`] and
//! [`Command`] for what goes.
//!
//! ```
//! use switchboard_wire::zmtp::{Decoder, Found, Limits, frame};
//!
//! let mut bytes = Vec::new();
//! frame::encode(b"hello", false, &mut bytes);
//! assert_eq!(bytes, b"\x00\x05hello");
//! let mut decoder = Decoder::new(Limits::default());
//! assert_eq!(decoder.next(&bytes[..4])?, Found::Need(7));
//! assert_eq!(decoder.next(&bytes)?, Found::Message { length: 7, first: 2..7, parts: 1 });
//! # Ok::<(), switchboard_wire::zmtp::DecodeError>(())
//! ```

mod limits;
mod socket_type;

pub mod frame;

mod command;
mod decoder;
mod greeting;
mod handshake;
mod metadata;
mod security;

#[cfg(test)]
mod tests;

pub use command::{Command, CommandError};
pub use decoder::{DecodeError, Decoder, Found};
pub use greeting::{Greeting, GreetingError, Mechanism};
pub use handshake::{Handshake, HandshakeError, Local, Peer};
pub use limits::Limits;
pub use metadata::MetadataError;
pub use security::{Check, Security};
pub use socket_type::SocketType;
