//! Files that are written once: all series of some hours, a block or more for each, and an index.

use super::bits::{put_varint, take_varint};
use super::disk::Disk;
use super::record::{self, Kind, MAGIC};
use crate::point::SeriesId;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The offset of the index, and [`MAGIC`] once more.
const TRAILER: usize = 16;
/// Size of one write, in bytes.
const BUFFER: usize = 64 << 10;
/// The end of the name of a file that is being written.
pub(super) const TEMPORARY: &str = "tmp";
/// An entry of the index.
const ENTRY: usize = 20;

/// The position of a block, with its series and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) series: SeriesId,
    /// Seconds or minutes since 1970, as the file's blocks have them; both are in the block.
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) offset: u32,
    /// Of the whole record.
    pub(super) length: u32,
}

impl Entry {
    /// The name of a series is of no time.
    pub(super) fn is_name(&self) -> bool {
        self.from > self.to
    }

    pub(super) fn overlaps(&self, from: u32, to: u32) -> bool {
        self.from <= to && self.to >= from
    }
}

/// A file that is not written any more. It can be read when its name is gone.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// The first and the last time in it; in an empty file the second is before the first.
    pub(super) from: u32,
    pub(super) to: u32,
    file: File,
    index: u64,
}

impl Sealed {
    /// Opens a file, with its index; `None` if head, index or trailer are damaged.
    pub(super) fn open(path: &Path, number: u64) -> io::Result<Option<(Sealed, Vec<Entry>)>> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let (mut head, mut trailer) = (MAGIC, [0; TRAILER]);
        if bytes < (MAGIC.len() + TRAILER) as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut head, 0)?;
        file.read_exact_at(&mut trailer, bytes - TRAILER as u64)?;
        let (index, magic) = trailer.split_at(8);
        let index = u64::from_le_bytes(index.try_into().unwrap_or_default());
        if head != MAGIC || magic != MAGIC || index > bytes - TRAILER as u64 {
            return Ok(None);
        }
        let (from, to) = (u32::MAX, 0);
        let mut sealed = Sealed { number, path: path.to_owned(), bytes, from, to, file, index };
        let Some(entries) = sealed.entries()? else { return Ok(None) };
        for entry in entries.iter().filter(|entry| !entry.is_name()) {
            (sealed.from, sealed.to) = (sealed.from.min(entry.from), sealed.to.max(entry.to));
        }
        Ok(Some((sealed, entries)))
    }

    /// The index; `None` if it is damaged. It is not kept in memory: a year of it would be as large as
    /// everything else.
    pub(super) fn entries(&self) -> io::Result<Option<Vec<Entry>>> {
        let length = (self.bytes - TRAILER as u64).saturating_sub(self.index);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        self.file.read_exact_at(&mut bytes, self.index)?;
        let record = record::at(&bytes, 0).filter(|record| record.kind == Kind::Index && record.length == bytes.len());
        Ok(record.map(|record| {
            let number =
                |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[4 * at..4 * at + 4].try_into().unwrap_or_default());
            let entries = record.payload.chunks_exact(ENTRY).map(|bytes| Entry {
                series: number(bytes, 0),
                from: number(bytes, 1),
                to: number(bytes, 2),
                offset: number(bytes, 3),
                length: number(bytes, 4),
            });
            entries.collect()
        }))
    }

    /// The block of an entry; `None` if it is damaged.
    pub(super) fn block(&self, entry: &Entry) -> io::Result<Option<Vec<u8>>> {
        read_block(&self.file, entry)
    }
}

/// The payload of a name.
pub(super) fn put_name(series: SeriesId, name: &str) -> Vec<u8> {
    let mut payload = Vec::new();
    put_varint(series, &mut payload);
    payload.extend(name.bytes());
    payload
}

/// `None` if it is none.
pub(super) fn take_name(mut payload: &[u8]) -> Option<(SeriesId, String)> {
    let series = take_varint(&mut payload)?;
    let name = std::str::from_utf8(payload).ok()?;
    Some((series, name.to_owned()))
}

/// The payload of the record that is there; `None` if it is damaged.
pub(super) fn read_block(file: &File, entry: &Entry) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; entry.length as usize];
    match file.read_exact_at(&mut bytes, entry.offset.into()) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    Ok(record::at(&bytes, 0).map(|record| record.payload.to_vec()))
}

/// Writes a sealed file under another name first, so that there is never half of one.
pub(super) struct Sealing {
    disk: Disk,
    file: File,
    temporary: PathBuf,
    entries: Vec<Entry>,
    offset: u64,
    buffer: Vec<u8>,
    is_done: bool,
}

impl Sealing {
    pub(super) fn begin(disk: &Disk, path: &Path) -> io::Result<Sealing> {
        let temporary = path.with_extension(TEMPORARY);
        disk.remove(&temporary)?;
        let (disk, file) = (disk.clone(), disk.create(&temporary)?);
        let (offset, buffer) = (MAGIC.len() as u64, MAGIC.to_vec());
        Ok(Sealing { disk, file, temporary, entries: Vec::new(), offset, buffer, is_done: false })
    }

    pub(super) fn block(
        &mut self,
        kind: Kind,
        series: SeriesId,
        (from, to): (u32, u32),
        payload: &[u8],
    ) -> io::Result<()> {
        let before = self.buffer.len();
        record::put(kind, payload, &mut self.buffer);
        let length = self.buffer.len() - before;
        let offset = u32::try_from(self.offset)
            .map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, "a file of the history is over 4 GiB"))?;
        self.entries.push(Entry { series, from, to, offset, length: length as u32 });
        self.offset += length as u64;
        if self.buffer.len() >= BUFFER { self.write() } else { Ok(()) }
    }

    pub(super) fn name(&mut self, series: SeriesId, name: &str) -> io::Result<()> {
        self.block(Kind::Name, series, (u32::MAX, 0), &put_name(series, name))
    }

    fn write(&mut self) -> io::Result<()> {
        self.disk.write(&self.file, &self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// The file is on the disk, and has its name, when this returns. After an error there is no trace of it.
    pub(super) fn end(mut self, path: &Path, number: u64) -> io::Result<Sealed> {
        let mut payload = Vec::with_capacity(ENTRY * self.entries.len());
        let (mut min, mut max) = (u32::MAX, 0);
        for Entry { series, from, to, offset, length } in std::mem::take(&mut self.entries) {
            if from <= to {
                (min, max) = (min.min(from), max.max(to));
            }
            [series, from, to, offset, length].iter().for_each(|number| payload.extend(number.to_le_bytes()));
        }
        let before = self.buffer.len();
        record::put(Kind::Index, &payload, &mut self.buffer);
        self.buffer.extend(self.offset.to_le_bytes());
        self.buffer.extend(MAGIC);
        let bytes = self.offset + (self.buffer.len() - before) as u64;
        self.write()?;
        self.disk.sync(&self.file)?;
        self.disk.rename(&self.temporary, path)?;
        self.is_done = true;
        // Opened anew, for it was opened for writing.
        let file = File::open(path)?;
        Ok(Sealed { number, path: path.to_owned(), bytes, from: min, to: max, file, index: self.offset })
    }
}

impl Drop for Sealing {
    fn drop(&mut self) {
        if !self.is_done {
            // A file that is left in spite of this is deleted at the next start.
            let _ = self.disk.remove(&self.temporary);
        }
    }
}
