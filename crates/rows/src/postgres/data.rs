//! The directory that keeps the rows, and the log in it.

use super::failed;
use crate::Error;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, chown};
use std::path::Path;
use switchboard_child::User;
use switchboard_driver::{FolderLock, lock_folder};

/// Bytes of a log that an error has.
const END: u64 = 1000;
/// Kinds of lines. What is before them differs from start to start.
const KINDS: [&str; 7] = ["FATAL: ", "PANIC: ", "ERROR: ", "HINT: ", "DETAIL: ", "WARNING: ", "LOG: "];

pub(super) fn make_directory(data: &Path, user: &User) -> Result<(), Error> {
    let wrong = |error: std::io::Error| failed(&format!("cannot make {}: {error}", data.display()));
    if data.exists() {
        return Ok(());
    }
    if let Some(parent) = data.parent() {
        fs::create_dir_all(parent).map_err(wrong)?;
    }
    fs::DirBuilder::new().mode(0o700).create(data).map_err(wrong)?;
    if *user != User::current() {
        chown(data, Some(user.uid), Some(user.gid)).map_err(wrong)?;
    }
    Ok(())
}

/// Keeps other programs away from the directory, for as long as the lock lives: two must not make the data at once.
pub(super) fn lock(kept: &Path) -> Result<FolderLock, Error> {
    lock_folder(kept).map_err(|error| match error.kind() {
        ErrorKind::ResourceBusy => failed(&format!(
            "another program keeps one on the rows in {}; stop that, or choose another data directory (--data), or give \
             its database (--database, or the setting rows.database)",
            kept.display()
        )),
        _ => failed(&format!("cannot lock {}: {error}", kept.display())),
    })
}

/// Opens a file to add to. The directory may be another user's: what it links to is not ours to write.
pub(super) fn open(path: &Path) -> Result<File, Error> {
    let mut file = File::options();
    let file = file.create(true).append(true).read(true).mode(0o600).custom_flags(nix::libc::O_NOFOLLOW).open(path);
    file.map_err(|error| failed(&format!("cannot write {}: {error}", path.display())))
}

/// A log, and where this start's part of it begins.
pub(super) struct Log {
    pub(super) file: File,
    begin: u64,
}

impl Log {
    pub(super) fn open(path: &Path) -> Result<Log, Error> {
        let file = open(path)?;
        let begin = file.metadata().map_or(0, |data| data.len());
        Ok(Log { file, begin })
    }

    /// The first line that says what is fatal, and two after it; else the last lines. Without times and process numbers.
    pub(super) fn end(&self) -> String {
        let length = self.file.metadata().map_or(0, |data| data.len());
        let from = self.begin.max(length.saturating_sub(END));
        let mut text = vec![0; usize::try_from(length.saturating_sub(from)).unwrap_or(0)];
        let read = self.file.read_at(&mut text, from).unwrap_or(0);
        let text = String::from_utf8_lossy(&text[..read]).into_owned();
        let lines: Vec<&str> = text.lines().map(message).collect();
        let is_cause = |line: &&str| KINDS[..2].iter().any(|kind| line.starts_with(kind));
        // Other programs that end because of it write below it.
        let begin = lines.iter().position(is_cause).unwrap_or(lines.len().saturating_sub(3));
        lines[begin..].iter().take(3).copied().collect::<Vec<&str>>().join("; ")
    }
}

fn message(line: &str) -> &str {
    KINDS.iter().filter_map(|kind| line.find(kind)).min().map_or(line, |at| &line[at..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_end_of_a_log_is_of_this_start_and_the_same_for_the_same_reason() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("log");
        fs::write(&path, "2026-01-01 UTC [1] FATAL:  before\n").expect("written");
        let log = Log::open(&path).expect("opened");
        assert_eq!(log.end(), "");
        let mut file = File::options().append(true).open(&path).expect("opened");
        writeln!(file, "2026-01-01 UTC [2] LOG:  first\n2026-01-01 UTC [2] FATAL:  no\n2026 [2] HINT:  do\nplain")
            .expect("written");
        assert_eq!(log.end(), "FATAL:  no; HINT:  do; plain");
        fs::write(&path, "running bootstrap script ... 2026 UTC [3] FATAL:  disk full\nHINT:  free some\nchild exited\nremoving data\n")
            .expect("written");
        let bootstrap = Log { begin: 0, ..Log::open(&path).expect("opened") };
        assert_eq!(bootstrap.end(), "FATAL:  disk full; HINT:  free some; child exited");
        writeln!(file, "{}", "x".repeat(2000)).expect("written");
        assert_eq!(log.end().len(), 999);
    }

    #[test]
    fn a_directory_is_locked_by_one_and_what_it_links_to_is_left_alone() {
        let base = tempfile::tempdir().expect("a directory");
        let first = lock(base.path()).expect("locked");
        assert!(lock(base.path()).expect_err("locked already").to_string().contains("another program"));
        drop(first);
        lock(base.path()).expect("free again");
        symlink("/etc/passwd", base.path().join("link")).expect("a link");
        assert!(open(&base.path().join("link")).is_err());
    }
}
