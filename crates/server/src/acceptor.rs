//! Listeners, and which connections are let in.

use crate::connection::{self, Context};
use crate::connector::Arrival;
use crate::files::{OpenConnection, OpenConnections};
use crate::handle::{CloseMode, ConnectionHandle};
use crate::handshakes::{Handshakes, Ticket};
use crate::log::Kind;
use crate::settings::Settings;
use crate::slice::Slice;
use crate::socket::{Origin, Socket};
use crate::transport::{ask_within, given};
use bytes::Bytes;
use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use switchboard_broker::ConnectionId;
use switchboard_wire::stomp::Version;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::yield_now;
use tokio::time::{sleep, sleep_until};

/// Pause until file descriptors may come free.
const RETRY: Duration = Duration::from_millis(100);

/// State of all listeners.
#[derive(Debug)]
pub(crate) struct Acceptor {
    context: Arc<Context>,
    open: Arc<OpenConnections>,
    handshakes: Arc<Mutex<Handshakes<Arc<ConnectionHandle>>>>,
    /// Somebody waits for a turn.
    waits: Notify,
    next: AtomicU64,
    /// Of a connection, in bytes; 0 for the system's.
    receive_buffer: usize,
    /// Closed when the last connection has ended.
    alive: mpsc::Sender<()>,
}

/// A handshake that is not finished; finished when it is dropped.
struct Unfinished {
    handshakes: Arc<Mutex<Handshakes<Arc<ConnectionHandle>>>>,
    ticket: Ticket,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.handshakes.lock().finish(self.ticket);
    }
}

impl Acceptor {
    pub(crate) fn new(
        context: Arc<Context>,
        open: Arc<OpenConnections>,
        settings: &Settings,
        alive: mpsc::Sender<()>,
    ) -> Acceptor {
        let per_address = match settings.handshakes_per_address {
            0 => settings.handshakes / 4,
            some => some,
        };
        let handshakes = Handshakes::new(settings.handshakes, per_address, settings.connection_rate, Instant::now());
        Acceptor {
            context,
            open,
            handshakes: Arc::new(Mutex::new(handshakes)),
            waits: Notify::new(),
            next: AtomicU64::new(1),
            receive_buffer: settings.receive_buffer,
            alive,
        }
    }

    /// Accepts for ever. Nobody waits in the kernel: those who have to wait do it here, where they take turns.
    pub(crate) async fn run(self: Arc<Acceptor>, listener: TcpListener) {
        let mut logged: Option<Instant> = None;
        let mut slice = Slice::begin();
        loop {
            match listener.accept().await {
                Ok((socket, address)) => {
                    if let Err(error) = prepare(&socket) {
                        tracing::debug!(peer = %address, "socket options: {error}");
                    }
                    self.admit(socket, address);
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    let now = Instant::now();
                    if logged.is_none_or(|logged| now - logged > Duration::from_secs(5)) {
                        logged = Some(now);
                        tracing::error!("cannot accept connections, and tries again every 0.1 s: {error}");
                    }
                    sleep(RETRY).await;
                }
            }
            if slice.is_over() {
                yield_now().await;
                slice = Slice::begin();
            }
        }
    }

    /// Accepts this process's own, as long as there may be any. They wait for nobody, and nobody for them.
    pub(crate) async fn run_arrivals(self: Arc<Acceptor>, mut arrivals: mpsc::Receiver<Arrival>) {
        while let Some((pipe, service)) = arrivals.recv().await {
            match UnixStream::from_std(pipe) {
                Ok(pipe) => self.serve(self.handle(Origin::Service(service), Socket::Pipe(pipe)), ()),
                Err(error) => tracing::error!("cannot accept {}: {error}", Origin::Service(service)),
            }
        }
    }

