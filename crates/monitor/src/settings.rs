use std::path::PathBuf;

/// What a [`Monitor`](crate::Monitor) is to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses of the page and the API, as `HOST:PORT`. Port 0 takes a free one.
    pub listen: Vec<String>,
    /// Names that the page is asked for by, beyond loopback and the addresses themselves.
    pub hosts: Vec<String>,
    /// Where the history is kept; none for no history beyond this run.
    pub data: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { listen: vec!["127.0.0.1:8088".into()], hosts: Vec::new(), data: None }
    }
}
