//! One site on the board: its record, and the task that asks it again and again.

use super::{AbortOnDrop, Board, Row, Shared, SiteView};
use crate::scrape::{Known, Outcome};
use crate::site::Site;
use crate::state::{Attempt, Changes, Record};
use jiff::Timestamp;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    /// As it is shown.
    is_asking: AtomicBool,
    /// The disk did not take the newest record.
    is_unsaved: AtomicBool,
    wake: Notify,
    /// Attempts that have begun.
    begun: AtomicU64,
    /// Attempts that have ended, each with its headlines shown.
    ended: watch::Sender<u64>,
}

/// An attempt that somebody waits for.
pub(super) struct Awaited {
    before: u64,
    ended: watch::Receiver<u64>,
}

impl Awaited {
    /// Returns once it has ended, or its site is gone.
    pub(super) async fn done(mut self) {
        let _ = self.ended.wait_for(|ended| *ended > self.before).await;
    }
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
        let ended = watch::Sender::new(0);
        let (is_asking, is_unsaved, wake, begun) = Default::default();
        Entry { site, identity, record: Mutex::new(record), is_asking, is_unsaved, wake, begun, ended }
    }

    pub(super) fn view(&self) -> SiteView {
        SiteView::new(&self.site, &self.record.lock(), self.is_asking.load(Ordering::Relaxed))
    }

    /// Asks soon, or joins the attempt that runs. `None` if the last one is too new to repeat it, or the host asked to be left alone.
    pub(super) fn ask(&self, now: Timestamp) -> Option<Awaited> {
        let ended = self.ended.subscribe();
        // Before all else: an attempt that ends from here on is one that was waited for.
        let before = *ended.borrow();
        if self.begun.load(Ordering::SeqCst) == before {
            if self.is_recent(now) {
                return None;
            }
            self.wake.notify_one();
        }
        Some(Awaited { before, ended })
    }

    /// Whether the last attempt ended less than [`LEAST`] ago, or than the time that the host asked for.
    fn is_recent(&self, now: Timestamp) -> bool {
        let record = self.record.lock();
        let least = LEAST.max(record.wait.unwrap_or_default());
        // A clock that was set back must not make a site deaf to refreshes.
        since(record.tried.filter(|tried| *tried <= now), now).is_some_and(|age| age < least)
    }

    /// Takes the outcome of the attempt that has just ended.
    fn settle(&self, outcome: Outcome, now: Timestamp) -> Changes {
        let mut record = self.record.lock();
        match outcome {
            Outcome::Found { headlines, total, source, validators } => {
                record.total = total;
                record.found(headlines, source, validators, now)
            }
            Outcome::Unchanged => record.unchanged(now),
            Outcome::Broken { reason } => record.broken(reason, now),
            Outcome::Failed { reason, wait } => {
                record.failed(reason, wait, now);
                Changes::default()
            }
        }
    }

    /// The time until the next attempt.
    fn pause(&self, now: Timestamp) -> Duration {
        let record = self.record.lock();
        let interval = interval(self.site.ttl, record.failures).max(record.wait.unwrap_or_default());
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
    // Whether the log says that it fails.
    let mut is_failed_logged = false;
    loop {
        let pause = entry.pause(Timestamp::now());
        let is_due = tokio::select! {
            () = sleep(pause) => true,
            () = entry.wake.notified() => false,
        };
        // One of several that came together: the attempt that it asked for has ended.
        if !is_due && entry.is_recent(Timestamp::now()) {
            continue;
        }
        let Some(board) = shared.upgrade() else { return };
        entry.begun.fetch_add(1, Ordering::SeqCst);
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
        let changes = entry.settle(outcome, Timestamp::now());
        entry.is_asking.store(false, Ordering::Relaxed);
        let (store, record) = (board.store.clone(), entry.record.lock().clone());
        if let Some(Attempt::Failed { reason }) = &record.last
            && !std::mem::replace(&mut is_failed_logged, true)
        {
            tracing::warn!("{}: {reason}; it is asked again, and no more is logged until it answers", record.name);
        }
        let is_back = record.failures == 0 && std::mem::take(&mut is_failed_logged);
        match &changes.alert {
            Some(alert) if alert.is_broken => tracing::warn!("{}", alert.text),
            Some(alert) => tracing::info!("{}", alert.text),
            None if is_back => tracing::info!("{}: it answers again", entry.site.name),
            None => {}
        }
        if let Ok(saved) = spawn_blocking(move || store.save(&record)).await {
            entry.is_unsaved.store(saved.is_err(), Ordering::Relaxed);
            if let Err(error) = saved {
                tracing::warn!("{}: its headlines cannot be kept: {error}", entry.site.name);
            }
        }
        // After the record: what is told twice is better than what is told never, but a crash is rare.
        board.publish.changes(&entry.site.name, &changes);
        board.changed();
        entry.ended.send_modify(|ended| *ended += 1);
    }
}

