//! Talks to a Switchboard broker, from async code of any executor, from plain threads, and from code
//! that wants callbacks: one client for all of them.
#![doc = include_str!("../README.md")]

mod completion;
mod dialect;
mod error;
mod event;
mod message;
pub mod options;
mod runner;
mod stomp;
mod subscribe;

mod inbox;
mod mailbox;
mod protocol;

mod core;
mod io;

mod client;
mod events;
mod subscription;

pub mod native;

pub use client::Client;
pub use completion::Completion;
pub use error::Error;
pub use event::{Doubt, Event, Link, Reason};
pub use events::Events;
pub use message::Message;
pub use options::Options;
pub use options::{Receipts, WhenFull};
pub use subscribe::{AckMode, Subscribe};
pub use subscription::{Callback, Iter, Subscription};
