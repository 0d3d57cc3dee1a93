//! Connections as everywhere in the workspace: every address of a name in turn, and never to itself.

use crate::step::Step;
use http::Uri;
use http::uri::Scheme;
use hyper_util::rt::TokioIo;
use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower_service::Service;

/// A connection that is being opened.
pub type Dialing = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// Opens the connections of a client: to a host, which is a name or an address without brackets, and a port.
#[derive(Clone, Default)]
pub struct Dial(Option<Arc<dyn Fn(String, u16) -> Dialing + Send + Sync>>);

impl Dial {
    /// Connections that this function opens, for a client that may not reach every address. Its errors are shown as
    /// they are where their kind is `Other`.
    pub fn with(open: impl Fn(String, u16) -> Dialing + Send + Sync + 'static) -> Dial {
        Dial(Some(Arc::new(open)))
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Dial(own)" } else { "Dial(direct)" })
    }
}

/// Connects to the host of an address.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    /// For each address of the host's name.
    pub(crate) limit: Duration,
    pub(crate) dial: Dial,
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<TcpStream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (limit, dial) = (self.limit, self.dial.clone());
        Box::pin(async move {
            let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
            let usual = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
            let port = uri.port_u16().unwrap_or(usual);
            Step::Connect.enter();
            let stream = match dial.0 {
                Some(open) => open(host.to_owned(), port).await,
                None => switchboard_driver::connect(host, port, limit).await,
            };
            // The handshake follows; its end, or that of a connection without one, is the request's next step.
            Step::Tls.enter();
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
