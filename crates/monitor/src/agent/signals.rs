//! The signals that are sent to the agent, every one of them as something to read.
//!
//! They are blocked in all threads and read from a signalfd: with handlers some could not be caught (SEGV, FPE, ILL), and
//! those of the agent's own faults would be. The kernel keeps SIGKILL and SIGSTOP, the C library 32 and 33.

use super::script;
use crate::process::Stat;
use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::{Pid, kill_process};
use std::ffi::{CStr, CString, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const SHELL: &CStr = c"/bin/sh";
/// Number of generations by which a signal's sender is followed back.
const GENERATIONS: usize = 64;
/// The kernel's own signals have an origin above this (`SI_USER`).
const SENT: i32 = 0;

/// Blocks all signals, and reads them.
pub(super) struct Signals {
    arrived: SignalFd,
    before: SigSet,
}

/// A signal that somebody has sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    number: i32,
    /// It was sent by a process, not by the kernel.
    sent: bool,
    sender: i32,
}

impl Signals {
    /// For this thread, and all that are started from now on.
    pub(super) fn block() -> io::Result<Signals> {
        // If it were ignored, children would leave no exit code. The handler itself never runs.
        signal_hook::flag::register(signal_hook::consts::SIGCHLD, Arc::new(AtomicBool::new(false)))?;
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        Ok(Signals { arrived: SignalFd::with_flags(&SigSet::all(), SfdFlags::SFD_CLOEXEC)?, before })
    }

    /// Starts a command with the mask that was in force before. No thread of this process ever has it again: a signal
    /// that arrives meanwhile waits.
    pub(super) fn spawn(&self, command: &[OsString]) -> io::Result<Pid> {
        let texts = |texts: Vec<Vec<u8>>| texts.into_iter().map(CString::new).collect::<Result<Vec<CString>, _>>();
        let arguments = texts(command.iter().map(|argument| argument.as_bytes().to_vec()).collect())?;
        let environment = texts(
            std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect(),
        )?;
        let program = arguments.first().ok_or(io::ErrorKind::NotFound)?;
        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_sigmask(&self.before)?;
        // Rust's programs ignore it, others do not expect that.
        let mut pipe = SigSet::empty();
        pipe.add(Signal::SIGPIPE);
        attributes.set_sigdefault(&pipe)?;
        attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF)?;
        let actions = PosixSpawnFileActions::init()?;
        let child = match posix_spawnp(program, &actions, &attributes, &arguments, &environment) {
            // A script without an interpreter line is the shell's, as for execvp.
            Err(Errno::ENOEXEC) => {
                let file = script::file(command[0].as_os_str()).filter(|file| !script::is_binary(file));
                let file = file.ok_or(Errno::ENOEXEC)?;
                let file = CString::new(file.into_os_string().into_encoded_bytes())?;
                let shell = [&[SHELL.to_owned(), file][..], &arguments[1..]].concat();
                posix_spawnp(SHELL, &actions, &attributes, &shell, &environment)?
            }
            child => child?,
        };
        Pid::from_raw(child.as_raw()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Waits for the next one.
    pub(super) fn next(&self) -> io::Result<Arrived> {
        loop {
            match self.arrived.read_signal() {
                Ok(Some(info)) => {
                    return Ok(Arrived {
                        number: info.ssi_signo.cast_signed(),
                        sent: info.ssi_code <= SENT,
                        sender: info.ssi_pid.cast_signed(),
                    });
                }
                Ok(None) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Arrived {
    /// The command does not have it yet. What the kernel sends to the whole group (Ctrl-C, Ctrl-Z, a new window size) it
    /// has; what the command sends to its own group (an editor that stops itself), too. A terminal that is closed is the
    /// exception: the kernel tells the session's leader alone, by a hang-up and what continues a process that is stopped.
    pub(super) fn is_to_be_passed_on(self) -> bool {
        if self.sent { !comes_from_us(self.sender) } else { self.is_hang_up() && leads_session() }
    }

    fn is_hang_up(self) -> bool {
        [Signal::SIGHUP, Signal::SIGCONT].iter().any(|&signal| signal as i32 == self.number)
    }

    /// Sends it to this process, which may just have ended.
    pub(super) fn pass_on(self, to: Pid) {
        let _ = send(to, self.number);
    }
}

fn leads_session() -> bool {
    rustix::process::getsid(None).is_ok_and(|session| session == rustix::process::getpid())
}

/// Whether a process is this one, or one of those that it has started.
fn comes_from_us(sender: i32) -> bool {
    let own = process::id().cast_signed();
    let parents =
        std::iter::successors(Some(sender), |&pid| Some(Stat::of(pid).ok()?.parent).filter(|&parent| parent > 1));
    parents.take(GENERATIONS).any(|pid| pid == own)
}

/// Sends a signal of any number to a process.
#[allow(
    unsafe_code,
    reason = "rustix has no safe way to name a real-time signal; every number is sent in a test of `switchboard`"
)]
pub(super) fn send(to: Pid, number: i32) -> io::Result<()> {
    if !(1..=64).contains(&number) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: a number that the kernel knows; what is reserved is sent to another process, in which it is that one's.
    let signal = unsafe { rustix::process::Signal::from_raw_unchecked(number) };
    Ok(kill_process(to, signal)?)
}
