//! The cache against a database, a change feed and a clock that obey the same rules as the real ones, in every
//! order of their steps. Each safety part, switched off, must be found missing.
#![cfg(not(loom))]

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use switchboard_rows::cache::{Cache, Disabled, Lease, Limits, Lookup, Lsn, Row, TableId, Waiter};

const TABLE: TableId = TableId(0);
const KEYS: usize = 4;
const LIMITS: Limits = Limits { rows: 3, bytes: 1024, leases: 2, max_age: Duration::from_millis(100) };

#[derive(Clone, Debug)]
enum Op {
    /// A commit, by anybody: its event is in the feed at once.
    Write(usize),
    Truncate,
    /// The feed gives its next event or marker.
    Deliver,
    Read(usize),
    /// The oldest fill without a snapshot takes one.
    Select,
    /// A fill that has its snapshot ends.
    Fill(usize),
    /// A fill ends without an answer.
    Abandon,
    SendMarker,
    /// The feed's connection is lost with all that it holds, and is made again at `Connect`.
    Disconnect,
    Connect,
    Advance(u8),
    /// An own write's invalidation, or a refresh.
    Invalidate(usize),
    Refresh(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0..KEYS).prop_map(Op::Write),
        1 => Just(Op::Truncate),
        6 => Just(Op::Deliver),
        8 => (0..KEYS).prop_map(Op::Read),
        4 => Just(Op::Select),
        4 => (0..2_usize).prop_map(Op::Fill),
        1 => Just(Op::Abandon),
        4 => Just(Op::SendMarker),
        1 => Just(Op::Disconnect),
        2 => Just(Op::Connect),
        3 => (1..60_u8).prop_map(Op::Advance),
        1 => (0..KEYS).prop_map(Op::Invalidate),
        1 => (0..KEYS).prop_map(Op::Refresh),
    ];
    prop::collection::vec(op, 1..120)
}

enum Event {
    Key(usize),
    Flush,
    Marker { sent: Duration },
}

struct Fill {
    lease: Lease,
    key: usize,
    snapshot: Option<usize>,
    /// Waiters, each with the oldest version that it may be given.
    waiters: Vec<(Waiter, usize)>,
}

struct World {
    cache: Arc<Cache>,
    now: Duration,
    /// Per key: when each version was committed. Version 0 was there before.
    versions: Vec<Vec<Duration>>,
    /// `None`: not connected.
    feed: Option<VecDeque<Event>>,
    /// When the newest processed marker was sent.
    proven: Option<Duration>,
    fills: Vec<Fill>,
}

/// Every third version is a deletion.
fn row(version: usize) -> Row {
    (version % 3 != 2).then(|| Bytes::from(version.to_string()))
}

impl World {
    fn new(disabled: Disabled) -> World {
        World {
            cache: Cache::with_disabled(1, LIMITS, disabled),
            now: Duration::from_secs(10),
            versions: vec![vec![Duration::ZERO]; KEYS],
            feed: None,
            proven: None,
            fills: Vec::new(),
        }
    }

    fn newest(&self, key: usize) -> usize {
        self.versions[key].len() - 1
    }

    /// The newest version that was visible at that time.
    fn visible_at(&self, key: usize, time: Duration) -> usize {
        self.versions[key].iter().rposition(|committed| *committed <= time).unwrap_or(0)
    }

    /// The oldest version that a read may return now.
    fn oldest_allowed(&self, key: usize) -> usize {
        let bound = self.visible_at(key, self.now.saturating_sub(LIMITS.max_age));
        bound.max(self.proven.map_or(0, |sent| self.visible_at(key, sent)))
    }

    fn check(&self, key: usize, oldest: usize, found: &Row) -> Result<(), String> {
        let allowed = oldest..=self.newest(key);
        match allowed.clone().any(|version| row(version) == *found) {
            true => Ok(()),
            false => Err(format!("key {key}: {found:?} is none of the versions {allowed:?}")),
        }
    }

    fn write(&mut self, key: usize) {
        // Commits have an order, which a clock that stands still would not show.
        self.now += Duration::from_nanos(1);
        self.versions[key].push(self.now);
    }

    fn event(&mut self, event: Event) {
        if let Some(feed) = &mut self.feed {
            feed.push_back(event);
        }
    }

