//! Watches any program from outside, with nothing changed in it.

mod name;
mod tree;

mod command;
mod script;
mod signals;

pub use command::NotRun;

use crate::report::{Error, Identity, Options, Outcome, Reporting};
use command::{Prepared, Running};
use std::ffi::OsString;
use switchboard_driver::{Driver, ensure_files};
use tree::Tree;

/// Files that are open for a report at a time, at most: a connection, a lookup's, and one of /proc.
const REPORT: usize = 4;

/// The result of a command that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code, or 128 and the signal that has ended it.
    pub code: u8,
    /// The result of the reports, if it is known; or why the command was not watched.
    pub reports: Result<Option<Outcome>, Error>,
}

/// Why a command was not run, or not watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// It was not run.
    #[error(transparent)]
    NotRun(#[from] NotRun),
    /// Nothing can be reported.
    #[error(transparent)]
    Report(#[from] Error),
}

/// Runs a command, and reports it and all that it starts until it ends. To be called from the main
/// thread of a process that does nothing else: it takes the signals and waits for every child.
///
/// Processes that the command has left behind are counted until it ends, and left alone then.
///
/// # Errors
///
/// The options make no sense, or the command cannot be run.
pub fn run(command: &[OsString], options: &Options) -> Result<Ended, Failed> {
    options.check()?;
    let unmeasured = |source| Error::Unmeasured { what: "the command".into(), source };
    let mut tree = Tree::of_own_children().map_err(unmeasured)?;
    let prepared = Prepared::new()?;
    // The thread for reports and the files that they need, before the command: there is no way back once it runs.
    let no_thread = match Driver::shared() {
        Ok(_) => None,
        // The command runs all the same, and nobody watches it.
        Err(error) if error.is_limit() => Some(error),
        Err(error) => return Err(Error::from(error).into()),
    };
    ensure_files(REPORT).map_err(Error::Files)?;
    let running = Running::start(command, prepared)?;
    if let Some(error) = no_thread {
        return Ok(Ended { code: running.wait(), reports: Err(error.into()) });
    }
    let name = name::of(command);
    let identity = Identity::of(running.pid().cast_unsigned(), &name, options);
    // From here on the command runs, and whatever happens to the reports must not harm it.
    let reporting = Reporting::start(identity, options, Box::new(move || tree.sample()));
    let code = running.wait();
    Ok(Ended { code, reports: reporting.map(|reporting| reporting.end(code.into())) })
}

/// Reports a process that runs already, and all that it starts, until it ends. What is reported as its
/// exit code is -1, for only its parent knows it.
///
/// # Errors
///
/// The options make no sense, or there is no such process.
pub fn watch(pid: u32, options: &Options) -> Result<Option<Outcome>, Error> {
    options.check()?;
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => Error::NoProcess { pid },
        _ => Error::Unmeasured { what: format!("process {pid}"), source },
    };
    let number = i32::try_from(pid).map_err(|_| Error::NoProcess { pid })?;
    let mut tree = Tree::of(number).map_err(failed)?;
    let name = name::of_process(pid).map_err(failed)?;
    let identity = Identity::of(pid, &name, options);
    Ok(Reporting::start(identity, options, Box::new(move || tree.sample()))?.wait())
}
