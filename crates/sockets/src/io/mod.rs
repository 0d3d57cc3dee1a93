//! The tasks: one that listens for each bound endpoint, one for each peer.

mod life;

mod connection;
mod handshake;

mod dial;
mod inproc;
mod listen;

pub(crate) use dial::dial;
pub(crate) use inproc::{bind as bind_inproc, connect as connect_inproc, serve as serve_inproc};
pub(crate) use listen::{Listener, listen};
