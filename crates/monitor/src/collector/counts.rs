//! The collector's own counts.

use crate::Refusal;
use std::collections::VecDeque;

/// The source of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The ZeroMQ socket.
    Zmq,
    /// The broker's topic.
    Broker,
    /// A POST.
    Http,
    /// This very process.
    Own,
}

impl Source {
    /// All of them, with their names.
    pub const ALL: [(Source, &'static str); 4] =
        [(Source::Zmq, "zmq"), (Source::Broker, "broker"), (Source::Http, "http"), (Source::Own, "own")];
}

/// Arrivals over which the lag is computed.
const LAGS: usize = 1024;

#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// By [`Source`].
    pub(crate) received: [u64; Source::ALL.len()],
    pub(crate) accepted: u64,
    /// By [`Refusal::REASONS`].
    pub(crate) refused: [u64; Refusal::REASONS.len()],
    /// Times ahead of the collector's clock, for which that was taken.
    pub(crate) ahead: u64,
    /// Times before one that had come already.
    pub(crate) backwards: u64,
    /// A second sample within a second.
    pub(crate) same_second: u64,
    /// Number of jumps of the collector's own clock.
    pub(crate) jumps: u64,
    lags: VecDeque<u32>,
}

impl Counts {
    pub(crate) fn lag(&mut self, millis: i64) {
        if self.lags.len() == LAGS {
            self.lags.pop_front();
        }
        self.lags.push_back(u32::try_from(millis.max(0)).unwrap_or(u32::MAX));
    }

    /// Returns the lag of the last thousand samples: median and 99th percentile, in milliseconds.
    pub(crate) fn lags(&self) -> (Option<u32>, Option<u32>) {
        let mut lags: Vec<u32> = self.lags.iter().copied().collect();
        lags.sort_unstable();
        let at = |part: f64| lags.get(((lags.len() as f64 * part) as usize).min(lags.len().saturating_sub(1))).copied();
        (at(0.5), at(0.99))
    }
}
