//! The tasks that move bytes between the sockets and the core.

mod dial;
mod outgoing;
mod shared;

mod publish;
mod session;
mod subscribe;

pub(crate) use dial::Dial;
pub(crate) use publish::{connected, first, run as publish};
pub(crate) use shared::Shared;
pub(crate) use subscribe::{SubscribeRequest, run as subscribe};
