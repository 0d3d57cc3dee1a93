//! Every setting there is, in one table: its key, what it is, how it is read and shown.

use super::bounds::{Bounds, Unit};
use super::kinds::*;
use super::rows::Rows;
use super::rules::Rule;
use crate::log::LogFormat;
use std::path::PathBuf;
use std::time::Duration;
use switchboard_broker::Limits;
use switchboard_driver::quantity::LONGEST;
use switchboard_news::render::RendererSettings;
use switchboard_news::service::NewsSettings;

/// The settings in force.
#[derive(Clone)]
pub(crate) struct Settings {
    /// The server's settings; its `rules` are filled in from [`Settings::rules`] at the end.
    pub(crate) server: switchboard_server::Settings,
    /// The monitor's settings.
    pub(crate) monitor: switchboard_monitor::Settings,
    /// The settings of the page of headlines.
    pub(crate) news: News,
    /// The settings of the rendering service, and of the page's Chromium.
    pub(crate) render: Render,
    /// The settings of rows.
    pub(crate) rows: Rows,
    /// Access and limits of all HTTP listeners.
    pub(crate) web: switchboard_web::Options,
    /// The log's level or directives.
    pub(crate) log: String,
    /// The format of its lines.
    pub(crate) log_format: LogFormat,
    /// The data directory, if one was chosen.
    pub(crate) data: Option<PathBuf>,
    /// The channel rules, as they were written.
    pub(crate) rules: Vec<Rule>,
    /// Settings of the broker whose value is nobody's choice, and follows from others.
    pub(super) derived: Vec<&'static str>,
}

/// The table `[news]`.
#[derive(Clone)]
pub(crate) struct News {
    /// Its `data`, `web`, `rendering` and `publish` are filled in at the start.
    pub(crate) service: NewsSettings,
    /// A rendering service elsewhere, instead of a Chromium of this program.
    pub(crate) renderer: Option<String>,
    pub(crate) broker: Option<String>,
    pub(crate) topic: String,
    pub(crate) alerts: String,
}

/// The table `[render]`.
#[derive(Clone)]
pub(crate) struct Render {
    pub(crate) listen: Vec<String>,
    pub(crate) max_timeout: Duration,
    /// Its `directory` is filled in at the start.
    pub(crate) chromium: RendererSettings,
}

impl Default for Settings {
    fn default() -> Settings {
        let mut monitor = switchboard_monitor::Settings::new(PathBuf::new());
        monitor.report_as = Some("switchboard".to_owned());
        Settings {
            server: switchboard_server::Settings {
                stomp: stomp_addresses(),
                ..switchboard_server::Settings::default()
            },
            monitor,
            news: News {
                service: NewsSettings::new(PathBuf::new()),
                renderer: None,
                broker: None,
                topic: "/topic/news".to_owned(),
                alerts: "/topic/alerts".to_owned(),
            },
            render: Render {
                listen: vec!["127.0.0.1:8050".to_owned()],
                max_timeout: Duration::from_secs(90),
                chromium: RendererSettings::new(PathBuf::new()),
            },
            rows: Rows::default(),
            web: switchboard_web::Options::default(),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            data: None,
            rules: Vec::new(),
            derived: Vec::new(),
        }
    }
}

/// Returns the addresses where clients of STOMP look for a broker.
pub(crate) fn stomp_addresses() -> Vec<String> {
    vec!["127.0.0.1:61613".to_owned(), "[::1]:61613".to_owned()]
}

/// One row of the table.
pub(crate) struct Setting {
    pub(crate) key: &'static str,
    pub(crate) about: &'static str,
    /// Of a size, a duration or a count. The tests try them all.
    #[cfg(test)]
    pub(crate) bounds: fn() -> Option<Bounds>,
    /// The error is the reason, as a sentence without its end.
    pub(crate) parse: fn(&mut Settings, &str) -> Result<(), String>,
    /// No message repeats its value.
    pub(crate) is_secret: bool,
    /// As TOML.
    pub(crate) show: fn(&Settings) -> String,
}

