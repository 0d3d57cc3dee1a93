#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod endpoint;
mod error;
mod event;
mod message;
mod options;
mod payload;

mod change;
mod prefixes;
mod wait;

mod chunk;
mod inbox;
mod lane;
mod outbox;
mod subscriptions;

mod session;

mod core;
mod endpoints;
mod peer;

mod io;

mod flush;
mod recv;
mod send;
mod sink;
mod socket;
mod types;

mod proxy;

pub use endpoint::Endpoint;
pub use error::Error;
pub use event::{Event, Events, PeerId};
pub use flush::Flushing;
pub use message::{IntoParts, Message, Parts};
pub use options::{Heartbeat, Options, Runtime};
pub use payload::Payload;
pub use proxy::{Proxy, proxy};
pub use recv::Receiving;
pub use send::Sending;
pub use socket::{Closing, Socket};
pub use switchboard_wire::zmtp::{Security, SocketType};
pub use types::{Pub, Pull, Push, Sub, XPub, XSub};
pub use types::{ReuniteError, SocketKind, SocketReceive, SocketSend};
pub use types::{XPubReceiver, XPubSender, XSubReceiver, XSubSender};
