use crate::hub::Hub;
use crate::source::broker;
use crate::source::zmq::{self, Collecting};
use crate::{Settings, Unwritten, alerts, http};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use switchboard_web::{BindError, HttpServer, Purpose, Token};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};

const HTTP: Purpose = Purpose::http("monitor", "--set monitor.listen=");

/// A collector cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The ZeroMQ address cannot be listened on.
    #[error("cannot collect at {endpoint}: {source}; {}", zmq::REMEDY)]
    Collect {
        /// Which.
        endpoint: String,
        /// Why not.
        source: switchboard_sockets::Error,
    },
    /// The data directory cannot be used.
    #[error("cannot keep the monitor's history in {}: {source}; choose another data directory with --data DIR", path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process uses the data directory.
    #[error("another Switchboard uses {}; choose another data directory with --data DIR", .0.display())]
    InUse(PathBuf),
    /// Alerts cannot be posted to a webhook.
    #[error(transparent)]
    Webhook(#[from] alerts::WebhookError),
}

/// A collector that listens, and serves from [`Monitor::run`] on.
#[derive(Debug)]
pub struct Monitor {
    hub: Arc<Hub>,
    alerts: mpsc::Receiver<alerts::Alert>,
    webhooks: Vec<alerts::Webhook>,
    http: HttpServer,
    token: Option<Token>,
    collect: Option<Collecting>,
}

impl Monitor {
    /// Listens on all addresses of the settings, and takes over the data directory. An address beside the first of the page that cannot
    /// be listened on is tried again while the monitor runs.
    ///
    /// # Errors
    /// If no address of the page can be listened on, the endpoint is none, or the directory cannot be used: by another process, for
    /// example.
    pub async fn bind(mut settings: Settings) -> Result<Monitor, StartError> {
        let webhooks = alerts::Webhook::all(&settings)?;
        settings.web.token_file.get_or_insert_with(|| settings.data.join("token"));
        settings.web.limits.body = settings.body;
        let http = HttpServer::bind(&settings.listen, HTTP, settings.web.clone()).await?;
        // The other half of the connections is for pages that come, and for everything else.
        let connections = switchboard_web::max_connections(settings.web.limits.connections);
        settings.feed_clients = settings.feed_clients.min(connections / 2).max(1);
        let open = settings.collect.as_deref().is_some_and(zmq::is_open);
        if open {
            settings.web.make_token().map_err(BindError::from)?;
        }
        let token = http.token().or(settings.web.token.as_ref()).cloned();
        let collect = settings.collect.clone().map(|endpoint| {
            let services = settings.web.services.clone();
            Collecting::bind(&endpoint, token.clone(), services)
                .map_err(|source| StartError::Collect { endpoint, source })
        });
        let collect = collect.transpose()?;
        let path = settings.data.clone();
        let hub =
            spawn_blocking(move || Hub::open(settings)).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let (hub, alerts) = hub.map_err(|source| match source.kind() {
            io::ErrorKind::ResourceBusy => StartError::InUse(path),
            _ => StartError::Data { path, source },
        })?;
        Ok(Monitor { hub, alerts, webhooks, http, token, collect })
    }

    /// Returns the addresses of the page and the API.
    #[must_use]
    pub fn http_addresses(&self) -> Vec<SocketAddr> {
        self.http.addresses()
    }

    /// Returns the endpoint for senders, if there is one and it is listened on.
    #[must_use]
    pub fn collect_endpoint(&self) -> Option<String> {
        self.collect.as_ref()?.endpoint()
    }

    /// The token that page, API and collector ask for beyond loopback, if they can be reached from there.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Serves until `shutdown` is ready. Everything that was taken is on the disk when this returns.
    ///
    /// # Errors
    /// The disk has not taken everything, and the rest is lost.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Unwritten> {
        let Monitor { hub, alerts, webhooks, http, collect, .. } = self;
        let mut ending = hub.ending.subscribe();
        let end = async move { drop(ending.wait_for(|ending| *ending).await) };
        let mut serving = JoinSet::new();
        serving.spawn(http.serve(http::router(hub.clone()), end));
        let mut working = JoinSet::new();
        working.spawn(hub.clone().run_clock());
        if let Some(socket) = collect {
            working.spawn(socket.run(hub.clone()));
        }
        let (connected, client) = watch::channel(None);
        if let Some(url) = hub.settings.broker.clone() {
            working.spawn(broker::run(hub.clone(), url, connected));
        }
        let alerting = tokio::spawn(alerts::run(hub.clone(), alerts, webhooks, client));
        shutdown.await;
        hub.ending.send_replace(true);
        // Within a second: a page that does not read delays nothing.
        serving.join_next().await;
        // It ends by itself, within seconds.
        let _ = alerting.await;
        working.shutdown().await;
        spawn_blocking(move || hub.history.close()).await.unwrap_or_else(|error| {
            tracing::error!("the history was not closed: {error}");
            Ok(())
        })
    }
}