macro_rules! settings {
    ($(#[$doc:meta])* $name:ident: $($key:literal $kind:ty $([$($own:tt)+])? => $($field:ident).+, $about:literal;)+) => {
        $(#[$doc])*
        const $name: &[Setting] = &[$(Setting {
            key: $key,
            about: $about,
            is_secret: <$kind as Kind>::IS_SECRET,
            #[cfg(test)]
            bounds: || settings!(@bounds $kind $([$($own)+])?),
            parse: |settings, text| {
                settings.$($field).+ = super::bounds::read::<$kind>(text, settings!(@bounds $kind $([$($own)+])?))?;
                Ok(())
            },
            show: |settings| <$kind as Kind>::show(&settings.$($field).+),
        }),+];
    };
    (@bounds $kind:ty) => { <$kind as Kind>::bounds() };
    (@bounds $kind:ty [$($own:tt)+]) => { Some($($own)+) };
}

/// All settings by their tables, in the order in which they are printed.
///
/// Settings of the whole program stand in no table, so its name is empty.
pub(crate) const TABLES: [(&str, &[Setting]); 7] = [
    ("", PROGRAM),
    ("broker", BROKER),
    ("monitor", MONITOR),
    ("rows", ROWS),
    ("news", NEWS),
    ("render", RENDER),
    ("http", HTTP),
];

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;

/// A number of slots, which the broker counts in 32 bits.
const SLOTS: Bounds = Unit::Count.from(1..=u32::MAX as u64 / 4);
/// The system's buffer of a socket, where it is not left to the system. Linux gives no less whatever is asked for.
const BUFFER: Bounds = Unit::Bytes.from(4096..=1 << 30).or_zero();
/// A frame's length has 32 bits.
const FRAME: Bounds = Unit::Bytes.from(1..=u32::MAX as u64);
/// Durations that the broker's timers support, or never.
pub(super) const LIMIT: Bounds =
    Unit::Nanoseconds.from(Limits::SHORTEST.as_nanos() as u64..=LONGEST.as_nanos() as u64).or_zero();
/// A time-out of HTTP.
const TIMEOUT: Bounds = Unit::Nanoseconds.from(SECOND / 100..=DAY);
/// A pause within a frame, or any: a shorter one is no more than the network's.
const READ: Bounds = Unit::Nanoseconds.from(SECOND / 100..=LONGEST.as_nanos() as u64).or_zero();
/// Time for which figures are kept.
const KEPT: Bounds = Unit::Nanoseconds.from(60 * SECOND..=LONGEST.as_nanos() as u64);
/// Samples come once a second: one that is late by a little is no silence.
const AWAITED: Bounds = Unit::Nanoseconds.from(2 * SECOND..=LONGEST.as_nanos() as u64);
/// A pause between alerts.
const PAUSE: Bounds = Unit::Nanoseconds.from(0..=DAY);
/// Time to ask a site, or to start Chromium.
const ATTEMPT: Bounds = Unit::Nanoseconds.from(SECOND..=600 * SECOND);
const TIB: u64 = 1 << 40;
/// More than any machine has.
pub(super) const LARGEST: u64 = 1024 * TIB;

settings! {
    /// Settings of the whole program: `--set KEY=VALUE`.
    PROGRAM:
    "log" Level => log, "Log level: off, error, warn, info, debug or trace; or directives such as info,switchboard_server=debug.";
    "log-format" Format => log_format, "Format of log lines: text, or json for one object a line.";
    "data" OptionalPath => data, "Directory for the data of all services, a folder each; \"\" for the user's state directory. A relative path begins at the working directory.";
}

settings! {
    /// Settings of the broker: `--set KEY=VALUE`.
    BROKER:
    "listen" Addresses => server.listen, "Addresses for clients of the native protocol.";
    "stomp" Addresses => server.stomp, "Addresses for clients of STOMP, beside those of `listen`, which answer STOMP too; by default none if `listen` is set.";
    "stomp-origins" Origins => server.web.socket_origins, "Other sites whose pages may speak STOMP over WebSocket, as https://HOST; * for every site.";
    "http" Addresses => server.http, "Addresses for health, metrics and status over HTTP; an empty list serves none.";
    "memory" Size [Unit::Bytes.from(0..=LARGEST)] => server.limits.memory, "Memory limit for all buffered messages, with the overhead of every entry and 4 KiB for each of connections; where the rest is short, the publishers of the fullest channels are paused, of one that is alone at half of the rest.";
    "drain" Span => server.drain, "Time to deliver queued messages at shutdown.";
    "handshake" Span [TIMEOUT] => server.handshake, "Time limit for the first frame of a new connection, from 10ms to 1d.";
    "read-timeout" Span [READ] => server.read_timeout, "Longest pause within a frame that a client has begun to send; 0 for no limit.";
    "send-buffer" Size [BUFFER] => server.send_buffer, "Socket send buffer of a queue's consumer; 0 leaves it to the system.";
    "receive-buffer" Size [BUFFER] => server.receive_buffer, "Socket receive buffer of every connection; 0 leaves it to the system.";
    "connection-rate" Positive<u32> => server.connection_rate, "Maximum number of new connections a second.";
    "handshakes" Positive<usize> => server.handshakes, "Maximum number of connections without a first frame; one more closes the oldest.";
    "handshakes-per-address" Count<usize> => server.handshakes_per_address, "The same for one client address; 0 for a quarter of `handshakes`.";
    "connections" Positive<usize> [SLOTS] => server.limits.connections, "Maximum number of connections; by default fewer if open files do not suffice, or if they took more than half of memory.";
    "channels" Positive<usize> [SLOTS] => server.limits.channels, "Maximum number of channels.";
    "subscriptions" Positive<usize> [SLOTS] => server.limits.subscriptions, "Maximum number of subscriptions of one connection.";
    "channel-name" Size [FRAME] => server.limits.channel_name, "Maximum length of a channel's name.";
    "message" Size [FRAME] => server.limits.message, "Maximum size of one message.";
    "outbox" Size => server.limits.outbox, "Maximum size of the messages that wait for one connection.";
    "outbox-messages" Count<usize> => server.limits.outbox_messages, "Maximum number of messages that wait for one connection; 0 for as many as `outbox` takes.";
    "window" Size => server.limits.window, "Bytes handed to a connection ahead of what its socket has taken, or of what a queue consumer's machine has acknowledged.";
    "first-window" Size => server.limits.first_window, "Initial `window` of a queue's consumer: it doubles while the consumer takes half of it within 50ms, and is halved when that takes more than 1s.";
    "queue" Size => server.limits.queue, "Maximum size of the messages that wait in one queue, or in one topic that buffers.";
    "queue-messages" Count<usize> => server.limits.queue_messages, "Maximum number of messages that wait in one queue; 0 for as many as `queue` takes.";
    "overflow" Overflow => server.limits.overflow, "What happens to messages for a queue that is full.";
    "prefetch" Count<u32> => server.limits.prefetch, "Messages that may wait for their acks at a subscription that names no prefetch; 0 for no limit.";
    "retained" Count<usize> => server.limits.retained, "Maximum number of topics with a retained value; 0 for none.";
    "read-ahead" Size [Unit::Bytes.from(0..=LARGEST)] => server.limits.read_ahead, "Bytes read from a paused consumer with acks, so that its acks still arrive; 0 pauses it at once.";
    "grace-period" Span [LIMIT] => server.limits.grace_period, "How long a slow subscriber may pause a topic's publishers; 0 for not at all.";
    "slow-consumer" Span [LIMIT] => server.limits.slow_consumer, "Time for which a subscriber that has missed messages gets no grace period; 0 for none.";
    "write-timeout" Span [LIMIT] => server.limits.write_timeout, "How long a consumer may take no byte before its messages go to others; 0 for no limit.";
    "policy" Policy => server.limits.policy, "What happens to messages for a slow subscriber of a topic.";
    "max-deliveries" Count<u32> => server.limits.delivery.max_deliveries, "Tries without an ack after which a queue's message becomes a dead letter, below /queue/dead/; 0 for no limit.";
    "redelivery-backoff" Span [LIMIT] => server.limits.delivery.redelivery_backoff, "Pause before a message is tried again after a nack or an ack time-out; doubles with each try; 0 for none.";
    "redelivery-backoff-max" Span [LIMIT] => server.limits.delivery.redelivery_backoff_max, "Longest pause before a message is tried again.";
    "ack-timeout" Span [LIMIT] => server.limits.delivery.ack_timeout, "Time limit for a consumer's ack, after which the message goes to another; 0 for no limit.";
    "message-ttl" Span [LIMIT] => server.limits.delivery.message_ttl, "Time to live of a message, unless its sender gives a shorter one; 0 for no limit.";
    "dead-letter-expired" Flag => server.limits.delivery.dead_letter_expired, "Whether a queue's expired messages become dead letters; otherwise they are dropped.";
    "buffer-unsubscribed" Count<usize> => server.limits.buffer_unsubscribed, "Number of messages that a topic without subscribers buffers before it pauses its publishers; 0 drops them.";
}

settings! {
    /// Settings of the monitor: `--set monitor.KEY=VALUE`.
    MONITOR:
    "listen" Addresses => monitor.listen, "Addresses of the page and the API; an empty list starts no monitor.";
    "collect" Endpoint => monitor.collect, "Endpoint for senders over ZeroMQ, as tcp://HOST:PORT; \"\" for none.";
    "broker" BrokerUrl => monitor.broker, "The broker whose topics are used, as switchboard://HOST:PORT; with `up` that of this program.";
    "samples" Topics => monitor.samples, "The topic that samples come from.";
    "alerts" Topic => monitor.alerts, "The topic that alerts go to.";
    "webhook" Webhooks => monitor.webhook, "Webhooks that alerts are posted to: https:// or http:// addresses. They are secrets, so keep them in a file.";
    "webhook-ca" OptionalPath => monitor.webhook_ca, "A PEM file of certificates that count for webhooks beside the system's.";
    "alert-interval" Span [PAUSE] => monitor.alert_interval, "Shortest time between two POSTs to one webhook, up to 1d; what comes meanwhile is sent together.";
    "alert-repeat" Span [PAUSE] => monitor.alert_repeat, "After four POSTs about one process, the time until the next about it, up to 1d.";
    "report-as" Optional => monitor.report_as, "The service name under which this program reports itself; \"\" for not at all.";
    "keep" Span [KEPT] => monitor.rules.keep, "How long the figures of each second are kept, from 1m on.";
    "keep-minutes" Span [KEPT] => monitor.history.keep_minutes, "How long the figures of each minute (minimum, mean, maximum) are kept, from 1m on.";
    "disk" Bytes => monitor.history.disk, "Maximum size of the history on disk; the oldest goes first.";
    "flush" Span [Unit::Nanoseconds.from(SECOND / 20..=DAY)] => monitor.history.flush, "Interval of writes to the journal, from 50ms to 1d: what a killed process loses at most.";
    "checkpoint" Span [Unit::Nanoseconds.from(SECOND..=DAY)] => monitor.history.checkpoint, "Interval of synced writes, from 1s to 1d: what a power failure loses at most.";
    "silent" Span [AWAITED] => monitor.rules.silent, "Time without a sample after which a process is silent, from 2s on: samples come once a second.";
    "gone" Span [AWAITED] => monitor.rules.gone, "Time without a sample after which a silent process is gone; at least `silent`.";
    "clock-tolerance" Span => monitor.rules.clock_tolerance, "How far a sample's time may be ahead of this clock; beyond that the collector's time is used.";
    "leak" Growth => monitor.rules.leak, "Steady growth that raises a leak alarm, in MB an hour, from 1 to 1000000.";
    "series" Positive<usize> => monitor.rules.series, "Maximum number of series; at that, the one gone longest makes room.";
    "series-rate" Positive<u32> => monitor.rules.series_rate, "Maximum number of new series a second, after a burst of ten times as many.";
    "message" Size => monitor.rules.message, "Maximum length of one sample.";
    "rate" Positive<u32> => monitor.rate, "Maximum number of samples a second; further ones wait at their senders.";
    "body" Size [Unit::Bytes.from(1..=1 << 30)] => monitor.body, "Maximum length of a POST.";
    "feed" Size => monitor.feed, "Size of the newest events, kept for pages that were away for a moment.";
    "feed-clients" Positive<usize> => monitor.feed_clients, "Maximum number of clients of the feed.";
}

settings! {
    /// Settings of the page of headlines: `--set news.KEY=VALUE`.
    NEWS:
    "listen" Addresses => news.service.listen, "Addresses of the page of headlines; an empty list starts no news.";
    "sites" OptionalPath => news.service.sites, "The sites file, which is followed while the page runs; \"\" for the example sites.";
    "renderer" Renderer => news.renderer, "A rendering service with Splash's contract, as http://HOST:PORT; \"\" for a Chromium of this program.";
    "allow" Pairs => news.service.allow, "Exceptions HOST:PORT for sites whose address is not of the public internet.";
    "contact" Contact => news.service.contact, "Who runs this program, as a URL or mail address: sites see it in the User-Agent.";
    "deadline" Span [ATTEMPT] => news.service.deadline, "Time limit for one site's headlines, from 1s to 10m.";
    "timeout" Span [ATTEMPT] => news.service.timeout, "Time limit for one request to a site, from 1s to 10m.";
    "delay" Span [Unit::Nanoseconds.from(0..=3600 * SECOND)] => news.service.delay, "Time between two page requests to one host, up to 1h.";
    "clients" Positive<usize> [Unit::Count.from(1..=100_000)] => news.service.clients, "Maximum number of open pages that fill in live; never more than half of http.connections.";
    "broker" BrokerUrl => news.broker, "The broker that new headlines and broken rules are published at, as switchboard://HOST:PORT; with `up` that of this program.";
    "topic" Topic => news.topic, "The topic that new headlines go to.";
    "alerts" Topic => news.alerts, "The topic that broken rules go to.";
}

settings! {
    /// Settings of the rendering service, and of the Chromium of both services: `--set render.KEY=VALUE`.
    RENDER:
    "listen" Addresses => render.listen, "Addresses of the rendering service; an empty list starts none.";
    "allow" Pairs => render.chromium.allow, "Exceptions HOST:PORT that rendered pages may reach although the address is not of the public internet; pages of `news` have `news.allow`.";
    "cdp" Cdp => render.chromium.endpoint, "DevTools of a Chromium that runs already on this machine: http://127.0.0.1:9222 or the ws:// address; \"\" starts one.";
    "program" Program => render.chromium.program, "Program of Chromium: a path, or a name in PATH.";
    "sandbox" Flag => render.chromium.sandbox, "Whether Chromium runs in its sandbox; without it a page that breaks out of Chromium has this user's rights.";
    "pages" Positive<usize> [Unit::Count.from(1..=64)] => render.chromium.pages, "Maximum number of pages that are rendered at a time.";
    "queue" Count<usize> [Unit::Count.from(0..=10_000)] => render.chromium.queue, "Maximum number of pages that wait for their turn; further ones get 429.";
    "max-timeout" Span [Unit::Nanoseconds.from(SECOND..=3600 * SECOND)] => render.max_timeout, "The longest time-out that a request may ask for, from 1s to 1h.";
    "recycle-pages" Positive<u32> [Unit::Count.from(1..=1_000_000)] => render.chromium.recycle_pages, "Pages after which Chromium is replaced.";
    "recycle-age" Span [Unit::Nanoseconds.from(SECOND..=7 * DAY)] => render.chromium.recycle_age, "Age at which Chromium is replaced, from 1s to 7d.";
    "memory" Bytes [Unit::Bytes.from(64 << 20..=TIB)] => render.chromium.memory, "Memory of all of Chromium's processes at which it is replaced.";
    "page-memory" Bytes [Unit::Bytes.from(16 << 20..=TIB)] => render.chromium.page_memory, "Memory of one of Chromium's processes at which its pages are ended.";
    "idle" Span [Unit::Nanoseconds.from(SECOND..=DAY)] => render.chromium.idle, "Time without work after which Chromium is ended, from 1s to 1d.";
    "start-timeout" Span [ATTEMPT] => render.chromium.start_timeout, "Time limit for Chromium's start, from 1s to 10m.";
}

settings! {
    /// Settings of rows: `--set rows.KEY=VALUE`.
    ROWS:
    "listen" Addresses => rows.service.listen, "Addresses of the API and the page; an empty list starts no rows.";
    "database" DatabaseUrl => rows.service.database, "The database, as postgres://USER@HOST/NAME; \"\" starts a private PostgreSQL. With a password it is a secret, so keep it in a file.";
    "tables" Tables => rows.names, "Tables by their primary keys, as NAME or SCHEMA.NAME. The table patron is created if it is missing.";
    "rows" Count<usize> => rows.service.options.limits.rows, "Maximum number of cached rows; 0 caches none.";
    "bytes" Size => rows.service.options.limits.bytes, "Maximum size of the cached rows; one of more than an eighth of it is not cached.";
    "max-age" Span [Unit::Nanoseconds.from(SECOND / 100..=3600 * SECOND)] => rows.service.options.limits.max_age, "How stale a cached row may be, from 10ms to 1h.";
    "connections" Positive<usize> [Unit::Count.from(1..=1000)] => rows.service.options.connections, "Connections to the database for reads and writes; two more keep the cache coherent.";
    "query-timeout" Span [Unit::Nanoseconds.from(SECOND / 100..=3600 * SECOND)] => rows.service.options.query_timeout, "Time limit for an answer of the database, from 10ms to 1h; the server ends a statement after 90 % of it, a wait for a lock after 80 %.";
    "refresh" Refreshed => rows.service.options.refresh, "Which rows are read again after a change, before somebody asks: off, cached, or written (cached or not).";
    "samples" Count<u32> [Unit::Count.from(0..=1000)] => rows.service.options.samples, "Cached rows a second that are compared with the database; 0 for none.";
    "install-triggers" Flag => rows.service.options.install_triggers, "Whether missing triggers are installed; without them a table is not cached.";
    "origins" Origins => rows.service.origins, "Other sites whose pages may use the API, as https://HOST; * for every site.";
    "read-only" Flag => rows.service.read_only, "Whether every write is refused.";
    "body" Size [Unit::Bytes.from(1..=1 << 30)] => rows.service.body, "Maximum size of a request's body.";
    "list-rows" Positive<u64> [Unit::Count.from(1..=1_000_000)] => rows.service.list_rows, "Maximum number of rows of one list; the rest is a further page.";
    "list-bytes" Size [Unit::Bytes.from(1 << 10..=1 << 30)] => rows.service.list_bytes, "Size of a list from which on no further row is added.";
    "events" Positive<usize> [Unit::Count.from(1..=1 << 20)] => rows.service.options.changes, "Changes that are kept for clients of /events that were away for a moment.";
    "event-clients" Positive<usize> [Unit::Count.from(1..=100_000)] => rows.service.event_clients, "Maximum number of clients of /events.";
}

settings! {
    /// Settings of every service's HTTP: `--set http.KEY=VALUE`.
    HTTP:
    "hosts" Names => web.hosts, "Host names under which the HTTP listeners are reached, beside localhost and every IP address.";
    "token" AccessToken => web.token, "The access token, asked for at every HTTP listener; without one a token is made, and asked for beyond loopback only. Better given as SWITCHBOARD_TOKEN.";
    "metrics-open" Flag => web.metrics_open, "Whether /metrics is answered without the token.";
    "connections" Positive<usize> [Unit::Count.from(1..=100_000)] => web.limits.connections, "Maximum number of HTTP connections of a service; never more than an eighth of the open files.";
    "header" Size [Unit::Bytes.from(1 << 10..=64 << 10)] => web.limits.header, "Maximum size of a request's headers, from 1KiB to 64KiB.";
    "header-timeout" Span [TIMEOUT] => web.limits.header_timeout, "Time limit for a request's headers, from 10ms to 1d.";
    "body-timeout" Span [TIMEOUT] => web.limits.body_timeout, "Time limit for a request's body, from 10ms to 1d.";
    "idle-timeout" Span [TIMEOUT] => web.limits.idle_timeout, "How long a connection stays open between requests, from 10ms to 1d.";
    "write-timeout" Span [TIMEOUT] => web.limits.write_timeout, "How long a client may take to read 16 KiB that wait for it, from 10ms to 1d.";
}
