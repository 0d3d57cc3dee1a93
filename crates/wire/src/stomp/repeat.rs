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
