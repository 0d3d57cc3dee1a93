//! Every change of a file goes through here, so that tests can make the n-th one fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// The disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) faults: std::sync::Arc<faults::Faults>,
}

impl Disk {
    /// Creates a file that must not exist yet, for appending and reading.
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        OpenOptions::new().create_new(true).append(true).read(true).open(path)
    }

    /// Opens a file for appending and reading; creates it if need be.
    pub(super) fn append_to(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        OpenOptions::new().create(true).append(true).read(true).open(path)
    }

    /// Appends all bytes. After an error, part of them may be in the file.
    pub(super) fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        if let Err(error) = self.faults.write(bytes.len()) {
            file.write_all(&bytes[..error.written])?;
            return Err(error.source);
        }
        file.write_all(bytes)
    }

    /// Waits until the content of a file is on the disk.
    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
        self.step()?;
        file.sync_data()
    }

    pub(super) fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        self.step()?;
        file.set_len(length)
    }

    /// Renames a file within its directory, and waits until the new name is on the disk.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        fs::rename(from, to)?;
        self.sync_directory_of(to)
    }

    /// Gives a file a second name in its directory, for good.
    pub(super) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        // Some file systems know no second names.
        fs::hard_link(from, to).or_else(|_| fs::copy(from, to).and_then(|_| File::open(to)?.sync_all()))?;
        self.sync_directory_of(to)
    }

    /// Deletes a file; one that does not exist is deleted already.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A name belongs to its directory, which the system else writes when it likes.
    fn sync_directory_of(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    }

    #[cfg_attr(not(test), allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "only tests make it fail"))]
    fn step(&self) -> io::Result<()> {
        #[cfg(test)]
        self.faults.step()?;
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod faults {
    //! A disk that fails when a test wants it to.

    use std::io;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// The remains of a failed write in the file.
    pub(crate) struct Torn {
        pub(crate) written: usize,
        pub(crate) source: io::Error,
    }

    #[derive(Debug)]
    pub(crate) struct Faults {
        /// Calls until now.
        pub(crate) calls: AtomicU64,
        /// Calls from this one on fail, ...
        pub(crate) from: AtomicU64,
        /// ... and from this one on no longer.
        pub(crate) until: AtomicU64,
        /// Bytes that still fit.
        pub(crate) room: AtomicU64,
    }

    impl Default for Faults {
        fn default() -> Faults {
            let never = || AtomicU64::new(u64::MAX);
            Faults { calls: AtomicU64::new(0), from: never(), until: never(), room: never() }
        }
    }

    impl Faults {
        /// The n-th calls from now on fail.
        pub(crate) fn fail(&self, calls: std::ops::Range<u64>) {
            self.calls.store(0, Ordering::Relaxed);
            self.from.store(calls.start, Ordering::Relaxed);
            self.until.store(calls.end, Ordering::Relaxed);
        }

        pub(crate) fn step(&self) -> io::Result<()> {
            let call = self.calls.fetch_add(1, Ordering::Relaxed);
            let failing = self.from.load(Ordering::Relaxed)..self.until.load(Ordering::Relaxed);
            if failing.contains(&call) { Err(io::Error::other(format!("call {call} fails"))) } else { Ok(()) }
        }

        /// A write that fails writes half; one that does not fit, what fits.
        pub(crate) fn write(&self, bytes: usize) -> Result<(), Torn> {
            self.step().map_err(|source| Torn { written: bytes / 2, source })?;
            let room = self.room.load(Ordering::Relaxed);
            if room == u64::MAX {
                return Ok(());
            }
            let written = bytes.min(usize::try_from(room).unwrap_or(usize::MAX));
            self.room.store(room - written as u64, Ordering::Relaxed);
            if written == bytes { Ok(()) } else { Err(Torn { written, source: io::ErrorKind::StorageFull.into() }) }
        }
    }
}
