//! The six types: which of the common parts each has.

use crate::inbox::Receiver;
use crate::payload::Payload;
use crate::recv::Receiving;
use crate::send::Sending;
use crate::socket::{Closing, Socket};
use crate::{Error, Message, Options};
use futures_core::Stream;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};
use switchboard_wire::zmtp::SocketType;

macro_rules! socket {
    ($(#[$doc:meta])* $name:ident { $($receiver:ident)? }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            socket: Socket,
            $($receiver: Receiver,)?
        }

        impl $name {
            /// One with the default [`Options`].
            ///
            /// # Errors
            ///
            /// [`Error::NoThread`].
            pub fn new() -> Result<$name, Error> {
                $name::with(Options::default())
            }

            /// One with these options.
            ///
            /// # Errors
            ///
            /// [`Error::Option`], [`Error::NoThread`].
            pub fn with(options: Options) -> Result<$name, Error> {
                Ok($name { socket: Socket::new(SocketType::$name, options)?, $($receiver: Receiver::default())? })
            }

            /// Closes it. When that is over, everything that was accepted is on its way, or `linger` was too short.
            ///
            /// # Errors
            ///
            /// [`Error::Unsent`].
            pub fn close(self) -> Closing {
                Closing::new(self.socket)
            }
        }

        impl Deref for $name {
            type Target = Socket;

            fn deref(&self) -> &Socket {
                &self.socket
            }
        }
    };
}

macro_rules! receives {
    ($name:ident) => {
        impl $name {
            /// The next message: `recv().await` on any executor, `recv().wait()` in a plain thread.
            ///
            /// # Errors
            ///
            /// [`Error::Ended`].
            #[inline]
            pub fn recv(&mut self) -> Receiving<'_> {
                Receiving::new(&self.socket.core, &mut self.receiver)
            }

            /// The next message, if it is here already.
            #[inline]
            pub fn try_recv(&mut self) -> Option<Message> {
                let core = &self.socket.core;
                self.receiver.take(&core.inbox, &core.wants)
            }

            /// Blocks for each message.
            pub fn iter(&mut self) -> impl Iterator<Item = Message> {
                std::iter::from_fn(|| self.recv().wait().ok())
            }
        }

        /// It ends when the runtime does.
        impl Stream for $name {
            type Item = Message;

            fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
                let this = self.get_mut();
                let core = &this.socket.core;
                this.receiver.poll(&core.inbox, &core.wants, context).map(Result::ok)
            }
        }
    };
}

socket! {
    /// Deals its messages out, one to each peer in turn. Those that have no room are passed over; it waits when none has
    /// any, or nobody is there.
    Push {}
}

socket! {
    /// Receives from its peers, one message of each in turn.
    Pull { receiver }
}

socket! {
    /// Sends each message to every peer that has subscribed to a prefix of its first part. It never waits: for a peer that
    /// has no room the message is dropped, and counted ([`Socket::dropped`]).
    Pub {}
}

socket! {
    /// Receives what it has subscribed to, from its peers in turn.
    Sub { receiver }
}

socket! {
    /// As [`Pub`], and is told of subscriptions: what it receives is a byte 1 and the prefix when the first peer
    /// subscribes to it, a byte 0 and the prefix when the last one has gone.
    XPub { receiver }
}

socket! {
    /// As [`Sub`], but can pass on subscriptions as an [`XPub`] receives them.
    XSub { receiver }
}

receives!(Pull);
receives!(Sub);
receives!(XPub);
receives!(XSub);

impl Push {
    /// Sends a message: `send(..).await` on any executor, `send(..).wait()` in a plain thread. It is done when the message
    /// waits for a peer.
    ///
    /// # Errors
    ///
    /// [`Error::MessageTooLong`], [`Error::Parts`], [`Error::Ended`].
    #[inline]
    pub fn send<M: Payload>(&self, message: M) -> Sending<'_, M> {
        Sending::new(&self.socket.core, message)
    }

    /// Sends a message if a peer has room for it now.
    ///
    /// # Errors
    ///
    /// As [`Push::send`], or [`Error::WouldBlock`].
    #[inline]
    pub fn try_send<M: Payload>(&self, message: M) -> Result<(), Error> {
        Sending::new(&self.socket.core, message).attempt()
    }
}

macro_rules! publishes {
    ($name:ident) => {
        impl $name {
            /// Publishes a message: `send(..).await` on any executor, `send(..).wait()` in a plain thread. It never waits for
            /// a peer, but an awaited one lets others run now and then.
            ///
            /// # Errors
            ///
            /// [`Error::MessageTooLong`], [`Error::Parts`].
            #[inline]
            pub fn send<M: Payload>(&self, message: M) -> Sending<'_, M> {
                Sending::new(&self.socket.core, message)
            }
        }
    };
}

publishes!(Pub);
publishes!(XPub);

macro_rules! subscribes {
    ($name:ident) => {
        impl $name {
            /// Receives messages whose first part begins with `prefix`, also from peers that connect later. An empty prefix
            /// is in all. Messages of a peer that has not heard of it yet are missed.
            ///
            /// # Errors
            ///
            /// [`Error::MessageTooLong`] if the prefix is too long for a subscription.
            pub fn subscribe(&self, prefix: impl AsRef<[u8]>) -> Result<(), Error> {
                let prefix = prefix.as_ref();
                if prefix.len() > LONGEST_PREFIX {
                    return Err(Error::MessageTooLong { length: prefix.len(), limit: LONGEST_PREFIX });
                }
                self.socket.core.wants.change(true, prefix);
                Ok(())
            }

            /// Takes back one [`subscribe`](Self::subscribe) with the same prefix. Messages that are here already and match
            /// no other subscription are not received any more. `false` if there was none.
            pub fn unsubscribe(&self, prefix: impl AsRef<[u8]>) -> bool {
                self.socket.core.wants.change(false, prefix.as_ref())
            }
        }
    };
}

/// What a peer with our own limit for commands takes.
const LONGEST_PREFIX: usize = 32 << 10;

subscribes!(Sub);
subscribes!(XSub);

impl XSub {
    /// Passes on a subscription as an [`XPub`] receives it: a byte 1 or 0, and the prefix.
    ///
    /// # Errors
    ///
    /// [`Error::NotASubscription`], or as [`XSub::subscribe`].
    pub fn send(&self, message: &Message) -> Result<(), Error> {
        match (message.parts(), message.data().split_first()) {
            (1, Some((1, prefix))) => self.subscribe(prefix),
            (1, Some((0, prefix))) => {
                self.unsubscribe(prefix);
                Ok(())
            }
            _ => Err(Error::NotASubscription),
        }
    }
}
