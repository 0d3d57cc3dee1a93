//! Connections that leave HTTP: whoever answered 101 goes on with them.

use bytes::Bytes;
use parking_lot::Mutex;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;

type Next = Box<dyn FnOnce(TcpStream, Bytes) + Send>;

/// The way out of HTTP: an extension of every request with an `Upgrade` header.
///
/// The connection leaves once the answer 101 is written. From then on it counts for none of the service's limits, and has
/// none of its time limits.
#[derive(Clone)]
pub struct Takeover {
    peer: SocketAddr,
    next: Arc<Mutex<Option<Next>>>,
}

impl fmt::Debug for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Takeover").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Takeover {
    pub(crate) fn new(peer: SocketAddr) -> Takeover {
        Takeover { peer, next: Arc::default() }
    }

    /// The client's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Goes on with the connection behind the answer, which must be 101 then: `next` gets it, with what the client has sent
    /// already. It is dropped where the connection ends before.
    pub fn go_on(&self, next: impl FnOnce(TcpStream, Bytes) + Send + 'static) {
        *self.next.lock() = Some(Box::new(next));
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.next.lock().is_some()
    }

    pub(crate) fn hand_over(&self, socket: TcpStream, read: Bytes) {
        if let Some(next) = self.next.lock().take() {
            next(socket, read);
        }
    }
}
