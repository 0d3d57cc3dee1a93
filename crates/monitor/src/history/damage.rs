//! Damage: it is logged and counted once, and files are kept as they were found.

use super::disk::Disk;
use super::sealed::Entry;
use super::store::Shared;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use switchboard_driver::quantity::plural;

/// The end of the names of files that were set aside.
const ASIDE: &str = ".damaged";
/// Files set aside that are listed, at most.
const LISTED: usize = 100;

/// A damaged place: a file, and an offset in it; `None` for the file as such.
pub(super) type Place = (PathBuf, Option<u32>);

/// Failures, and the size of the history.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Bytes on the disk.
    pub(crate) bytes: u64,
    /// Files and blocks that could not be read, or are missing.
    pub(crate) damaged: u64,
    /// Bytes at the ends of files that were not written wholly, and were cut off.
    pub(crate) torn: u64,
    /// Writes that failed.
    pub(crate) failed: u64,
    /// Points that were not kept, for the disk did not take them in time.
    pub(crate) dropped: u64,
}

impl Shared {
    /// Logs and counts a damaged place, once.
    pub(super) fn damaged(&self, path: &Path, at: Option<u32>, what: &str) {
        let mut state = self.lock();
        if !state.damage.insert((path.to_owned(), at)) {
            return;
        }
        state.counts.damaged += 1;
        drop(state);
        tracing::error!("the history is damaged: {}: {what}", path.display());
    }

    /// Logs and counts that a file, or its end, is gone; once. No block begins at byte 0.
    pub(super) fn lost(&self, path: &Path, what: &str) {
        self.damaged(path, Some(0), what);
    }

    /// Logs and counts what is cut off the end of a file.
    pub(super) fn torn(&self, path: &Path, bytes: usize) {
        self.lock().counts.torn += bytes as u64;
        tracing::warn!(
            "{}: the end was not written wholly, and is cut off ({})",
            path.display(),
            plural(bytes, "byte")
        );
    }

    /// Returns a block's contents; `None`, logged and counted, if it cannot be read.
    pub(super) fn readable<T>(
        &self,
        path: &Path,
        entry: &Entry,
        read: io::Result<Option<Vec<u8>>>,
        decode: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let what = match read {
            Ok(block) => match block.as_deref().and_then(decode) {
                Some(decoded) => return Some(decoded),
                None => "its checksum is wrong".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        let what = format!("a block of series {} at byte {} cannot be read: {what}", entry.series, entry.offset);
        self.damaged(path, Some(entry.offset), &what);
        None
    }

    /// Keeps a file as it is under another name, beside the one that it has.
    pub(super) fn set_aside(&self, disk: &Disk, path: &Path, what: &str) -> io::Result<()> {
        let aside =
            names(path).find(|aside| !aside.exists() || is_same(path, aside)).unwrap_or_else(|| path.to_owned());
        self.damaged(path, None, &format!("{what}; it is kept as {}", aside.display()));
        // An attempt to start that has failed for another reason has got this far already.
        if !aside.exists() {
            disk.link(path, &aside)?;
        }
        if let Some(directory) = path.parent() {
            self.list_set_aside(directory);
        }
        Ok(())
    }

    /// Finds what was set aside, by earlier runs, too.
    pub(super) fn list_set_aside(&self, directory: &Path) {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.contains(ASIDE)).collect();
        names.sort_unstable();
        names.truncate(LISTED);
        self.lock().set_aside = names;
    }
}

/// The names under which a file may be kept.
fn names(path: &Path) -> impl Iterator<Item = PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    (1..=u32::MAX).map(move |number| match number {
        1 => path.with_file_name(format!("{name}{ASIDE}")),
        _ => path.with_file_name(format!("{name}{ASIDE}-{number}")),
    })
}

/// Whether two names are of one file.
fn is_same(a: &Path, b: &Path) -> bool {
    let of = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    of(a).is_some_and(|file| of(b) == Some(file))
}
