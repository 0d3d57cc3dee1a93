//! Reports: a process's usage once a second, on their way to the collector.

mod backlog;
mod http;
mod identity;
mod zmq;

pub(crate) use identity::Identity;
#[cfg(feature = "collector")]
pub(crate) use identity::{color_of, started};

use crate::TEXT;
use crate::usage::Usage;
use backlog::Backlog;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;
use switchboard_driver::{Driver, NoThread};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

const BEAT: Duration = Duration::from_secs(1);
/// For a socket to say what it could not send within `linger`.
const SETTLING: Duration = Duration::from_millis(100);
/// The reported exit code of a process that somebody else waits for.
const UNKNOWN: i32 = -1;

/// The target of reports, and the name of the process there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The collector's ZeroMQ endpoint, or the address of its page, as `http://HOST:PORT` or `https://HOST:PORT` (behind a proxy). Default:
    /// `tcp://127.0.0.1:5555`. Over HTTP a report counts as delivered when the collector has answered, over ZeroMQ when
    /// it is written to the connection: what a collector that is killed has not read yet is lost.
    pub collector: String,
    /// The token that a collector beyond loopback asks for: over HTTP as a bearer, over ZeroMQ as the password of PLAIN.
    /// One on loopback asks for none, and over ZeroMQ it takes none.
    pub token: Option<String>,
    /// The service that the process is an instance of. Default: the program's name.
    pub service: Option<String>,
    /// The name of the instance. Default: the service and the first number that no other one of this machine has,
    /// so that a process that is started again is the same line.
    pub instance: Option<String>,
    /// The color of its line. Default: one that follows from the instance.
    pub color: Option<String>,
    /// The version of the watched program. Default: it says nothing.
    pub version: Option<String>,
    /// Maximum number of reports that wait for a collector that is away; then the oldest are dropped. Default: 3,600, one hour.
    pub backlog: usize,
    /// Time limit for the delivery of the last reports at the end. Default: 1 s.
    pub linger: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            collector: "tcp://127.0.0.1:5555".into(),
            token: None,
            service: None,
            instance: None,
            color: None,
            version: None,
            backlog: 3600,
            linger: Duration::from_secs(1),
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.backlog == 0 {
            return Err(Error::Backlog);
        }
        let texts = [
            ("service", &self.service),
            ("instance", &self.instance),
            ("color", &self.color),
            ("version", &self.version),
        ];
        for (option, text) in texts {
            if let Some(text) = text.as_deref().filter(|text| text.is_empty() || text.len() > TEXT) {
                return Err(Error::Text { option, length: text.len(), limit: TEXT });
            }
        }
        Sink::new(self).map(drop)
    }
}

