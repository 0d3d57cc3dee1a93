//! Instances, writers and readers on one table, whose history is kept.

use super::history::{History, Mode, Version};
use super::subject::Subject;
use crate::common::proxy::Proxy;
use crate::common::{PATIENCE, Scratch, Server, connect};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};
use switchboard_rows::{Error, Events, Options, Token};
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tokio_postgres::Client;

/// Keys that exist from the start, so that every fault meets cached rows.
pub(crate) const KEYS: i64 = 24;
/// Of the bound's test: the clock of the reader may be late by so much, never early.
pub(crate) const BOUND: Duration = Duration::from_millis(300);

pub(crate) struct World {
    pub(crate) server: &'static Server,
    pub(crate) scratch: Scratch,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) history: Arc<History>,
    /// Writers take it to read, a fault that writes every row to write.
    pub(crate) pause: Arc<RwLock<()>>,
    pub(crate) next: Arc<AtomicI64>,
    version: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    /// The newest token, and when its write was called: what was acknowledged before is before the token, too.
    token: Arc<parking_lot::Mutex<Option<(Token, Instant)>>>,
    tasks: JoinSet<()>,
}

pub(crate) fn options() -> Options {
    let mut options = Options::default();
    options.limits.max_age = BOUND;
    options.marker_timeout = Duration::from_millis(500);
    options.query_timeout = Duration::from_secs(2);
    // It would mend what the oracle looks for.
    options.samples = 0;
    options
}

impl World {
    /// `naive` instances are the cache that this one is better than.
    pub(crate) async fn new(server: &'static Server, instances: usize, options: &Options, naive: bool) -> World {
        World::with(server, instances, options, naive, Events::Rows).await
    }

    pub(crate) async fn with(
        server: &'static Server,
        instances: usize,
        options: &Options,
        naive: bool,
        events: Events,
    ) -> World {
        let scratch = server.scratch().await;
        scratch.run("CREATE TABLE item (id int8 PRIMARY KEY, version int8, pad text)").await;
        let (mut proxies, mut subjects) = (Vec::new(), Vec::new());
        for _ in 0..instances {
            let proxy = Proxy::start(server.socket_directory()).await;
            let address = proxy.address("app", scratch.scratch.name());
            subjects.push(if naive {
                Subject::naive(&address).await
            } else {
                Subject::real(&address, options, events).await
            });
            proxies.push(proxy);
        }
        let history = Arc::<History>::default();
        World {
            server,
            scratch,
            proxies,
            subjects,
            history,
            pause: Arc::default(),
            next: Arc::new(AtomicI64::new(KEYS)),
            version: Arc::new(AtomicU64::new(1)),
            stop: Arc::default(),
            token: Arc::default(),
            tasks: JoinSet::new(),
        }
    }

    /// A connection past the proxies.
    pub(crate) async fn sql(&self) -> Client {
        connect(&self.server.address("app", self.scratch.scratch.name())).await
    }

    /// Each writer has keys of its own, so that the order of its writes is the order of their versions.
    pub(crate) async fn start(&mut self, writers: usize, readers: usize) {
        for writer in 0..writers {
            let writer = Writer {
                keys: (0..KEYS).filter(|key| usize::try_from(*key).expect("few") % writers == writer).collect(),
                rows: HashMap::new(),
                sql: Some(self.sql().await),
                address: (self.server, self.scratch.scratch.name().to_owned()),
                subjects: self.subjects.clone(),
                history: self.history.clone(),
                next: self.next.clone(),
                version: self.version.clone(),
                pause: self.pause.clone(),
                token: self.token.clone(),
            };
            self.tasks.spawn(writer.run(self.stop.clone()));
        }
        for reader in 0..readers {
            let instance = reader % self.subjects.len();
            let (subject, history) = (self.subjects[instance].clone(), self.history.clone());
            let (next, token, stop) = (self.next.clone(), self.token.clone(), self.stop.clone());
            self.tasks.spawn(async move {
                while !stop.load(SeqCst) {
                    // Most reads are of few keys, and of the newest ones.
                    let newest = next.load(SeqCst);
                    let key = fastrand::i64((newest - KEYS).max(0)..newest + 1);
                    read(&subject, instance, key, &history, &token).await;
                    // A hit never waits, and the others want their turn.
                    tokio::task::yield_now().await;
                }
            });
        }
    }

    pub(crate) async fn stop(&mut self) {
        self.stop.store(true, SeqCst);
        let ended = tokio::time::timeout(PATIENCE, async {
            while let Some(task) = self.tasks.join_next().await {
                task.expect("no panic");
            }
        });
        ended.await.expect("readers and writers end");
    }

