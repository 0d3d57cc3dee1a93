//! A PostgreSQL of our own, from the binaries on the machine.

use crate::{Database, Error};
use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;
use switchboard_child::{Child, Launch, User, sweep};
use tokio::time::{Instant, sleep};

/// Time for initdb, and for PostgreSQL to accept: it may have to recover.
const BEGIN: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(20);
/// SIGINT asks PostgreSQL for a fast shutdown.
const FAST: i32 = 2;
const PORT: u16 = 5432;
const USER: &str = "switchboard";

/// How a [`PrivatePostgres`] is started.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Where the rows are kept. For root: a directory that other users can reach.
    pub data: PathBuf,
    /// The directory of `postgres` and `initdb`; found unless given.
    pub binaries: Option<PathBuf>,
    /// Settings, as `name=value`.
    pub settings: Vec<String>,
    /// The directory for the socket; short, for a socket's path ends at 107 bytes.
    pub sockets: PathBuf,
}

impl PostgresOptions {
    /// The usual ones, with the rows in `data`.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> PostgresOptions {
        let sockets = if User::is_root() {
            PathBuf::from("/run/switchboard-rows")
        } else {
            std::env::temp_dir().join(format!("switchboard-rows-{}", User::current().uid))
        };
        PostgresOptions { data: data.into(), binaries: None, settings: Vec::new(), sockets }
    }
}

/// A PostgreSQL that ends with us, whatever ends us. It listens on a unix socket in a private directory alone.
///
/// The program must have called [`switchboard_child::init`] first in `main`. Root starts it as the user `postgres`.
#[derive(Debug)]
pub struct PrivatePostgres {
    child: Child,
    database: Database,
    directory: PathBuf,
}

impl PrivatePostgres {
    /// Starts it, after making its data directory if there is none.
    ///
    /// # Errors
    /// If there are no binaries, or none for the data's version; if the user `postgres` is missing; or if it does
    /// not start: then the error has the end of its log.
    pub async fn start(options: &PostgresOptions) -> Result<PrivatePostgres, Error> {
        let user = user()?;
        sweep(&options.sockets);
        let data = options.data.join("postgres");
        let log = options.data.join("postgres.log");
        make_directory(&options.data, &user)?;
        let version = fs::read_to_string(data.join("PG_VERSION")).ok();
        let binaries = binaries(options.binaries.as_deref(), version.as_deref().map(str::trim))?;
        if version.is_none() {
            initialize(options, &user, &binaries, &data, &log).await?;
        }
        let mut launch = launch(&options.sockets, &user, &log)?;
        launch.env("LC_ALL", "C.UTF-8");
        let directory = launch.directory().to_owned();
        let mut arguments: Vec<String> = vec!["-D".to_owned(), data.display().to_string()];
        let fixed = [
            "listen_addresses=".to_owned(),
            format!("port={PORT}"),
            format!("unix_socket_directories={}", directory.display()),
        ];
        for setting in fixed.iter().chain(&options.settings) {
            arguments.extend(["-c".to_owned(), setting.clone()]);
        }
        let child = launch.spawn(binaries.join("postgres"), &arguments).map_err(|error| failed(&error.to_string()))?;
        let database: Database =
            format!("host={} port={PORT} user={USER} dbname=postgres sslmode=disable", directory.display()).parse()?;
        let end = Instant::now() + BEGIN;
        let settings = crate::database::settings("switchboard rows start", BEGIN, BEGIN);
        loop {
            match database.session(&settings).await {
                Ok(_) => return Ok(PrivatePostgres { child, database, directory }),
                Err(_) if child.exit().is_some() => return Err(failed(&end_of(&log))),
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
        failed("it does not run as root, and this machine has no user postgres; install postgresql, or give --database")
    })
}

fn make_directory(data: &Path, user: &User) -> Result<(), Error> {
    let wrong = |error: std::io::Error| failed(&format!("cannot make {}: {error}", data.display()));
    if data.exists() {
        return Ok(());
    }
    if let Some(parent) = data.parent() {
        fs::create_dir_all(parent).map_err(wrong)?;
    }
    fs::DirBuilder::new().mode(0o700).create(data).map_err(wrong)?;
    if *user != User::current() {
        chown(data, Some(user.uid), Some(user.gid)).map_err(wrong)?;
    }
    Ok(())
}

/// Finds the directory of the binaries: for this major version, or the newest.
fn binaries(given: Option<&Path>, version: Option<&str>) -> Result<PathBuf, Error> {
    let has_both = |directory: &Path| directory.join("postgres").is_file() && directory.join("initdb").is_file();
    if let Some(given) = given {
        return if has_both(given) {
            Ok(given.to_owned())
        } else {
            Err(failed(&format!("{} has none", given.display())))
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, directory)| has_both(directory))
        .collect();
    found.sort();
    let wanted = |(major, _): &&(u32, PathBuf)| version.is_none_or(|version| major.to_string() == version);
    if let Some((_, directory)) = found.iter().rev().find(wanted) {
        return Ok(directory.clone());
    }
    if let Some(directory) = std::env::split_paths(&path).find(|directory| has_both(directory)) {
        return Ok(directory);
    }
    Err(failed(&match version {
        Some(version) if !found.is_empty() => {
            format!("the data is of version {version}; install postgresql-{version}, or upgrade with pg_upgrade")
        }
        _ => "PostgreSQL is not installed; install it (apt-get install postgresql), or give --database".to_owned(),
    }))
}

fn launch(base: &Path, user: &User, log: &Path) -> Result<Launch, Error> {
    let mut launch = Launch::new(base, user.clone()).map_err(|error| failed(&error.to_string()))?;
    let file = File::options().create(true).append(true).open(log);
    let file = file.map_err(|error| failed(&format!("cannot write {}: {error}", log.display())))?;
    launch.stdout(file.try_clone().map_err(|error| failed(&error.to_string()))?).stderr(file);
    Ok(launch)
}

async fn initialize(
    options: &PostgresOptions,
    user: &User,
    binaries: &Path,
    data: &Path,
    log: &Path,
) -> Result<(), Error> {
    let launch = launch(&options.sockets, user, log)?;
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
        return Err(failed(&end_of(log)));
    }
    fs::rename(&unfinished, data).map_err(|error| failed(&error.to_string()))
}

fn end_of(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(1000)..]).into_owned();
    let lines: Vec<&str> = text.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<&str>>().join("; ")
}
