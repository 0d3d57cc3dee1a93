//! A command's private directory, beside the lock of the guardian that removes it.

use crate::process::kill_marked;
use crate::{Error, User};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

/// Begins the name of every workplace.
const PREFIX: &str = "child-";
const LOCK: &str = "lock";
/// The private directory within its workplace.
const INNER: &str = "run";
/// Names that are tried: a sweeper may take one for abandoned before its lock is held.
const TRIES: u32 = 100;

/// `BASE/child-RANDOM`, with `lock` and the private directory `run` in it.
///
/// A user of it holds a shared lock on the file: the launch from the beginning, the guardian while it lives. A
/// sweeper takes the lock exclusively before it removes anything, so it never meets a workplace in use.
#[derive(Debug)]
pub(crate) struct Workplace {
    pub(crate) path: PathBuf,
}

impl Workplace {
    /// Makes one, and returns it with its lock held.
    pub(crate) fn make(base: &Path, user: &User) -> Result<(Workplace, File), Error> {
        let failed = |source| Error::Directory { base: base.to_owned(), source };
        let mut tries = 0;
        loop {
            fs::create_dir_all(base).map_err(failed)?;
            let name = format!("{PREFIX}{:016x}", fastrand::u64(..));
            let workplace = Workplace { path: base.join(name) };
            tries += 1;
            match workplace.fill(user) {
                Ok(lock) => return Ok((workplace, lock)),
                // The name is taken, or a sweeper was faster than the lock.
                Err(error) if is_race(&error) && tries < TRIES => {}
                Err(error) => {
                    workplace.remove();
                    return Err(failed(error));
                }
            }
        }
    }

    fn fill(&self, user: &User) -> io::Result<File> {
        // Another user's command has to pass through; only its own directory is readable to it.
        DirBuilder::new().mode(0o711).create(&self.path)?;
        // It comes first: what holds anything but no lock is half removed.
        File::options().write(true).create_new(true).mode(0o600).open(self.path.join(LOCK))?;
        let lock = self.lock()?;
        DirBuilder::new().mode(0o700).create(self.inner())?;
        if *user != User::current() {
            chown(self.inner(), Some(user.uid), Some(user.gid))?;
        }
        Ok(lock)
    }

    /// The private directory.
    pub(crate) fn inner(&self) -> PathBuf {
        self.path.join(INNER)
    }

    /// Returns the mark that every process of this workplace has in its environment.
    pub(crate) fn mark(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Keeps sweepers away for as long as the file is open.
    pub(crate) fn lock(&self) -> io::Result<File> {
        let file = self.open_lock()?;
        file.try_lock_shared().map_err(io::Error::from)?;
        // A sweeper may have removed it between the two.
        self.path.join(LOCK).metadata()?;
        Ok(file)
    }

    /// Opens the lock, whatever stands in its place: a pipe would be waited for until somebody writes to it.
    fn open_lock(&self) -> io::Result<File> {
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
        File::options().read(true).custom_flags(flags.bits().cast_signed()).open(self.path.join(LOCK))
    }

    pub(crate) fn remove(&self) {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!("cannot remove {}: {error}", self.path.display());
            }
            _ => {}
        }
    }
}

/// Ends processes and removes directories in `base` that an earlier run left because it was killed together
/// with its guardian. Returns how many directories there were.
///
/// Directories that are in use are left alone, and so is what another user made.
pub fn sweep(base: &Path) -> usize {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    let own = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)).filter(|entry| {
        // Of the entry itself: a link is nobody's workplace.
        entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == User::current().uid)
    });
    own.filter(|entry| Workplace { path: entry.path() }.sweep()).count()
}

impl Workplace {
    /// Removes it with its processes if it is abandoned. Returns true if it was.
    fn sweep(&self) -> bool {
        // A maker has nothing in it before the lock file; it tries another name if it is removed here.
        let lock = match self.open_lock() {
            Err(error) if error.kind() == ErrorKind::NotFound => match fs::remove_dir(&self.path) {
                Ok(()) => return true,
                Err(error) if error.kind() == ErrorKind::NotFound => return false,
                Err(_) => self.open_lock(),
            },
            opened => opened,
        };
        match &lock {
            Ok(file) if file.try_lock().is_err() => return false,
            // Half removed.
            Err(error) if error.kind() != ErrorKind::NotFound => return false,
            _ => {}
        }
        if !self.path.exists() {
            // Another sweeper was faster.
            return false;
        }
        kill_marked(&self.mark());
        self.remove();
        true
    }
}

fn is_race(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound | ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::thread;

    const MAKERS: usize = 4;
    const ROUNDS: usize = 200;

    #[test]
    fn a_sweep_beside_a_start_never_removes_what_the_start_has_made() {
        let base = tempfile::tempdir().expect("a directory");
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let sweepers = [(); 2].map(|()| {
                scope.spawn(|| {
                    while !is_over.load(Relaxed) {
                        sweep(base.path());
                    }
                })
            });
            let makers = [(); MAKERS].map(|()| {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        let (workplace, lock) = Workplace::make(base.path(), &User::current()).expect("made");
                        // One that began before the lock was held has ended by then.
                        sweep(base.path());
                        assert!(workplace.inner().is_dir());
                        // As the guardian has it.
                        let second = workplace.lock().expect("a lock of its own");
                        drop(lock);
                        sweep(base.path());
                        assert!(workplace.inner().is_dir());
                        drop(second);
                    }
                })
            });
            let ended = makers.map(thread::ScopedJoinHandle::join);
            is_over.store(true, Relaxed);
            drop(sweepers);
            assert!(ended.iter().all(Result::is_ok));
        });
        sweep(base.path());
        assert_eq!(fs::read_dir(base.path()).expect("a directory").count(), 0, "what nobody holds is swept");
    }

    #[test]
    fn a_pipe_in_the_place_of_a_lock_is_not_waited_for() {
        let base = tempfile::tempdir().expect("a directory");
        let place = base.path().join("child-pipe");
        fs::create_dir(&place).expect("made");
        let made = std::process::Command::new("mkfifo").arg(place.join(LOCK)).status();
        assert!(made.expect("mkfifo, of coreutils").success());
        let (done, swept) = std::sync::mpsc::channel();
        let path = base.path().to_owned();
        thread::spawn(move || done.send(sweep(&path)));
        assert_eq!(swept.recv_timeout(std::time::Duration::from_secs(60)), Ok(1));
        assert!(!place.exists());
    }

    #[test]
    fn half_made_and_half_removed_ones_are_swept() {
        let base = tempfile::tempdir().expect("a directory");
        fs::create_dir(base.path().join("child-empty")).expect("made");
        fs::create_dir_all(base.path().join("child-half/run/data")).expect("made");
        fs::create_dir(base.path().join("other")).expect("made");
        fs::write(base.path().join("child-file"), "").expect("written");
        std::os::unix::fs::symlink(base.path().join("other"), base.path().join("child-link")).expect("a link");
        assert_eq!(sweep(base.path()), 2);
        assert_eq!(sweep(base.path()), 0);
        assert_eq!(fs::read_dir(base.path()).expect("a directory").count(), 3);
    }
}
