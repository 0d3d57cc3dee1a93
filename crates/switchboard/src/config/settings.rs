//! Every setting there is, in one table: its key, what it is, how it is read and shown.

use super::size::{parse_duration, parse_size, show_duration, show_size};
use std::fmt::Display;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use switchboard_broker::OverflowPolicy;
use switchboard_monitor::Secret;
use switchboard_web::{Hosts, Token};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// What is in force.
#[derive(Clone)]
pub(crate) struct Settings {
    /// What the server takes; its `rules` are filled in from [`Settings::rules`] at the end.
    pub(crate) server: switchboard_server::Settings,
    /// What the monitor takes.
    pub(crate) monitor: switchboard_monitor::Settings,
    /// Who is answered over HTTP by all of them, and within which limits.
    pub(crate) web: switchboard_web::Options,
    /// What is logged.
    pub(crate) log: String,
    /// The data directory, if one was chosen.
    pub(crate) data: Option<PathBuf>,
    /// What differs for some channels, as it was written.
    pub(crate) rules: Vec<Rule>,
}

/// One `[[channel]]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) pattern: String,
    pub(crate) policy: Option<OverflowPolicy>,
    pub(crate) buffer_unsubscribed: Option<usize>,
    pub(crate) queue: Option<usize>,
}

impl Default for Settings {
    fn default() -> Settings {
        let mut monitor = switchboard_monitor::Settings::new(PathBuf::new());
        monitor.report_as = Some("switchboard".to_owned());
        Settings {
            server: switchboard_server::Settings::default(),
            monitor,
            web: switchboard_web::Options::default(),
            log: "info".to_owned(),
            data: None,
            rules: Vec::new(),
        }
    }
}

/// One row of the table.
pub(crate) struct Setting {
    pub(crate) key: &'static str,
    pub(crate) about: &'static str,
    /// The error is the reason, as a sentence without its end.
    pub(crate) parse: fn(&mut Settings, &str) -> Result<(), String>,
    /// As TOML.
    pub(crate) show: fn(&Settings) -> String,
}

