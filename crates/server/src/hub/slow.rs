//! Slow subscribers in the log: a line when one begins to miss messages, ever rarer ones while it does, and one at the end.

use super::Hub;
use super::line::{LINES, Line};
use super::state::State;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use switchboard_broker::{ConnectionId, ConnectionStatus, Limits, Time};
use switchboard_driver::quantity::{plural, rough_size};
use tokio::sync::Notify;

/// Name that a connection subscribes to by convention if it only sends.
const NULL: &str = "/null";

/// Time between the first two lines about a subscriber; it doubles with each further one, up to `RAREST`.
const SECOND_LINE: Duration = Duration::from_secs(60);
const RAREST: Duration = Duration::from_secs(3600);
/// Least time for which a subscriber has kept up before it is said.
const SHORTEST_QUIET: Duration = Duration::from_secs(5);

/// A slow subscriber, for a line.
#[derive(Clone, Debug)]
pub(super) struct Subscriber {
    connection: ConnectionId,
    address: String,
    topics: String,
}

impl Subscriber {
    fn new(state: &State, status: &ConnectionStatus) -> Subscriber {
        let origin = state.handles.get(&status.id).map(|handle| handle.origin());
        let address = origin.map_or_else(String::new, |origin| origin.to_string());
        Subscriber { connection: status.id, address, topics: topics(status) }
    }
}

impl fmt::Display for Subscriber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "subscriber {} of {}", self.address, self.topics)
    }
}

/// The first subscription by name: the log is no place for all of them.
fn topics(status: &ConnectionStatus) -> String {
    let mut names = status.subscriptions.iter().filter(|name| *name != NULL.as_bytes());
    let first = names.next().map_or_else(|| "nothing any more".to_owned(), |name| name.escape_ascii().to_string());
    match names.count() {
        0 => first,
        _ => format!("{first} and others"),
    }
}

/// Stages of a slow subscriber that are logged, with the messages that it has missed since it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Begins { waiting: usize },
    GoesOn { missed: u64 },
    KeepsUp { missed: u64 },
    Gone { missed: u64 },
}

/// A line about a slow subscriber.
#[derive(Clone, Debug)]
pub(super) struct SlowLine {
    subscriber: Subscriber,
    stage: Stage,
}

impl SlowLine {
    pub(super) fn log(&self) {
        let (connection, subscriber) = (self.subscriber.connection.0, &self.subscriber);
        match self.stage {
            stage @ Stage::KeepsUp { .. } => tracing::info!(connection, "{subscriber} {stage}"),
            stage => tracing::warn!(connection, "slow {subscriber} {stage}"),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Stage::Begins { waiting } => {
                let waiting = rough_size(waiting);
                write!(formatter, "may miss messages from now on: {waiting} wait until it reads")
            }
            Stage::GoesOn { missed } => write!(formatter, "has missed {} so far", plural(missed, "message")),
            Stage::KeepsUp { missed } => {
                write!(formatter, "keeps up again; it has missed {}", plural(missed, "message"))
            }
            Stage::Gone { missed } => write!(formatter, "is gone; it has missed {}", plural(missed, "message")),
        }
    }
}

/// The subscribers that miss messages.
#[derive(Debug)]
pub(super) struct SlowSubscribers {
    episodes: HashMap<ConnectionId, Episode>,
    /// Time without another judgment after which a subscriber keeps up again.
    quiet: Duration,
    outbox: usize,
    began: Arc<Notify>,
}

/// From the first message that a subscriber may miss until it keeps up, or is gone.
#[derive(Debug)]
struct Episode {
    subscriber: Subscriber,
    last_judged: Time,
    next_line: Time,
    pause: Duration,
    /// Of the last line.
    missed: u64,
}

