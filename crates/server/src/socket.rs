//! What a connection runs over, and where it comes from.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream};

/// A stream of bytes of the kernel's. A pipe within the process is one, too: so a service's connection waits,
/// is held and is cut exactly as a stranger's.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Pipe(UnixStream),
}

/// The same call to whichever it is.
macro_rules! either {
    ($socket:expr, $it:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($it) => $call,
            Socket::Pipe($it) => $call,
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
        either!(self, socket => socket2::SockRef::from(socket).shutdown(Shutdown::Write))
    }
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Address(SocketAddr),
    /// A service of this process.
    Service(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Address(address) => address.fmt(f),
            Origin::Service(name) => write!(f, "in-process:{name}"),
        }
    }
}
