use crate::http;
use crate::{BindError, Settings};
use std::future::Future;
use std::net::SocketAddr;
use switchboard_web::bind_all;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A collector that listens, and serves from [`Monitor::run`] on.
#[derive(Debug)]
pub struct Monitor {
    settings: Settings,
    http: Vec<TcpListener>,
}

impl Monitor {
    /// Listens on all addresses of the settings.
    ///
    /// # Errors
    /// If one of them cannot be listened on.
    pub async fn bind(settings: Settings) -> Result<Monitor, BindError> {
        let http = bind_all(&settings.listen, "--listen").await?;
        Ok(Monitor { settings, http })
    }

    /// Where the page and the API are.
    #[must_use]
    pub fn http_addresses(&self) -> Vec<SocketAddr> {
        self.http.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Serves until `shutdown` is ready.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut serving = JoinSet::new();
        for listener in self.http {
            serving.spawn(http::serve(listener, self.settings.hosts.clone()));
        }
        shutdown.await;
    }
}
