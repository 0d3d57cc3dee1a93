use crate::hub::Hub;
use crate::source::{broker, zmq};
use crate::{Settings, alerts, http};
use std::fs;
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use switchboard_sockets::Sub;
use switchboard_web::{BindError, bind_all};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

/// How long pages have to notice that the feed has ended.
const FAREWELL: Duration = Duration::from_secs(1);

/// A collector cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The ØMQ address cannot be listened on.
    #[error(
        "cannot collect at {endpoint}: {source}; choose another one with --set monitor.collect=tcp://HOST:PORT, or none with --set monitor.collect="
    )]
    Collect {
        /// Which.
        endpoint: String,
        /// Why not.
        source: switchboard_sockets::Error,
    },
    /// The data directory cannot be used.
    #[error("cannot keep the monitor's history in {}: {source}; choose another directory with --set monitor.data=PATH", path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
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
    http: Vec<TcpListener>,
    collect: Option<Sub>,
}

impl Monitor {
    /// Listens on all addresses of the settings, and takes over the data directory.
    ///
    /// # Errors
    /// If an address cannot be listened on, or the directory cannot be used: by another process, for
    /// example.
    pub async fn bind(mut settings: Settings) -> Result<Monitor, StartError> {
        let webhooks = alerts::Webhook::all(&settings)?;
        let http = bind_all(&settings.listen, "--set monitor.listen=").await?;
        let failed = |path: &Path, source| StartError::Data { path: path.to_owned(), source };
        let open = http.iter().filter_map(|listener| listener.local_addr().ok()).any(is_open)
            || settings.collect.as_deref().is_some_and(zmq::is_open);
        if open && settings.token.is_none() {
            settings.token = Some(make_token(&settings.data).map_err(|source| failed(&settings.data, source))?);
        }
        let collect = settings.collect.clone().map(|endpoint| {
            zmq::bind(&endpoint, settings.token.as_deref()).map_err(|source| StartError::Collect { endpoint, source })
        });
        let collect = collect.transpose()?;
        let path = settings.data.clone();
        let hub =
            spawn_blocking(move || Hub::open(settings)).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let (hub, alerts) = hub.map_err(|source| failed(&path, source))?;
        Ok(Monitor { hub, alerts, webhooks, http, collect })
    }

    /// Where the page and the API are.
    #[must_use]
    pub fn http_addresses(&self) -> Vec<SocketAddr> {
        self.http.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Where senders connect to, if anywhere.
    #[must_use]
    pub fn collect_endpoint(&self) -> Option<String> {
        self.collect.as_ref()?.last_endpoint().map(|endpoint| endpoint.to_string())
    }

    /// What everybody must know who asks for anything, if something.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.hub.settings.token.as_deref()
    }

    /// Serves until `shutdown` is ready. Everything that was taken is on the disk when this returns.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Monitor { hub, alerts, webhooks, http, collect } = self;
        let mut serving = JoinSet::new();
        for listener in http {
            serving.spawn(http::serve(listener, hub.clone()));
        }
        let mut working = JoinSet::new();
        working.spawn(hub.clone().run_clock());
        if let Some(socket) = collect {
            working.spawn(zmq::run(hub.clone(), socket));
        }
        let (connected, client) = watch::channel(None);
        if let Some(url) = hub.settings.broker.clone() {
            working.spawn(broker::run(hub.clone(), url, connected));
        }
        let alerting = tokio::spawn(alerts::run(hub.clone(), alerts, webhooks, client));
        shutdown.await;
        hub.ending.send_replace(true);
        // A page that does not read delays nothing.
        let _ = timeout(FAREWELL, async { while serving.join_next().await.is_some() {} }).await;
        // It ends by itself, within seconds.
        let _ = alerting.await;
        working.shutdown().await;
        let closed = spawn_blocking(move || hub.history.close()).await;
        if let Err(error) = closed {
            tracing::error!("the history was not closed: {error}");
        }
    }
}

fn is_open(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// The same one at each start: a page stays logged in.
fn make_token(directory: &Path) -> io::Result<String> {
    let path = directory.join("token");
    match fs::read_to_string(&path) {
        Ok(token) if !token.trim().is_empty() => return Ok(token.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(directory)?;
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?
        .write_all(token.as_bytes())?;
    Ok(token)
}
