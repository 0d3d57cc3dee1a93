//! Records in small files, written aside and renamed: one that is there is whole.

use super::record::Record;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use switchboard_driver::{FolderLock, lock_folder};

/// Bytes of a file; a larger one was not written by us.
const MAX_FILE: u64 = 32 << 20;
/// Time for which the file of a site is kept that has left the sites file.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A directory of records, which no other process uses while this or a clone of it lives.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
    lock: Arc<FolderLock>,
}

impl Store {
    /// Makes the directory, and removes what an interrupted write left.
    ///
    /// # Errors
    ///
    /// It cannot be made or read. [`io::ErrorKind::ResourceBusy`]: another process uses it.
    pub fn open(directory: &Path) -> io::Result<Store> {
        fs::create_dir_all(directory)?;
        let lock = Arc::new(lock_folder(directory)?);
        for entry in fs::read_dir(directory)?.flatten() {
            let is_old = || {
                let changed = entry.metadata().and_then(|data| data.modified()).ok();
                changed.and_then(|time| SystemTime::now().duration_since(time).ok()).is_some_and(|age| age > KEPT)
            };
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(".tmp") || name.ends_with(".json") && is_old() {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(Store { directory: directory.to_owned(), lock })
    }

    /// The record of a site; none if there is no file, or one that cannot be read, which is logged.
    #[must_use]
    pub fn load(&self, name: &str) -> Option<Record> {
        let path = self.path(name);
        let read = || -> io::Result<Record> {
            let record: Record = serde_json::from_slice(&switchboard_driver::read_file(&path, MAX_FILE)?)?;
            if record.name == name { Ok(record) } else { Err(io::Error::other("it is another site's")) }
        };
        match read() {
            Ok(record) => Some(record),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!("{name}: cannot read {}: {error}; its headlines are collected anew", path.display());
                }
                None
            }
        }
    }

    /// Writes a record.
    ///
    /// # Errors
    ///
    /// The disk does not take it, or the directory was removed or replaced; the last record stays.
    pub fn save(&self, record: &Record) -> io::Result<()> {
        self.lock.check()?;
        let mut file = tempfile::Builder::new().prefix(".tmp").tempfile_in(&self.directory)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        file.as_file().sync_all()?;
        file.persist(self.path(&record.name)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Names are any text, also a path: their bytes in hexadecimal are none, and are unique.
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{}.json", const_hex::encode(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> Record {
        let text = format!("[[site]]\nname = '{name}'\nurl = \"http://a.example/\"\n");
        Record::new(&crate::site::parse(&text).expect("a site")[0])
    }

    #[test]
    fn a_record_survives_and_names_are_no_paths() {
        let base = tempfile::tempdir().expect("a directory");
        let directory = base.path().join("news");
        let mut store = Store::open(&directory).expect("a store");
        let long = "é".repeat(50);
        for name in ["a", "../a", "/etc/x", "A", ".", &long, "a\\b"] {
            let mut record = record(name);
            assert_eq!(store.load(name), None);
            record.failures = 7;
            store.save(&record).expect("saved");
            assert_eq!(store.load(name), Some(record.clone()));
            record.failures = 8;
            store.save(&record).expect("saved");
            drop(store);
            store = Store::open(&directory).expect("a store");
            assert_eq!(store.load(name), Some(record), "{name}");
        }
        assert_eq!(fs::read_dir(&directory).expect("files").count(), 7 + 1, "and the lock");
        assert_eq!(fs::read_dir(base.path()).expect("files").count(), 1);
    }

    #[test]
    fn a_damaged_file_is_none_and_a_torn_write_is_removed() {
        let base = tempfile::tempdir().expect("a directory");
        let store = Store::open(base.path()).expect("a store");
        store.save(&record("a")).expect("saved");
        let path = store.path("a");
        let whole = fs::read(&path).expect("a file");
        for damage in [&whole[..whole.len() / 2], b"", b"null", b"[1]", b"\xff"] {
            fs::write(&path, damage).expect("written");
            assert_eq!(store.load("a"), None);
        }
        fs::write(store.path("b"), &whole).expect("written");
        assert_eq!(store.load("b"), None, "another site's");
        fs::write(base.path().join(".tmpabc"), "x").expect("written");
        drop(store);
        Store::open(base.path()).expect("a store");
        assert!(!base.path().join(".tmpabc").exists() && path.exists());
    }

    #[test]
    fn a_record_is_written_aside_and_the_last_one_stays_whole_until_then() {
        let base = tempfile::tempdir().expect("a directory");
        let store = Store::open(base.path()).expect("a store");
        let mut record = record("a");
        store.save(&record).expect("saved");
        // A second name of the file shows whether its bytes are touched.
        let second = base.path().join("second");
        fs::hard_link(store.path("a"), &second).expect("a link");
        let whole = fs::read(&second).expect("a file");
        record.failures += 1;
        store.save(&record).expect("saved");
        assert_eq!(fs::read(&second).expect("a file"), whole);
        assert_ne!(fs::read(store.path("a")).expect("a file"), whole);
        assert_eq!(fs::read_dir(base.path()).expect("files").count(), 2 + 1, "and the lock");
    }

    #[test]
    fn one_at_a_time_uses_a_directory_until_its_last_clone_is_gone() {
        let base = tempfile::tempdir().expect("a directory");
        let store = Store::open(base.path()).expect("a store");
        let last = store.clone();
        drop(store);
        assert_eq!(Store::open(base.path()).map(drop).map_err(|error| error.kind()), Err(io::ErrorKind::ResourceBusy));
        drop(last);
        Store::open(base.path()).expect("a store");
    }

    #[test]
    fn the_files_of_sites_that_left_go_after_a_month() {
        let base = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(base.path()).expect("a store");
        for (name, age, stays) in [("old", KEPT + Duration::from_secs(60), false), ("young", KEPT / 2, true)] {
            store.save(&record(name)).expect("saved");
            let file = fs::File::options().write(true).open(store.path(name)).expect("a file");
            file.set_modified(SystemTime::now() - age).expect("a time");
            drop(file);
            drop(store);
            store = Store::open(base.path()).expect("a store");
            assert_eq!(store.load(name).is_some(), stays, "{name}");
        }
    }

    #[test]
    fn nothing_is_written_to_a_directory_that_another_process_has_made_anew() {
        let base = tempfile::tempdir().expect("a directory");
        let directory = base.path().join("news");
        let store = Store::open(&directory).expect("a store");
        fs::remove_dir_all(&directory).expect("removed");
        let other = Store::open(&directory).expect("another store");
        let error = store.save(&record("a")).expect_err("not ours").to_string();
        assert!(error.contains("was removed or replaced while it was in use"), "{error}");
        other.save(&record("b")).expect("saved");
        assert_eq!(fs::read_dir(&directory).expect("files").count(), 1 + 1, "and the lock");
    }

    #[test]
    fn a_disk_that_takes_nothing_leaves_the_last_record() {
        let base = tempfile::tempdir().expect("a directory");
        let store = Store::open(base.path()).expect("a store");
        fs::create_dir(store.path("a")).expect("a directory in the way");
        assert!(store.save(&record("a")).is_err());
        assert!(store.save(&record("b")).is_ok());
    }
}