impl SlowSubscribers {
    pub(super) fn new(limits: &Limits) -> SlowSubscribers {
        // The broker judges anew after `slow_consumer` and perhaps a grace period.
        let quiet = limits.slow_consumer.saturating_mul(2).saturating_add(limits.grace_period);
        SlowSubscribers {
            episodes: HashMap::new(),
            quiet: quiet.max(SHORTEST_QUIET),
            outbox: limits.outbox,
            began: Arc::default(),
        }
    }

    /// The stage to log, if it is time for a line.
    fn judged(&mut self, now: Time, subscriber: Subscriber, status: &ConnectionStatus) -> Option<SlowLine> {
        let missed = status.dropped;
        let Some(episode) = self.episodes.get_mut(&status.id) else {
            let (next_line, pause) = (now + SECOND_LINE, SECOND_LINE);
            let episode = Episode { subscriber: subscriber.clone(), last_judged: now, next_line, pause, missed };
            self.episodes.insert(status.id, episode);
            self.began.notify_one();
            return Some(SlowLine { subscriber, stage: Stage::Begins { waiting: status.outbox } });
        };
        episode.last_judged = now;
        if now < episode.next_line || missed == episode.missed {
            return None;
        }
        episode.missed = missed;
        episode.pause = (episode.pause * 2).min(RAREST);
        episode.next_line = now + episode.pause;
        Some(SlowLine { subscriber, stage: Stage::GoesOn { missed } })
    }

    /// Subscribers that keep up again, and the messages that they have missed; at most so many as may be logged at once.
    fn recovered(&mut self, now: Time, state: impl Fn(ConnectionId) -> (usize, u64)) -> Vec<SlowLine> {
        let mut lines = Vec::new();
        self.episodes.retain(|id, episode| {
            if episode.last_judged + self.quiet > now || lines.len() == LINES {
                return true;
            }
            let (waiting, missed) = state(*id);
            // Nothing is published, so that it misses nothing, but it has not read either.
            if waiting > self.outbox / 2 {
                return true;
            }
            lines.push(SlowLine { subscriber: episode.subscriber.clone(), stage: Stage::KeepsUp { missed } });
            false
        });
        lines
    }
}

impl State {
    /// The broker has judged a subscriber to be slow, for the first time or once more.
    pub(super) fn judged_slow(&mut self, now: Time, connection: ConnectionId) {
        let Some(status) = self.broker.connection(now, connection) else { return };
        let subscriber = Subscriber::new(self, &status);
        let line = self.slow.judged(now, subscriber, &status);
        line.into_iter().for_each(|line| self.line(Line::Slow(line)));
    }

    /// To be called before the broker forgets the connection.
    pub(super) fn slow_is_gone(&mut self, now: Time, connection: ConnectionId) {
        let Some(episode) = self.slow.episodes.remove(&connection) else { return };
        let missed = self.broker.connection(now, connection).map_or(episode.missed, |status| status.dropped);
        self.line(Line::Slow(SlowLine { subscriber: episode.subscriber, stage: Stage::Gone { missed } }));
    }

    fn slow_keep_up(&mut self, now: Time) {
        let status = |id| self.broker.connection(now, id).map_or((0, 0), |status| (status.outbox, status.dropped));
        self.slow.recovered(now, status).into_iter().for_each(|line| self.line(Line::Slow(line)));
    }
}

impl Hub {
    /// Notices subscribers that keep up again, for ever.
    pub(crate) async fn run_slow_subscribers(self: Arc<Hub>) {
        let Some((began, quiet)) = self.lock().map(|locked| (locked.slow.began.clone(), locked.slow.quiet)) else {
            return;
        };
        loop {
            let Some(is_empty) = self.lock().map(|locked| locked.slow.episodes.is_empty()) else { return };
            if is_empty {
                began.notified().await;
            }
            tokio::time::sleep(quiet).await;
            let Some(mut locked) = self.lock() else { return };
            let now = self.now();
            locked.slow_keep_up(now);
        }
    }
}

#[cfg(test)]
#[path = "slow_tests.rs"]
mod tests;
