//! A folder that one process uses at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const NAME: &str = "lock";
/// Time that a lock's holder has to go away: a process that ends, or a child of it that was forked and has not begun its program
/// yet, which has a copy of every open file until then.
const LEAVING: Duration = Duration::from_millis(500);
const AGAIN_AFTER: Duration = Duration::from_millis(10);

/// Locks a folder for as long as the returned file is open, by the file `lock` in it. The kernel ends the lock with the
/// process, however that ends. What stands there is neither followed nor truncated. Blocks for up to half a second while
/// somebody else has the lock, so that a restart takes over from a process that is about to be gone.
///
/// # Errors
///
/// [`ErrorKind::ResourceBusy`]: somebody else has the lock. Otherwise the file cannot be made.
pub fn lock_folder(folder: &Path) -> io::Result<File> {
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
            Ok(()) => return Ok(lock),
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

    fn folder(name: &str) -> std::path::PathBuf {
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
