//! The native protocol: frames to commands.

mod error;
#[cfg(test)]
mod tests;
mod translate;

pub use error::NativeError;
pub use translate::Session;

/// Name that a connection subscribes to by convention if it only sends.
#[cfg(feature = "serve")]
pub(crate) const NULL: &[u8] = b"/null";
