//! A PostgreSQL of our own, from the binaries on the machine.

mod binaries;
mod data;
mod options;

pub use options::PostgresOptions;

use crate::{Database, Error};
use binaries::binaries;
use data::{Log, lock, make_directory};
use options::{check_length, make_base};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use switchboard_child::{Child, Launch, User, sweep};
use switchboard_driver::FolderLock;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

/// Time for initdb, and for PostgreSQL to accept: it may have to recover.
const BEGIN: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(20);
/// SIGINT asks PostgreSQL for a fast shutdown.
const FAST: i32 = 2;
const PORT: u16 = 5432;
const USER: &str = "switchboard";
/// Arguments: the directory of the binaries, the superuser's name, the arguments of `postgres`.
const TEMPORARY: &str = "bin=$1 user=$2 && shift 2 \
    && \"$bin/initdb\" -D data -U \"$user\" -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
    && exec \"$bin/postgres\" -D data \"$@\"";

/// A PostgreSQL that ends with us, whatever ends us. It listens on a unix socket in a private directory alone.
///
/// The program must have called [`switchboard_child::init`] first in `main`. Root starts it as the user `postgres`.
#[derive(Debug)]
pub struct PrivatePostgres {
    child: Child,
    database: Database,
    directory: PathBuf,
    /// Of the rows that are kept.
    _lock: Option<FolderLock>,
}

impl PrivatePostgres {
    /// Starts it, after making its data directory if there is none.
    ///
    /// # Errors
    /// If there are no binaries, or none for the data's version; if the user `postgres` is missing; or if it does
    /// not start: then the error has the end of its log.
    pub async fn start(options: &PostgresOptions) -> Result<PrivatePostgres, Error> {
        let user = user()?;
        make_base(&options.sockets)?;
        sweep(&options.sockets);
        match &options.data {
            Some(data) => PrivatePostgres::start_kept(options, data, user).await,
            None => PrivatePostgres::start_temporary(options, user).await,
        }
    }

    /// Makes the directory of a private PostgreSQL's rows, if there is none.
    ///
    /// # Errors
    /// If it cannot be made, or another program keeps a PostgreSQL on it.
    pub fn check_free(data: &Path) -> Result<(), Error> {
        // A machine without PostgreSQL's user says so when it is started.
        let Ok(user) = user() else { return Ok(()) };
        make_directory(data, &user)?;
        lock(data).map(drop)
    }

    async fn start_kept(options: &PostgresOptions, kept: &Path, user: User) -> Result<PrivatePostgres, Error> {
        let (data, log) = (kept.join("postgres"), kept.join("postgres.log"));
        make_directory(kept, &user)?;
        let path = kept.to_owned();
        let lock = spawn_blocking(move || lock(&path)).await.map_err(|_| failed("the lock was not taken"))??;
        let version = switchboard_driver::read_text(&data.join("PG_VERSION"), 100).ok();
        let binaries = binaries(options.binaries.as_deref(), version.as_deref().map(str::trim))?;
        if version.is_none() {
            initialize(options, &user, &binaries, &data, &log).await?;
        }
        let (launch, log) = launch(&options.sockets, &user, Some(&log))?;
        let directory = launch.directory().to_owned();
        let mut arguments: Vec<String> = vec!["-D".to_owned(), data.display().to_string()];
        arguments.extend(settings(options, &directory));
        let started = PrivatePostgres::begin(launch, &binaries.join("postgres"), &arguments, log).await?;
        Ok(PrivatePostgres { _lock: Some(lock), ..started })
    }

    /// One command makes the data and uses it, so that one private directory holds everything.
    async fn start_temporary(options: &PostgresOptions, user: User) -> Result<PrivatePostgres, Error> {
        let binaries = binaries(options.binaries.as_deref(), None)?;
        let (launch, log) = launch(&options.sockets, &user, None)?;
        let directory = launch.directory().to_owned();
        let mut arguments = ["-c", TEMPORARY, "sh", &binaries.display().to_string(), USER].map(str::to_owned).to_vec();
        arguments.extend(settings(options, &directory));
        PrivatePostgres::begin(launch, Path::new("/bin/sh"), &arguments, log).await
    }

