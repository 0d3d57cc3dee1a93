//! The native protocol: frames of a 4-byte big-endian length and that many bytes.
//!
//! ```
//! use switchboard_wire::native::{Split, encode, split};
//!
//! let mut bytes = Vec::new();
//! encode(b"hello", &mut bytes);
//! assert_eq!(bytes, b"\x00\x00\x00\x05hello");
//! assert_eq!(split(&bytes, 1024)?, Split::Frame { body: b"hello", consumed: 9 });
//! assert_eq!(split(&bytes[..6], 1024)?, Split::Need(9));
//! # Ok::<(), switchboard_wire::native::FrameTooLong>(())
//! ```

mod codec;
mod foreign;
#[cfg(test)]
mod tests;

pub use codec::{FrameTooLong, PREFIX, Split, encode, header, split};
pub use foreign::ForeignProtocol;
