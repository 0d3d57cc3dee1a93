//! The client's logic, without I/O: bytes, time and randomness come in as arguments, bytes, completions
//! and events go out.

mod beats;
mod keepalive;

mod batch;
mod requests;

mod publisher;

mod writing;

mod answers;

mod rejected;

mod disconnect;

mod subscriber;

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;

mod stomp_subscriber;

pub(crate) use publisher::Publisher;
pub(crate) use stomp_subscriber::StompSubscriber;
pub(crate) use subscriber::{Effect, Subscriber};
pub(crate) use writing::Step;