macro_rules! settings {
    ($(#[$doc:meta])* $name:ident: $($key:literal $kind:ty => $($field:ident).+, $about:literal;)+) => {
        $(#[$doc])*
        const $name: &[Setting] = &[$(Setting {
            key: $key,
            about: $about,
            parse: |settings, text| {
                settings.$($field).+ = <$kind as Kind>::read(text)?;
                Ok(())
            },
            show: |settings| <$kind as Kind>::show(&settings.$($field).+),
        }),+];
    };
}

/// All settings by their tables, in the order in which they are printed.
pub(crate) const TABLES: [(&str, &[Setting]); 3] = [("broker", BROKER), ("monitor", MONITOR), ("http", HTTP)];

settings! {
    /// What `--set KEY=VALUE` sets.
    BROKER:
    "listen" Addresses => server.listen, "Where the native protocol is spoken.";
    "http" Addresses => server.http, "Where health, metrics and status are served; an empty list serves none.";
    "memory" Size => server.limits.memory, "All buffered bytes and the overhead of every entry together; at this budget the publishers of the fullest channels are paused.";
    "drain" Span => server.drain, "How long connections may take what is queued for them at shutdown.";
    "log" Level => log, "What is logged.";
    "data" OptionalPath => data, "Where services keep their data, in a folder each; \"\" for the user's state directory.";
    "handshake" Span => server.handshake, "How long a new connection may take to name its channel.";
    "read-timeout" Span => server.read_timeout, "How long a frame that was begun may go without a byte; 0 for ever.";
    "send-buffer" Size => server.send_buffer, "What the system may buffer for a queue's consumer; 0 leaves it to the system.";
    "connection-rate" Positive<u32> => server.connection_rate, "New connections a second.";
    "handshakes" Positive<usize> => server.handshakes, "Connections that have not named their channel yet, at a time; one more ends the oldest.";
    "handshakes-per-address" Count<usize> => server.handshakes_per_address, "The same, of one address; 0 for a quarter of `handshakes`.";
    "connections" Positive<usize> => server.limits.connections, "Connections at a time.";
    "channels" Positive<usize> => server.limits.channels, "Channels in being at a time.";
    "subscriptions" Positive<usize> => server.limits.subscriptions, "Subscriptions of one connection.";
    "channel-name" Size => server.limits.channel_name, "The length of a channel's name.";
    "message" Size => server.limits.message, "The size of one message.";
    "outbox" Size => server.limits.outbox, "What may wait for one connection.";
    "outbox-messages" Count<usize> => server.limits.outbox_messages, "How many messages may wait for one connection; 0 for as many as `outbox` takes.";
    "window" Size => server.limits.window, "How much is handed to the socket ahead of its progress; of a queue also ahead of what the consumer's machine acknowledged.";
    "queue" Size => server.limits.queue, "What may wait in one queue, or in one topic that buffers.";
    "queue-messages" Count<usize> => server.limits.queue_messages, "How many messages may wait in one queue; 0 for as many as `queue` takes.";
    "grace-period" Span => server.limits.grace_period, "How long a full but draining subscriber may pause a topic's publishers; 0 for not at all.";
    "slow-consumer" Span => server.limits.slow_consumer, "How long a slow subscriber accrues no new grace; 0 for not at all.";
    "write-timeout" Span => server.limits.write_timeout, "How long a consumer may take no byte before its messages go to others; 0 for ever.";
    "policy" Policy => server.limits.policy, "What happens to messages for a slow subscriber of a topic.";
    "buffer-unsubscribed" Count<usize> => server.limits.buffer_unsubscribed, "How many messages a topic without subscribers buffers before it pauses its publishers; 0 drops them.";
}

settings! {
    /// What `--set monitor.KEY=VALUE` sets.
    MONITOR:
    "listen" Addresses => monitor.listen, "Where the page and the API are served; an empty list starts no monitor.";
    "collect" Optional => monitor.collect, "Where senders connect to over ZeroMQ, as tcp://HOST:PORT; \"\" for nowhere.";
    "broker" Optional => monitor.broker, "The broker whose topics are used, as switchboard://HOST:PORT; with `up` that of this program.";
    "samples" Text => monitor.samples, "The topic that samples come from.";
    "alerts" Text => monitor.alerts, "The topic that alerts go to.";
    "webhook" Webhooks => monitor.webhook, "Where alerts are posted to: https:// or http:// addresses. They are secrets, so keep them in a file.";
    "webhook-ca" OptionalPath => monitor.webhook_ca, "A PEM file of certificates that count for webhooks beside the system's.";
    "alert-interval" Span => monitor.alert_interval, "Shortest time between two POSTs to one webhook, up to 1d; what comes meanwhile is sent together.";
    "alert-repeat" Span => monitor.alert_repeat, "After four POSTs about one process, the time until the next about it, up to 1d.";
    "report-as" Optional => monitor.report_as, "The service name under which this program reports itself; \"\" for not at all.";
    "keep" Span => monitor.rules.keep, "How long seconds are kept.";
    "keep-minutes" Span => monitor.history.keep_minutes, "How long minutes, with their extremes, are kept.";
    "disk" Bytes => monitor.history.disk, "How much of the disk the history may take; the oldest goes first.";
    "flush" Span => monitor.history.flush, "What is lost at most when the process is killed.";
    "checkpoint" Span => monitor.history.checkpoint, "What is lost at most when the machine loses its power.";
    "silent" Span => monitor.rules.silent, "After how long without a sample a process is silent.";
    "gone" Span => monitor.rules.gone, "After how long a silent process is gone.";
    "clock-tolerance" Span => monitor.rules.clock_tolerance, "How far a sample's time may be ahead of this clock; beyond that the collector's time is used.";
    "leak" Positive<f64> => monitor.rules.leak, "From what steady growth on memory leaks, in MB an hour.";
    "series" Positive<usize> => monitor.rules.series, "Maximum number of series; at that, the one gone longest makes room.";
    "series-rate" Positive<u32> => monitor.rules.series_rate, "New series a second, after ten times as many at once.";
    "message" Size => monitor.rules.message, "The length of one sample.";
    "rate" Positive<u32> => monitor.rate, "Samples a second; more wait where they come from.";
    "body" Size => monitor.body, "The length of a POST.";
    "feed" Size => monitor.feed, "How much is kept for pages that were away for a moment.";
    "feed-clients" Positive<usize> => monitor.feed_clients, "Maximum number of pages on the feed.";
}

settings! {
    /// What `--set http.KEY=VALUE` sets: the HTTP of every service.
    HTTP:
    "hosts" Names => web.hosts, "Names that HTTP requests may ask for, beside localhost and every IP address.";
    "token" AccessToken => web.token, "The access token, asked for at every HTTP listener; without one a token is made, and asked for beyond loopback only. Better given as SWITCHBOARD_TOKEN.";
    "metrics-open" Flag => web.metrics_open, "Whether /metrics is answered without the token.";
    "connections" Positive<usize> => web.limits.connections, "Maximum number of HTTP connections of a service; never more than an eighth of the open files.";
    "header" Size => web.limits.header, "Maximum size of a request's headers, from 1KiB to 64KiB.";
    "header-timeout" Span => web.limits.header_timeout, "Time limit for a request's headers, from 10ms to 1d.";
    "body-timeout" Span => web.limits.body_timeout, "Time limit for a request's body, from 10ms to 1d.";
    "idle-timeout" Span => web.limits.idle_timeout, "How long a connection stays open between requests, from 10ms to 1d.";
    "write-timeout" Span => web.limits.write_timeout, "How long a client may take to read 16 KiB that wait for it, from 10ms to 1d.";
}

/// How values of one kind are written.
pub(crate) trait Kind {
    type Value;
    const ALLOWED: &'static str;
    /// `None` when the text is not [`Kind::ALLOWED`].
    fn parse(text: &str) -> Option<Self::Value>;
    /// The error is the reason, as a sentence without its end.
    fn read(text: &str) -> Result<Self::Value, String> {
        Self::parse(text).ok_or_else(|| format!("it must be {}", Self::ALLOWED))
    }
    fn show(value: &Self::Value) -> String;
}

pub(crate) struct Size;
struct Span;
pub(crate) struct Count<T>(PhantomData<T>);
struct Positive<T>(PhantomData<T>);
struct Addresses;
struct Names;
struct Optional;
struct AccessToken;
struct Flag;
struct OptionalPath;
struct Webhooks;
struct Text;
struct Bytes;
pub(crate) struct Policy;
struct Level;

impl Kind for Size {
    type Value = usize;
    const ALLOWED: &'static str = "a size of at least 1 byte, such as \"8MiB\", \"64 KiB\" or 123";
    fn parse(text: &str) -> Option<usize> {
        Self::read(text).ok()
    }
    fn read(text: &str) -> Result<usize, String> {
        match parse_size(text)? {
            0 => Err(format!("it must be {}", Self::ALLOWED)),
            bytes => Ok(bytes),
        }
    }
    fn show(&bytes: &usize) -> String {
        let text = show_size(bytes);
        // A plain number is an integer in TOML; one that TOML's i64 cannot hold is quoted.
        if text.parse::<i64>().is_ok() { text } else { quote(&text) }
    }
}

impl Kind for Span {
    type Value = Duration;
    const ALLOWED: &'static str = "a duration such as \"50ms\", \"10s\" or 2 (seconds)";
    fn parse(text: &str) -> Option<Duration> {
        parse_duration(text).ok()
    }
    fn read(text: &str) -> Result<Duration, String> {
        parse_duration(text)
    }
    fn show(duration: &Duration) -> String {
        quote(&show_duration(*duration))
    }
}

impl<T: FromStr + Display> Kind for Count<T> {
    type Value = T;
    const ALLOWED: &'static str = "a whole number, 0 or more";
    fn parse(text: &str) -> Option<T> {
        text.trim().parse().ok()
    }
    fn show(number: &T) -> String {
        number.to_string()
    }
}

impl<T: FromStr + Display + PartialOrd + From<u8>> Kind for Positive<T> {
    type Value = T;
    const ALLOWED: &'static str = "a number, 1 or more";
    fn parse(text: &str) -> Option<T> {
        text.trim().parse().ok().filter(|number| *number >= T::from(1))
    }
    fn show(number: &T) -> String {
        number.to_string()
    }
}

impl Kind for Addresses {
    type Value = Vec<String>;
    const ALLOWED: &'static str = "HOST:PORT, or a list of them, such as [\"127.0.0.1:25000\", \"[::1]:25000\"]";
    fn parse(text: &str) -> Option<Vec<String>> {
        text.split(',').map(str::trim).filter(|address| !address.is_empty()).map(address).collect()
    }
    fn show(addresses: &Vec<String>) -> String {
        let quoted: Vec<String> = addresses.iter().map(|address| quote(address)).collect();
        format!("[{}]", quoted.join(", "))
    }
}

impl Kind for Names {
    type Value = Hosts;
    const ALLOWED: &'static str = "a name, or a list of them, such as [\"monitor.example\"]";
    fn parse(text: &str) -> Option<Hosts> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names: Option<Vec<String>> =
            names.map(|name| (!name.contains([':', '/', ' '])).then(|| name.to_owned())).collect();
        names.map(|names| Hosts::new(&names))
    }
    fn show(hosts: &Hosts) -> String {
        Addresses::show(&hosts.names())
    }
}

impl Kind for Optional {
    type Value = Option<String>;
    const ALLOWED: &'static str = "a text; an empty one for none";
    fn parse(text: &str) -> Option<Option<String>> {
        Some((!text.is_empty()).then(|| text.to_owned()))
    }
    fn show(text: &Option<String>) -> String {
        quote(text.as_deref().unwrap_or(""))
    }
}

impl Kind for AccessToken {
    type Value = Option<Token>;
    const ALLOWED: &'static str = "16 to 255 visible ASCII characters, without blanks; an empty text for none";
    fn parse(text: &str) -> Option<Option<Token>> {
        if text.is_empty() { Some(None) } else { Token::new(text).ok().map(Some) }
    }
    fn show(token: &Option<Token>) -> String {
        quote(token.as_ref().map_or("", Token::as_str))
    }
}

impl Kind for Flag {
    type Value = bool;
    const ALLOWED: &'static str = "true or false";
    fn parse(text: &str) -> Option<bool> {
        text.trim().parse().ok()
    }
    fn show(flag: &bool) -> String {
        flag.to_string()
    }
}

impl Kind for OptionalPath {
    type Value = Option<PathBuf>;
    const ALLOWED: &'static str = "a path; an empty one for none";
    fn parse(text: &str) -> Option<Option<PathBuf>> {
        Some((!text.is_empty()).then(|| text.into()))
    }
    fn show(path: &Option<PathBuf>) -> String {
        quote(&path.as_deref().map(Path::to_string_lossy).unwrap_or_default())
    }
}

/// What is wrong with an address says the monitor when it starts, without the address.
impl Kind for Webhooks {
    type Value = Vec<Secret>;
    const ALLOWED: &'static str = "an address, or a list of them";
    fn parse(text: &str) -> Option<Vec<Secret>> {
        // A comma may be a part of an address; before the next one it is none.
        let mut addresses: Vec<String> = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            match addresses.last_mut() {
                Some(last) if !part.contains("://") => *last += &format!(",{part}"),
                _ => addresses.push(part.trim().to_owned()),
            }
        }
        Some(addresses.into_iter().map(Secret::from).collect())
    }
    fn show(addresses: &Vec<Secret>) -> String {
        let quoted: Vec<String> = addresses.iter().map(|address| quote(address.reveal())).collect();
        format!("[{}]", quoted.join(", "))
    }
}

