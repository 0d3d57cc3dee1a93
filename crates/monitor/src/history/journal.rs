//! The points since the last checkpoint, written every few seconds, so that little is lost when the
//! process is killed.

use super::bits::{put_varint, take_varint};
use super::disk::Disk;
use super::files::Files;
use super::record::{self, Kind, MAGIC};
use crate::point::{Point, Row};
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// A journal that is written to.
#[derive(Debug)]
pub(super) struct Journal {
    disk: Disk,
    file: File,
    pub(super) path: PathBuf,
    /// In the file, as far as it is whole.
    pub(super) bytes: u64,
    /// It holds points.
    pub(super) has_points: bool,
    /// The newest list of files in it.
    noted: Files,
    /// A write has failed, and what it left could not be cut off.
    is_torn: bool,
}

impl Journal {
    /// Begins one, with the list of the files that there are. After an error there is no trace of it.
    pub(super) fn create(disk: &Disk, path: PathBuf, files: Files) -> io::Result<Journal> {
        let file = disk.create(&path)?;
        let mut bytes = MAGIC.to_vec();
        record::put(Kind::Files, &files.encode(), &mut bytes);
        if let Err(error) = disk.write(&file, &bytes).and_then(|()| disk.sync(&file)) {
            let _ = disk.remove(&path);
            return Err(error);
        }
        Ok(Journal {
            disk: disk.clone(),
            file,
            path,
            bytes: bytes.len() as u64,
            has_points: false,
            noted: files,
            is_torn: false,
        })
    }

    /// Appends points. When this returns they survive the end of the process, though not of the machine. After an
    /// error none of them is in the file.
    pub(super) fn write(&mut self, points: &[Point]) -> io::Result<()> {
        let mut bytes = Vec::new();
        // So that no record is too long to be read.
        for points in points.chunks(100_000) {
            record::put(Kind::Points, &encode(points), &mut bytes);
        }
        self.append(&bytes)?;
        self.has_points = true;
        Ok(())
    }

    /// Appends the list of the files that there are, for good, unless it is there already.
    pub(super) fn note(&mut self, files: Files) -> io::Result<()> {
        if self.noted == files {
            return Ok(());
        }
        let mut bytes = Vec::new();
        record::put(Kind::Files, &files.encode(), &mut bytes);
        self.append(&bytes)?;
        self.disk.sync(&self.file)?;
        self.noted = files;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.cut()?;
        if let Err(error) = self.disk.write(&self.file, bytes) {
            self.is_torn = true;
            let _ = self.cut();
            return Err(error);
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn cut(&mut self) -> io::Result<()> {
        if self.is_torn {
            self.disk.truncate(&self.file, self.bytes)?;
            self.is_torn = false;
        }
        Ok(())
    }
}

pub(super) fn encode(points: &[Point]) -> Vec<u8> {
    let base = points.first().map_or(0, |point| point.row.second);
    let mut payload = Vec::with_capacity(8 * points.len() + 5);
    put_varint(base, &mut payload);
    for Point { series, row } in points {
        // Around the base in both directions: wrapped, then folded.
        let difference = row.second.wrapping_sub(base).cast_signed();
        put_varint(*series, &mut payload);
        put_varint(((difference << 1) ^ (difference >> 31)).cast_unsigned(), &mut payload);
        put_varint(row.cpu.into(), &mut payload);
        put_varint(row.mem.into(), &mut payload);
    }
    payload
}

/// The points of a record; `None` if it holds none.
pub(super) fn decode(mut payload: &[u8]) -> Option<Vec<Point>> {
    let bytes = &mut payload;
    let base = take_varint(bytes)?;
    let mut points = Vec::new();
    while !bytes.is_empty() {
        let series = take_varint(bytes)?;
        let folded = take_varint(bytes)?;
        let difference = (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed();
        let second = base.wrapping_add_signed(difference);
        let [cpu, mem] = [(); 2].map(|()| take_varint(bytes).and_then(|code| u16::try_from(code).ok()));
        points.push(Point { series, row: Row { second, cpu: cpu?, mem: mem? } });
    }
    Some(points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_journal_that_cannot_be_begun_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::default();
        for room in 0..MAGIC.len() as u64 {
            disk.faults.room.store(room, std::sync::atomic::Ordering::Relaxed);
            assert!(Journal::create(&disk, directory.path().join("journal"), Files::default()).is_err());
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }

    proptest! {
        #[test]
        fn points_are_read_as_written(of in proptest::collection::vec(any::<(u32, u32, u16, u16)>(), 0..50)) {
            let points: Vec<Point> = of
                .into_iter()
                .map(|(series, second, cpu, mem)| Point { series, row: Row { second, cpu, mem } })
                .collect();
            prop_assert_eq!(decode(&encode(&points)), Some(points));
        }
    }
}
