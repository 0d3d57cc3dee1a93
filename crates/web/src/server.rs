//! Listeners, and the connections that they accept.

use crate::access::{self, Access};
use crate::answering::{Answerer, Immediate, answer};
use crate::answers::{self, Answers};
use crate::body::{self, Bodies};
use crate::connections::{Connections, Via};
use crate::errors::raw;
use crate::stream::Stream;
use crate::takeover::Takeover;
use crate::wish::Wish;
use crate::{BindError, Listeners, Missing, Options, Purpose, Token, navigation};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Pause until files become free.
const PAUSE: Duration = Duration::from_millis(100);
/// Time of open connections for their answers when the server ends.
const GRACE: Duration = Duration::from_secs(1);
/// Connections that are told at a time that there are too many; more are just closed.
const REFUSALS: usize = 16;
/// Maximum size of hyper's buffer of a connection, each way.
const BUFFER: usize = 128 << 10;

/// HTTP that listens, and answers from [`HttpServer::serve`] on.
#[derive(Debug)]
pub struct HttpServer {
    listeners: Listeners,
    options: Options,
    immediate: Option<Answerer>,
}

impl HttpServer {
    /// Listens on all addresses. One that cannot be listened on is tried again while the server runs, if the purpose does not require it
    /// or others are left. A token is made where one is needed and none is given. Raises the soft limit of open files to the hard one.
    ///
    /// # Errors
    /// If the required addresses cannot be listened on, a limit is out of bounds, or a token is needed and cannot be made.
    pub async fn bind(addresses: &[String], purpose: Purpose, mut options: Options) -> Result<HttpServer, BindError> {
        options.limits.check()?;
        open_files();
        let listeners = Listeners::bind(addresses, purpose, &options.services).await?;
        options.ensure_token(&listeners.wanted())?;
        Ok(HttpServer { listeners, options, immediate: None })
    }

    /// Returns the addresses of its listeners.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.addresses()
    }

    /// The token that clients need, if they need one.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.options.token.as_ref()
    }

    /// Asks `answer` first about each GET without a body that is admitted by its host and token: what it answers, it answers
    /// without the router. Its answers are small or shared, for they do not count as being answered.
    #[must_use]
    pub fn immediate<A: Into<Immediate>>(
        mut self,
        answer: impl Fn(&Uri, &HeaderMap) -> A + Send + Sync + 'static,
    ) -> HttpServer {
        self.immediate = Some(Answerer::new(answer));
        self
    }

    /// Answers until `shutdown` is ready. Then open requests have one second for their answers, and every connection
    /// ends. If the future is dropped, all connections end at once.
    pub async fn serve(self, router: Router, shutdown: impl Future<Output = ()>) {
        let HttpServer { listeners, options, immediate } = self;
        let connections = max_connections(options.limits.connections);
        let mut http = http1::Builder::new();
        // The limit of the head is below that, and is checked before.
        http.max_buf_size(BUFFER).half_close(false);
        let access = Arc::new(Access::new(&options));
        let context = Arc::new(Shared {
            router: layered(router, &options, access.clone(), connections),
            access,
            immediate,
            connections: Arc::new(Connections::new(connections)),
            http,
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            options,
        });
        let _end = EndAll(context.connections.clone());
        let (listeners, mut missing) = listeners.into_parts();
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(accept(listener, context.clone()));
        }
        tokio::select! {
            () = shutdown => {}
            never = accept_late(&mut missing, &mut accepting, &context) => match never {},
        }
        accepting.shutdown().await;
        context.connections.finish_all();
        let _ = timeout(GRACE, context.connections.empty()).await;
    }
}

/// Raises the soft limit of open files to the hard one, and returns it: the usual one is 1,024 files, of which every connection is
/// one.
pub fn open_files() -> u64 {
    rlimit::increase_nofile_limit(u64::MAX).unwrap_or_else(|error| {
        tracing::warn!("cannot raise the number of open files: {error}");
        rlimit::Resource::NOFILE.get_soft().unwrap_or(1024)
    })
}

/// Returns how many connections a listener beside the native port may have: as many as its limit says, but no more than
/// an eighth of the files that this process may open, so that no port takes the files of another.
#[must_use]
pub fn max_connections(limit: usize) -> usize {
    let files = rlimit::Resource::NOFILE.get_soft().unwrap_or(1024);
    limit.min(usize::try_from(files / 8).unwrap_or(usize::MAX)).max(1)
}

