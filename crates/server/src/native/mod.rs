//! The native protocol: frames to commands.

mod error;
#[cfg(test)]
mod tests;
mod translate;

pub use error::NativeError;
pub use translate::Session;
