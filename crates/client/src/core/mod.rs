//! What a client decides, without I/O: bytes, time and randomness come in as arguments, bytes, replies
//! and events go out.

mod backoff;
mod pulse;

mod batch;
mod requests;

mod publisher;

mod writing;

mod answers;

mod cut;

mod subscriber;

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;

pub(crate) use backoff::Backoff;
pub(crate) use publisher::Publisher;
pub(crate) use subscriber::{Beat, Subscriber};
pub(crate) use writing::Step;