fn layered(router: Router, options: &Options, access: Arc<Access>, connections: usize) -> Router {
    let bodies = Bodies::new(options.limits.body, options.limits.body_timeout);
    let answers = Answers::new(connections);
    router
        .merge(Router::new().route(navigation::PATH, get(navigation::links)).with_state(options.services.clone()))
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(answers, answers::limit))
        .layer(from_fn_with_state(bodies, body::read))
        .layer(from_fn_with_state(access, access::check))
}

/// State that all connections share.
pub(crate) struct Shared {
    pub(crate) router: Router,
    pub(crate) access: Arc<Access>,
    pub(crate) immediate: Option<Answerer>,
    connections: Arc<Connections>,
    http: http1::Builder,
    refusals: Arc<Semaphore>,
    options: Options,
}

struct EndAll(Arc<Connections>);

impl Drop for EndAll {
    fn drop(&mut self) {
        self.0.end_all();
    }
}

/// Accepts on addresses that were missing at first.
async fn accept_late(missing: &mut Missing, accepting: &mut JoinSet<()>, context: &Arc<Shared>) -> Infallible {
    loop {
        accepting.spawn(accept(missing.next().await, context.clone()));
    }
}

/// Accepts for ever.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let Ok(address) = listener.local_addr() else { return };
    let mut failing = false;
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_about_one_connection(&error) => continue,
            Err(error) => {
                if !failing {
                    failing = true;
                    tracing::error!(
                        "HTTP on {address} cannot accept connections, and tries again every 0.1 s: {error}"
                    );
                }
                // Its file may be the one that is missing.
                shared.connections.evict();
                sleep(PAUSE).await;
                continue;
            }
        };
        if std::mem::take(&mut failing) {
            tracing::info!("HTTP on {address} accepts connections again");
        }
        match shared.connections.admit() {
            Some(slot) => {
                tokio::spawn(converse(shared.clone(), socket, Via { listener: address, peer, slot }));
            }
            None => refuse(&shared, socket),
        }
        // A connection that has to end for this one does so before the next one comes.
        tokio::task::yield_now().await;
    }
}

/// Errors of a connection that was gone before it was accepted; the listener is well.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}

/// Says that there are too many connections.
fn refuse(shared: &Shared, mut socket: TcpStream) {
    let Ok(permit) = shared.refusals.clone().try_acquire_owned() else { return };
    let limit = max_connections(shared.options.limits.connections);
    let text = format!("{limit} connections are being answered, and that is the limit (http.connections)");
    tokio::spawn(async move {
        let _ = timeout(PAUSE, async {
            let _ = socket.try_write(raw(StatusCode::SERVICE_UNAVAILABLE, &text).as_bytes());
            socket.shutdown().await?;
            // Unread bytes would make the end a reset, which takes the answer with it.
            tokio::io::copy(&mut socket, &mut tokio::io::sink()).await
        })
        .await;
        drop(permit);
    });
}

/// Serves one connection to its end.
async fn converse(shared: Arc<Shared>, socket: TcpStream, via: Via) {
    let limits = &shared.options.limits;
    if let Err(error) = prepare(&socket, limits.write_timeout) {
        tracing::debug!(peer = %via.peer, "socket options: {error}");
    }
    let slot = via.slot.clone();
    let stream = Stream::new(socket, slot.clone(), limits);
    let takeover = Takeover::new(via.peer);
    let service = service_fn(|request| answer(&shared, &via, &takeover, request));
    let mut connection = shared.http.serve_connection(TokioIo::new(stream), service);
    let mut finishing = false;
    let ended = poll_fn(|cx| {
        match slot.poll_wish(cx) {
            Wish::End => return Poll::Ready(None),
            Wish::Finish if !finishing => {
                finishing = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            Wish::Finish | Wish::GoOn => {}
        }
        connection.poll_without_shutdown(cx).map(|result| Some(result.is_ok()))
    });
    let Some(is_orderly) = ended.await else { return };
    let parts = connection.into_parts();
    let stream = parts.io.into_inner();
    if is_orderly && stream.is_flushed() && takeover.is_taken() {
        return takeover.hand_over(stream.into_socket(), parts.read_buf);
    }
    tokio::select! {
        () = slot.ended() => {}
        () = stream.close() => {}
    }
}

fn prepare(socket: &TcpStream, write_timeout: Duration) -> io::Result<()> {
    socket.set_nodelay(true)?;
    // Finds a client whose machine is gone without a FIN, though its kernel buffer is not full.
    SockRef::from(socket).set_tcp_user_timeout(Some(write_timeout))
}