impl Kind for Text {
    type Value = String;
    const ALLOWED: &'static str = "a text";
    fn parse(text: &str) -> Option<String> {
        (!text.is_empty()).then(|| text.to_owned())
    }
    fn show(text: &String) -> String {
        quote(text)
    }
}

impl Kind for Bytes {
    type Value = u64;
    const ALLOWED: &'static str = Size::ALLOWED;
    fn parse(text: &str) -> Option<u64> {
        Size::parse(text).and_then(|bytes| u64::try_from(bytes).ok())
    }
    fn show(&bytes: &u64) -> String {
        Size::show(&usize::try_from(bytes).unwrap_or(usize::MAX))
    }
}

/// The form only: whether the host has an address is found out when it is listened on.
fn address(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    // `::1:25000` could be read in two ways.
    let clear = !host.contains(':') || host.starts_with('[') && host.ends_with(']');
    (clear && !host.is_empty()).then(|| text.to_owned())
}

const POLICIES: [(&str, OverflowPolicy); 4] = [
    ("drop-new", OverflowPolicy::DropNew),
    ("drop-old", OverflowPolicy::DropOld),
    ("disconnect", OverflowPolicy::Disconnect),
    ("block", OverflowPolicy::Block),
];

impl Kind for Policy {
    type Value = OverflowPolicy;
    const ALLOWED: &'static str = "drop-new, drop-old, disconnect or block";
    fn parse(text: &str) -> Option<OverflowPolicy> {
        POLICIES.iter().find(|(name, _)| *name == text.trim()).map(|(_, policy)| *policy)
    }
    fn show(policy: &OverflowPolicy) -> String {
        let name = POLICIES.iter().find(|(_, known)| known == policy).map_or("", |(name, _)| name);
        quote(name)
    }
}

impl Kind for Level {
    type Value = String;
    const ALLOWED: &'static str =
        "off, error, warn, info, debug or trace, or directives such as \"info,switchboard_server=debug\"";
    fn parse(text: &str) -> Option<String> {
        // A misspelt level would otherwise be taken for a target's name.
        let known = text.split(',').all(|part| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok());
        (known && !text.is_empty() && EnvFilter::try_new(text).is_ok()).then(|| text.to_owned())
    }
    fn show(level: &String) -> String {
        quote(level)
    }
}

/// A string as TOML.
pub(crate) fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}