impl Board {
    /// Saves the records once more that the disk did not take when they were new. Returns the number of those that it does not take
    /// now either, and that are lost with the process.
    pub(crate) async fn save_unsaved(&self) -> usize {
        let unsaved = |row: &Row| match row {
            Row::Running(running) if running.entry.is_unsaved.load(Ordering::Relaxed) => {
                Some(running.entry.record.lock().clone())
            }
            _ => None,
        };
        let records: Vec<Record> = self.0.sites.lock().rows.iter().filter_map(unsaved).collect();
        let store = self.0.store.clone();
        let saving = spawn_blocking(move || {
            let lost = |record: &&Record| match store.save(record) {
                Ok(()) => false,
                Err(error) => {
                    tracing::error!("{}: its headlines since the last save are lost: {error}", record.name);
                    true
                }
            };
            records.iter().filter(lost).count()
        });
        saving.await.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Publish;
    use super::*;
    use crate::fetch::{Fetcher, Options};
    use crate::guard::{Allow, Guard};
    use crate::scrape::Scraper;
    use crate::site::Listed;
    use crate::state::Store;

    /// One thread: nothing happens between two lines but where something is awaited.
    #[tokio::test(flavor = "current_thread")]
    async fn of_two_refreshes_that_come_together_the_second_one_costs_no_attempt_afterwards() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("a store");
        let sites =
            crate::site::parse_each("[[site]]\nname = \"One\"\nurl = \"http://127.0.0.1:1/\"\n").expect("a file");
        let [Listed::Usable(site)] = &sites[..] else { panic!("one site") };
        // Its next attempt by itself is minutes away.
        let tried = Some(Timestamp::now() - LEAST * 2);
        store.save(&Record { tried, ..Record::new(site) }).expect("saved");
        // Nothing is allowed, so each attempt fails at once.
        let fetcher = Fetcher::new(Guard::new(Allow::default(), LEAST), Options::default()).expect("a fetcher");
        let board = Board::start(Scraper::new(fetcher, None, RETRY), store, Publish::default(), sites);
        let entry = {
            let sites = board.0.sites.lock();
            let [Row::Running(running)] = &sites.rows[..] else { panic!("one site") };
            running.entry.clone()
        };
        // Its task waits from here on: one of two wake-ups ends the wait, the other one is kept.
        tokio::task::yield_now().await;
        tokio::join!(board.refresh(), board.refresh());
        tokio::task::yield_now().await;
        assert_eq!((entry.begun.load(Ordering::SeqCst), *entry.ended.borrow()), (1, 1));
    }

