//! One site on the board: its record, and the task that asks it again and again.

use super::{AbortOnDrop, Shared, SiteView};
use crate::scrape::{Known, Outcome};
use crate::site::Site;
use crate::state::{Changes, Record};
use jiff::Timestamp;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// The least time between two attempts, whoever asks for them.
pub(super) const LEAST: Duration = Duration::from_secs(10);
/// The pause after the first attempt that was not good; it doubles, up to the site's `ttl`.
const RETRY: Duration = Duration::from_secs(60);

pub(super) struct Entry {
    pub(super) site: Arc<Site>,
    pub(super) identity: String,
    pub(super) record: Mutex<Record>,
    is_asking: AtomicBool,
    wake: Notify,
    /// Attempts that have ended.
    rounds: watch::Sender<u64>,
}

pub(super) struct Running {
    pub(super) entry: Arc<Entry>,
    pub(super) _task: AbortOnDrop,
}

impl Running {
    pub(super) fn start(shared: Weak<Shared>, entry: Arc<Entry>) -> Running {
        let task = AbortOnDrop(tokio::spawn(run(shared, entry.clone())));
        Running { entry, _task: task }
    }
}

/// The identity of a site: two with the same one are interchangeable.
pub(super) fn identity(site: &Site) -> String {
    format!("{:?} {:?} {:?} {}", site.color, site.ttl, site.warnings, site.fingerprint())
}

impl Entry {
    pub(super) fn new(site: Site, record: Record) -> Entry {
        let (identity, site) = (identity(&site), Arc::new(site));
        let rounds = watch::Sender::new(0);
        let (is_asking, wake) = Default::default();
        Entry { site, identity, record: Mutex::new(record), is_asking, wake, rounds }
    }

    pub(super) fn view(&self) -> SiteView {
        SiteView::new(&self.site, &self.record.lock(), self.is_asking.load(Ordering::Relaxed))
    }

    /// Asks soon. Returns the count of ended attempts to wait for; `None` if the last one is too new to repeat it.
    pub(super) fn ask(&self, now: Timestamp) -> Option<watch::Receiver<u64>> {
        let rounds = self.rounds.subscribe();
        let is_new = since(self.record.lock().tried, now).is_some_and(|age| age < LEAST);
        if self.is_asking.load(Ordering::Relaxed) {
            return Some(rounds);
        }
        if is_new {
            return None;
        }
        self.wake.notify_one();
        Some(rounds)
    }

    /// The time until the next attempt. `asked` is what the host asks for.
    fn pause(&self, now: Timestamp, asked: Option<Duration>) -> Duration {
        let record = self.record.lock();
        let interval = interval(self.site.ttl, record.failures).max(asked.unwrap_or_default());
        // A clock that was set back must not silence a site.
        since(record.tried, now).map_or(Duration::ZERO, |age| interval.saturating_sub(age))
    }
}

/// The time since then; 0 if then is yet to come.
fn since(then: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    then.map(|then| now.duration_since(then).try_into().unwrap_or_default())
}

/// The time from one attempt to the next, after so many that were not good.
fn interval(ttl: Duration, failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(20));
    if failures == 0 { ttl } else { RETRY.saturating_mul(doubled).min(ttl).max(LEAST) }
}

async fn run(shared: Weak<Shared>, entry: Arc<Entry>) {
    let mut asked = None;
    // Whether the log says that it fails.
    let mut is_failed_logged = false;
    loop {
        let pause = entry.pause(Timestamp::now(), asked);
        tokio::select! {
            () = sleep(pause) => {}
            () = entry.wake.notified() => {}
        }
        let Some(board) = shared.upgrade() else { return };
        entry.is_asking.store(true, Ordering::Relaxed);
        board.changed();
        let known = {
            let record = entry.record.lock();
            Known { source: record.source, validators: record.validators.clone() }
        };
        let scraper = board.scraper.clone();
        // The board may end meanwhile.
        drop(board);
        let outcome = scraper.scrape(&entry.site, &known).await;
        let Some(board) = shared.upgrade() else { return };
        asked = None;
        let changes = {
            let (mut record, now) = (entry.record.lock(), Timestamp::now());
            match outcome {
                Outcome::Found { headlines, total, source, validators } => {
                    record.total = total;
                    record.found(headlines, source, validators, now)
                }
                Outcome::Unchanged => record.unchanged(now),
                Outcome::Broken { reason } => record.broken(reason, now),
                Outcome::Failed { reason, wait } => {
                    asked = wait;
                    if !std::mem::replace(&mut is_failed_logged, true) {
                        tracing::warn!(
                            "{}: {reason}; it is asked again, and no more is logged until it answers",
                            record.name
                        );
                    }
                    record.failed(reason, now);
                    Changes::default()
                }
            }
        };
        entry.is_asking.store(false, Ordering::Relaxed);
        let is_back = entry.record.lock().failures == 0 && std::mem::take(&mut is_failed_logged);
        match &changes.alert {
            Some(alert) if alert.is_broken => tracing::warn!("{}", alert.text),
            Some(alert) => tracing::info!("{}", alert.text),
            None if is_back => tracing::info!("{}: it answers again", entry.site.name),
            None => {}
        }
        let (store, record) = (board.store.clone(), entry.record.lock().clone());
        if let Ok(Err(error)) = spawn_blocking(move || store.save(&record)).await {
            tracing::warn!("{}: its headlines cannot be kept: {error}", entry.site.name);
        }
        // After the record: what is told twice is better than what is told never, but a crash is rare.
        board.publish.changes(&entry.site.name, &changes);
        board.changed();
        entry.rounds.send_modify(|rounds| *rounds += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_the_ttl_and_shorter_after_failures() {
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        for (ttl, failures, expected) in [
            (hour, 0, hour),
            (hour, 1, minute),
            (hour, 2, minute * 2),
            (hour, 6, minute * 32),
            (hour, 7, hour),
            (hour, u32::MAX, hour),
            (LEAST, 0, LEAST),
            (LEAST, 1, LEAST),
            (Duration::from_secs(30), 1, Duration::from_secs(30)),
        ] {
            assert_eq!(interval(ttl, failures), expected, "{ttl:?} {failures}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_delays_nothing_beyond_an_interval() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        assert_eq!(since(Some(at(100)), at(50)), Some(Duration::ZERO));
        assert_eq!(since(Some(at(100)), at(150)), Some(Duration::from_secs(50)));
        assert_eq!(since(None, at(1)), None);
    }
}
