use std::time::Duration;
use switchboard_broker::{ChannelRule, Limits};

/// Settings of a [`Server`](crate::Server).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Addresses of the native protocol, as `HOST:PORT`. Port 0 takes a free one. A client that speaks STOMP there is answered
    /// in STOMP.
    pub listen: Vec<String>,
    /// Addresses where clients of STOMP expect a broker; none by default. Both protocols are spoken there, too.
    pub stomp: Vec<String>,
    /// Addresses of health, metrics and status; none for no HTTP.
    pub http: Vec<String>,
    /// Access over HTTP, and its limits.
    pub web: switchboard_web::Options,
    /// The bounds of everything that the broker keeps.
    pub limits: Limits,
    /// Overrides of `limits` for some channels.
    pub rules: Vec<ChannelRule>,
    /// Time limit for a connection's first frame.
    pub handshake: Duration,
    /// Time limit without a byte for a frame that was begun, while the connection is read; 0 for none.
    pub read_timeout: Duration,
    /// New connections a second, over all addresses; the addresses of those that wait take turns. 0 counts as 1.
    pub connection_rate: u32,
    /// Connections at a time that have not sent their first frame. One more ends the oldest. 0 counts as 1.
    pub handshakes: usize,
    /// The same, of one address (an IPv6 address counts by its first 64 bits); 0 for a quarter of `handshakes`.
    pub handshakes_per_address: usize,
    /// The kernel's send buffer of a queue's consumer, in bytes: with [`Limits::window`], what this side may have ahead of a
    /// consumer. The kernel doubles it for its own overhead. 0 leaves it to the system, which lets it grow to some MiB.
    pub send_buffer: usize,
    /// The kernel's receive buffer of a connection, in bytes: what it takes from a publisher that is not read. The kernel doubles
    /// it for its own overhead, up to the system's limit. 0 leaves it to the system, which lets it grow to many MiB: a
    /// thousand paused publishers then use up the memory that all the machine's connections share, and packets are dropped.
    pub receive_buffer: usize,
    /// Time limit for writing pending output at shutdown.
    pub drain: Duration,
    /// Open files that others of this process need, at least: the native port's connections do not take them.
    pub reserved_files: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            listen: vec!["127.0.0.1:25000".into(), "[::1]:25000".into()],
            stomp: Vec::new(),
            http: vec!["127.0.0.1:25080".into()],
            web: switchboard_web::Options::default(),
            limits: Limits::default(),
            rules: Vec::new(),
            handshake: Duration::from_secs(10),
            read_timeout: Duration::from_secs(10),
            connection_rate: 5000,
            handshakes: 4096,
            handshakes_per_address: 0,
            send_buffer: 1 << 20,
            receive_buffer: 256 << 10,
            drain: Duration::from_secs(5),
            reserved_files: 0,
        }
    }
}
