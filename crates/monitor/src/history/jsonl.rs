//! Small things in JSON, a line each: the newest of a key is in force.
//!
//! The first line is that of every file of the history; each other line is a CRC-32 of the JSON in eight
//! hexadecimal digits, a blank, and the JSON.

use super::disk::Disk;
use super::forgotten::Forgotten;
use super::record::{Head, MAGIC};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Lines beyond those in force that a file may have before it is written anew, or as many as are in force.
const SLACK: usize = 2000;

/// Digits of a checksum.
const CRC: usize = 8;

/// A file to which lines are appended.
#[derive(Debug)]
pub(super) struct JsonLines {
    disk: Disk,
    path: PathBuf,
    file: File,
    /// In the file.
    count: usize,
    pub(super) latest: HashMap<u64, String>,
    /// Keys that were taken out of force on purpose; `None` if the file does not say so.
    pub(super) forgotten: Option<Forgotten>,
    /// Maximum number of keys in force, the highest; more are forgotten when the file is written anew.
    max: usize,
    state: State,
}

/// The parts of the file that are on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Synced,
    Written,
    /// A write has failed: the file is to be written anew.
    Failed,
}

/// The damage of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Unread {
    /// Lines that are damaged.
    pub(super) damaged: usize,
    /// Bytes of a last line that was not written wholly.
    pub(super) torn: usize,
}

impl JsonLines {
    /// Opens or creates a file, with what is in it; `key` is `None` for JSON that makes no sense. A file that
    /// cannot be read wholly is written anew after `report` has kept it as it is. With `tells_forgotten`, a key that is
    /// taken out of force leaves a line that says so: a key without any line has lost its own.
    pub(super) fn open(
        disk: &Disk,
        path: &Path,
        (max, tells_forgotten): (usize, bool),
        key: impl Fn(&str) -> Option<u64>,
        report: impl FnOnce(Unread) -> io::Result<()>,
    ) -> io::Result<JsonLines> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            result => result.map_err(|error| named(path, &error))?,
        };
        let Read { latest, forgotten, count, unread } = read(&bytes, key);
        if unread != Unread::default() {
            report(unread)?;
        }
        let file = disk.append_to(path).map_err(|error| named(path, &error))?;
        let is_whole = unread == Unread::default() && !bytes.is_empty();
        let state = if is_whole { State::Synced } else { State::Failed };
        let mut lines =
            JsonLines { disk: disk.clone(), path: path.to_owned(), file, count, latest, forgotten: None, max, state };
        lines.forgotten = Some(forgotten).filter(|_| tells_forgotten);
        if lines.state == State::Failed {
            // A key between two forgotten ones may have lost its line: it is looked for before they are joined over it.
            lines.rewrite(false)?;
        }
        Ok(lines)
    }

    /// Returns true if a file is missing, or has no byte: it is written anew under another name, so it never has none.
    pub(super) fn is_missing(path: &Path) -> bool {
        fs::metadata(path).map_or(true, |file| file.len() == 0)
    }

    /// Returns the lines in force, in the order of the keys.
    pub(super) fn latest(&self) -> Vec<&str> {
        let mut latest: Vec<_> = self.latest.iter().collect();
        latest.sort_unstable_by_key(|(key, _)| **key);
        latest.into_iter().map(|(_, line)| line.as_str()).collect()
    }

    /// Returns true if a key has no line, and neither was taken out of force nor had to go for the maximum.
    pub(super) fn is_lost(&self, key: u64) -> bool {
        let is_forgotten = self.forgotten.as_ref().is_some_and(|forgotten| forgotten.contains(key));
        let is_full = self.latest.len() >= self.max;
        let is_too_old = || is_full && self.latest.keys().all(|other| key < *other);
        !self.latest.contains_key(&key) && !is_forgotten && !is_too_old()
    }

    /// An empty line takes its key out of force. What is not written
    /// because of an error is written by the next call, or by [`JsonLines::flush`].
    pub(super) fn append(&mut self, lines: impl IntoIterator<Item = (u64, String)>) -> io::Result<()> {
        let mut text = String::new();
        for (key, line) in lines {
            if !line.is_empty() {
                put(&line, &mut text);
                self.count += 1;
                self.latest.insert(key, line);
                continue;
            }
            self.latest.remove(&key);
            if let Some(forgotten) = &mut self.forgotten {
                forgotten.add(key, key);
                put(&Forgotten::line(key, key), &mut text);
                self.count += 1;
            }
        }
        if self.state == State::Failed || self.has_slack() {
            return self.rewrite(true);
        }
        if text.is_empty() {
            return Ok(());
        }
        self.state = State::Failed;
        self.disk.write(&self.file, text.as_bytes())?;
        self.state = State::Written;
        Ok(())
    }

    /// Everything that was appended outlives the machine when this returns.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.state == State::Failed || self.has_slack() {
            return self.rewrite(true);
        }
        if self.state == State::Written {
            self.disk.sync(&self.file)?;
            self.state = State::Synced;
        }
        Ok(())
    }

    /// Returns true if the file lacks lines, for a write has failed.
    pub(super) fn has_unwritten(&self) -> bool {
        self.state == State::Failed
    }

    fn has_slack(&self) -> bool {
        // In proportion: a file of many lines would be written anew again and again.
        let in_force = self.latest.len().min(self.max) + self.forgotten.as_ref().map_or(0, Forgotten::len);
        self.count > in_force + in_force.max(SLACK)
    }

    /// Writes the whole file anew; `joins` forgotten keys that have no name between them.
    fn rewrite(&mut self, joins: bool) -> io::Result<()> {
        self.state = State::Failed;
        if self.latest.len() > self.max {
            let mut keys: Vec<u64> = self.latest.keys().copied().collect();
            keys.sort_unstable();
            keys.truncate(keys.len() - self.max);
            keys.iter().for_each(|key| drop(self.latest.remove(key)));
        }
        let mut text = first_line();
        if let Some(forgotten) = &mut self.forgotten {
            if joins {
                forgotten.join(&self.latest);
            }
            // Before the names: a later line is in force.
            forgotten.lines().for_each(|line| put(&line, &mut text));
        }
        self.latest().iter().for_each(|line| put(line, &mut text));
        let temporary = self.path.with_extension("tmp");
        self.disk.remove(&temporary)?;
        let file = self.disk.create(&temporary)?;
        let written = self.disk.write(&file, text.as_bytes()).and_then(|()| self.disk.sync(&file));
        let renamed = written.and_then(|()| self.disk.rename(&temporary, &self.path));
        if let Err(error) = renamed {
            let _ = self.disk.remove(&temporary);
            return Err(error);
        }
        (self.file, self.count) = (file, self.latest.len() + self.forgotten.as_ref().map_or(0, Forgotten::len));
        self.state = State::Synced;
        Ok(())
    }
}

