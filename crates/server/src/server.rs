use crate::acceptor::Acceptor;
use crate::connection::{Context, REFUSED};
use crate::connector::{Arrival, Connector, arrivals};
use crate::files::{OpenConnections, connection_limit, is_worth_a_warning};
use crate::http;
use crate::hub::Hub;
use crate::probe::Probe;
use crate::rules::ChannelRules;
use crate::settings::Settings;
use crate::transport::ask_within;
use crate::watch::Watch;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use switchboard_driver::quantity::{plural, show_size};
use switchboard_web::{BindError, HttpServer, Listeners, Missing, Purpose, Token, open_files};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

/// Connections that were told to stop at once only have to notice.
const STOP: Duration = Duration::from_secs(1);

/// One native address is enough for a broker: STOMP is spoken there as well, and nothing of it waits for HTTP.
const NATIVE: Purpose = Purpose { service: "broker", protocol: "native", option: "--listen ", is_required: true };
const STOMP: Purpose = Purpose { protocol: "stomp", option: "--stomp ", is_required: false, ..NATIVE };
const HTTP: Purpose = Purpose { protocol: "http", option: "--http ", is_required: false, ..NATIVE };

/// A broker that listens, and serves from [`Server::run`] on.
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    native: Listeners,
    stomp: Listeners,
    http: HttpServer,
    arrivals: (Sender<Arrival>, Receiver<Arrival>),
    rules: ChannelRules,
    probe: Probe,
    /// Sockets of the native port at a time.
    pub(crate) sockets: usize,
}

/// Result of a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// Messages that were still in queues, because no consumer took them in time.
    pub undelivered: usize,
    /// Connections that did not take in time what waited for them.
    pub aborted: usize,
}

/// Why a [`Server`] could not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// A task panicked while it changed the broker's state, which may be half changed. Nothing was done with it since.
    #[error("the broker has panicked, and stopped: what it knew about messages cannot be trusted any more")]
    Panicked,
}

impl Server {
    /// Listens on all addresses of the settings. One that cannot be listened on is tried again while the server runs.
    ///
    /// # Errors
    /// If none of the native ones can be listened on.
    pub async fn bind(settings: Settings) -> Result<Server, BindError> {
        // A connection is a file; the usual 1024 are few.
        let files = open_files();
        let allowed = settings.limits.connections;
        let sockets = connection_limit(files, settings.reserved_files);
        if is_worth_a_warning(sockets, allowed) {
            tracing::warn!(
                "at most {sockets} connections, though `connections` allows {allowed}: \
                 this process may open {files} files (raise it with ulimit -n)"
            );
        }
        let (memory, messages) = (settings.limits.memory, settings.limits.memory_for_messages());
        if messages < memory / 2 {
            tracing::warn!(
                "{} of memory = {} are for messages: the rest is set aside for {} (limits: memory, connections)",
                show_size(messages),
                show_size(memory),
                plural(allowed, "connection")
            );
        }
        let services = &settings.web.services;
        let native = Listeners::bind(&settings.listen, NATIVE, services).await?;
        let stomp = Listeners::bind(&settings.stomp, STOMP, services).await?;
        native.bound().iter().chain(stomp.bound()).for_each(|listener| set_options(listener, &settings));
        let http = HttpServer::bind(&settings.http, HTTP, settings.web.clone()).await?;
        let rules = ChannelRules::new(settings.rules.clone());
        Ok(Server { settings, native, stomp, http, arrivals: arrivals(), rules, probe: Probe::new(), sockets })
    }

    /// Addresses of the native protocol.
    pub fn native_addresses(&self) -> Vec<SocketAddr> {
        self.native.addresses()
    }

    /// Addresses of STOMP, beside those of the native protocol.
    pub fn stomp_addresses(&self) -> Vec<SocketAddr> {
        self.stomp.addresses()
    }

    /// Addresses of health, metrics, status.
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

    /// The channel rules, which may be replaced before and while the server runs. At first those of
    /// [`Settings::rules`].
    pub fn channel_rules(&self) -> ChannelRules {
        self.rules.clone()
    }

    /// Asks the server whether it answers, once it runs.
    pub fn probe(&self) -> Probe {
        self.probe.clone()
    }

