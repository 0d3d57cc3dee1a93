//! The list of the history's files, in the journal: a file that is gone, or has become shorter, is noticed.

use super::bits::{put_varint, take_varint};
use super::store::{Shared, State, file};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use switchboard_driver::quantity::plural;

/// The files that hold something for good, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// The active file, and its length in bytes.
    active: Option<(u64, u64)>,
    seconds: Vec<u64>,
    minutes: Vec<u64>,
}

impl Files {
    pub(super) fn of(state: &State) -> Files {
        Files {
            active: state.active.as_ref().map(|active| (active.number, active.bytes)),
            seconds: state.seconds.iter().map(|sealed| sealed.number).collect(),
            minutes: state.minutes.iter().map(|sealed| sealed.number).collect(),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        // Numbers count up by a few a day; the active file is sealed long before it has 4 GiB.
        let mut put = |number: u64| put_varint(u32::try_from(number).unwrap_or(u32::MAX), &mut payload);
        let (number, bytes) = self.active.unwrap_or_default();
        put(number);
        put(bytes);
        for list in [&self.seconds, &self.minutes] {
            put(list.len() as u64);
            list.iter().for_each(|number| put(*number));
        }
        payload
    }

    /// The list of a record; `None` if it is none.
    pub(super) fn decode(mut payload: &[u8]) -> Option<Files> {
        let bytes = &mut payload;
        let active = (take_varint(bytes)?.into(), take_varint(bytes)?.into());
        let mut list =
            || (0..take_varint(bytes)?).map(|_| take_varint(bytes).map(u64::from)).collect::<Option<Vec<_>>>();
        let (seconds, minutes) = (list()?, list()?);
        let is_whole = bytes.is_empty();
        // Files are counted from 1.
        is_whole.then(|| Files { active: Some(active).filter(|(number, _)| *number > 0), seconds, minutes })
    }

    /// Logs and counts the files of this list that are missing or too short.
    pub(super) fn check(&self, shared: &Shared, directory: &Path, found: &HashSet<PathBuf>) {
        let path = |kind: &str, number: u64| file(directory, kind, number);
        let is_there = |kind: &str, number: u64| found.contains(&path(kind, number));
        if let Some((number, bytes)) = self.active {
            let active = path("active", number);
            let length = fs::metadata(&active).map_or(0, |file| file.len());
            if !is_there("active", number) {
                // It may have been sealed since.
                if !is_there("seconds", number) && !is_there("minutes", number) {
                    shared.lost(&active, "it is missing, and what it held is lost");
                }
            } else if length < bytes {
                let lost = plural(bytes - length, "byte");
                shared.lost(&active, &format!("{lost} are missing at its end"));
            }
        }
        for (kind, numbers) in [("seconds", &self.seconds), ("minutes", &self.minutes)] {
            for number in numbers.iter().filter(|number| !is_there(kind, **number)) {
                shared.lost(&path(kind, *number), "it is missing, and what it held is lost");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_list_of_files_is_read_as_written(
            active in proptest::option::of((1..u64::from(u32::MAX), 0..u64::from(u32::MAX))),
            seconds in proptest::collection::vec(1..1_000_000_u64, 0..50),
            minutes in proptest::collection::vec(1..1_000_000_u64, 0..50),
        ) {
            let files = Files { active, seconds, minutes };
            let payload = files.encode();
            prop_assert_eq!(Files::decode(&payload), Some(files));
            prop_assert_eq!(Files::decode(&payload[..payload.len() - 1]), None);
        }
    }
}
