//! The six types: which of the common parts each has.

mod halves;
mod macros;
mod traits;

pub(crate) use halves::change as subscription;
pub use halves::{ReuniteError, XPubReceiver, XPubSender, XSubReceiver, XSubSender};
pub(crate) use macros::LONGEST_PREFIX;
pub use traits::{SocketKind, SocketReceive, SocketSend};

use crate::inbox::Receiver;
use crate::sink::{SinkState, sink};
use crate::socket::{Closing, Socket};
use crate::{Error, Options};
use macros::{receives, sends, socket, subscribes};
use std::ops::Deref;
use switchboard_wire::zmtp::SocketType;

socket! {
    /// Distributes its messages round robin over its peers. Peers without room are skipped; if none has room, or there is none, a
    /// send waits.
    Push { sink: SinkState }
}

socket! {
    /// Receives from its peers round robin, one message of each.
    Pull { receiver: Receiver }
}

socket! {
    /// Sends each message to every peer that has subscribed to a prefix of its first part. It never waits: for a peer
    /// without room the message is dropped, and counted ([`Socket::dropped`]).
    Pub { sink: SinkState }
}

socket! {
    /// Receives the messages that it has subscribed to, from its peers round robin.
    Sub { receiver: Receiver }
}

socket! {
    /// As [`Pub`], and receives subscriptions: a byte 1 and the prefix when the first peer subscribes to it, a byte 0 and the
    /// prefix when the last one has unsubscribed or left. Subscriptions that are not received are kept only as far as
    /// they are still in force, beyond 1,024 of them.
    XPub { sink: SinkState, receiver: Receiver }
}

socket! {
    /// As [`Sub`], and can pass on subscriptions as an [`XPub`] receives them.
    XSub { receiver: Receiver }
}

receives!(Pull, Sub, XPub, XSub, XPubReceiver, XSubReceiver);
sends!(Push, Pub, XPub, XPubSender);
subscribes!(Sub, XSub, XSubSender);
sink!(Push, Pub, XPub, XPubSender);
