//! Where sources, history, feed and alarms meet.

use crate::alerts::Alert;
use crate::collector::{Collector, Effects, Source};
use crate::feed::Feed;
use crate::history::{History, Range};
use crate::line::State;
use crate::mark::{Mark, MarkKind};
use crate::own::Own;
use crate::pace::Pace;
use crate::report::{color_of, started};
use crate::{Figures, HistorySettings, Millis, Refusal, Sample, Settings};
use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// Readers of the history at a time; more wait.
const READERS: usize = 2;
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
    /// Changes to true when everything is to end.
    pub(crate) ending: watch::Sender<bool>,
    collector: Mutex<Collector>,
    alerts: mpsc::Sender<Alert>,
    pace: Mutex<Pace>,
    own: Mutex<(Option<Own>, Figures)>,
}

/// What became of several messages.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    /// The first refusal.
    pub(crate) why: Option<Refusal>,
}

impl Taken {
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
        let history = HistorySettings { keep: settings.rules.keep, ..settings.history.clone() };
        let (history, restored) = History::open(&settings.data, history, now)?;
        let known = restored.names.iter().filter_map(|json| serde_json::from_str(json).ok()).collect();
        let mut collector = Collector::new(settings.rules.clone(), now, known, &restored.last);
        remember(&mut collector, &history, now)?;
        restore_silence(&mut collector, &history.marks_between(Millis(0), now));
        let (alerts, receiver) = mpsc::channel(ALERTS);
        let hub = Hub {
            feed: Feed::new(settings.feed),
            history,
            readers: Semaphore::new(READERS),
            started: Instant::now(),
            delivered: 0.into(),
            undelivered: 0.into(),
            ending: watch::Sender::new(false),
            collector: Mutex::new(collector),
            alerts,
            pace: Mutex::new(Pace::new(settings.rate, Instant::now())),
            own: Mutex::new((Own::new().ok(), Figures::default())),
            settings,
        };
        Ok((Arc::new(hub), receiver))
    }

    pub(crate) fn collector(&self) -> MutexGuard<'_, Collector> {
        self.collector.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this process uses, as of the last second.
    pub(crate) fn own(&self) -> Figures {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Takes messages that have come together.
    pub(crate) fn ingest<'a>(&self, messages: impl IntoIterator<Item = &'a [u8]>, source: Source) -> Taken {
        self.with(|collector, now, taken| {
            for message in messages {
                taken.count(collector.ingest(message, source, now));
            }
        })
    }

    /// Lets the collector work, and does what comes of it.
    pub(crate) fn with(&self, work: impl FnOnce(&mut Collector, Millis, &mut Taken)) -> Taken {
        let mut taken = Taken::default();
        let mut collector = self.collector();
        work(&mut collector, Millis::now(), &mut taken);
        // Still locked, so that events are told in the order of their numbers. Nothing of it blocks.
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
        self.feed.tell(effects.events, effects.count);
        if effects.marks.is_empty() {
            return;
        }
        for (mark, name) in &effects.marks {
            let alert = Alert { mark: mark.clone(), name: name.clone() };
            if mark.kind.is_alert() && self.alerts.try_send(alert).is_err() {
                self.undelivered.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.history.mark(effects.marks.into_iter().map(|(mark, _)| mark).collect());
    }

    /// Lets so many samples pass, not faster than the settings' rate: a source that waits here is not read
    /// meanwhile, and what it sends waits where it is.
    pub(crate) async fn pace(&self, samples: usize) {
        let now = Instant::now();
        let due = self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(samples, now);
        if due > now {
            sleep_until(due).await;
        }
    }

    /// What happens once a second; for ever.
    pub(crate) async fn run_clock(self: Arc<Hub>) {
        let started = started(std::process::id());
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            seconds.tick().await;
            let figures = {
                let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
                own.1 = own.0.as_mut().map(Own::sample).unwrap_or_default();
                own.1
            };
            self.with(|collector, now, taken| {
                collector.tick(now);
                if let Some(name) = &self.settings.own {
                    let color = Some(color_of(name).into());
                    let sample = Sample { color, started, ..Sample::of_own(name, figures, now) };
                    taken.count(collector.take(Ok(sample), Source::Own, now));
                }
            });
        }
    }
}

/// A process that was silent before a restart is silent after it: that is no second alarm, and its return is told.
fn restore_silence(collector: &mut Collector, marks: &[Mark]) {
    let mut silent = HashSet::new();
    for mark in marks {
        match mark.kind {
            MarkKind::Silent => drop(silent.insert(mark.id)),
            MarkKind::Back | MarkKind::Restart | MarkKind::Ended => drop(silent.remove(&mark.id)),
            _ => {}
        }
    }
    for line in collector.lines.iter_mut().filter(|line| line.state == State::Live && silent.contains(&line.known.id)) {
        line.state = State::Silent;
    }
}

/// Lets the alarm for leaks know the last hour of an earlier run.
fn remember(collector: &mut Collector, history: &History, now: Millis) -> io::Result<()> {
    let from = now.before(Duration::from_secs(3600));
    let range = Range::minutes(from, now);
    for line in collector.lines.iter_mut().filter(|line| line.last > from && line.known.ended.is_none()) {
        let (_, mem) = history.columns(line.known.id, range)?;
        for (minute, mem) in (i64::from(range.from / 60)..).zip(mem.mean) {
            if let Some(mem) = mem {
                line.leak.remember(minute, mem);
            }
        }
    }
    Ok(())
}
