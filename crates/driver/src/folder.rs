//! A folder that one process uses at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;

const NAME: &str = "lock";

/// Locks a folder for as long as the returned file is open, by the file `lock` in it. The kernel ends the lock with the
/// process, however that ends. What stands there is neither followed nor truncated.
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
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => {
            io::Error::new(ErrorKind::ResourceBusy, format!("another Switchboard uses {}", folder.display()))
        }
        TryLockError::Error(error) => error,
    })?;
    Ok(lock)
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
    fn what_is_no_file_is_refused_and_what_it_leads_to_is_not_touched() {
        let folder = folder("link");
        let target = folder.join("target");
        std::os::unix::fs::symlink(&target, folder.join(NAME)).unwrap();
        assert_eq!(lock_folder(&folder).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(!target.exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
