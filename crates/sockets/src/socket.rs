use crate::core::Core;
use crate::endpoints::Guard;
use crate::event::Events;
use crate::flush::Flushing;
use crate::io::{self, Listener};
use crate::peer::Peer;
use crate::wait::block_on;
use crate::{Endpoint, Error, Event, Options};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use switchboard_wire::zmtp::SocketType;

/// The methods that all types of sockets have. Each of them derefs to it.
///
/// A dropped socket still sends what was accepted, for at most `linger`. A plain thread that drops a sending socket waits for that, because
/// its program may end next. Async code does not wait: there the rest is sent in the background, as long as the runtime lives, and
/// `close` returns when it is done.
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

    /// Listens on `endpoint`, which is text or an [`Endpoint`]. Returns the endpoint with the port that was chosen, if it was left
    /// open. A name with several addresses listens on all of them, on one port. A socket may have any number of endpoints, bound and
    /// connected.
    ///
    /// Messages that wait for a peer are lost when the peer leaves, because it may never come back. A host name is looked up in this
    /// thread, for at most `connect_timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`], [`Error::Bind`].
    pub fn bind<E>(&self, endpoint: E) -> Result<Endpoint, Error>
    where
        E: TryInto<Endpoint>,
        Error: From<E::Error>,
    {
        let endpoint: Endpoint = endpoint.try_into()?;
        let core = &self.core;
        if let Endpoint::Inproc(name) = &endpoint {
            let registered = core.register_bound(endpoint.clone());
            match io::bind_inproc(core, name, &registered) {
                Ok(bound) => core.guard(&registered, Guard::new(bound)),
                Err(error) => {
                    core.close_endpoint(&registered.endpoint, true);
                    return Err(error);
                }
            }
            core.announce(&Event::Listening(endpoint.clone()));
            return Ok(endpoint);
        }
        let entered = core.driver.enter();
        let (listener, endpoint) = Listener::bind(&endpoint, core.options.connect_timeout)?;
        drop(entered);
        let registered = core.register_bound(endpoint.clone());
        let (shared, guard) = listener.share();
        core.guard(&registered, guard);
        core.announce(&Event::Listening(endpoint.clone()));
        core.spawn(&registered, io::listen(core.clone(), registered.clone(), shared));
        Ok(endpoint)
    }

    /// Connects to `endpoint`, which is text or an [`Endpoint`], now or as soon as somebody listens there, and again whenever the
    /// connection is lost. It returns at once. The addresses of a name are tried in turn.
    ///
    /// Waiting messages and subscriptions of this peer stay while it is away. A PUB or SUB that is connected to the endpoint
    /// already stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`].
    pub fn connect<E>(&self, endpoint: E) -> Result<(), Error>
    where
        E: TryInto<Endpoint>,
        Error: From<E::Error>,
    {
        let endpoint: Endpoint = endpoint.try_into()?;
        endpoint.check_connect()?;
        let core = &self.core;
        // A second connection would bring every message twice.
        if matches!(core.kind, SocketType::Pub | SocketType::Sub) && core.is_connected_to(&endpoint) {
            return Ok(());
        }
        let peer = Peer::new(core);
        let registered = core.register(endpoint, peer.pipe);
        let of = registered.clone();
        match &of.endpoint {
            Endpoint::Inproc(_) => core.spawn(&of, io::connect_inproc(core.clone(), peer, registered)),
            _ => core.spawn(&of, io::dial(core.clone(), peer, registered)),
        }
        Ok(())
    }

    /// Stops listening there. The port is free when this returns. Peers that have connected there are disconnected, after what waits for
    /// them is sent or `linger` is over.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`], [`Error::NoSuchEndpoint`].
    pub fn unbind<E>(&self, endpoint: E) -> Result<(), Error>
    where
        E: TryInto<Endpoint>,
        Error: From<E::Error>,
    {
        self.close_endpoint(&endpoint.try_into()?, true)
    }

    /// Ends the connection, after what waits for this peer is sent or `linger` is over, and does not make it again.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`], [`Error::NoSuchEndpoint`].
    pub fn disconnect<E>(&self, endpoint: E) -> Result<(), Error>
    where
        E: TryInto<Endpoint>,
        Error: From<E::Error>,
    {
        self.close_endpoint(&endpoint.try_into()?, false)
    }

    fn close_endpoint(&self, endpoint: &Endpoint, bound: bool) -> Result<(), Error> {
        if self.core.close_endpoint(endpoint, bound) {
            return Ok(());
        }
        let what = if bound { "bound" } else { "connected" };
        Err(Error::NoSuchEndpoint { endpoint: endpoint.to_string(), what })
    }

    /// The endpoint that was bound last.
    #[must_use]
    pub fn last_endpoint(&self) -> Option<Endpoint> {
        self.core.last_bound()
    }

    /// The events of its connections, from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.core.events.subscribe())
    }

    /// Returns the number of dropped messages: for peers that had no room (PUB, XPUB), or that were gone before all was sent.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.core.outbox().dropped()
    }

    /// Waits until everything that was accepted so far is written to the connections: `flush().await` on any executor,
    /// `flush().wait()` in a plain thread. Messages for a peer that is away wait for it, however long that is. Written is not received:
    /// ZeroMQ acknowledges nothing.
    pub fn flush(&self) -> Flushing<'_> {
        Flushing::new(&self.core)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if !self.core.is_open() {
            return;
        }
        self.core.close();
        if self.core.blocks_at_drop() {
            // `close` reports what could not be sent; here there is nobody to report it to.
            let _ = block_on(self.core.closed(), None);
        }
    }
}

/// A socket that is being closed: to be awaited on any executor, or waited for in a plain thread. If it is dropped, closing
/// goes on in the background.
#[must_use = "await it or wait() for it to know that everything was sent"]
pub struct Closing(Pin<Box<dyn Future<Output = Result<(), Error>> + Send + Sync>>);

impl Closing {
    pub(crate) fn new(core: Arc<Core>) -> Closing {
        core.close();
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
