//! One listener on one address, and the advice where it cannot be had.

use crate::{LimitError, TokenError};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::TcpListener;

const BACKLOG: i32 = 1024;

/// A service cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// An address could not be listened on.
    #[error("cannot listen on {address}: {}", advice(.source, .option))]
    Address {
        /// The address, as it was given.
        address: String,
        /// The option that chooses another one.
        option: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A limit is out of its bounds.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A token is needed, and there is none.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl BindError {
    /// The same error, with another option by which the user chooses an address: a command has its own.
    #[must_use]
    pub fn with_option(mut self, chosen_by: &'static str) -> BindError {
        if let BindError::Address { option, .. } = &mut self {
            *option = chosen_by;
        }
        self
    }
}

pub(crate) fn advice(source: &io::Error, option: &str) -> String {
    match source.kind() {
        ErrorKind::AddrInUse => {
            format!("another program listens there: stop it, or choose another port with {option}HOST:PORT")
        }
        ErrorKind::PermissionDenied => {
            format!("{source}: choose a port from 1024 on with {option}HOST:PORT")
        }
        ErrorKind::AddrNotAvailable => {
            format!("this machine has no such address ({source}): choose one of its own with {option}HOST:PORT")
        }
        ErrorKind::InvalidInput => format!("{source}: write it as HOST:PORT"),
        _ => source.to_string(),
    }
}

/// The other loopback address: `localhost` may mean either.
pub(crate) fn twin(address: SocketAddr) -> Option<SocketAddr> {
    (address.ip() == Ipv4Addr::LOCALHOST).then(|| SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()))
}

pub(crate) fn is_missing_loopback(address: SocketAddr, error: &io::Error) -> bool {
    let unsupported = error.kind() == ErrorKind::AddrNotAvailable
        || error.kind() == ErrorKind::Unsupported
        // EAFNOSUPPORT has no kind of its own.
        || error.raw_os_error() == Some(97);
    address.is_ipv6() && address.ip().is_loopback() && unsupported
}

pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the last run's closed connections.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_loopback_that_this_machine_lacks_is_left_out() {
        let (v6, v4) = ("[::1]:25000".parse().unwrap(), "127.0.0.1:25000".parse().unwrap());
        let missing = || [io::Error::from_raw_os_error(97), io::Error::from(ErrorKind::AddrNotAvailable)];
        assert!(missing().iter().all(|error| is_missing_loopback(v6, error)));
        assert!(!missing().iter().any(|error| is_missing_loopback(v4, error)));
        assert!(!missing().iter().any(|error| is_missing_loopback("[2001:db8::1]:25000".parse().unwrap(), error)));
        assert!(!is_missing_loopback(v6, &ErrorKind::AddrInUse.into()));
    }
}
