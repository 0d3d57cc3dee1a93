use crate::child::Child;
use crate::workplace::Workplace;
use crate::{Error, GUARDIAN, User};
use signal_hook::consts::SIGTERM;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Variables of systemd for a service: a child must not answer in its place.
const OF_THE_MANAGER: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// A command that is to be started under a guardian, and its private directory, which is its working directory.
#[derive(Debug)]
pub struct Launch {
    /// With its lock. `None` once a guardian looks after it.
    workplace: Option<(Workplace, File)>,
    directory: PathBuf,
    user: User,
    end_signal: i32,
    guardian: Command,
}

impl Launch {
    /// Makes a private directory in `base` for a command that runs as `user`.
    ///
    /// # Errors
    /// If the directory cannot be made, or this program cannot be found.
    pub fn new(base: &Path, user: User) -> Result<Launch, Error> {
        let program = std::env::current_exe().map_err(|source| Error::Guardian { source })?;
        // Guardian and command may have another working directory than this process.
        let base = std::path::absolute(base).map_err(|source| Error::Directory { base: base.to_owned(), source })?;
        let (workplace, lock) = Workplace::make(&base, &user)?;
        let directory = workplace.inner();
        let mut guardian = Command::new(program);
        for variable in OF_THE_MANAGER {
            guardian.env_remove(variable);
        }
        Ok(Launch { workplace: Some((workplace, lock)), directory, user, end_signal: SIGTERM, guardian })
    }

    /// The private directory: mode 0700, the command's user's. It is removed with everything in it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Sets an environment variable of the command.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Launch {
        self.guardian.env(key, value);
        self
    }

    /// The signal that asks the command to end once we are gone; SIGTERM unless told.
    pub fn end_signal(&mut self, signal: i32) -> &mut Launch {
        self.end_signal = signal;
        self
    }

    /// Sets the target of the command's standard output; it is discarded by default.
    pub fn stdout(&mut self, output: impl Into<Stdio>) -> &mut Launch {
        self.guardian.stdout(output);
        self
    }

    /// Sets the target of the command's standard error; ours by default.
    pub fn stderr(&mut self, output: impl Into<Stdio>) -> &mut Launch {
        self.guardian.stderr(output);
        self
    }

    /// Starts the command. One that cannot be executed says so on its standard error, and ends with exit code 127.
    ///
    /// # Errors
    /// If the guardian or the command cannot be started. The directory is removed then.
    pub fn spawn<S: AsRef<OsStr>>(
        mut self,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Child, Error> {
        let failed = |source| Error::Guardian { source };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let Some((workplace, _)) = &self.workplace else { return Err(failed(std::io::ErrorKind::NotFound.into())) };
        let is_other = self.user != User::current();
        let number = |number: u32| OsString::from(if is_other { number.to_string() } else { "-".to_owned() });
        self.guardian.arg(GUARDIAN).arg(&workplace.path).args([number(self.user.uid), number(self.user.gid)]);
        self.guardian.arg(self.end_signal.to_string());
        self.guardian.arg(program.as_ref()).args(arguments).stdin(Stdio::from(OwnedFd::from(theirs)));
        let guardian = self.guardian.spawn().map_err(failed)?;
        // Closes our copy of the guardian's end, or we would never see it close.
        self.guardian.stdin(Stdio::null());
        let (workplace, lock) = self.workplace.take().ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
        let child = Child::begin(&program.as_ref().to_string_lossy(), workplace, guardian, ours);
        // The guardian holds one of its own by now.
        drop(lock);
        child
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        if let Some((workplace, _)) = &self.workplace {
            workplace.remove();
        }
    }
}
