//! The sockets of connections, and where a connection comes from.

#[cfg(test)]
pub(crate) mod scripted;

use crate::files::OpenConnection;
use crate::transport::{Transport, Unread, transport, unread};
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;
use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream};

/// A non-blocking stream of bytes. A pipe within the process is one, too: a service's connection waits, is paused and is
/// ended exactly as a stranger's.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream, #[expect(dead_code, reason = "counts until it is dropped")] OpenConnection),
    Pipe(UnixStream),
    #[cfg(test)]
    Scripted(scripted::Scripted),
}

/// The same call to whichever it is.
macro_rules! either {
    ($socket:expr, $it:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($it, _) => $call,
            Socket::Pipe($it) => $call,
            #[cfg(test)]
            Socket::Scripted($it) => $call,
        }
    };
}

impl Socket {
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        either!(self, socket => socket.ready(interest).await)
    }

    pub(crate) fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        either!(self, socket => socket.try_read_vectored(buffers))
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        either!(self, socket => socket.try_read(buffer))
    }

    pub(crate) fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        either!(self, socket => socket.try_write_vectored(buffers))
    }

    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        either!(self, socket => socket.take_error())
    }

    pub(crate) fn shut_down_writing(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(socket, _) => socket2::SockRef::from(socket).shutdown(Shutdown::Write),
            Socket::Pipe(socket) => socket2::SockRef::from(socket).shutdown(Shutdown::Write),
            #[cfg(test)]
            Socket::Scripted(socket) => socket.shut_down_writing(),
        }
    }

    /// Lets the kernel forget what the peer's machine has not acknowledged, and reset the connection, when it is closed.
    pub(crate) fn drop_unsent_at_close(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(socket, _) => socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO)),
            Socket::Pipe(_) => Ok(()),
            #[cfg(test)]
            Socket::Scripted(_) => Ok(()),
        }
    }

    /// Bounds what the kernel buffers for a peer that does not read, in bytes. The kernel counts its own overhead, and
    /// doubles the figure for that.
    pub(crate) fn set_send_buffer(&self, bytes: usize) -> io::Result<()> {
        match self {
            Socket::Tcp(socket, _) => socket2::SockRef::from(socket).set_send_buffer_size(bytes),
            Socket::Pipe(socket) => socket2::SockRef::from(socket).set_send_buffer_size(bytes),
            #[cfg(test)]
            Socket::Scripted(_) => Ok(()),
        }
    }

    /// State of the TCP connection; `None` where it cannot be known. A pipe's peer has what was written.
    pub(crate) fn transport(&self) -> Option<Transport> {
        match self {
            Socket::Tcp(socket, _) => transport(socket).ok(),
            Socket::Pipe(_) => None,
            #[cfg(test)]
            Socket::Scripted(socket) => socket.transport(),
        }
    }
}

impl Socket {
    /// Unread input; `None` where that cannot be known.
    pub(crate) fn unread(&self) -> Option<Unread> {
        match self {
            Socket::Tcp(socket, _) => unread(socket).ok(),
            Socket::Pipe(_) => None,
            #[cfg(test)]
            Socket::Scripted(socket) => Some(socket.unread()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Address(SocketAddr),
    /// A service of this process.
    Service(&'static str),
}

impl Origin {
    /// The service of this process that it belongs to.
    pub(crate) fn service(self) -> Option<&'static str> {
        match self {
            Origin::Address(_) => None,
            Origin::Service(name) => Some(name),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Address(address) => address.fmt(f),
            Origin::Service(name) => write!(f, "in-process:{name}"),
        }
    }
}
