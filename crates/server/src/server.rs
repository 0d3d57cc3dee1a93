use crate::accept::Gate;
use crate::connector::{Arrival, Connector, arrivals};
use crate::http;
use crate::hub::Hub;
use crate::settings::Settings;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use switchboard_web::{BindError, HttpServer, Token, bind_all};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

/// Connections that were told to stop at once only have to notice.
const STOP: Duration = Duration::from_secs(1);

/// A broker that listens, and serves from [`Server::run`] on.
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    native: Vec<TcpListener>,
    http: HttpServer,
    arrivals: (Sender<Arrival>, Receiver<Arrival>),
}

/// How a [`Server`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Messages that were in queues, for nobody was there to take them in time.
    pub left: usize,
    /// Connections that did not take in time what waited for them.
    pub cut: usize,
}

impl Server {
    /// Listens on all addresses of the settings.
    ///
    /// # Errors
    /// If one of them cannot be listened on.
    pub async fn bind(settings: Settings) -> Result<Server, BindError> {
        // A connection is a file; the usual 1024 are few.
        if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
            tracing::warn!("cannot raise the number of open files: {error}");
        }
        let native = bind_all(&settings.listen, "--listen ").await?;
        let http = HttpServer::bind(&settings.http, "--http ", settings.web.clone()).await?;
        Ok(Server { settings, native, http, arrivals: arrivals() })
    }

    /// Where the native protocol is spoken.
    pub fn native_addresses(&self) -> Vec<SocketAddr> {
        addresses(&self.native)
    }

    /// Where health, metrics and status are.
    pub fn http_addresses(&self) -> Vec<SocketAddr> {
        self.http.addresses()
    }

    /// The token that clients of the HTTP listeners need beyond loopback, if they need one.
    pub fn http_token(&self) -> Option<&Token> {
        self.http.token()
    }

    /// Connects a service of this process, without a port: the name is what log and `status` show.
    pub fn connector(&self, service: &'static str) -> Connector {
        Connector::new(service, self.arrivals.0.clone())
    }

    /// Serves until `shutdown` is ready, then writes what waits for those that are there, for
    /// as long as [`Settings::drain`] says.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Report {
        let Server { settings, native, http, arrivals: (_, arrivals) } = self;
        let hub = Arc::new(Hub::new(settings.limits, settings.rules));
        let (alive, mut ended) = mpsc::channel(1);
        let gate =
            Arc::new(Gate::new(hub.clone(), settings.handshake, settings.handshakes, settings.connection_rate, alive));
        let mut accepting = JoinSet::new();
        for listener in native {
            accepting.spawn(gate.clone().run(listener));
        }
        accepting.spawn(gate.clone().run_arrivals(arrivals));
        // The listeners' tasks alone keep the gate, and with it `alive`.
        drop(gate);
        let mut serving = JoinSet::new();
        // It answers until the end: `/readyz` says meanwhile that this server is shutting down.
        let (end_http, http_ended) = oneshot::channel::<()>();
        let answering = tokio::spawn(http.serve(http::router(hub.clone()), async { drop(http_ended.await) }));
        serving.spawn(hub.clone().run_timer());

        shutdown.await;
        let deadline = Instant::now() + settings.drain;
        accepting.shutdown().await;
        hub.drain();
        let in_time = timeout_at(deadline, ended.recv()).await.is_ok();
        let cut = if in_time { 0 } else { hub.totals().connections };
        hub.stop();
        let _ = timeout(STOP, ended.recv()).await;
        drop(end_http);
        if let Err(error) = answering.await {
            tracing::error!("HTTP ended: {error}");
        }
        Report { left: hub.waiting(), cut }
    }
}

fn addresses(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
}
