//! Connections of services that live in the broker's process.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream as Unregistered;
use tokio::net::UnixStream;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Connections that wait to be accepted; who comes then waits to wait.
const BACKLOG: usize = 128;

/// The broker's end of a pipe, and whose the other one is. No runtime knows it yet: the broker's may be
/// another one than the service's.
pub(crate) type Arrival = (Unregistered, &'static str);

/// Connects a service to the broker of its own process, over an in-memory pipe. To the broker it is a
/// client like any other: with the same limits, held and released, shown by `status`, and drained at the end.
///
/// From [`Server::connector`](crate::Server::connector). A clone connects the same service; it may be used from any thread.
#[derive(Clone, Debug)]
pub struct Connector {
    service: &'static str,
    arrivals: Sender<Arrival>,
}

pub(crate) fn arrivals() -> (Sender<Arrival>, Receiver<Arrival>) {
    mpsc::channel(BACKLOG)
}

impl Connector {
    pub(crate) fn new(service: &'static str, arrivals: Sender<Arrival>) -> Connector {
        Connector { service, arrivals }
    }

    /// One more connection. As with a listening socket, it may be used before the broker runs: what is
    /// written waits until then. To be awaited inside tokio, on any runtime.
    ///
    /// ```
    /// use switchboard_server::{Server, Settings};
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // A broker that nobody outside of this process can reach.
    /// let server = Server::bind(Settings { listen: vec![], http: vec![], ..Settings::default() }).await?;
    /// let connector = server.connector("example");
    /// tokio::spawn(server.run(std::future::pending()));
    ///
    /// let mut pipe = connector.connect().await?;
    /// pipe.write_all(b"\0\0\0\x02/a\0\0\0\x02/a\0\0\0\x05hello").await?;
    /// let mut message = [0; 9];
    /// pipe.read_exact(&mut message).await?;
    /// assert_eq!(&message, b"\0\0\0\x05hello");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ConnectionRefused`] if the broker has ended; the system's, if it has no file descriptors left.
    pub fn connect(&self) -> impl Future<Output = io::Result<UnixStream>> + Send + use<> {
        let Connector { service, arrivals } = self.clone();
        async move {
            let (ours, theirs) = Unregistered::pair()?;
            ours.set_nonblocking(true)?;
            theirs.set_nonblocking(true)?;
            let gone = |_| io::Error::new(ErrorKind::ConnectionRefused, "the broker of this process has ended");
            arrivals.send((theirs, service)).await.map_err(gone)?;
            UnixStream::from_std(ours)
        }
    }
}