    /// Serves until `shutdown` is ready, then writes what waits for those that are there, for
    /// as long as [`Settings::drain`] says.
    ///
    /// # Errors
    /// If the broker panics. It does not go on with a state that may be half changed; the panic's own message is on
    /// standard error.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<Shutdown, RunError> {
        let hub = Arc::new(Hub::new(self.settings.limits.clone(), Vec::new()));
        self.run_with(hub, shutdown).await
    }

    pub(crate) async fn run_with(
        self,
        hub: Arc<Hub>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Shutdown, RunError> {
        let connector = self.connector("page");
        // A client from elsewhere cannot open an unspecified address, and knows under which name it came.
        let http_address = self.http_addresses().first().map(|address| match address.ip().is_unspecified() {
            true => format!("port {} of this host", address.port()),
            false => format!("http://{address}/"),
        });
        let Server { settings, native, stomp, http, arrivals: (_, arrivals), rules, probe, sockets } = self;
        rules.follow(&hub);
        probe.follow(&hub);
        let (alive, mut ended) = mpsc::channel(1);
        let context = Arc::new(Context {
            hub: hub.clone(),
            handshake: settings.handshake,
            read_timeout: settings.read_timeout,
            send_buffer: settings.send_buffer,
            http: http_address,
            refused: Semaphore::new(REFUSED),
        });
        let open = OpenConnections::new(sockets);
        let acceptor = Arc::new(Acceptor::new(context, open, &settings, alive));
        let web_sockets = Arc::downgrade(&acceptor);
        let mut accepting = JoinSet::new();
        for (listeners, missing) in [native.into_parts(), stomp.into_parts()] {
            for listener in listeners {
                accepting.spawn(acceptor.clone().run(listener));
            }
            if !missing.is_empty() {
                accepting.spawn(accept_late(missing, acceptor.clone(), settings.clone()));
            }
        }
        accepting.spawn(acceptor.clone().run_arrivals(arrivals));
        accepting.spawn(acceptor.clone().run_handshakes());
        // The listeners' tasks alone keep the acceptor, and with it `alive`.
        drop(acceptor);
        let mut serving = JoinSet::new();
        // It answers until the end: `/readyz` says meanwhile that this server is shutting down.
        let (end_http, http_ended) = oneshot::channel::<()>();
        let answering = tokio::spawn(http.serve(
            http::router(hub.clone(), settings.web.services.clone(), web_sockets, connector),
            async {
                drop(http_ended.await);
            },
        ));
        serving.spawn(hub.clone().run_timer());
        serving.spawn(hub.clone().run_slow_subscribers());
        serving.spawn(Watch::run(hub.clone(), settings.limits.write_timeout));

        let stopped = async {
            shutdown.await;
            let deadline = Instant::now() + settings.drain;
            accepting.shutdown().await;
            hub.drain();
            let in_time = timeout_at(deadline, ended.recv()).await.is_ok();
            let aborted = if in_time { 0 } else { hub.totals().connections };
            hub.stop();
            let _ = timeout(STOP, ended.recv()).await;
            drop(end_http);
            if let Err(error) = answering.await {
                tracing::error!("HTTP ended: {error}");
            }
            Shutdown { undelivered: hub.waiting(), aborted }
        };
        tokio::select! {
            biased;
            () = hub.failure() => {
                hub.stop();
                Err(RunError::Panicked)
            }
            shutdown = stopped => if hub.has_failed() { Err(RunError::Panicked) } else { Ok(shutdown) },
        }
    }
}

/// Sets options that connections have from their listener.
fn set_options(listener: &TcpListener, settings: &Settings) {
    set_receive_buffer(listener, settings.receive_buffer);
    if !settings.limits.write_timeout.is_zero()
        && let Err(error) = ask_within(listener, settings.limits.write_timeout)
    {
        tracing::debug!("peers that do not read are asked as rarely as the system likes: {error}");
    }
}

/// Connections have their listener's buffer from the first packet on, which a window's scale depends on.
fn set_receive_buffer(listener: &TcpListener, bytes: usize) {
    if bytes > 0
        && let Err(error) = socket2::SockRef::from(listener).set_recv_buffer_size(bytes)
    {
        tracing::warn!("the system's receive buffers are used: {error}");
    }
}

/// Accepts on addresses that were missing at first, for ever.
async fn accept_late(mut missing: Missing, acceptor: Arc<Acceptor>, settings: Settings) {
    let mut accepting = JoinSet::new();
    loop {
        let listener = missing.next().await;
        set_options(&listener, &settings);
        accepting.spawn(acceptor.clone().run(listener));
    }
}
