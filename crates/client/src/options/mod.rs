//! Options of a client. Each field is also an option in its URL, by the same name.

mod parse;
#[cfg(test)]
mod tests;

use crate::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const MIB: usize = 1 << 20;
const SIZE_BOUNDS: &str = "it must be from 1 byte to less than 4GiB";

/// Default limit of brokers.
pub(crate) const MAX_CHANNEL: usize = 1024;

/// Address of the broker, and limits of a client. Each field but the first five is an option of
/// the URL, by its name: `switchboard://[::1]:25000?timeout=5s&buffer=1MiB&when_full=fail`. The URL of a broker that is to be
/// spoken to in STOMP is `stomp://LOGIN:PASSCODE@HOST:PORT`, where login and passcode may be percent-encoded or missing.
/// Durations are written as `250ms`, `1.5h` or `2` (seconds), sizes as `64KiB`, `1.5MB` or `4096` (bytes): the grammar of
/// [`switchboard_driver::quantity`], as in the program's options and settings.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// The protocol, by the URL's scheme; default native.
    pub protocol: Protocol,
    /// The broker's host; default `localhost`.
    pub host: String,
    /// The broker's port; default 25000, of STOMP 61613.
    pub port: u16,
    /// The login of STOMP's CONNECT; default none.
    pub login: Option<String>,
    /// The passcode of STOMP's CONNECT; default none.
    pub passcode: Option<String>,
    /// The header `host` of STOMP's CONNECT; default `/`, RabbitMQ's only virtual host. Many brokers ignore it.
    pub vhost: String,
    /// Time limit for a connection until the broker answers; default 5 s.
    pub connect_timeout: Duration,
    /// Time limit of `flush`, `subscribe`, `close`, and a publish that waits for room; default 30 s.
    /// `timeout=never` is as long as it takes, as is any time that no clock can count.
    pub timeout: Duration,
    /// Silence after which a connection is checked, and time limit for the answer; default 15 s.
    pub heartbeat: Duration,
    /// The first pause before a connection is tried again; default 100 ms. It doubles up to
    /// `backoff_max`, and each time a random part of up to one half is left out, so that many
    /// clients do not come back in step.
    pub backoff_min: Duration,
    /// The longest pause; default 5 s.
    pub backoff_max: Duration,
    /// Published bytes that may wait for the socket (with `resend`: for the broker's answer);
    /// default 8 MiB. An empty buffer takes one message of any legal size.
    pub buffer: usize,
    /// Effect of a full buffer on a publish; default `wait`.
    pub when_full: WhenFull,
    /// Messages that are published over STOMP with a receipt of their own; default the last of each write.
    pub receipts: Receipts,
    /// Publishes that may wait for room; default 10,000. Each keeps its own message.
    pub waiting: usize,
    /// Resends of a message in doubt before it is given up; default 0: nothing is sent
    /// twice. Each time counts on which no new answer came, so a broker that refuses a message is not
    /// sent it for ever.
    pub resend: u32,
    /// Received bytes that may wait for a subscriber; default 8 MiB. Then its socket is not read,
    /// and what the broker does is up to its rules for slow subscribers.
    pub inbox: usize,
    /// The longest message; default 16 MiB, as the broker's.
    pub max_frame: usize,
    /// The longest name of a channel; default 1024 bytes, as the broker's.
    pub max_channel: usize,
    /// Whether the first connection is tried again, too, until `timeout`; default `false`.
    pub retry_first: bool,
    /// Whether a connection that has ended is made anew; default `true`. Else a subscription ends with its
    /// connection, and the client with the one that publishes, if it has one.
    pub reconnect: bool,
    /// Runtime of I/O; default `current`.
    pub driver: Runtime,
}

/// A client's protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Switchboard's own: `switchboard://`.
    #[default]
    Native,
    /// STOMP, in the latest version that the broker knows: `stomp://`.
    Stomp,
}

impl Protocol {
    pub(crate) fn default_port(self) -> u16 {
        match self {
            Protocol::Native => 25000,
            Protocol::Stomp => 61613,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Protocol::Native => "the broker's native protocol",
            Protocol::Stomp => "STOMP",
        }
    }
}

/// Effect of a full buffer on a publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Its completion is late: `when_full=wait`.
    #[default]
    Wait,
    /// Its completion is [`Error::Full`]: `when_full=fail`.
    Fail,
}

/// Messages that are published over STOMP with a receipt of their own: a broker names what it rejects by its receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Receipts {
    /// The last one of each write, behind which the others have arrived: `receipts=write`. That one of the others was rejected, the
    /// client learns only if the last one was.
    #[default]
    Write,
    /// Each one: `receipts=message`. A flush tells if any of them was rejected.
    Message,
}

