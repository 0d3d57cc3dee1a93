use crate::{HistorySettings, Rules};
use std::path::PathBuf;

/// What a [`Monitor`](crate::Monitor) is to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses of the page and the API, as `HOST:PORT`. Port 0 takes a free one.
    pub listen: Vec<String>,
    /// Where senders connect to, as `tcp://HOST:PORT`, `ipc://PATH` or `inproc://NAME`; none for nowhere.
    pub collect: Option<String>,
    /// Who is answered over HTTP, and within which limits. The collector asks for the same token beyond loopback. The
    /// token's file is in the data directory if no other is named; the limit of a body is `body`.
    pub web: switchboard_web::Options,
    /// Where the history is kept.
    pub data: PathBuf,
    /// What a collector takes, and when it raises an alarm.
    pub rules: Rules,
    /// How much is kept; its `keep` is that of the rules.
    pub history: HistorySettings,
    /// How many samples a second are taken, over all sources; more wait where they are. Default 200,000.
    pub rate: u32,
    /// How many bytes of events are kept for pages that were away; default 8 MiB.
    pub feed: usize,
    /// How many pages may listen to the feed; default 256.
    pub feed_clients: usize,
    /// The longest body of a POST, in bytes; default 1 MiB.
    pub body: usize,
    /// The broker whose topics samples come from and alerts go to, as `switchboard://HOST:PORT`; none for none.
    pub broker: Option<String>,
    /// The topic that samples come from; default `/topic/metrics`.
    pub samples: String,
    /// The topic that alerts go to; default `/topic/alerts`.
    pub alerts: String,
    /// Where alerts are posted to, as `http://HOST:PORT/PATH`; none for nowhere.
    pub webhook: Option<String>,
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
            samples: "/topic/metrics".into(),
            alerts: "/topic/alerts".into(),
            webhook: None,
            report_as: None,
        }
    }
}
