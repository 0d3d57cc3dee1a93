//! A command that is run as if its user had run it directly.
//!
//! It stays in the agent's process group, so the terminal speaks to both: what the kernel sends to the
//! group (Ctrl-C, Ctrl-Z, a new window size) the command has already, and it is not passed on. What a
//! process sends to the agent is.

use super::script;
use super::signals::Signals;
use crate::process::Stat;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, raise};
use rustix::process::{Pid, WaitOptions, wait};
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::process;
use std::time::Duration;

/// Interval of checks for the command's end where signals cannot be read.
const UNSIGNALED: Duration = Duration::from_millis(100);

/// It could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotRun {
    /// There is no such program.
    #[error("{}: there is no such command", shown(command))]
    NotFound {
        /// As it was given.
        command: String,
    },
    /// It is there and cannot be run.
    #[error("cannot run {command}: {source}")]
    NotAllowed {
        /// As it was given.
        command: String,
        /// Why not.
        source: io::Error,
    },
    /// The interpreter that its first line names is not there.
    #[error("cannot run {command}: there is no {}, its interpreter", interpreter.escape_debug())]
    NoInterpreter {
        /// As it was given.
        command: String,
        /// The interpreter.
        interpreter: String,
    },
    /// The dynamic loader that it names is not there.
    #[error("cannot run {command}: there is no {loader}, its loader: it was made for another system")]
    NoLoader {
        /// As it was given.
        command: String,
        /// The loader.
        loader: String,
    },
    /// The system cannot run it, and no shell can read it.
    #[error("cannot run {command}: it is a program for another machine, or a damaged one")]
    Foreign {
        /// As it was given.
        command: String,
    },
    /// The agent itself could not be made ready.
    #[error("cannot prepare to run a command: {0}")]
    NotReady(#[source] io::Error),
}

impl NotRun {
    /// Returns the exit code that a shell would have.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            NotRun::NotFound { .. } => 127,
            NotRun::NotAllowed { .. }
            | NotRun::NoInterpreter { .. }
            | NotRun::NoLoader { .. }
            | NotRun::Foreign { .. } => 126,
            NotRun::NotReady(_) => 125,
        }
    }
}

/// The name in quotes if it is blank.
fn shown(command: &str) -> String {
    if command.trim().is_empty() { format!("{command:?}") } else { command.to_owned() }
}

/// A process that is ready to run a command.
pub(crate) struct Prepared(Signals);

impl Prepared {
    /// This process becomes the one that inherits orphans, waits for every child there is, and takes the
    /// signals that are to be passed on. To be called before other threads are started.
    pub(crate) fn new() -> Result<Prepared, NotRun> {
        let signals = Signals::block().map_err(NotRun::NotReady)?;
        prctl::set_child_subreaper(true).map_err(|error| NotRun::NotReady(error.into()))?;
        Ok(Prepared(signals))
    }
}

/// A command that runs.
pub(crate) struct Running {
    child: Pid,
    signals: Signals,
}

impl Running {
    /// Starts the command.
    pub(crate) fn start(command: &[OsString], Prepared(signals): Prepared) -> Result<Running, NotRun> {
        let Some(program) = command.first() else {
            return Err(NotRun::NotFound { command: String::new() });
        };
        // Waited for below, together with the orphans.
        let child = signals.spawn(command).map_err(|source| {
            let command = program.to_string_lossy().into_owned();
            match source.kind() {
                ErrorKind::NotFound => match (script::interpreter(program), script::loader(program)) {
                    (Some(interpreter), _) => NotRun::NoInterpreter { command, interpreter },
                    (None, Some(loader)) => NotRun::NoLoader { command, loader },
                    (None, None) => NotRun::NotFound { command },
                },
                _ if source.raw_os_error() == Some(Errno::ENOEXEC as i32) => NotRun::Foreign { command },
                _ => NotRun::NotAllowed { command, source },
            }
        })?;
        Ok(Running { child, signals })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.as_raw_nonzero().get()
    }

    /// Its exit code, or 128 and the signal that has ended it.
    pub(crate) fn wait(self) -> u8 {
        loop {
            // First: it may have ended before anybody watched.
            if let Some(code) = self.reap() {
                return code;
            }
            match self.signals.next() {
                Ok(arrived) if arrived.is_to_be_passed_on() => arrived.pass_on(self.child),
                Ok(_) => {}
                // Without them the command's end is all that is left to wait for.
                Err(_) => std::thread::sleep(UNSIGNALED),
            }
        }
    }

    /// Waits for all who have ended; the command's code if it is among them.
    fn reap(&self) -> Option<u8> {
        loop {
            let (pid, status) = wait(WaitOptions::NOHANG | WaitOptions::UNTRACED).ok()??;
            if pid != self.child {
                continue;
            }
            if let Some(code) = status.exit_status() {
                // The kernel keeps one byte of it.
                return Some(u8::try_from(code & 0xff).unwrap_or(u8::MAX));
            }
            if let Some(signal) = status.terminating_signal() {
                return Some(u8::try_from(128 + signal).unwrap_or(u8::MAX));
            }
            if status.stopped() {
                self.stop_too();
            }
        }
    }

    /// The shell gets its terminal back when the agent stops; `fg` wakes both.
    fn stop_too(&self) {
        let has_terminal = Stat::of(process::id().cast_signed()).is_ok_and(|stat| stat.terminal != 0);
        if has_terminal && raise(Signal::SIGSTOP).is_ok() {
            let _ = super::signals::send(self.child, Signal::SIGCONT as i32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_what_cannot_be_run_are_shown() {
        let not_found = |command: &str| NotRun::NotFound { command: command.to_owned() }.to_string();
        assert_eq!(not_found("x"), "x: there is no such command");
        assert_eq!(not_found(""), "\"\": there is no such command");
        assert_eq!(not_found(" "), "\" \": there is no such command");

        let (command, interpreter) = ("./x".to_owned(), "/bin/sh\r".to_owned());
        let shown = NotRun::NoInterpreter { command, interpreter }.to_string();
        assert_eq!(shown, "cannot run ./x: there is no /bin/sh\\r, its interpreter");
    }
}
