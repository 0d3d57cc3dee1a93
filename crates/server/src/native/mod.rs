//! The native protocol: frames to commands.

#[cfg(test)]
mod tests;
mod translate;

pub use translate::{NativeError, Session};
