//! The topics whose messages nobody got lately, by name: a misspelled one is found there.

use super::Broker;
use crate::status::Unheard;
use bytes::Bytes;

/// The last ones, the latest first. Its memory is that of [`Unheard::MAX`] names.
#[derive(Debug, Default)]
pub(super) struct LastUnheard(Vec<(Vec<u8>, u64)>);

impl LastUnheard {
    /// Counts dropped messages. The name that was there before costs one comparison.
    fn note(&mut self, name: &[u8], dropped: u64) {
        let names = &mut self.0;
        let found = names.iter().position(|(known, _)| known == name);
        let index = match found {
            Some(index) => index,
            None if names.len() < Unheard::MAX => {
                names.push((name.to_vec(), 0));
                names.len() - 1
            }
            None => {
                // The name is copied into the place of the oldest: its own buffer would be that of a whole read.
                let (oldest, count) = &mut names[Unheard::MAX - 1];
                oldest.clear();
                oldest.extend_from_slice(name);
                *count = 0;
                Unheard::MAX - 1
            }
        };
        names[..=index].rotate_right(1);
        names[0].1 += dropped;
    }

    pub(super) fn list(&self) -> Vec<Unheard> {
        let row = |(name, dropped): &(Vec<u8>, u64)| Unheard { name: Bytes::copy_from_slice(name), dropped: *dropped };
        self.0.iter().map(row).collect()
    }
}

impl Broker {
    /// Counts a topic's messages that nobody gets.
    #[cold]
    pub(super) fn note_unheard(&mut self, name: &[u8], dropped: u64) {
        self.totals.dropped_no_subscribers += dropped;
        if dropped > 0 {
            self.last_unheard.note(name, dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(last: &LastUnheard) -> Vec<(String, u64)> {
        let text = |row: Unheard| (String::from_utf8(row.name.to_vec()).expect("text"), row.dropped);
        last.list().into_iter().map(text).collect()
    }

    #[test]
    fn the_last_five_names_are_kept_with_their_counts_and_the_latest_comes_first() {
        let mut last = LastUnheard::default();
        for name in ["a", "b", "a", "c", "d", "e"] {
            last.note(name.as_bytes(), 1);
        }
        let row = |name: &str, dropped| (name.to_owned(), dropped);
        assert_eq!(listed(&last), [row("e", 1), row("d", 1), row("c", 1), row("a", 2), row("b", 1)]);
        last.note(b"f", 7);
        assert_eq!(listed(&last), [row("f", 7), row("e", 1), row("d", 1), row("c", 1), row("a", 2)]);
        // One that comes again counts from 0.
        last.note(b"b", 1);
        assert_eq!(listed(&last), [row("b", 1), row("f", 7), row("e", 1), row("d", 1), row("c", 1)]);
    }
}
