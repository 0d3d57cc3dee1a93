//! A run's plan and its outcome.

use crate::{Histogram, Tally};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// The smallest payload, in bytes: a number and a time.
const SMALLEST: usize = 16;

/// The load of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Connections that publish.
    pub publishers: usize,
    /// Connections that subscribe.
    pub subscribers: usize,
    /// Channels; publishers and subscribers are assigned to them round robin.
    pub channels: usize,
    /// Each message to one subscriber instead of all.
    pub queue: bool,
    /// Bytes of a payload; at least 16 are sent.
    pub size: usize,
    /// For how long to publish.
    pub time: Duration,
    /// Messages per second over all publishers together; `None`: as fast as the broker takes them.
    pub rate: Option<f64>,
    /// Beginning of the channels' names.
    pub prefix: &'static str,
}

impl Plan {
    /// One publisher, one subscriber, as fast as it goes.
    #[must_use]
    pub fn one_to_one(size: usize, time: Duration) -> Plan {
        Plan { publishers: 1, subscribers: 1, channels: 1, queue: false, size, time, rate: None, prefix: "" }
    }

    pub(crate) fn size(&self) -> usize {
        self.size.max(SMALLEST)
    }

    /// New names each time: nothing that an earlier run has left behind may be counted in this one.
    pub(crate) fn channel_names(&self) -> Vec<Channel> {
        static RUN: AtomicU16 = AtomicU16::new(0);
        let run = RUN.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id() % 0x1000;
        let name = |number| format!("{}{process:03x}{run:03x}{number:02x}", self.prefix);
        (0..self.channels).map(|number| Channel { name: name(number), queue: self.queue, number }).collect()
    }

    /// Deliveries expected when publisher `i` has sent `sent[i]`.
    pub(crate) fn expected(&self, sent: &[u64]) -> u64 {
        if self.queue {
            return sent.iter().sum();
        }
        let subscribers = |channel| (0..self.subscribers).filter(|i| i % self.channels == channel).count() as u64;
        sent.iter().enumerate().map(|(i, sent)| sent * subscribers(i % self.channels)).sum()
    }
}

/// A channel, before a protocol has given it a name.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Hexadecimal digits that differ from every other channel's, of a fixed length.
    pub name: String,
    /// Whether each message goes to one subscriber.
    pub queue: bool,
    /// Its place among the channels of the run.
    pub number: usize,
}

/// Outcome of a [`Plan`].
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Messages published.
    pub sent: u64,
    /// Deliveries that there should have been.
    pub expected: u64,
    /// The subscribers' tally.
    pub tally: Tally,
    /// Seconds from the first publish to the last delivery.
    pub seconds: f64,
    /// Seconds for which it was published.
    pub publish_seconds: f64,
    /// Deliveries that were left out although later messages of the same publisher came; of topics only.
    pub skipped: u64,
    /// Messages still came when the tool stopped waiting for them: what is missing need not be lost.
    pub undrained: bool,
    /// Subscribers and publishers whose connection the broker has ended.
    pub disconnected: usize,
    /// With a rate: from when each message was due until its subscriber had read it.
    pub latency: Histogram,
}

impl Outcome {
    /// Different messages delivered per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        if self.seconds > 0.0 { (self.tally.delivered - self.tally.doubled) as f64 / self.seconds } else { 0.0 }
    }

    /// Deliveries that there should have been, and were not. When not all were waited for, those of
    /// them that cannot come any more.
    #[must_use]
    pub fn lost(&self) -> u64 {
        if self.undrained {
            return self.skipped;
        }
        self.expected.saturating_sub(self.tally.delivered - self.tally.doubled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_owes_every_subscriber_of_its_channel_everything_and_a_queue_one_of_them() {
        let mut plan = Plan { publishers: 4, subscribers: 3, channels: 2, ..Plan::one_to_one(0, Duration::ZERO) };
        assert_eq!(plan.expected(&[1, 10, 100, 1000]), 2 * 101 + 1010);
        plan.queue = true;
        assert_eq!(plan.expected(&[1, 10, 100, 1000]), 1111);
    }
}
