//! Listeners on the addresses of the settings.

use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use tokio::net::{TcpListener, lookup_host};

const BACKLOG: i32 = 1024;

/// An address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", self.advice())]
pub struct BindError {
    address: String,
    option: &'static str,
    source: io::Error,
}

impl BindError {
    /// The address, as it was given.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    fn advice(&self) -> String {
        let BindError { source, option, .. } = self;
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
}

/// Binds all addresses, which the user chooses by `option` (`--listen `, for example). That a machine has no `[::1]` is no error
/// where others are left.
///
/// # Errors
/// If one of them cannot be listened on.
pub async fn bind_all(names: &[String], option: &'static str) -> Result<Vec<TcpListener>, BindError> {
    let failed = |name: &str, source| BindError { address: name.into(), option, source };
    let mut listeners = Vec::new();
    let mut missing = None;
    for name in names {
        let addresses = lookup_host(name.as_str()).await.map_err(|source| failed(name, source))?;
        // A name may have several addresses; all of them are meant.
        for address in addresses {
            match bind(address) {
                Ok(listener) => listeners.push(listener),
                Err(source) if is_missing_loopback(address, &source) => {
                    tracing::warn!("this machine has no {address}: not listening there ({source})");
                    missing = Some(failed(name, source));
                }
                Err(source) => return Err(failed(name, source)),
            }
        }
    }
    match missing {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok(listeners),
    }
}

fn is_missing_loopback(address: SocketAddr, error: &io::Error) -> bool {
    let unsupported = error.kind() == ErrorKind::AddrNotAvailable
        || error.kind() == ErrorKind::Unsupported
        // EAFNOSUPPORT has no kind of its own.
        || error.raw_os_error() == Some(97);
    address.is_ipv6() && address.ip().is_loopback() && unsupported
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
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
