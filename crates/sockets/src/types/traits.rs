use crate::recv::Receiving;
use crate::send::Sending;
use crate::socket::{Closing, Socket};
use crate::{Error, Message, Options, Payload};
use std::ops::Deref;
use switchboard_wire::zmtp::SocketType;

/// One of the types of sockets, for code that works with any.
pub trait SocketKind: Deref<Target = Socket> + Send + Sync + Sized + 'static {
    /// The type.
    const TYPE: SocketType;

    /// A socket with these options.
    ///
    /// # Errors
    ///
    /// [`Error::Option`], [`Error::NoThread`].
    fn with(options: Options) -> Result<Self, Error>;

    /// Closes it.
    fn close(self) -> Closing;
}

/// A socket, or a half of one, that sends.
pub trait SocketSend {
    /// Sends a message; see [`Push::send`](crate::Push::send).
    fn send<M: Payload>(&self, message: M) -> Sending<'_, M>;

    /// Sends a message if there is room for it now.
    ///
    /// # Errors
    ///
    /// As [`Push::try_send`](crate::Push::try_send).
    fn try_send<M: Payload>(&self, message: M) -> Result<(), Error>;
}

/// A socket, or a half of one, that receives.
pub trait SocketReceive {
    /// The next message; see [`Pull::recv`](crate::Pull::recv).
    fn recv(&mut self) -> Receiving<'_>;

    /// The next message, if it is here already.
    fn try_recv(&mut self) -> Option<Message>;
}
