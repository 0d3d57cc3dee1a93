use crate::{HistorySettings, Rules};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};
use switchboard_http_client::Url;
use switchboard_sockets::Endpoint;
use tokio::net::UnixStream;

/// Settings of a [`Monitor`](crate::Monitor).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses of the page and the API, as `HOST:PORT`. Port 0 takes a free one.
    pub listen: Vec<String>,
    /// The endpoint for senders, as `tcp://HOST:PORT`, `ipc://PATH` or `inproc://NAME`; `None` for none.
    pub collect: Option<String>,
    /// Access and limits of HTTP. The collector asks for the same token beyond loopback. The
    /// token's file is in the data directory if no other is named; the limit of a body is `body`.
    pub web: switchboard_web::Options,
    /// The directory of the history.
    pub data: PathBuf,
    /// Rules for samples and alarms.
    pub rules: Rules,
    /// Limits of the history; its `keep` is that of the rules.
    pub history: HistorySettings,
    /// Maximum number of samples a second, over all sources; more wait where they are. Default 200,000.
    pub rate: u32,
    /// Size of the events that are kept for pages that were away, in bytes; default 8 MiB.
    pub feed: usize,
    /// Maximum number of clients of the feed; default 256.
    pub feed_clients: usize,
    /// The longest body of a POST, in bytes; default 1 MiB.
    pub body: usize,
    /// The broker whose topics samples come from and alerts go to, as `switchboard://HOST:PORT`; none for none.
    pub broker: Option<String>,
    /// Makes connections to that broker, if it runs in this process; without it they go over TCP.
    pub pipe: Option<Pipe>,
    /// The topic that samples come from; default `/topic/metrics`.
    pub samples: String,
    /// The topic that alerts go to; default `/topic/alerts`.
    pub alerts: String,
    /// Webhooks for alerts, as `https://HOST/PATH` or `http://...`.
    pub webhook: Vec<Secret>,
    /// A PEM file of certificates that count for webhooks beside the system's.
    pub webhook_ca: Option<PathBuf>,
    /// The shortest time between two POSTs to one webhook; what comes meanwhile is sent together. From 0 to 1 day,
    /// default 10 s.
    pub alert_interval: Duration,
    /// When four POSTs about one process have followed each other, the time until the next one about it. From 0 to
    /// 1 day, default 5 min.
    pub alert_repeat: Duration,
    /// The name under which this process reports itself; none for not at all.
    pub report_as: Option<String>,
}

impl Settings {
    /// The defaults, with the history in this directory.
    #[must_use]
    pub fn new(data: PathBuf) -> Settings {
        Settings {
            listen: vec!["127.0.0.1:8088".into()],
            collect: Some("tcp://127.0.0.1:5555".into()),
            web: switchboard_web::Options::default(),
            data,
            rules: Rules::default(),
            history: HistorySettings::default(),
            rate: 200_000,
            feed: 8 << 20,
            feed_clients: 256,
            body: 1 << 20,
            broker: None,
            pipe: None,
            samples: "/topic/metrics".into(),
            alerts: "/topic/alerts".into(),
            webhook: Vec::new(),
            webhook_ca: None,
            alert_interval: Duration::from_secs(10),
            alert_repeat: Duration::from_secs(300),
            report_as: None,
        }
    }
}

/// Checks of single values, for whoever reads them. Each error is the reason, without the value.
impl Settings {
    /// Checks an address for [`Settings::collect`].
    ///
    /// # Errors
    /// It is no ZeroMQ endpoint.
    pub fn check_collect(endpoint: &str) -> Result<(), String> {
        match endpoint.parse::<Endpoint>() {
            Ok(_) => Ok(()),
            Err(switchboard_sockets::Error::Endpoint { problem, .. }) => Err(problem.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Checks an address for [`Settings::broker`].
    ///
    /// # Errors
    /// It is no address of a broker.
    pub fn check_broker(url: &str) -> Result<(), String> {
        match url.parse::<switchboard_client::Options>() {
            Ok(_) => Ok(()),
            Err(switchboard_client::Error::Url { problem, .. }) => Err(problem),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Checks an address for [`Settings::webhook`].
    ///
    /// # Errors
    /// Alerts cannot be posted there.
    pub fn check_webhook(address: &Secret) -> Result<(), String> {
        let url: Result<Url, _> = address.reveal().parse();
        url.map(drop).map_err(|error| error.to_string())
    }
}

/// Makes connections to a broker of the same process.
#[derive(Clone)]
pub struct Pipe(Arc<dyn Fn() -> Connecting + Send + Sync>);

type Connecting = Pin<Box<dyn Future<Output = io::Result<UnixStream>> + Send>>;

impl Pipe {
    /// Calls `connect` for each connection.
    pub fn new<F>(connect: impl Fn() -> F + Send + Sync + 'static) -> Pipe
    where
        F: Future<Output = io::Result<UnixStream>> + Send + 'static,
    {
        Pipe(Arc::new(move || Box::pin(connect())))
    }

    /// One more connection.
    ///
    /// # Errors
    /// The broker does not run.
    pub fn connect(&self) -> impl Future<Output = io::Result<UnixStream>> + Send + use<> {
        (self.0)()
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipe")
    }
}

/// A text that `Debug` does not show, and so no log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Secret {
        Secret(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("...")
    }
}
