//! STOMP 1.0, 1.1 and 1.2: the [`Decoder`] for what comes, the [`FrameWriter`] for what goes.
//!
//! ```
//! use switchboard_wire::stomp::{Decoder, Found, FrameWriter, Limits, Version};
//!
//! let mut bytes = Vec::new();
//! FrameWriter::new(b"SEND", Version::V1_2, &mut bytes).header(b"destination", b"/topic/a").body(b"hello");
//! assert_eq!(bytes, b"SEND\ndestination:/topic/a\ncontent-length:5\n\nhello\0");
//!
//! let mut decoder = Decoder::new(Limits::default());
//! decoder.set_version(Version::V1_2);
//! let Found::Frame { frame, length } = decoder.next(&bytes)? else { panic!("a whole frame") };
//! assert_eq!((frame.command, frame.body, length), (&b"SEND"[..], &b"hello"[..], bytes.len()));
//! assert_eq!(frame.header(b"destination").as_deref(), Some(&b"/topic/a"[..]));
//! # Ok::<(), switchboard_wire::stomp::DecodeError>(())
//! ```

mod decoder;
mod error;
mod frame;
mod limits;
mod repeat;
#[cfg(test)]
mod tests;
mod version;
mod writer;

pub use decoder::{Decoder, Found};
pub use error::DecodeError;
pub use frame::{Frame, Header};
pub use limits::Limits;
pub use version::{UnknownVersion, Version};
pub use writer::FrameWriter;
