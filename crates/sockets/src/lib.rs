#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod endpoint;
mod error;
mod event;
mod message;
mod options;
mod payload;

mod prefixes;
mod wait;

mod chunk;
mod inbox;
mod outbox;
mod wants;

mod heart;
mod session;

mod core;
mod peer;

mod io;

mod recv;
mod send;
mod socket;
mod types;

mod proxy;

pub use endpoint::Endpoint;
pub use error::Error;
pub use event::{Event, Events};
pub use message::Message;
pub use options::{Heartbeat, Options, Place};
pub use payload::Payload;
pub use proxy::{Proxy, proxy};
pub use recv::Receiving;
pub use send::Sending;
pub use socket::{Closing, Socket};
pub use switchboard_wire::zmtp::{Security, SocketType};
pub use types::{Pub, Pull, Push, Sub, XPub, XSub};