    /// Runs until so many operations have been logged since, and checks them.
    pub(crate) async fn operations(&self, count: u64) -> Result<(), String> {
        let (wanted, begun) = (self.history.operations() + count, Instant::now());
        while self.history.operations() < wanted {
            assert!(begun.elapsed() < PATIENCE * 4, "{} operations are missing", wanted - self.history.operations());
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.history.check(BOUND)?;
        }
        self.history.check(BOUND)
    }

    /// Stops, and compares every cached row of every instance with the database.
    pub(crate) async fn rest(mut self) -> Result<(), String> {
        self.stop().await;
        self.history.check(BOUND)?;
        let sql = self.sql().await;
        for (instance, subject) in self.subjects.iter().enumerate() {
            subject.settled().await;
            for key in self.history.keys() {
                let called = Instant::now();
                if let Ok(version) = subject.read(key, Mode::Strong, None).await {
                    self.history.read(key, version, Mode::Strong, instance, called, false);
                }
            }
            subject.settled().await;
            let rows = sql.query("SELECT id, version FROM item", &[]).await.map_err(|error| error.to_string())?;
            let rows: HashMap<i64, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
            for (key, version) in subject.snapshot() {
                let current = rows.get(&key).map(|version| u64::try_from(*version).expect("a version"));
                if version != current {
                    return Err(format!(
                        "at rest instance {instance} has {version:?} of key {key}, which is {current:?}"
                    ));
                }
            }
        }
        self.history.check(BOUND)
    }

    /// Writes every row at once, while nobody else writes.
    pub(crate) async fn write_all(&self, change: Change<'_>) {
        let _all = self.pause.write().await;
        let version = self.version.fetch_add(1 << 32, SeqCst);
        let sql = self.sql().await;
        let rows = sql.query("SELECT id FROM item", &[]).await.expect("it reads");
        let there: HashSet<i64> = rows.iter().map(|row| row.get(0)).collect();
        let keys: Vec<i64> = (0..self.next.load(SeqCst)).collect();
        let content = |key: i64| Some(version + key.cast_unsigned());
        let after = |key: i64| match change {
            Change::Removes(_) => None,
            Change::Updates(_) => content(key).filter(|_| there.contains(&key)),
            Change::Returns(_) => content(key).filter(|_| there.contains(&(-1 - key))),
            Change::Copies => content(key),
        };
        let begun: Vec<usize> = keys.iter().map(|key| self.history.begin(*key, after(*key), None)).collect();
        match change {
            Change::Removes(statement) | Change::Updates(statement) | Change::Returns(statement) => {
                let statement = statement.replace("$version", &version.to_string());
                sql.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
            }
            Change::Copies => {
                let lines = keys.iter().map(|key| format!("{key}\t{}\tcopied\n", version + key.cast_unsigned()));
                let address = self.server.address("app", self.scratch.scratch.name());
                copy(&address, lines.collect()).await;
            }
        }
        for (key, write) in keys.into_iter().zip(begun) {
            self.history.acknowledge(key, write);
        }
    }
}

