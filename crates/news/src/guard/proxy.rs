//! The forward proxy that a browser is started with: `CONNECT`, and requests with an absolute address.

use super::limited::Limited;
use super::{DialError, Guard, Target};
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

/// Marks an answer of the proxy itself. Its value is the reason, also of a network error.
pub const REFUSED: &str = "x-switchboard-guard";
/// Headers between a client and the next hop (RFC 9110, 7.6.1), which are not passed on.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const COPY: usize = 16 << 10;
/// Tunnels whose failure is remembered.
const REASONS: usize = 64;

type Body = BoxBody<Bytes, io::Error>;

/// The limits of a proxy.
#[derive(Clone, Debug)]
pub struct ProxyLimits {
    /// Connections at a time; beyond it they wait to be accepted. Default: 256.
    pub connections: usize,
    /// Bytes of a request's head. At least 8 KiB. Default: 64 KiB.
    pub head: usize,
    /// Time for a request's head. Default: 10 s.
    pub head_timeout: Duration,
    /// Time without a byte after which a tunnel is cut off, and time for the head of an answer. Default: 60 s.
    pub idle: Duration,
    /// Time for a whole answer to a request that is not tunneled. Default: 10 min.
    pub answer: Duration,
}

impl Default for ProxyLimits {
    fn default() -> ProxyLimits {
        ProxyLimits {
            connections: 256,
            head: 64 << 10,
            head_timeout: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            answer: Duration::from_secs(600),
        }
    }
}

/// A proxy on a free port of 127.0.0.1. Ends, with its connections, when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    accepting: JoinHandle<()>,
    refused: Refused,
}

/// The last tunnels that were not opened, and why: a browser tells its page of the failure alone.
#[derive(Clone, Debug, Default)]
struct Refused(Arc<Mutex<VecDeque<(Target, String)>>>);

impl Refused {
    fn add(&self, target: Target, reason: String) {
        let mut list = self.0.lock();
        list.retain(|(known, _)| *known != target);
        list.truncate(REASONS - 1);
        list.push_front((target, reason));
    }
}

impl Proxy {
    /// Listens. To be used inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// There is no free port.
    pub async fn start(guard: Guard, limits: ProxyLimits) -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let refused = Refused::default();
        let accepting = tokio::spawn(accept(listener, guard, limits, refused.clone()));
        Ok(Proxy { address, accepting, refused })
    }

    /// Returns the addresses of its listeners.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Why the last tunnel to this host and port was not opened, if that is remembered.
    #[must_use]
    pub fn reason(&self, host: &str, port: u16) -> Option<String> {
        let target = Target::new(host, port).ok()?;
        self.refused.0.lock().iter().find(|(known, _)| *known == target).map(|(_, reason)| reason.clone())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, guard: Guard, limits: ProxyLimits, refused: Refused) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    // Tunnels outlive the task of their connection; the channel closes with this function.
    let (_open, closed) = watch::channel(());
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("proxy: cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let slot = Arc::new(slot);
        let context = Context {
            guard: guard.clone(),
            idle: limits.idle,
            answer: limits.answer,
            closed: closed.clone(),
            refused: refused.clone(),
        };
        let mut server = hyper::server::conn::http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(limits.head_timeout).max_buf_size(limits.head);
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, context.clone(), slot.clone()));
            let _ = server.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        });
    }
}

#[derive(Clone)]
struct Context {
    guard: Guard,
    idle: Duration,
    answer: Duration,
    closed: watch::Receiver<()>,
    refused: Refused,
}

async fn answer<S: Send + 'static>(
    request: Request<Incoming>,
    context: Context,
    slot: S,
) -> Result<Response<Body>, Infallible> {
    let result = if request.method() == Method::CONNECT {
        tunnel(request, context, slot).await
    } else {
        forward(request, &context).await
    };
    Ok(result.unwrap_or_else(Failure::response))
}

/// Why a request is not passed on.
struct Failure {
    status: StatusCode,
    reason: String,
}

impl Failure {
    fn new(status: StatusCode, reason: impl Into<String>) -> Failure {
        Failure { status, reason: reason.into() }
    }

