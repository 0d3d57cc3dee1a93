//! Small things in JSON, a line each: the newest of a key is in force.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// JsonLines beyond those in force that a file may have before it is written anew.
const SLACK: usize = 2000;

/// A file to which lines are appended.
#[derive(Debug)]
pub(super) struct JsonLines {
    path: PathBuf,
    file: File,
    /// In the file.
    count: usize,
    latest: HashMap<u64, String>,
    /// How many keys may be in force, the highest; more are forgotten when the file is written anew.
    most: usize,
}

impl JsonLines {
    /// Opens or creates a file, with what is in it; `key` is `None` for a line that makes no sense, as a
    /// torn last one does.
    pub(super) fn open(path: &Path, most: usize, key: impl Fn(&str) -> Option<u64>) -> io::Result<JsonLines> {
        let text = match fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut latest = HashMap::new();
        let mut count = 0;
        for line in text.lines() {
            count += 1;
            if let Some(key) = key(line) {
                latest.insert(key, line.to_owned());
            }
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n")?;
        }
        let mut lines = JsonLines { path: path.to_owned(), file, count, latest, most };
        lines.shrink()?;
        Ok(lines)
    }

    /// What is in force, in the order of the keys.
    pub(super) fn latest(&self) -> Vec<&str> {
        let mut latest: Vec<_> = self.latest.iter().collect();
        latest.sort_unstable_by_key(|(key, _)| **key);
        latest.into_iter().map(|(_, line)| line.as_str()).collect()
    }

    /// An empty line takes its key out of force; that is in the file when it is written anew.
    pub(super) fn append(&mut self, lines: impl IntoIterator<Item = (u64, String)>) -> io::Result<()> {
        let mut text = String::new();
        for (key, line) in lines {
            if line.is_empty() {
                self.latest.remove(&key);
                continue;
            }
            text.push_str(&line);
            text.push('\n');
            self.count += 1;
            self.latest.insert(key, line);
        }
        self.file.write_all(text.as_bytes())?;
        self.shrink()
    }

    fn shrink(&mut self) -> io::Result<()> {
        if self.count <= self.latest.len().min(self.most) + SLACK {
            return Ok(());
        }
        if self.latest.len() > self.most {
            let mut keys: Vec<u64> = self.latest.keys().copied().collect();
            keys.sort_unstable();
            keys.truncate(keys.len() - self.most);
            keys.iter().for_each(|key| drop(self.latest.remove(key)));
        }
        let temporary = self.path.with_extension("tmp");
        let mut file = File::create(&temporary)?;
        let text: String = self.latest().iter().flat_map(|line| [line, "\n"]).collect();
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.count = self.latest.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(line: &str) -> Option<u64> {
        line.split_once(' ')?.0.parse().ok()
    }

    #[test]
    fn the_newest_line_of_a_key_is_in_force_and_a_torn_one_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        let mut lines = JsonLines::open(&path, 100, key).unwrap();
        lines.append([(1, "1 a".into()), (2, "2 b".into()), (1, "1 c".into())]).unwrap();
        drop(lines);
        fs::write(&path, fs::read_to_string(&path).unwrap() + "torn").unwrap();
        let mut lines = JsonLines::open(&path, 100, key).unwrap();
        assert_eq!(lines.latest(), ["1 c", "2 b"]);
        lines.append([(3, "3 d".into())]).unwrap();
        assert_eq!(JsonLines::open(&path, 100, key).unwrap().latest(), ["1 c", "2 b", "3 d"]);
    }

    #[test]
    fn keys_that_come_and_go_fill_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        let mut lines = JsonLines::open(&path, usize::MAX, key).unwrap();
        for at in 0..10 * SLACK as u64 {
            lines.append([(at, format!("{at} x")), (at.wrapping_sub(5), String::new())]).unwrap();
        }
        assert_eq!(lines.latest().len(), 5);
        assert!(fs::read_to_string(&path).unwrap().lines().count() <= SLACK + 5);
    }

    #[test]
    fn a_file_does_not_grow_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        let mut lines = JsonLines::open(&path, 100, key).unwrap();
        for at in 0..10 * SLACK as u64 {
            lines.append([(at % 3, format!("{} x", at % 3)), (1000 + at, format!("{} y", 1000 + at))]).unwrap();
        }
        assert!(fs::read_to_string(&path).unwrap().lines().count() <= SLACK + 101);
        assert!(lines.latest().last().unwrap().starts_with(&format!("{} ", 999 + 10 * SLACK)));
    }
}
