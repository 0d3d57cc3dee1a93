//! Listeners on the addresses of the settings.

use crate::{LimitError, TokenError};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::{TcpListener, lookup_host};

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

fn advice(source: &io::Error, option: &str) -> String {
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

/// Listens on all addresses, which the user chooses by `option` (`--listen `, for example). `127.0.0.1:PORT` stands for
/// `[::1]:PORT` as well, where the machine has it and the port is free there.
///
/// # Errors
/// If one of the addresses cannot be listened on. A missing `[::1]` is no error where others are left.
pub async fn bind_all(names: &[String], option: &'static str) -> Result<Vec<TcpListener>, BindError> {
    let failed = |name: &str, source| BindError::Address { address: name.into(), option, source };
    let mut wanted: Vec<(&str, SocketAddr)> = Vec::new();
    for name in names {
        let addresses = lookup_host(name.as_str()).await.map_err(|source| failed(name, source))?;
        // A name may have several addresses; all of them are meant, each once.
        for address in addresses {
            if address.port() == 0 || !wanted.iter().any(|(_, known)| *known == address) {
                wanted.push((name, address));
            }
        }
    }
    let mut listeners = Vec::new();
    let mut missing = None;
    for &(name, address) in &wanted {
        match bind(address) {
            Ok(listener) => {
                let twin = listener.local_addr().ok().and_then(twin);
                listeners.push(listener);
                // A port that the kernel has chosen is this listener's alone.
                let is_given = |twin: &SocketAddr| {
                    wanted
                        .iter()
                        .any(|(_, given)| given.ip() == twin.ip() && (given.port() == twin.port() || given.port() == 0))
                };
                if let Some(twin) = twin.filter(|twin| !is_given(twin)) {
                    match bind(twin) {
                        Ok(listener) => listeners.push(listener),
                        Err(error) if is_missing_loopback(twin, &error) => {}
                        Err(error) => tracing::warn!("not listening on {twin}, only on {address}: {error}"),
                    }
                }
            }
            Err(source) if is_missing_loopback(address, &source) => {
                tracing::warn!("this machine has no {address}: not listening there ({source})");
                missing = Some(failed(name, source));
            }
            Err(source) => return Err(failed(name, source)),
        }
    }
    match missing {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok(listeners),
    }
}

/// The other loopback address: `localhost` may mean either.
fn twin(address: SocketAddr) -> Option<SocketAddr> {
    (address.ip() == Ipv4Addr::LOCALHOST).then(|| SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()))
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

    #[tokio::test]
    async fn a_listener_on_127_0_0_1_is_on_the_other_loopback_too() {
        let listeners = bind_all(&["127.0.0.1:0".into()], "--listen ").await.unwrap();
        let addresses: Vec<SocketAddr> = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        let port = addresses[0].port();
        assert_eq!(addresses, [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), (Ipv6Addr::LOCALHOST, port).into()]);
    }

    #[tokio::test]
    async fn an_address_that_is_given_twice_or_has_its_twin_given_is_bound_once() {
        let free = bind_all(&["127.0.0.1:0".into()], "").await.unwrap()[0].local_addr().unwrap().port();
        let names = [
            format!("127.0.0.1:{free}"),
            format!("[::1]:{free}"),
            format!("127.0.0.1:{free}"),
            format!("localhost:{free}"),
        ];
        assert_eq!(bind_all(&names, "").await.unwrap().len(), 2);
        assert_eq!(bind_all(&["127.0.0.1:0".into(), "[::1]:0".into()], "").await.unwrap().len(), 2);
        assert_eq!(bind_all(&["127.0.0.2:0".into(), "0.0.0.0:0".into()], "").await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_twin_that_another_program_has_is_left_to_it() {
        let other = bind("[::1]:0".parse().unwrap()).unwrap();
        let name = format!("127.0.0.1:{}", other.local_addr().unwrap().port());
        assert_eq!(bind_all(&[name], "").await.unwrap().len(), 1);
    }
}