    fn response(self) -> Response<Body> {
        let mut response = Response::new(full(format!("{}\n", self.reason)));
        *response.status_mut() = self.status;
        let reason = HeaderValue::from_str(&self.reason).unwrap_or(HeaderValue::from_static("refused"));
        response.headers_mut().insert(HeaderName::from_static(REFUSED), reason);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }
}

impl From<DialError> for Failure {
    fn from(error: DialError) -> Failure {
        let status = if error.is_refusal() { StatusCode::FORBIDDEN } else { StatusCode::BAD_GATEWAY };
        Failure::new(status, error.to_string())
    }
}

fn full(text: String) -> Body {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed()
}

async fn tunnel<S: Send + 'static>(
    request: Request<Incoming>,
    context: Context,
    slot: S,
) -> Result<Response<Body>, Failure> {
    let wrong = || Failure::new(StatusCode::BAD_REQUEST, "CONNECT takes HOST:PORT");
    let authority = request.uri().authority().ok_or_else(wrong)?;
    let (host, port) = (authority.host(), authority.port_u16().ok_or_else(wrong)?);
    let upstream = match context.guard.dial(host, port).await {
        Ok(upstream) => upstream,
        Err(error) => {
            if let Ok(target) = Target::new(host, port) {
                context.refused.add(target, error.to_string());
            }
            return Err(error.into());
        }
    };
    tokio::spawn(async move {
        let mut closed = context.closed;
        let Ok(client) = hyper::upgrade::on(request).await else { return };
        tokio::select! {
            () = copy_both(TokioIo::new(client), upstream, context.idle) => {}
            _ = closed.changed() => {}
        }
        drop(slot);
    });
    Ok(Response::new(full(String::new())))
}

/// Copies both ways until both have ended, or one of them fails, or no byte came either way for `idle`.
async fn copy_both(client: impl AsyncRead + AsyncWrite, upstream: impl AsyncRead + AsyncWrite, idle: Duration) {
    let (client_read, client_write) = tokio::io::split(client);
    let (upstream_read, upstream_write) = tokio::io::split(upstream);
    let (progress, mut progressed) = watch::channel(());
    let there = copy(client_read, upstream_write, &progress);
    let back = copy(upstream_read, client_write, &progress);
    let silence = async { while let Ok(Ok(())) = timeout(idle, progressed.changed()).await {} };
    tokio::select! {
        _ = async { tokio::try_join!(there, back) } => {}
        () = silence => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    progress: &watch::Sender<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; COPY];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
        progress.send_replace(());
    }
}

async fn forward(mut request: Request<Incoming>, context: &Context) -> Result<Response<Body>, Failure> {
    let uri = request.uri().clone();
    if uri.scheme_str() != Some("http") {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "this proxy takes CONNECT and http:// addresses"));
    }
    let host = uri.host().unwrap_or_default();
    let stream = context.guard.dial(host, uri.port_u16().unwrap_or(80)).await?;
    let failed = |error: hyper::Error| Failure::new(StatusCode::BAD_GATEWAY, format!("{host}: {error}"));
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(failed)?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    *request.uri_mut() = path.parse().unwrap_or(Uri::from_static("/"));
    *request.version_mut() = Version::HTTP_11;
    strip(request.headers_mut());
    // The name that was checked is the name that the server hears.
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Ok(value) = HeaderValue::from_str(authority) {
        request.headers_mut().insert(HOST, value);
    }
    let end = Instant::now() + context.answer;
    let answering = timeout(context.idle.min(context.answer), sender.send_request(request));
    let response =
        answering.await.map_err(|_| Failure::new(StatusCode::GATEWAY_TIMEOUT, format!("{host}: no answer")))?;
    let (mut head, body) = response.map_err(failed)?.into_parts();
    strip(&mut head.headers);
    // Only this proxy may say that it refused.
    head.headers.remove(REFUSED);
    Ok(Response::from_parts(head, Limited::new(body, end).boxed()))
}

fn strip(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in listed {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}
