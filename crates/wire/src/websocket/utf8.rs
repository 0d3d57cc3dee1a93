//! UTF-8 that comes in pieces.

/// The longest beginning of a character that is none yet, in bytes.
const BEGUN: usize = 3;

/// Checks text that is cut anywhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Utf8 {
    /// The beginning of a character whose rest is to come.
    begun: [u8; BEGUN],
    length: usize,
}

impl Utf8 {
    /// Checks the next piece. Gives how many bytes of it are valid; fewer than all if the one behind them cannot be right.
    pub(super) fn check(&mut self, piece: &[u8]) -> usize {
        let mut at = 0;
        // A character across a cut has four bytes at most.
        while self.length > 0 {
            let Some(&byte) = piece.get(at) else { return at };
            let mut character = [0; BEGUN + 1];
            character[..self.length].copy_from_slice(&self.begun[..self.length]);
            character[self.length] = byte;
            match std::str::from_utf8(&character[..=self.length]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_none() => {
                    self.begun[self.length] = byte;
                    self.length += 1;
                }
                Err(_) => return at,
            }
            at += 1;
        }
        match std::str::from_utf8(&piece[at..]) {
            Ok(_) => piece.len(),
            Err(error) if error.error_len().is_none() => {
                let begun = &piece[at + error.valid_up_to()..];
                self.begun[..begun.len()].copy_from_slice(begun);
                self.length = begun.len();
                piece.len()
            }
            // The same as where a cut is in it: what may begin a character is not wrong yet.
            Err(error) => {
                let (valid, wrong) = (at + error.valid_up_to(), error.error_len().unwrap_or_default());
                let is_begun =
                    std::str::from_utf8(&piece[valid..valid + wrong]).is_err_and(|error| error.error_len().is_none());
                valid + if is_begun { wrong } else { 0 }
            }
        }
    }

    /// Whether the text may end here: no character is begun.
    pub(super) fn is_whole(&self) -> bool {
        self.length == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Checks pieces of so many bytes: how many are valid, and whether the text may end.
    fn check(text: &[u8], step: usize) -> (usize, bool) {
        let (mut utf8, mut valid) = (Utf8::default(), 0);
        for piece in text.chunks(step) {
            let checked = utf8.check(piece);
            valid += checked;
            if checked < piece.len() {
                return (valid, false);
            }
        }
        (valid, utf8.is_whole())
    }

    proptest! {
        #[test]
        fn text_is_valid_wherever_it_is_cut_if_it_is_as_a_whole(
            text in prop_oneof![".*".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..20)],
            step in 1..8usize,
        ) {
            prop_assert_eq!(check(&text, step) == (text.len(), true), std::str::from_utf8(&text).is_ok());
            prop_assert_eq!(check(&text, step), check(&text, usize::MAX));
        }
    }

    #[test]
    fn what_no_character_begins_with_is_found_at_once_however_it_is_cut() {
        // Overlong, a surrogate, above the last character, a lone rest, and a begin that another one follows.
        for wrong in ["c080", "e08080", "eda080", "f4908080", "80", "c3c3", "e282e2", "ff", "f09f98"] {
            let bytes: Vec<u8> =
                (0..wrong.len()).step_by(2).map(|at| u8::from_str_radix(&wrong[at..at + 2], 16).unwrap()).collect();
            for step in 1..=bytes.len() {
                assert!(!check(&[b"ok ", &bytes[..]].concat(), step).1, "{wrong} {step}");
            }
        }
        for step in 1..9 {
            assert_eq!(check("a\u{e4}\u{20ac}\u{1f600}\0z".as_bytes(), step), (12, true));
        }
    }
}
