//! A folder that one process uses at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

const NAME: &str = "lock";
/// Time that a lock's holder has to go away: a process that ends, or a child of it that was forked and has not begun its program
/// yet, which has a copy of every open file until then.
const LEAVING: Duration = Duration::from_millis(500);
const AGAIN_AFTER: Duration = Duration::from_millis(10);

/// The lock of a folder: held until it is dropped.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
    folder: PathBuf,
}

impl FolderLock {
    /// Makes sure that the lock is the one in the folder. After a folder in use is removed, another process can make it anew and lock
    /// it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]: the folder or its lock was removed or replaced. It must not be written to any more.
    pub fn check(&self) -> io::Result<()> {
        let there = fs::symlink_metadata(self.folder.join(NAME));
        let is_same = match there.and_then(|there| Ok((there, self.file.metadata()?))) {
            Ok((there, own)) => is_same(&there, &own),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if is_same {
            return Ok(());
        }
        let text = format!("{} was removed or replaced while it was in use", self.folder.display());
        Err(io::Error::new(ErrorKind::NotFound, text))
    }
}

#[cfg(unix)]
fn is_same(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn is_same(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

/// Locks a folder for as long as the returned lock lives, by the file `lock` in it. The kernel ends the lock with the
/// process, however that ends. What stands there is neither followed nor truncated. Blocks for up to half a second while
/// somebody else has the lock, so that a restart takes over from a process that is about to be gone.
///
/// # Errors
///
/// [`ErrorKind::ResourceBusy`]: somebody else has the lock. Otherwise the file cannot be made.
pub fn lock_folder(folder: &Path) -> io::Result<FolderLock> {
    let path = folder.join(NAME);
    if fs::symlink_metadata(&path).is_ok_and(|file| !file.is_file()) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "`lock` in it is no file"));
    }
    let mut options = OpenOptions::new();
    // A link that is made meanwhile is not followed either, and no other user can take the lock.
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    }
    let lock = options.create(true).truncate(false).write(true).open(path)?;
    let last = Instant::now() + LEAVING;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(FolderLock { file: lock, folder: folder.to_owned() }),
            // The kernel tells nobody when a lock is free, but to one that waits for it without an end.
            Err(TryLockError::WouldBlock) if Instant::now() < last => thread::sleep(AGAIN_AFTER),
            Err(TryLockError::WouldBlock) => {
                let taken = format!("another Switchboard uses {}", folder.display());
                return Err(io::Error::new(ErrorKind::ResourceBusy, taken));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("switchboard-lock-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_folder_is_locked_until_the_lock_is_dropped() {
        let folder = folder("one");
        let lock = lock_folder(&folder).unwrap();
        let error = lock_folder(&folder).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        assert_eq!(error.to_string(), format!("another Switchboard uses {}", folder.display()));
        drop(lock);
        drop(lock_folder(&folder).unwrap());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_lock_notices_that_its_folder_was_removed_or_made_anew() {
        let folder = folder("removed");
        let lock = lock_folder(&folder).unwrap();
        lock.check().unwrap();
        fs::remove_dir_all(&folder).unwrap();
        let error = lock.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.to_string(), format!("{} was removed or replaced while it was in use", folder.display()));
        fs::create_dir_all(&folder).unwrap();
        let other = lock_folder(&folder).unwrap();
        assert_eq!(lock.check().unwrap_err().kind(), ErrorKind::NotFound);
        other.check().unwrap();
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_lock_that_is_about_to_be_dropped_is_waited_for() {
        let folder = folder("leaving");
        let lock = lock_folder(&folder).unwrap();
        let next = thread::spawn({
            let folder = folder.clone();
            move || lock_folder(&folder)
        });
        // The other thread has been refused at least once, most of the time.
        thread::sleep(AGAIN_AFTER * 5);
        drop(lock);
        drop(next.join().unwrap().unwrap());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_no_file_is_refused_and_what_it_leads_to_is_not_touched() {
        let folder = folder("link");
        let target = folder.join("target");
        std::os::unix::fs::symlink(&target, folder.join(NAME)).unwrap();
        assert_eq!(lock_folder(&folder).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(!target.exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
