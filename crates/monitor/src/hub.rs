//! The hub: sources, history, feed and alarms meet in it.

use crate::alerts::Alert;
use crate::collector::{Collector, Earlier, Effects, Source};
use crate::feed::Feed;
use crate::history::History;
use crate::own::Own;
use crate::pace::Pace;
use crate::report::{color_of, started};
use crate::{HistorySettings, Millis, Refusal, Sample, Settings, Usage};
use parking_lot::{Mutex, MutexGuard};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// Readers of the history at a time; more wait.
const READERS: usize = 2;
/// Samples that are taken in one turn.
const TURN: usize = 128;
/// Alerts that may wait to be taken, which happens at once: all processes may fall silent together.
const ALERTS: usize = 10_000;

/// The one state of a monitor.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) settings: Settings,
    pub(crate) history: History,
    pub(crate) feed: Feed,
    pub(crate) readers: Semaphore,
    pub(crate) started: Instant,
    /// Alerts that were delivered, and those that could not be.
    pub(crate) delivered: AtomicU64,
    pub(crate) undelivered: AtomicU64,
    /// Peers of the collector's socket that spoke another protocol, had no right token, or went over a limit.
    pub(crate) faulty_peers: AtomicU64,
    /// Changes to true when everything is to end.
    pub(crate) ending: watch::Sender<bool>,
    collector: Mutex<Collector>,
    alerts: mpsc::Sender<Alert>,
    pace: Mutex<Pace>,
    own: Mutex<(Option<Own>, Usage)>,
}

/// The result of several messages.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    /// The first refusal.
    pub(crate) why: Option<Refusal>,
}

impl Taken {
    fn add(&mut self, other: Taken) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.why = self.why.take().or(other.why);
    }

    pub(crate) fn count(&mut self, result: Result<(), Refusal>) {
        match result {
            Ok(()) => self.accepted += 1,
            Err(refusal) => {
                self.refused += 1;
                self.why.get_or_insert(refusal);
            }
        }
    }
}

impl Hub {
    /// Takes over the data directory; blocks while it reads that.
    pub(crate) fn open(settings: Settings) -> io::Result<(Arc<Hub>, mpsc::Receiver<Alert>)> {
        let now = Millis::now();
        let names = settings.rules.series.saturating_mul(4);
        let history = HistorySettings { keep: settings.rules.keep, names, ..settings.history.clone() };
        let (history, restored) = History::open(&settings.data, history, now)?;
        let earlier = Earlier {
            metas: restored.names.iter().filter_map(|json| serde_json::from_str(json).ok()).collect(),
            spans: restored.spans,
            annotations: restored.annotations.into_iter().map(|kept| kept.annotation).collect(),
        };
        let mut collector = Collector::new(settings.rules.clone(), now, earlier);
        let day = now.before(Duration::from_secs(86_400));
        collector.remember(|visit| history.visit_minutes(day, visit));
        let (alerts, receiver) = mpsc::channel(ALERTS);
        let hub = Hub {
            feed: Feed::new(settings.feed),
            history,
            readers: Semaphore::new(READERS),
            started: Instant::now(),
            delivered: 0.into(),
            undelivered: 0.into(),
            faulty_peers: 0.into(),
            ending: watch::Sender::new(false),
            collector: Mutex::new(collector),
            alerts,
            pace: Mutex::new(Pace::new(settings.rate, Instant::now())),
            own: Mutex::new((Own::new().ok(), Usage::default())),
            settings,
        };
        Ok((Arc::new(hub), receiver))
    }

    pub(crate) fn collector(&self) -> MutexGuard<'_, Collector> {
        self.collector.lock()
    }

    /// Returns the CPU and memory of this process in the last second.
    pub(crate) fn own(&self) -> Usage {
        self.own.lock().1
    }

    /// Takes messages that have come together, not faster than the settings' rate. Everybody has a turn between any two
    /// [`TURN`]s of them, however many they are and whatever is in them. Behind `refused_max` refused ones, no more are
    /// looked at: they are refused.
    pub(crate) async fn ingest(&self, messages: &[&[u8]], source: Source, refused_max: u64) -> Taken {
        let limit = self.settings.rules.message;
        let mut all = Taken::default();
        for (at, turn) in messages.chunks(TURN).enumerate() {
            // Read before the lock is taken: what is in them costs their sender's time, and nobody else's.
            let samples: Vec<_> = turn.iter().map(|message| Sample::read(message, limit)).collect();
            let taken = self.with(|collector, now, taken| {
                samples.into_iter().for_each(|sample| taken.count(collector.take(sample, source, now)));
            });
            all.add(taken);
            self.pace(turn.len()).await;
            let rest = &messages[messages.len().min((at + 1) * TURN)..];
            if all.refused >= refused_max && !rest.is_empty() {
                self.collector().skip(rest.len() as u64, source);
                all.refused += rest.len() as u64;
                break;
            }
        }
        all
    }

    /// Lets the collector work, and does what comes of it.
    pub(crate) fn with(&self, work: impl FnOnce(&mut Collector, Millis, &mut Taken)) -> Taken {
        let mut taken = Taken::default();
        let mut collector = self.collector();
        work(&mut collector, Millis::now(), &mut taken);
        // Still locked, so that events are published in the order of their numbers. Nothing of it blocks.
        self.apply(collector.effects());
        taken
    }

    fn apply(&self, effects: Effects) {
        if !effects.names.is_empty() {
            self.history.name(effects.names);
        }
        if !effects.points.is_empty() {
            self.history.append(effects.points);
        }
        self.feed.publish(effects.events, effects.count);
        if effects.annotations.is_empty() {
            return;
        }
        for (annotation, name) in &effects.annotations {
            let alert = Alert { annotation: annotation.clone(), name: name.clone() };
            if annotation.kind.is_alert() && self.alerts.try_send(alert).is_err() {
                self.undelivered.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.history.annotate(effects.annotations.into_iter().map(|(annotation, _)| annotation).collect());
    }

    /// Lets so many samples pass, not faster than the settings' rate: a source that waits here is not read
    /// meanwhile, and what it sends waits where it is.
    pub(crate) async fn pace(&self, samples: usize) {
        let now = Instant::now();
        let due = self.pace.lock().take(samples, now);
        if due > now {
            sleep_until(due).await;
        }
    }

    /// Runs the tasks of each second, for ever.
    pub(crate) async fn run_clock(self: Arc<Hub>) {
        let started = started(std::process::id());
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            seconds.tick().await;
            let usage = {
                let mut own = self.own.lock();
                own.1 = own.0.as_mut().map(Own::sample).unwrap_or_default();
                own.1
            };
            self.with(|collector, now, taken| {
                collector.tick(now);
                if let Some(name) = &self.settings.report_as {
                    let color = Some(color_of(name).into());
                    let sample = Sample { color, started, ..Sample::of_own(name, usage, now) };
                    taken.count(collector.take(Ok(sample), Source::Own, now));
                }
            });
        }
    }
}