    /// One thread: nothing happens between two lines but where something is awaited.
    #[tokio::test(flavor = "current_thread")]
    async fn a_record_that_the_disk_did_not_take_is_saved_once_more_at_the_end() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(directory.path()).expect("a store");
        let sites =
            crate::site::parse_each("[[site]]\nname = \"One\"\nurl = \"http://127.0.0.1:1/\"\n").expect("a file");
        let path = directory.path().join(format!("{}.json", const_hex::encode("One")));
        // In the way of the record.
        std::fs::create_dir(&path).expect("a directory");
        let fetcher = Fetcher::new(Guard::new(Allow::default(), LEAST), Options::default()).expect("a fetcher");
        let board = Board::start(Scraper::new(fetcher, None, RETRY), store.clone(), Publish::default(), sites);
        assert_eq!(board.save_unsaved().await, 0, "there is nothing yet");
        board.refresh().await;
        assert_eq!(board.save_unsaved().await, 1);
        std::fs::remove_dir(&path).expect("removed");
        assert_eq!(board.save_unsaved().await, 0);
        assert_ne!(store.load("One").expect("a record").failures, 0);
    }

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

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// A site whose only attempt ended at second 100. The host may have asked to be left alone.
    fn tried(wait: Option<u64>) -> Entry {
        let text = "[[site]]\nname = \"a\"\nurl = \"http://a.example/\"\nttl = \"10m\"\n";
        let site = crate::site::parse(text).expect("a site").remove(0);
        let record = Record::new(&site);
        let entry = Entry::new(site, record);
        entry.settle(refused(wait), at(100));
        entry
    }

    fn refused(wait: Option<u64>) -> Outcome {
        Outcome::Failed { reason: "status 429".into(), wait: wait.map(Duration::from_secs) }
    }

    #[test]
    fn a_refresh_asks_nothing_within_ten_seconds_of_the_last_attempt() {
        let entry = tried(None);
        for (second, is_asked) in [(100, false), (109, false), (110, true), (111, true)] {
            assert_eq!(entry.ask(at(second)).is_some(), is_asked, "{second}");
        }
        assert!(entry.ask(at(99)).is_some(), "a clock that was set back");
    }

    #[test]
    fn a_refresh_asks_nothing_while_the_host_asks_to_be_left_alone() {
        for (wait, first) in [(9, 110), (10, 110), (11, 111), (7200, 7300)] {
            let entry = tried(Some(wait));
            for (second, is_asked) in [(first - 1, false), (first, true), (99, true)] {
                assert_eq!(entry.ask(at(second)).is_some(), is_asked, "{wait} {second}");
            }
        }
    }

    #[test]
    fn the_pause_is_at_least_what_the_host_asks_for_also_over_a_restart() {
        for (wait, seconds) in [(None, 60), (Some(59), 60), (Some(60), 60), (Some(61), 61), (Some(7200), 7200)] {
            let entry = tried(wait);
            assert_eq!(entry.pause(at(100)), Duration::from_secs(seconds), "{wait:?}");
            let kept = serde_json::to_string(&*entry.record.lock()).expect("JSON");
            let site =
                crate::site::parse("[[site]]\nname = \"a\"\nurl = \"http://a.example/\"\n").expect("a site").remove(0);
            let restarted = Entry::new(site, serde_json::from_str(&kept).expect("a record"));
            assert_eq!(restarted.pause(at(130)), Duration::from_secs(seconds - 30), "{wait:?}");
        }
    }

    #[test]
    fn the_host_is_left_alone_until_the_next_attempt_and_no_longer() {
        let unchanged = || Outcome::Unchanged;
        let broken = || Outcome::Broken { reason: "0 of 1".into() };
        let failed = || refused(None);
        for (outcome, seconds) in [(unchanged(), 600), (broken(), 120), (failed(), 120)] {
            let entry = tried(Some(7200));
            entry.settle(outcome, at(7300));
            assert_eq!(entry.pause(at(7300)), Duration::from_secs(seconds));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_delays_nothing_beyond_an_interval() {
        assert_eq!(since(Some(at(100)), at(50)), Some(Duration::ZERO));
        assert_eq!(since(Some(at(100)), at(150)), Some(Duration::from_secs(50)));
        assert_eq!(since(None, at(1)), None);
    }
}
