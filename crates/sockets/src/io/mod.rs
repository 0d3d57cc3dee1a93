//! The tasks: one that listens for each bound endpoint, one for each peer.

mod lifecycle;

mod connection;
mod handshake;

mod bind;
mod dial;
mod inproc;
mod listen;

pub(crate) use bind::Listener;
pub(crate) use dial::dial;
pub(crate) use inproc::{bind as bind_inproc, connect as connect_inproc};
pub(crate) use listen::listen;
