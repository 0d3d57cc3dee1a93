//! Which rows a person looks for.

/// Text that rows are looked for by, in any case of ASCII letters.
pub(super) struct Needle(Vec<u8>);

impl Needle {
    pub(super) fn new(text: Vec<u8>) -> Needle {
        Needle(text.trim_ascii().to_ascii_lowercase())
    }

    /// Returns true if the text is a part of this.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        let length = self.0.len();
        length == 0 || text.len() >= length && text.windows(length).any(|part| part.eq_ignore_ascii_case(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_in_any_case_and_of_any_bytes() {
        let needle = |text: &[u8]| Needle::new(text.to_vec());
        assert!(needle(b"").is_in(b"") && needle(b" \t").is_in(b"a"));
        assert!(needle(b" Foo ").is_in(b"/topic/fOO/bar") && needle(b"bar").is_in(b"bar"));
        assert!(needle(b"\xff<").is_in(b"/a\xff<script>"));
        assert!(!needle(b"bar").is_in(b"ba") && !needle(b"foo").is_in(b"f/oo"));
    }
}
