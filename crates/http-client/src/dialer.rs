//! Connections as everywhere in the workspace: every address of a name in turn, and never to itself.

use http::Uri;
use http::uri::Scheme;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower_service::Service;

/// Connects to the host of an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialer {
    /// For each address of the host's name.
    pub(crate) limit: Duration,
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<TcpStream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = self.limit;
        Box::pin(async move {
            let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
            let usual = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
            let stream = switchboard_driver::connect(host, uri.port_u16().unwrap_or(usual), limit).await;
            stream.map(TokioIo::new).map_err(without_addresses)
        })
    }
}

/// The text of a failed attempt has the addresses of the host, which may be a secret.
fn without_addresses(error: io::Error) -> io::Error {
    use ErrorKind::{
        AddrNotAvailable, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, PermissionDenied,
        TimedOut,
    };
    match error.kind() {
        kind @ (AddrNotAvailable | ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable
        | PermissionDenied | TimedOut) => kind.into(),
        _ => error,
    }
}
