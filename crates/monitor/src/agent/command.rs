//! A command that is run as if its user had run it directly.
//!
//! It stays in the agent's process group, so the terminal speaks to both: what the kernel sends to the
//! group (Ctrl-C, Ctrl-Z, a new window size) the command has already, and it is not passed on. What a
//! process sends to the agent is.

use crate::process::Stat;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use signal_hook::consts::signal::{
    SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH,
};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::origin::WithOrigin;
use signal_hook::low_level::siginfo::{Cause, Origin};
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::process;

const PASSED_ON: [i32; 9] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT];
/// How many generations a signal's sender is followed back.
const GENERATIONS: usize = 64;

/// It could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotRun {
    /// There is no such program.
    #[error("{command}: there is no such command")]
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
    /// The agent itself could not be made ready.
    #[error("cannot prepare to run a command: {0}")]
    NotReady(#[source] io::Error),
}

impl NotRun {
    /// What a shell's exit code would be.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            NotRun::NotFound { .. } => 127,
            NotRun::NotAllowed { .. } => 126,
            NotRun::NotReady(_) => 125,
        }
    }
}

/// A command that runs.
pub(crate) struct Running {
    child: Pid,
    signals: SignalsInfo<WithOrigin>,
}

impl Running {
    /// This process becomes the one that inherits orphans, waits for every child there is, and takes the
    /// signals that are to be passed on.
    pub(crate) fn start(command: &[OsString]) -> Result<Running, NotRun> {
        let [program, arguments @ ..] = command else {
            return Err(NotRun::NotFound { command: String::new() });
        };
        // One that is ignored (nohup) stays so for the command. A handler would not be inherited: the
        // command starts with what it would have had without us.
        let ignored = ignored_signals();
        let taken = PASSED_ON.into_iter().filter(|signal| !ignored.contains(signal)).chain([SIGCHLD]);
        let signals = SignalsInfo::new(taken).map_err(NotRun::NotReady)?;
        prctl::set_child_subreaper(true).map_err(|error| NotRun::NotReady(error.into()))?;
        let child = process::Command::new(program).args(arguments).spawn().map_err(|source| {
            let command = program.to_string_lossy().into_owned();
            match source.kind() {
                ErrorKind::NotFound => NotRun::NotFound { command },
                _ => NotRun::NotAllowed { command, source },
            }
        })?;
        // Waited for below, together with the orphans.
        Ok(Running { child: Pid::from_raw(child.id().cast_signed()), signals })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.as_raw()
    }

    /// Its exit code, or 128 and the signal that has ended it.
    pub(crate) fn wait(mut self) -> u8 {
        // It may have ended before anybody watched.
        if let Some(code) = self.reap() {
            return code;
        }
        loop {
            let arrived: Vec<Origin> = self.signals.wait().collect();
            for origin in arrived {
                if origin.signal != SIGCHLD && self.is_to_be_passed_on(&origin) {
                    self.pass_on(origin.signal);
                }
            }
            if let Some(code) = self.reap() {
                return code;
            }
        }
    }

    fn is_to_be_passed_on(&self, origin: &Origin) -> bool {
        if matches!(origin.cause, Cause::Kernel) {
            return false;
        }
        // An editor that stops itself does so with its whole group: it need not be told.
        !origin.process.is_some_and(|sender| comes_from_us(sender.pid))
    }

    fn pass_on(&self, signal: i32) {
        if let Ok(signal) = Signal::try_from(signal) {
            // It may just have ended.
            let _ = kill(self.child, signal);
        }
    }

    /// Waits for all who have ended; the command's code if it is among them.
    fn reap(&self) -> Option<u8> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.child => {
                    // What the kernel keeps of it is one byte.
                    return Some(u8::try_from(code & 0xff).unwrap_or(u8::MAX));
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.child => {
                    return Some(u8::try_from(128 + signal as i32).unwrap_or(u8::MAX));
                }
                Ok(WaitStatus::Stopped(pid, signal)) if pid == self.child => self.stop_too(signal),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return None,
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// The shell gets its terminal back when the agent stops; `fg` wakes both.
    fn stop_too(&self, signal: Signal) {
        let has_terminal = Stat::of(process::id().cast_signed()).is_ok_and(|stat| stat.terminal != 0);
        // Reading or writing as a background job has stopped the whole group already.
        if has_terminal && !matches!(signal, Signal::SIGTTIN | Signal::SIGTTOU) && raise(Signal::SIGSTOP).is_ok() {
            let _ = kill(self.child, Signal::SIGCONT);
        }
    }
}

fn comes_from_us(sender: i32) -> bool {
    let own = process::id().cast_signed();
    let parents =
        std::iter::successors(Some(sender), |&pid| Some(Stat::of(pid).ok()?.parent).filter(|&parent| parent > 1));
    parents.take(GENERATIONS).skip(1).any(|pid| pid == own)
}

fn ignored_signals() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    (1..=64).filter(|signal| mask >> (signal - 1) & 1 == 1).collect()
}