/// An error with the name of the file.
pub(super) fn named(path: &Path, error: &io::Error) -> io::Error {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    io::Error::new(error.kind(), format!("{name}: {error}"))
}

fn first_line() -> String {
    format!("{}\n", MAGIC.escape_ascii())
}

fn put(line: &str, text: &mut String) {
    text.push_str(&format!("{:08x} {line}\n", crc32fast::hash(line.as_bytes())));
}

/// The version of the format that the file is of, if it is another one. The head alone is no evidence: it may be damaged.
pub(super) fn other_version(bytes: &[u8]) -> Option<u8> {
    match Head::of(bytes) {
        Head::Version(version) if read(bytes, |_| Some(0)).count == 0 => Some(version),
        _ => None,
    }
}

/// The content of a file.
#[derive(Default)]
struct Read {
    latest: HashMap<u64, String>,
    forgotten: Forgotten,
    count: usize,
    unread: Unread,
}

fn read(bytes: &[u8], key: impl Fn(&str) -> Option<u64>) -> Read {
    let mut found = Read::default();
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    if !first_line().as_bytes().starts_with(first) {
        found.unread.damaged += 1;
    } else if !first.ends_with(b"\n") {
        found.unread.torn += first.len();
    }
    for line in lines {
        let json = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok()).and_then(checked);
        if let Some((first, last)) = json.and_then(Forgotten::range) {
            found.count += 1;
            found.forgotten.add(first, last);
            found.latest.retain(|key, _| !(first..=last).contains(key));
        } else if let Some((key, json)) = json.and_then(|json| Some((key(json)?, json))) {
            found.count += 1;
            found.latest.insert(key, json.to_owned());
        } else if line.ends_with(b"\n") || !is_begun(line) {
            found.unread.damaged += 1;
        } else {
            found.unread.torn += line.len();
        }
    }
    found
}

/// Returns true if this may be the beginning of a line, whose rest was not written: a checksum, a blank, and text. Anything else was
/// not written by us, and is kept.
fn is_begun(line: &[u8]) -> bool {
    let (crc, rest) = line.split_at(line.len().min(CRC));
    let is_text = match std::str::from_utf8(rest) {
        Ok(text) => !text.contains(char::is_control),
        // The end may be within a character.
        Err(error) => error.error_len().is_none() && !rest[..error.valid_up_to()].iter().any(u8::is_ascii_control),
    };
    let is_separated = rest.is_empty() || rest.starts_with(b" {") || rest == b" ";
    crc.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) && is_separated && is_text
}

