//! Common parts of the text protocols: header lines, a payload, and CR LF.

use std::io;

/// The beginning of some bytes.
pub(super) enum Found<'a> {
    /// A header, and the size of the payload behind it.
    Header(&'a [u8], usize),
    /// So many bytes that are no message.
    Other(usize),
    /// Not enough to say.
    Need,
}

/// Gives each payload of `input`, and says how many bytes were used up.
pub(super) fn scan<'a>(
    input: &'a [u8],
    mut find: impl FnMut(&'a [u8]) -> io::Result<Found<'a>>,
    mut each: impl FnMut(&[u8]),
) -> io::Result<usize> {
    let mut used = 0;
    // Nearly always a header is the same as the one before: comparing is cheaper than parsing.
    let mut known: Option<(&[u8], usize)> = None;
    loop {
        let rest = &input[used..];
        let (header, size) = match known.filter(|(header, _)| rest.starts_with(header)) {
            Some(known) => known,
            None => match find(rest)? {
                Found::Header(header, size) => *known.insert((header, size)),
                Found::Other(bytes) => {
                    used += bytes;
                    continue;
                }
                Found::Need => return Ok(used),
            },
        };
        let whole = header.len() + size + 2;
        if rest.len() < whole {
            return Ok(used);
        }
        each(&rest[header.len()..header.len() + size]);
        used += whole;
    }
}

pub(super) fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