    async fn begin(launch: Launch, program: &Path, arguments: &[String], log: Log) -> Result<PrivatePostgres, Error> {
        let directory = launch.directory().to_owned();
        check_length(&directory)?;
        let child = launch.spawn(program, arguments).map_err(|error| failed(&error.to_string()))?;
        let database: Database =
            format!("host={} port={PORT} user={USER} dbname=postgres sslmode=disable", directory.display()).parse()?;
        let end = Instant::now() + BEGIN;
        loop {
            match database.answer().await {
                Ok(()) => return Ok(PrivatePostgres { child, database, directory, _lock: None }),
                Err(_) if child.exit().is_some() => return Err(failed(&log.end())),
                Err(error) if Instant::now() > end => return Err(error),
                Err(_) => sleep(STEP).await,
            }
        }
    }

    /// Its database `postgres`, as its superuser.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The directory of its socket, whose port is 5432.
    #[must_use]
    pub fn socket_directory(&self) -> &Path {
        &self.directory
    }

    /// Its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns true once it has ended by itself.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.child.exit().is_some()
    }

    /// Shuts it down; statements under way are undone. Blocks for some seconds at most.
    pub fn stop(self) {
        self.child.stop(FAST);
    }
}

fn failed(reason: &str) -> Error {
    Error::refused(format!("the private PostgreSQL does not start: {reason}"))
}

fn user() -> Result<User, Error> {
    if !User::is_root() {
        return Ok(User::current());
    }
    // PostgreSQL does not run as root.
    User::named("postgres").map_err(|_| {
        failed("it does not run as root, and this machine has no user postgres; install postgresql, or give a database (--database, or the setting rows.database)")
    })
}

/// Returns the settings of every PostgreSQL, and the chosen ones.
fn settings(options: &PostgresOptions, directory: &Path) -> Vec<String> {
    let fixed = [
        "listen_addresses=".to_owned(),
        format!("port={PORT}"),
        format!("unix_socket_directories={}", directory.display()),
    ];
    fixed.iter().chain(&options.settings).flat_map(|setting| ["-c".to_owned(), setting.clone()]).collect()
}

/// A command to be launched, and its log: at the path, or within the private directory.
fn launch(base: &Path, user: &User, log: Option<&Path>) -> Result<(Launch, Log), Error> {
    let mut launch = Launch::new(base, user.clone()).map_err(|error| failed(&error.to_string()))?;
    let log = Log::open(&log.map_or_else(|| launch.directory().join("log"), Path::to_owned))?;
    let copy = || log.file.try_clone().map_err(|error| failed(&error.to_string()));
    launch.stdout(copy()?).stderr(copy()?).env("LC_ALL", "C.UTF-8").end_signal(FAST);
    Ok((launch, log))
}

async fn initialize(
    options: &PostgresOptions,
    user: &User,
    binaries: &Path,
    data: &Path,
    log: &Path,
) -> Result<(), Error> {
    let (launch, log) = launch(&options.sockets, user, Some(log))?;
    // Made beside and then renamed, so that one that was cut off is not taken for a whole one.
    let unfinished = data.with_extension("new");
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&error.to_string())),
        _ => {}
    }
    let place = unfinished.display().to_string();
    let arguments = ["-D", &place, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"];
    let child = launch.spawn(binaries.join("initdb"), arguments).map_err(|error| failed(&error.to_string()))?;
    let end = Instant::now() + BEGIN;
    let exit = loop {
        match child.exit() {
            Some(exit) => break exit,
            None if Instant::now() > end => return Err(failed("initdb does not end")),
            None => sleep(STEP).await,
        }
    };
    if !exit.is_success() {
        return Err(failed(&log.end()));
    }
    fs::rename(&unfinished, data).map_err(|error| failed(&error.to_string()))
}