fn checked(line: &str) -> Option<&str> {
    let (crc, json) = line.split_once(' ')?;
    (crc == format!("{:08x}", crc32fast::hash(json.as_bytes()))).then_some(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(line: &str) -> Option<u64> {
        line.split_once(' ')?.0.parse().ok()
    }

    fn open(path: &Path, max: usize) -> (JsonLines, Unread) {
        let mut found = Unread::default();
        let lines = JsonLines::open(&Disk::default(), path, (max, false), key, |unread| {
            found = unread;
            Ok(())
        });
        (lines.unwrap(), found)
    }

    fn lines(path: &Path) -> usize {
        fs::read_to_string(path).unwrap().lines().count() - 1
    }

    #[test]
    fn the_newest_line_of_a_key_is_in_force_and_a_torn_one_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        let mut lines = open(&path, 100).0;
        lines.append([(1, "1 a".into()), (2, "2 b".into()), (1, "1 c".into())]).unwrap();
        drop(lines);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], b"0123"].concat()).unwrap();
        let (mut lines, unread) = open(&path, 100);
        assert_eq!((lines.latest(), unread), (vec!["1 c", "2 b"], Unread { damaged: 0, torn: 4 }));
        lines.append([(3, "3 d".into())]).unwrap();
        assert_eq!(open(&path, 100).0.latest(), ["1 c", "2 b", "3 d"]);
    }

    #[test]
    fn a_changed_bit_is_noticed_wherever_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        let mut lines = open(&path, 100).0;
        lines.append([(1, "1 a".into()), (2, "2 b".into())]).unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let Read { latest, unread, .. } = read(&bytes, key);
                assert!(unread != Unread::default(), "bit {bit} of byte {at}");
                assert!(latest.iter().all(|(_, line)| ["1 a", "2 b"].contains(&&**line)), "{latest:?}");
                assert_eq!(other_version(&bytes), None, "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn an_end_that_is_no_half_written_line_is_damage() {
        let whole = format!("{}{:08x} {{\"id\":1}}\n", first_line(), crc32fast::hash(b"{\"id\":1}"));
        let unread = |end: &[u8]| read(&[whole.as_bytes(), end].concat(), |_| Some(1)).unread;
        let half = "0123abcd {\"name\":\"\u{e9}".as_bytes();
        for length in 1..=half.len() {
            assert_eq!(unread(&half[..length]), Unread { damaged: 0, torn: length }, "{length}");
        }
        let random: Vec<u8> = (0..300_u32).map(|at| (at * 73 % 251) as u8 | 0x80).collect();
        for end in [&[0; 4096][..], b"0123abcd {\"a\0", b"0123abcx", b"0123abcd[", b"garbage", &random] {
            assert_eq!(unread(end), Unread { damaged: 1, torn: 0 }, "{}", end.escape_ascii());
        }
    }

    #[test]
    fn another_version_is_told_from_damage() {
        assert_eq!(other_version(b"SWBHIST2\nanything"), Some(b'2'));
        assert_eq!(other_version(b"SWBHIST1\nanything"), None);
        assert_eq!(other_version(b""), None);
    }

    #[test]
    fn what_a_failing_disk_has_not_taken_is_written_later() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        for failing in 0..8 {
            let mut lines = open(&path, 100).0;
            lines.disk.faults.fail(failing..failing + 1);
            let line = format!("1 {failing}");
            let _ = lines.append([(1, line.clone())]);
            let _ = lines.append([(2, format!("2 {failing}"))]);
            let _ = lines.flush();
            lines.flush().unwrap();
            let (lines, unread) = open(&path, 100);
            assert_eq!(lines.latest(), [line, format!("2 {failing}")]);
            assert_eq!(unread, Unread::default());
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn keys_that_come_and_go_fill_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        let mut file = open(&path, usize::MAX).0;
        for at in 0..5 * SLACK as u64 {
            file.append([(at, format!("{at} x")), (at.wrapping_sub(5), String::new())]).unwrap();
        }
        assert_eq!(file.latest().len(), 5);
        assert!(lines(&path) <= SLACK + 5);
    }

    #[test]
    fn a_file_does_not_grow_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        let mut file = open(&path, 100).0;
        for at in 0..5 * SLACK as u64 {
            file.append([(at % 3, format!("{} x", at % 3)), (1000 + at, format!("{} y", 1000 + at))]).unwrap();
        }
        assert!(lines(&path) <= SLACK + 101);
        assert!(file.latest().last().unwrap().starts_with(&format!("{} ", 999 + 5 * SLACK)));
    }
}