    fn step(&mut self, op: Op) -> Result<(), String> {
        let name = |key: usize| key.to_string().into_bytes();
        match op {
            Op::Write(key) => {
                self.write(key);
                self.event(Event::Key(key));
            }
            Op::Truncate => {
                (0..KEYS).for_each(|key| self.write(key));
                self.event(Event::Flush);
            }
            Op::Deliver => match self.feed.as_mut().and_then(VecDeque::pop_front) {
                Some(Event::Key(key)) => drop(self.cache.invalidate(TABLE, &name(key))),
                Some(Event::Flush) => self.cache.flush(TABLE),
                Some(Event::Marker { sent }) => {
                    self.cache.marker(sent, Lsn(1));
                    self.proven = Some(sent);
                }
                None => {}
            },
            Op::Read(key) => match self.cache.read(self.now, TABLE, &name(key)) {
                Lookup::Hit(row, age) => {
                    self.check(key, self.oldest_allowed(key), &row)?;
                    self.check(key, self.visible_at(key, self.now - age), &row)?;
                }
                Lookup::Lease(lease) => {
                    self.fills.push(Fill { lease, key, snapshot: None, waiters: Vec::new() });
                }
                Lookup::Wait(waiter) => {
                    let oldest = self.proven.map_or(0, |sent| self.visible_at(key, sent));
                    // Ours is the newest fill of the key: older ones have lost their lease.
                    let fill = self.fills.iter_mut().rfind(|fill| fill.key == key).ok_or("a wait for nobody")?;
                    fill.waiters.push((waiter, oldest));
                }
                Lookup::Bypass => {}
            },
            Op::Refresh(key) => {
                if let Some(lease) = self.cache.lease(TABLE, &name(key)) {
                    self.fills.push(Fill { lease, key, snapshot: None, waiters: Vec::new() });
                }
            }
            Op::Select => {
                if let Some(at) = self.fills.iter().position(|fill| fill.snapshot.is_none()) {
                    self.fills[at].snapshot = Some(self.newest(self.fills[at].key));
                }
            }
            Op::Fill(nth) => {
                let ready = |fill: &Fill| fill.snapshot.is_some();
                if let Some(at) = (0..self.fills.len()).filter(|at| ready(&self.fills[*at])).nth(nth) {
                    self.end_fill(at)?;
                }
            }
            Op::Abandon => {
                if !self.fills.is_empty() {
                    let fill = self.fills.remove(0);
                    drop(fill.lease);
                    for (waiter, _) in fill.waiters {
                        if ready(waiter) != Some(None) {
                            return Err("an abandoned fill gave a row, or left its waiter asleep".to_owned());
                        }
                    }
                }
            }
            Op::SendMarker => {
                let sent = self.now;
                self.event(Event::Marker { sent });
            }
            Op::Disconnect => self.feed = None,
            Op::Connect => {
                if self.feed.is_none() {
                    self.feed = Some(VecDeque::new());
                    self.proven = None;
                    self.cache.connected();
                }
            }
            Op::Advance(time) => self.now += Duration::from_millis(time.into()),
            Op::Invalidate(key) => drop(self.cache.invalidate(TABLE, &name(key))),
        }
        let usage = self.cache.usage();
        let within = usage.rows <= LIMITS.rows && usage.bytes <= LIMITS.bytes && usage.leases <= LIMITS.leases;
        if within { Ok(()) } else { Err(format!("{usage:?} is over {LIMITS:?}")) }
    }

    fn end_fill(&mut self, at: usize) -> Result<(), String> {
        let fill = self.fills.remove(at);
        let Some(version) = fill.snapshot else { return Ok(()) };
        fill.lease.fill(row(version));
        for (waiter, oldest) in fill.waiters {
            let found = ready(waiter).flatten().ok_or("a filled lease left its waiter asleep")?;
            self.check(fill.key, oldest, &found)?;
        }
        Ok(())
    }

    /// Ends what is under way; then every cached row equals its row.
    fn rest(mut self) -> Result<(), String> {
        self.step(Op::Connect)?;
        while self.feed.as_ref().is_some_and(|feed| !feed.is_empty()) {
            self.step(Op::Deliver)?;
        }
        while !self.fills.is_empty() {
            self.step(Op::Select)?;
            self.end_fill(0)?;
        }
        let snapshot = self.cache.snapshot();
        for (_, key, found) in &snapshot {
            let key: usize = String::from_utf8_lossy(key).parse().map_err(|_| "a strange key")?;
            self.check(key, self.newest(key), found)?;
        }
        let usage = self.cache.usage();
        let is_exact = usage.leases == 0 && usage.rows >= snapshot.len();
        if is_exact { Ok(()) } else { Err(format!("{usage:?} at rest, for {} rows", snapshot.len())) }
    }
}

/// Returns the waiter's result, without waiting; the outer `None` is nothing yet.
fn ready(waiter: Waiter) -> Option<Option<Row>> {
    match pin!(waiter).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(row) => Some(row),
        Poll::Pending => None,
    }
}

fn run(ops: Vec<Op>, disabled: Disabled) -> Result<(), String> {
    let mut world = World::new(disabled);
    ops.into_iter().try_for_each(|op| world.step(op))?;
    world.rest()
}

proptest! {
    #![proptest_config(Config { cases: 1_500, failure_persistence: None, ..Config::default() })]

    #[test]
    fn no_read_is_older_than_its_bound_or_than_what_a_marker_proved(ops in ops()) {
        run(ops, Disabled::default()).map_err(TestCaseError::fail)?;
    }
}

/// Runs the model with a safety part switched off, until it fails.
#[track_caller]
fn is_noticed(disabled: Disabled) {
    let config = Config { cases: 20_000, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let ended = runner.run(&ops(), |ops| run(ops, disabled).map_err(TestCaseError::fail));
    assert!(matches!(ended, Err(TestError::Fail(..))), "{disabled:?} was not noticed: {ended:?}");
}

#[test]
fn leases_that_survive_events_are_noticed() {
    is_noticed(Disabled { lease: true, ..Disabled::default() });
}

#[test]
fn fills_that_survive_flushes_are_noticed() {
    is_noticed(Disabled { epoch: true, ..Disabled::default() });
}

#[test]
fn rows_served_without_a_marker_are_noticed() {
    is_noticed(Disabled { marker: true, ..Disabled::default() });
}

#[test]
fn absent_rows_that_survive_events_are_noticed() {
    is_noticed(Disabled { absent: true, ..Disabled::default() });
}
