//! A command's private directory, beside the lock of the guardian that removes it.

use crate::process::kill_marked;
use crate::{Error, User};
use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Begins the name of every workplace.
const PREFIX: &str = "child-";
const LOCK: &str = "lock";
/// The private directory within its workplace.
const INNER: &str = "run";

/// `BASE/child-RANDOM`, with `lock` and the private directory `run` in it.
#[derive(Debug)]
pub(crate) struct Workplace {
    pub(crate) path: PathBuf,
}

impl Workplace {
    pub(crate) fn make(base: &Path, user: &User) -> Result<Workplace, Error> {
        let failed = |source| Error::Directory { base: base.to_owned(), source };
        fs::create_dir_all(base).map_err(failed)?;
        loop {
            let name = format!("{PREFIX}{:016x}", fastrand::u64(..));
            let workplace = Workplace { path: base.join(name) };
            match workplace.fill(user) {
                Ok(()) => return Ok(workplace),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    workplace.remove();
                    return Err(failed(error));
                }
            }
        }
    }

    fn fill(&self, user: &User) -> io::Result<()> {
        // Another user's command has to pass through; only its own directory is readable to it.
        DirBuilder::new().mode(0o711).create(&self.path)?;
        File::create(self.path.join(LOCK))?.set_permissions(Permissions::from_mode(0o600))?;
        DirBuilder::new().mode(0o700).create(self.inner())?;
        if *user != User::current() {
            chown(self.inner(), Some(user.uid), Some(user.gid))?;
        }
        Ok(())
    }

    /// The private directory.
    pub(crate) fn inner(&self) -> PathBuf {
        self.path.join(INNER)
    }

    /// What every process of this workplace has in its environment.
    pub(crate) fn mark(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Says that a guardian looks after it, for as long as the file is open.
    pub(crate) fn lock(&self) -> io::Result<File> {
        let file = File::open(self.path.join(LOCK))?;
        file.try_lock().map_err(io::Error::from)?;
        Ok(file)
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
/// Directories whose guardian lives are left alone, and so is what another user made.
pub fn sweep(base: &Path) -> usize {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    let stale = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)).filter(|entry| {
        let own = entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == User::current().uid);
        own && is_abandoned(&entry.path())
    });
    stale
        .map(|entry| {
            let workplace = Workplace { path: entry.path() };
            kill_marked(&workplace.mark());
            workplace.remove();
        })
        .count()
}

fn is_abandoned(path: &Path) -> bool {
    match File::open(path.join(LOCK)) {
        Ok(file) => !matches!(file.try_lock(), Err(TryLockError::WouldBlock)),
        // Half made or half removed.
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}