/// Runtime of a client's I/O.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// On the tokio runtime that `connect` is called in, if there is one; else as `Shared`: `driver=current`.
    #[default]
    Current,
    /// On one thread that all such clients of the process share: `driver=shared`.
    Shared,
}

/// The length of a frame has four bytes.
fn is_size(bytes: usize) -> bool {
    bytes > 0 && u32::try_from(bytes).is_ok()
}

impl Default for Options {
    fn default() -> Options {
        Options {
            protocol: Protocol::Native,
            host: "localhost".into(),
            port: 25000,
            login: None,
            passcode: None,
            vhost: "/".into(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            buffer: 8 * MIB,
            when_full: WhenFull::Wait,
            receipts: Receipts::Write,
            waiting: 10_000,
            resend: 0,
            inbox: 8 * MIB,
            max_frame: 16 * MIB,
            max_channel: MAX_CHANNEL,
            retry_first: false,
            reconnect: true,
            driver: Runtime::Current,
        }
    }
}

/// The passcode is left out.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options {
            protocol,
            host,
            port,
            login,
            passcode,
            vhost,
            connect_timeout,
            timeout,
            heartbeat,
            backoff_min,
            backoff_max,
            buffer,
            when_full,
            receipts,
            waiting,
            resend,
            inbox,
            max_frame,
            max_channel,
            retry_first,
            reconnect,
            driver,
        } = self;
        f.debug_struct("Options")
            .field("protocol", protocol)
            .field("host", host)
            .field("port", port)
            .field("login", login)
            .field("passcode", &passcode.as_ref().map(|_| format_args!("***")))
            .field("vhost", vhost)
            .field("connect_timeout", connect_timeout)
            .field("timeout", timeout)
            .field("heartbeat", heartbeat)
            .field("backoff_min", backoff_min)
            .field("backoff_max", backoff_max)
            .field("buffer", buffer)
            .field("when_full", when_full)
            .field("receipts", receipts)
            .field("waiting", waiting)
            .field("resend", resend)
            .field("inbox", inbox)
            .field("max_frame", max_frame)
            .field("max_channel", max_channel)
            .field("retry_first", retry_first)
            .field("reconnect", reconnect)
            .field("driver", driver)
            .finish()
    }
}

impl FromStr for Options {
    type Err = Error;

    fn from_str(url: &str) -> Result<Options, Error> {
        parse::parse(url).map_err(|problem| {
            // The parts of a passcode that was not encoded look like a port or an option.
            let is_torn = url.split_once('?').is_some_and(|(_, query)| query.contains('@'));
            let problem = if is_torn {
                "an @ stands behind the ?: write %40 and %3F in a login or an option".into()
            } else {
                problem
            };
            Error::Url { url: parse::without_login(url), problem }
        })
    }
}

impl Options {
    pub(crate) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Refuses in fields what the URL's grammar refuses.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let fail = |option, problem| Err(Error::Option { option, problem });
        if self.host.is_empty() {
            return fail("host", "it is empty");
        }
        for (option, text) in
            [("login", &self.login), ("passcode", &self.passcode), ("vhost", &Some(self.vhost.clone()))]
        {
            if text.as_ref().is_some_and(|text| text.contains(['\n', '\r', '\0'])) {
                return fail(option, "it has a line end or a NUL byte, which CONNECT cannot express");
            }
        }
        let durations = [
            ("connect_timeout", self.connect_timeout),
            ("timeout", self.timeout),
            ("heartbeat", self.heartbeat),
            ("backoff_min", self.backoff_min),
            ("backoff_max", self.backoff_max),
        ];
        if let Some((option, _)) = durations.into_iter().find(|(_, duration)| duration.is_zero()) {
            return fail(option, "it must be more than zero");
        }
        let sizes = [
            ("buffer", self.buffer),
            ("inbox", self.inbox),
            ("max_frame", self.max_frame),
            ("max_channel", self.max_channel),
        ];
        if let Some((option, _)) = sizes.into_iter().find(|(_, size)| !is_size(*size)) {
            return fail(option, SIZE_BOUNDS);
        }
        if self.backoff_max < self.backoff_min {
            return fail("backoff_max", "it is less than backoff_min");
        }
        Ok(())
    }

    /// Over STOMP only the broker knows which names are too long.
    pub(crate) fn check_channel(&self, name: &[u8]) -> Result<(), Error> {
        if self.protocol == Protocol::Stomp && !name.is_empty() {
            return Ok(());
        }
        if name.is_empty() || name.len() > self.max_channel {
            return Err(Error::ChannelName { length: name.len(), limit: self.max_channel });
        }
        Ok(())
    }

    pub(crate) fn check_message(&self, data: &[u8]) -> Result<(), Error> {
        if data.len() > self.max_frame {
            return Err(Error::MessageTooLong { length: data.len(), limit: self.max_frame });
        }
        Ok(())
    }
}