/// A write of every row.
#[derive(Clone, Copy)]
pub(crate) enum Change<'a> {
    /// No row is left under its key.
    Removes(&'a str),
    /// Each row has `$version + id`.
    Updates(&'a str),
    /// Rows that were moved to `-1 - id` come back, with `$version + id`.
    Returns(&'a str),
    /// Every key has another row than before.
    Copies,
}

async fn copy(address: &str, lines: String) {
    let mut command = Command::new("psql");
    command
        .args([address, "-v", "ON_ERROR_STOP=1", "-q1c", "DELETE FROM item", "-c", "\\copy item from stdin"])
        .stdin(Stdio::piped());
    tokio::task::spawn_blocking(move || {
        let mut psql = command.spawn().expect("psql is missing; install it: apt-get install postgresql");
        psql.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("written");
        assert!(psql.wait().expect("it ends").success());
    })
    .await
    .expect("no panic");
}

pub(crate) async fn read(
    subject: &Subject,
    instance: usize,
    key: i64,
    history: &History,
    token: &parking_lot::Mutex<Option<(Token, Instant)>>,
) {
    let mode = [Mode::Cached, Mode::Cached, Mode::Cached, Mode::Strong, Mode::After][fastrand::usize(..5)];
    let newest = *token.lock();
    let called = Instant::now();
    let (token, called_for) = match newest {
        Some((token, time)) if mode == Mode::After => (Some(token), time),
        _ => (None, called),
    };
    let mode = if token.is_none() && mode == Mode::After { Mode::Cached } else { mode };
    if let Ok(version) = subject.read(key, mode, token).await {
        if token.is_some() {
            history.read(key, version, Mode::After, instance, called_for.min(called), true);
        } else {
            history.read(key, version, mode, instance, called, false);
        }
    }
}

struct Writer {
    keys: Vec<i64>,
    rows: HashMap<i64, bool>,
    sql: Option<Client>,
    address: (&'static Server, String),
    subjects: Vec<Subject>,
    history: Arc<History>,
    next: Arc<AtomicI64>,
    version: Arc<AtomicU64>,
    pause: Arc<RwLock<()>>,
    token: Arc<parking_lot::Mutex<Option<(Token, Instant)>>>,
}

impl Writer {
    async fn run(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(SeqCst) {
            let turn = self.pause.clone().read_owned().await;
            self.write().await;
            drop(turn);
            tokio::time::sleep(Duration::from_micros(fastrand::u64(..2000))).await;
        }
    }

    async fn write(&mut self) {
        let at = fastrand::usize(..self.keys.len());
        let key = self.keys[at];
        let version = self.version.fetch_add(1, SeqCst);
        let through = Some(fastrand::usize(..self.subjects.len())).filter(|_| fastrand::bool());
        let is_there = self.is_there(key).await;
        let deletes = is_there && fastrand::u8(..4) == 0;
        let content = (!deletes).then_some(version);
        let write = self.history.begin(key, content, through);
        let called = Instant::now();
        let result = match through {
            Some(instance) => self.subjects[instance].write(key, content, is_there).await,
            None => self.write_sql(key, content).await.map(|()| None),
        };
        match result {
            Ok(token) => {
                self.history.acknowledge(key, write);
                self.rows.insert(key, content.is_some());
                if let Some(token) = token {
                    let mut newest = self.token.lock();
                    if newest.is_none_or(|(before, _)| before.identity != token.identity || before.lsn < token.lsn) {
                        *newest = Some((token, called));
                    }
                }
            }
            Err(_) => {
                // It may have happened, or happen later: the key gets no other write.
                self.keys[at] = self.next.fetch_add(1, SeqCst);
            }
        }
    }

    /// Faults write as well, so a writer asks.
    async fn is_there(&mut self, key: i64) -> bool {
        loop {
            if let Some(sql) = self.sql().await
                && let Ok(row) = sql.query_opt("SELECT FROM item WHERE id = $1", &[&key]).await
            {
                return row.is_some();
            }
            self.sql = None;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn sql(&mut self) -> Option<&Client> {
        if self.sql.as_ref().is_none_or(Client::is_closed) {
            let address = self.address.0.address("app", &self.address.1);
            let (client, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await.ok()?;
            tokio::spawn(connection);
            self.sql = Some(client);
        }
        self.sql.as_ref()
    }

    async fn write_sql(&mut self, key: i64, content: Version) -> Result<(), Error> {
        let lost = || Error::Unknown { reason: "lost".to_owned() };
        let sql = self.sql().await.ok_or_else(lost)?;
        let statement = match content {
            None => format!("DELETE FROM item WHERE id = {key}"),
            Some(version) => {
                let pad = if fastrand::u8(..8) == 0 { 9000 } else { 10 };
                let write = format!(
                    "INSERT INTO item VALUES ({key}, {version}, repeat(md5('{version}'), {pad} / 32)) \
                     ON CONFLICT (id) DO UPDATE SET version = excluded.version, pad = excluded.pad"
                );
                match fastrand::u8(..4) {
                    // A rolled-back version is never read.
                    0 => format!(
                        "BEGIN; UPDATE item SET version = -1 WHERE id = {key}; ROLLBACK; BEGIN; SAVEPOINT a; \
                         UPDATE item SET version = -1 WHERE id = {key}; ROLLBACK TO a; {write}; COMMIT"
                    ),
                    1 => format!("BEGIN; SAVEPOINT a; {write}; RELEASE a; COMMIT"),
                    _ => write,
                }
            }
        };
        sql.batch_execute(&statement).await.map_err(|_| lost())
    }
}

/// Returns the values of a write through an instance.
pub(crate) fn values(key: i64, version: u64) -> serde_json::Value {
    json!({ "id": key, "version": version, "pad": "x".repeat(if version.is_multiple_of(8) { 9000 } else { 10 }) })
}
