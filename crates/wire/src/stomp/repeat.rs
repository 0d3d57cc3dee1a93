//! Heads that come again: a publisher's frames to one destination often begin with the same bytes.

/// Bytes of the longest head that is remembered: it stays in memory while its connection is idle.
const LONGEST: usize = 256;

/// A head, if there is one to remember.
#[derive(Debug, Clone, Default)]
pub(super) struct Repeat(Option<Box<Known>>);

/// A head that was found good, and what was found in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// From the command to the empty line, both included.
    bytes: Vec<u8>,
    /// End of the command, begin of the header lines, and their end.
    pub(super) command: usize,
    pub(super) lines: usize,
    pub(super) end: usize,
    /// Number of headers.
    pub(super) headers: usize,
    pub(super) content_length: Option<usize>,
}

impl Known {
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }
}

impl Repeat {
    /// The remembered head, if `input` begins with it.
    pub(super) fn found_at(&self, input: &[u8]) -> Option<&Known> {
        self.0.as_deref().filter(|known| input.starts_with(&known.bytes))
    }

    /// Remembers a head in place of an earlier one. `positions` are those of [`Known`], in its order.
    pub(super) fn remember(
        &mut self,
        head: &[u8],
        positions: [usize; 3],
        headers: usize,
        content_length: Option<usize>,
    ) {
        if head.len() > LONGEST {
            return;
        }
        let known = self.0.get_or_insert_default();
        known.bytes.clear();
        known.bytes.extend_from_slice(head);
        [known.command, known.lines, known.end] = positions;
        (known.headers, known.content_length) = (headers, content_length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_remembered_up_to_its_longest_length_and_a_longer_one_leaves_the_last() {
        let head = |length: usize| vec![length as u8; length];
        let is_known = |repeat: &Repeat, length: usize| {
            let input = [&head(length)[..], b"body"].concat();
            repeat.found_at(&input).map(Known::length) == Some(length)
        };
        let mut repeat = Repeat::default();
        for length in [1, LONGEST - 1, LONGEST] {
            repeat.remember(&head(length), [1, 2, 3], 1, Some(4));
            assert!(is_known(&repeat, length), "{length}");
        }
        repeat.remember(&head(LONGEST + 1), [1, 2, 3], 1, None);
        assert!(!is_known(&repeat, LONGEST + 1) && is_known(&repeat, LONGEST));
        // The whole head counts.
        assert!(repeat.found_at(&head(LONGEST)[..LONGEST - 1]).is_none());
    }
}
