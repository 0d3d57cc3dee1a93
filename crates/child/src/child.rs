use crate::process::{kill_marked, pid, signal_group};
use crate::workplace::Workplace;
use crate::{Error, GRACE};
use parking_lot::{Condvar, Mutex};
use rustix::process::{Pid, Signal};
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Time that guardian and directory may take beyond a command's grace period.
const CLEANING: Duration = Duration::from_secs(2);

/// The end of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The guardian was killed, and the command with it; or it had to be killed because it did not end.
    Unknown,
}

impl Exit {
    /// Whether it ended by itself, with exit code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Exit::Code(0)
    }
}

/// A command that runs under a guardian. When this is dropped the command is ended, with all its descendants,
/// and its directory is removed, by the guardian: nothing waits for that.
#[derive(Debug)]
pub struct Child {
    id: u32,
    directory: PathBuf,
    guardian: u32,
    socket: UnixStream,
    exit: Arc<(Mutex<Option<Exit>>, Condvar)>,
}

impl Child {
    pub(crate) fn begin(
        program: &str,
        workplace: Workplace,
        mut guardian: process::Child,
        socket: UnixStream,
    ) -> Result<Child, Error> {
        let failed = |source| Error::Guardian { source };
        let mut lines = BufReader::new(socket.try_clone().map_err(failed)?).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        let started = first.strip_prefix("started ").and_then(|number| pid(number.parse().ok()?));
        let Some(command) = started else {
            let _ = guardian.wait();
            workplace.remove();
            let reason = first.strip_prefix("failed ").unwrap_or("its guardian ended at once").to_owned();
            return Err(Error::Command { program: program.to_owned(), reason });
        };
        let exit = Arc::<(Mutex<Option<Exit>>, Condvar)>::default();
        let child = Child {
            id: command.as_raw_nonzero().get().unsigned_abs(),
            directory: workplace.inner(),
            guardian: guardian.id(),
            socket,
            exit: exit.clone(),
        };
        thread::Builder::new()
            .name("child".to_owned())
            .spawn(move || {
                let ended = follow(lines, &workplace, command, guardian);
                *exit.0.lock() = Some(ended);
                exit.1.notify_all();
            })
            .map_err(failed)?;
        Ok(child)
    }

    /// The command's process number, which is its process group's, too.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The guardian's process number.
    #[must_use]
    pub fn guardian_id(&self) -> u32 {
        self.guardian
    }

    /// The private directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the command's end, if it has ended. Its descendants and its directory are gone by then.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.0.lock()
    }

    /// Waits for the end, at most for this long.
    #[must_use]
    pub fn wait(&self, time: Duration) -> Option<Exit> {
        let mut exit = self.exit.0.lock();
        match Instant::now().checked_add(time) {
            Some(end) => {
                self.exit.1.wait_while_until(&mut exit, |exit| exit.is_none(), end);
            }
            None => self.exit.1.wait_while(&mut exit, |exit| exit.is_none()),
        }
        *exit
    }

    /// Asks the command to end, by this signal (SIGTERM is 15). What does not end within [`GRACE`] is killed.
    pub fn ask_to_end(&self, signal: i32) {
        // An error means that it has ended.
        let _ = (&self.socket).write_all(format!("stop {signal}\n").as_bytes());
    }

    /// Asks the command to end, by this signal, and waits until nothing of it is left.
    pub fn stop(self, signal: i32) -> Exit {
        self.ask_to_end(signal);
        self.wait(GRACE + CLEANING).unwrap_or(Exit::Unknown)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}

/// Reads what the guardian says, to its end; does its work if it was killed.
fn follow(
    lines: Lines<BufReader<UnixStream>>,
    workplace: &Workplace,
    command: Pid,
    mut guardian: process::Child,
) -> Exit {
    let mut ended = None;
    for line in lines.map_while(Result::ok) {
        ended = match line.split_once(' ') {
            Some(("exited", code)) => code.parse().ok().map(Exit::Code),
            Some(("killed", signal)) => signal.parse().ok().map(Exit::Signal),
            _ => ended,
        };
    }
    let status = guardian.wait();
    if !status.is_ok_and(|status| status.success()) {
        signal_group(command, Signal::KILL);
        kill_marked(&workplace.mark());
        workplace.remove();
    }
    ended.unwrap_or(Exit::Unknown)
}