    /// Begins handshakes when it is their turn, for ever.
    pub(crate) async fn run_handshakes(self: Arc<Acceptor>) {
        loop {
            match self.begin_handshakes() {
                Some(at) => sleep_until(at.into()).await,
                None => self.waits.notified().await,
            }
        }
    }

    /// Takes a connection; at a limit, the oldest unfinished handshake ends for it.
    fn admit(&self, socket: TcpStream, address: SocketAddr) {
        if let Some(open) = self.open_one(address) {
            self.begin(address, self.handle(Origin::Address(address), Socket::Tcp(socket, open)));
        }
    }

    /// Takes a connection that has become a WebSocket, and what its client has sent already.
    pub(crate) fn admit_web_socket(
        &self,
        socket: TcpStream,
        address: SocketAddr,
        begun: (Bytes, Version),
        open: OpenConnection,
    ) {
        if let Err(error) = prepare(&socket).and_then(|()| self.limit_buffers(&socket)) {
            tracing::debug!(peer = %address, "socket options: {error}");
        }
        // A kernel that cannot tell this cannot tell what is acknowledged either, and is not asked.
        let before = given(&socket).unwrap_or(0);
        let socket = Socket::Tcp(socket, open);
        let handle = ConnectionHandle::web_socket(self.next_id(), Origin::Address(address), socket, begun, before);
        self.begin(address, Arc::new(handle));
    }

    /// Applies the limits of the native port's listeners.
    fn limit_buffers(&self, socket: &TcpStream) -> io::Result<()> {
        if self.receive_buffer > 0 {
            SockRef::from(socket).set_recv_buffer_size(self.receive_buffer)?;
        }
        let limit = self.context.hub.limits().write_timeout;
        if limit.is_zero() { Ok(()) } else { ask_within(socket, limit) }
    }

    /// Counts one more connection; at the limit, the oldest unfinished handshake ends for it.
    pub(crate) fn open_one(&self, address: SocketAddr) -> Option<OpenConnection> {
        let (open, fits) = self.open.add();
        if !fits {
            let Some(oldest) = self.handshakes.lock().evict_oldest() else {
                if self.context.hub.log_quota().allows(Kind::Limit) {
                    let limit = self.open.limit();
                    tracing::warn!(peer = %address, "closed: there are {limit} connections already (limit: open files)");
                }
                return None;
            };
            oldest.close(CloseMode::Evicted);
        }
        Some(open)
    }

    /// Lets a connection wait for its turn.
    fn begin(&self, address: SocketAddr, handle: Arc<ConnectionHandle>) {
        let evicted = self.handshakes.lock().arrive(address.ip().into(), handle);
        evicted.iter().for_each(|handle| handle.close(CloseMode::Evicted));
        if self.begin_handshakes().is_some() {
            self.waits.notify_one();
        }
    }

    /// Begins the handshakes whose turn it is. Returns when the next one has its turn, if one waits.
    fn begin_handshakes(&self) -> Option<Instant> {
        loop {
            let next = self.handshakes.lock().begin_next(Instant::now());
            match next {
                Ok((ticket, handle)) => {
                    self.serve(handle, Unfinished { handshakes: self.handshakes.clone(), ticket });
                }
                Err(at) => return at,
            }
        }
    }

    fn handle(&self, origin: Origin, socket: Socket) -> Arc<ConnectionHandle> {
        Arc::new(ConnectionHandle::new(self.next_id(), origin, socket))
    }

    fn next_id(&self) -> ConnectionId {
        ConnectionId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Serves a connection in a task of its own.
    fn serve<T: Send + 'static>(&self, handle: Arc<ConnectionHandle>, begun: T) {
        let (context, alive) = (self.context.clone(), self.alive.clone());
        tokio::spawn(async move {
            connection::run(context, handle, begun).await;
            drop(alive);
        });
    }
}

/// Errors of a connection that was gone before it was accepted; the listener is well.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}

fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    // Finds peers whose machine is gone without a word while nothing is on its way to them.
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(10)).with_retries(3);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}