/// Why nothing is reported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The collector's address is none.
    #[error(
        "{address:?} is not the address of a collector; it looks like tcp://127.0.0.1:5555, or http://127.0.0.1:8088"
    )]
    Address {
        /// The given text.
        address: String,
    },
    /// There are no certificates to trust, for `https`.
    #[error(transparent)]
    Trust(#[from] switchboard_http_client::TrustError),
    /// A limit that leaves nothing.
    #[error("the backlog must be at least 1 report")]
    Backlog,
    /// A name that no collector would take.
    #[error("{option} has {length} bytes; from 1 to {limit} are allowed")]
    Text {
        /// Which option.
        option: &'static str,
        /// Its bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A token that ZeroMQ cannot carry.
    #[error("the token has {length} bytes; ZeroMQ carries at most {limit}")]
    Token {
        /// Its bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// The process to watch is not there.
    #[error("there is no process {pid}")]
    NoProcess {
        /// Its number.
        pid: u32,
    },
    /// It cannot be found out what the process uses.
    #[error("cannot measure {what}: {source}")]
    Unmeasured {
        /// Which process.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// There are too few files for a connection.
    #[error("cannot report: {0}")]
    Files(#[source] io::Error),
    /// There is no thread for input and output.
    #[error(transparent)]
    NoThread(#[from] NoThread),
}

impl Error {
    /// Returns true if the options are wrong, so that the same ones fail again anywhere.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Error::Address { .. } | Error::Backlog | Error::Text { .. } | Error::Token { .. })
    }
}

/// The result of all reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Number of reports that the collector has taken.
    pub delivered: u64,
    /// Number of reports that it has not taken: dropped for want of room, refused, or still waiting at the end.
    pub lost: u64,
    /// Why the last failed attempt has failed, if reports are lost.
    pub problem: Option<String>,
}

/// The way of the reports.
enum Sink {
    Http(Box<http::Sink>),
    Zmq(Box<zmq::Sink>),
}

impl Sink {
    fn new(options: &Options) -> Result<Sink, Error> {
        if options.collector.contains("://") && options.collector.to_ascii_lowercase().starts_with("http") {
            return http::Sink::new(options).map(Box::new).map(Sink::Http);
        }
        zmq::Sink::new(options).map(Box::new).map(Sink::Zmq)
    }

    /// Delivers until the backlog ends.
    async fn run(self, backlog: Arc<Backlog>) {
        match self {
            Sink::Http(sink) => sink.run(backlog).await,
            Sink::Zmq(sink) => sink.run(backlog).await,
        }
    }
}

/// Measures; `None` when there is nothing left to measure.
pub(crate) type Measure = Box<dyn FnMut() -> Option<Usage> + Send>;

/// A process that is being reported. To drop it ends that without a final report: the process falls silent.
#[derive(Debug)]
pub struct Reporting {
    end: oneshot::Sender<i32>,
    ended: Receiver<Outcome>,
    linger: Duration,
}

impl Reporting {
    pub(crate) fn start(identity: Identity, options: &Options, measure: Measure) -> Result<Reporting, Error> {
        options.check()?;
        let backlog = Arc::new(Backlog::new(options.backlog));
        let sink = Sink::new(options)?;
        let (end, told) = oneshot::channel();
        let (tell, ended) = mpsc::sync_channel(1);
        let linger = options.linger;
        drop(Driver::current()?.spawn(async move {
            let delivering = tokio::spawn(sink.run(backlog.clone()));
            beat(&identity, measure, &backlog, told).await;
            backlog.close();
            let stop = delivering.abort_handle();
            let _ = timeout(linger + SETTLING, delivering).await;
            stop.abort();
            let _ = tell.send(backlog.outcome());
        }));
        Ok(Reporting { end, ended, linger })
    }

    /// Reports that the process has ended with this code, and waits until that is delivered, for as long as
    /// `linger` says. Without an outcome the runtime is gone, or was this thread's own.
    pub fn end(self, code: i32) -> Option<Outcome> {
        let _ = self.end.send(code);
        self.ended.recv_timeout(self.linger + BEAT).ok()
    }

    /// Waits until there is nothing left to measure, and the final report is delivered as in [`Reporting::end`].
    pub(crate) fn wait(self) -> Option<Outcome> {
        self.ended.recv().ok()
    }
}

/// Measures once a second, at the same fraction of each. The last one is the final report.
async fn beat(identity: &Identity, mut measure: Measure, backlog: &Backlog, mut told: oneshot::Receiver<i32>) {
    let mut beat = interval_at(Instant::now() + BEAT, BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last = Usage::default();
    loop {
        tokio::select! {
            code = &mut told => {
                if let Ok(code) = code {
                    // The usage since the last report; its memory is gone, and the last figure is reported, if there is one.
                    let usage = measure().unwrap_or_default();
                    let mem = if last == Usage::default() { usage.mem } else { last.mem };
                    backlog.push(identity.report(Usage { mem, ..usage }, Some(code)));
                }
                return;
            }
            _ = beat.tick() => match measure() {
                Some(usage) => {
                    last = usage;
                    backlog.push(identity.report(usage, None));
                }
                None => {
                    backlog.push(identity.report(Usage { cpu: 0.0, ..last }, Some(UNKNOWN)));
                    return;
                }
            }
        }
    }
}
