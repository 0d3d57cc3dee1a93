use crate::core::{Core, Life};
use crate::event::Events;
use crate::io::{self, Listener};
use crate::peer::Peer;
use crate::wait::block_on;
use crate::{Endpoint, Error, Options};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use switchboard_wire::zmtp::SocketType;

/// What all types of sockets can do. Each of them derefs to it.
///
/// A socket that is dropped goes on to send what was accepted, in the background, for as long as `linger` says and
/// the process lives; `close` on it tells when that is done.
#[derive(Debug)]
pub struct Socket {
    pub(crate) core: Arc<Core>,
}

impl Socket {
    pub(crate) fn new(kind: SocketType, options: Options) -> Result<Socket, Error> {
        Ok(Socket { core: Core::new(kind, options)? })
    }

    /// Its type.
    #[must_use]
    pub fn socket_type(&self) -> SocketType {
        self.core.kind
    }

    /// Lets peers connect to `endpoint`, and says which that is: with the number of the port, if it was left open.
    /// A socket may have any number of endpoints of either kind.
    ///
    /// A peer has what waits for it as long as it is connected; what waits when it leaves is lost, for nobody knows whether
    /// it will be back. A host name is looked up in this thread.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`], [`Error::Bind`].
    pub fn bind(&self, endpoint: &str) -> Result<Endpoint, Error> {
        let endpoint: Endpoint = endpoint.parse()?;
        let core = &self.core;
        if let Endpoint::Inproc(name) = &endpoint {
            let bound = io::bind_inproc(core, name)?;
            let life = core.hold(endpoint.clone(), true, None);
            core.spawn(io::serve_inproc(bound, life));
            core.tell(&crate::Event::Listening(endpoint.clone()));
            return Ok(endpoint);
        }
        let entered = core.driver.enter();
        let (listener, endpoint) = Listener::bind(&endpoint)?;
        drop(entered);
        let life = core.hold(endpoint.clone(), true, None);
        core.tell(&crate::Event::Listening(endpoint.clone()));
        core.spawn(io::listen(core.clone(), endpoint.clone(), listener, life));
        Ok(endpoint)
    }

    /// Connects to `endpoint`, now or as soon as somebody listens there, and again whenever the connection is lost. It returns
    /// at once.
    ///
    /// What waits for this peer, and what it has subscribed to, stays while it is away.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`].
    pub fn connect(&self, endpoint: &str) -> Result<(), Error> {
        let endpoint: Endpoint = endpoint.parse()?;
        endpoint.check_connect()?;
        let core = &self.core;
        let peer = Peer::new(core);
        let life = core.hold(endpoint.clone(), false, peer.pipe);
        match endpoint {
            Endpoint::Inproc(name) => core.spawn(io::connect_inproc(core.clone(), name, peer, life)),
            endpoint => core.spawn(io::dial(core.clone(), endpoint, peer, life)),
        }
        Ok(())
    }

    /// Listens there no longer. Peers that are connected stay.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`], [`Error::NoSuchEndpoint`].
    pub fn unbind(&self, endpoint: &str) -> Result<(), Error> {
        self.let_go(endpoint, true)
    }

    /// Ends the connection, after what waits for this peer is sent or `linger` is over, and does not make it again.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`], [`Error::NoSuchEndpoint`].
    pub fn disconnect(&self, endpoint: &str) -> Result<(), Error> {
        self.let_go(endpoint, false)
    }

    fn let_go(&self, endpoint: &str, bound: bool) -> Result<(), Error> {
        if self.core.let_go(&endpoint.parse()?, bound) {
            return Ok(());
        }
        let what = if bound { "bound" } else { "connected" };
        Err(Error::NoSuchEndpoint { endpoint: endpoint.into(), what })
    }

    /// Where it was bound last.
    #[must_use]
    pub fn last_endpoint(&self) -> Option<Endpoint> {
        self.core.endpoints_of(true).pop()
    }

    /// What happens to its connections from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.core.events.listen()
    }

    /// How many messages were dropped: for peers that had no room (PUB, XPUB), or that were gone before all was sent.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.core.outbox().dropped()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if *self.core.life.borrow() == Life::Open {
            self.core.close();
        }
    }
}

/// A socket that is being closed: to be awaited on any executor, or waited for in a plain thread. To drop it lets that go
/// on in the background.
#[must_use = "await it or wait() for it to know that everything was sent"]
pub struct Closing(Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>);

impl Closing {
    pub(crate) fn new(socket: Socket) -> Closing {
        let core = socket.core.clone();
        drop(socket);
        Closing(Box::pin(async move { core.closed().await }))
    }

    /// Blocks until everything is sent, or `linger` is over.
    ///
    /// # Errors
    ///
    /// [`Error::Unsent`].
    pub fn wait(self) -> Result<(), Error> {
        block_on(self, None).expect("there is no deadline")
    }
}

impl Future for Closing {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl std::fmt::Debug for Closing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Closing")
    }
}
