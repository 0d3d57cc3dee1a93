//! The sending and the receiving half of a socket that does both, for two tasks or threads.

use super::{XPub, XSub};
use crate::inbox::Receiver;
use crate::payload::Payload;
use crate::sink::SinkState;
use crate::{Error, Socket};
use std::ops::Deref;
use std::sync::Arc;

/// The half of an [`XPub`] that sends messages. The socket is closed when both halves are dropped.
#[derive(Debug)]
pub struct XPubSender {
    pub(super) sink: SinkState,
    pub(super) socket: Arc<Socket>,
}

/// The half of an [`XPub`] that receives subscriptions. The socket is closed when both halves are dropped.
#[derive(Debug)]
pub struct XPubReceiver {
    pub(super) receiver: Receiver,
    pub(super) socket: Arc<Socket>,
}

/// The half of an [`XSub`] that sends subscriptions. The socket is closed when both halves are dropped.
#[derive(Debug)]
pub struct XSubSender {
    pub(super) socket: Arc<Socket>,
}

/// The half of an [`XSub`] that receives messages. The socket is closed when both halves are dropped.
#[derive(Debug)]
pub struct XSubReceiver {
    pub(super) receiver: Receiver,
    pub(super) socket: Arc<Socket>,
}

/// The two halves are of different sockets. They come back.
#[derive(Debug, thiserror::Error)]
#[error("the two halves are of different sockets")]
pub struct ReuniteError<S, R>(pub S, pub R);

macro_rules! derefs {
    ($($name:ident),*) => {$(
        impl Deref for $name {
            type Target = Socket;

            fn deref(&self) -> &Socket {
                &self.socket
            }
        }
    )*};
}

derefs!(XPubSender, XPubReceiver, XSubSender, XSubReceiver);

/// The socket of two halves of which the other one is dropped.
fn only(socket: Arc<Socket>) -> Socket {
    Arc::into_inner(socket).expect("there are two halves")
}

impl XPub {
    /// Into a half that sends messages and one that receives subscriptions.
    #[must_use]
    pub fn split(self) -> (XPubSender, XPubReceiver) {
        let socket = Arc::new(self.socket);
        (XPubSender { sink: self.sink, socket: socket.clone() }, XPubReceiver { receiver: self.receiver, socket })
    }
}

impl XPubSender {
    /// The whole socket again, to close it, for example.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`] with both halves if they are of different sockets.
    pub fn reunite(self, other: XPubReceiver) -> Result<XPub, ReuniteError<XPubSender, XPubReceiver>> {
        if !Arc::ptr_eq(&self.socket, &other.socket) {
            return Err(ReuniteError(self, other));
        }
        drop(self.socket);
        Ok(XPub { sink: self.sink, receiver: other.receiver, socket: only(other.socket) })
    }
}

impl XSub {
    /// Into a half that sends subscriptions and one that receives messages.
    #[must_use]
    pub fn split(self) -> (XSubSender, XSubReceiver) {
        let socket = Arc::new(self.socket);
        (XSubSender { socket: socket.clone() }, XSubReceiver { receiver: self.receiver, socket })
    }

    /// Passes on a subscription as an [`XPub`] receives it: a byte 1 or 0, and the prefix.
    ///
    /// # Errors
    ///
    /// [`Error::NotASubscription`], or as [`XSub::subscribe`].
    pub fn send<M: Payload>(&self, subscription: M) -> Result<(), Error> {
        match change(&subscription)? {
            (true, prefix) => self.subscribe(prefix),
            (false, prefix) => {
                self.unsubscribe(prefix);
                Ok(())
            }
        }
    }
}

impl XSubSender {
    /// As [`XSub::send`].
    ///
    /// # Errors
    ///
    /// As [`XSub::send`].
    pub fn send<M: Payload>(&self, subscription: M) -> Result<(), Error> {
        match change(&subscription)? {
            (true, prefix) => self.subscribe(prefix),
            (false, prefix) => {
                self.unsubscribe(prefix);
                Ok(())
            }
        }
    }

    /// The whole socket again, to close it, for example.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`] with both halves if they are of different sockets.
    pub fn reunite(self, other: XSubReceiver) -> Result<XSub, ReuniteError<XSubSender, XSubReceiver>> {
        if !Arc::ptr_eq(&self.socket, &other.socket) {
            return Err(ReuniteError(self, other));
        }
        drop(self.socket);
        Ok(XSub { receiver: other.receiver, socket: only(other.socket) })
    }
}

/// A subscription in the form of a message: whether it begins, and the prefix.
pub(crate) fn change(message: &impl Payload) -> Result<(bool, &[u8]), Error> {
    if message.parts() != 1 {
        return Err(Error::NotASubscription);
    }
    match message.part(0).split_first() {
        Some((1, prefix)) => Ok((true, prefix)),
        Some((0, prefix)) => Ok((false, prefix)),
        _ => Err(Error::NotASubscription),
    }
}
