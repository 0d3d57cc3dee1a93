//! Records of the history's files: each is checked, so that a damaged one is noticed and passed over.
//!
//! `D7 53`, the kind, the length of the payload (32 bits, little endian), a CRC-32 of kind, length and
//! payload (little endian), the payload.

/// The first bytes of a file.
pub(super) const MAGIC: [u8; 8] = *b"SWBHIST1";

const MARK: [u8; 2] = [0xd7, 0x53];
const HEAD: usize = 11;
/// The longest payload, in bytes.
const LONGEST: usize = 16 << 20;

/// The kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Points as they came, in the journal.
    Points = 1,
    /// Seconds of a series.
    Rows = 2,
    /// Minutes of a series.
    Minutes = 3,
    /// The positions of a sealed file's records.
    Index = 4,
    /// The name of a series, so that it does not depend on one file of names.
    Name = 5,
    /// The list of the files that there are, in the journal.
    Files = 6,
}

impl Kind {
    fn of(byte: u8) -> Option<Kind> {
        let all = [Kind::Points, Kind::Rows, Kind::Minutes, Kind::Index, Kind::Name, Kind::Files];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A whole record, and where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    pub(super) payload: &'a [u8],
    pub(super) offset: usize,
    /// Of all of it.
    pub(super) length: usize,
}

/// Appends a record.
pub(super) fn put(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    let length = (payload.len() as u32).to_le_bytes();
    out.extend_from_slice(&MARK);
    out.push(kind as u8);
    out.extend_from_slice(&length);
    out.extend_from_slice(&checksum(kind, length, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// The record that begins there, if a whole one does.
pub(super) fn at(bytes: &[u8], offset: usize) -> Option<Record<'_>> {
    let bytes = bytes.get(offset..)?;
    let head = bytes.get(..HEAD)?;
    let kind = Kind::of(head[2]).filter(|_| head[..2] == MARK)?;
    let length = <[u8; 4]>::try_from(&head[3..7]).ok()?;
    let size = u32::from_le_bytes(length) as usize;
    if size > LONGEST {
        return None;
    }
    let payload = bytes.get(HEAD..HEAD + size)?;
    let crc = u32::from_le_bytes(head[7..].try_into().ok()?);
    (crc == checksum(kind, length, payload)).then_some(Record { kind, payload, offset, length: HEAD + size })
}

fn checksum(kind: Kind, length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind as u8]);
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}

/// The meaning of the first bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// [`MAGIC`].
    Ours,
    /// Less than that: it was being created.
    Torn,
    /// That of another version, which this byte names.
    Version(u8),
    /// Anything else.
    Damaged,
}

impl Head {
    pub(super) fn of(bytes: &[u8]) -> Head {
        match bytes.get(..MAGIC.len()) {
            None if MAGIC.starts_with(bytes) => Head::Torn,
            Some(head) if head == MAGIC => Head::Ours,
            Some(head) if head[..MAGIC.len() - 1] == MAGIC[..MAGIC.len() - 1] => Head::Version(head[MAGIC.len() - 1]),
            _ => Head::Damaged,
        }
    }
}

/// The contents of a file.
#[derive(Debug, Default)]
pub(super) struct Scan<'a> {
    pub(super) records: Vec<Record<'a>>,
    /// The end of the last whole record.
    pub(super) end: usize,
    /// Bytes of a record at the end that was not written wholly.
    pub(super) torn: usize,
    /// Other bytes that are no record.
    pub(super) damaged: usize,
}

/// Finds all whole records behind the head, whatever that says.
pub(super) fn scan(bytes: &[u8]) -> Scan<'_> {
    let begin = MAGIC.len().min(bytes.len());
    let mut scan = Scan { end: begin, ..Scan::default() };
    match Head::of(bytes) {
        Head::Ours => {}
        Head::Torn => scan.torn = begin,
        Head::Version(_) | Head::Damaged => scan.damaged = begin,
    }
    let mut offset = begin;
    while offset < bytes.len() {
        if let Some(record) = at(bytes, offset) {
            scan.damaged += offset - scan.end;
            offset += record.length;
            scan.end = offset;
            scan.records.push(record);
        } else {
            // The next place where one may begin.
            offset += 1;
            let rest = bytes.get(offset..).unwrap_or_default();
            offset += rest.iter().position(|&byte| byte == MARK[0]).unwrap_or(rest.len());
        }
    }
    let rest = &bytes[scan.end..];
    *(if is_begun(rest) { &mut scan.torn } else { &mut scan.damaged }) += rest.len();
    scan
}

/// Whether this is the beginning of a record, and less than all of it.
fn is_begun(bytes: &[u8]) -> bool {
    let mark = &MARK[..bytes.len().min(MARK.len())];
    let is_kind = bytes.get(2).is_none_or(|kind| Kind::of(*kind).is_some());
    let length = bytes.get(3..7).and_then(|length| Some(u32::from_le_bytes(length.try_into().ok()?) as usize));
    let is_short = length.is_none_or(|length| length <= LONGEST && bytes.len() < HEAD + length);
    bytes.starts_with(mark) && is_kind && is_short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        payloads.iter().for_each(|payload| put(Kind::Rows, payload, &mut bytes));
        bytes
    }

    fn payloads<'a>(scan: &Scan<'a>) -> Vec<&'a [u8]> {
        scan.records.iter().map(|record| record.payload).collect()
    }

    #[test]
    fn a_torn_tail_is_told_from_damage_in_the_middle() {
        let bytes = file(&[b"one", b"two", b"three"]);
        let two_end = file(&[b"one", b"two"]).len();
        for cut in two_end..bytes.len() {
            let scan = scan(&bytes[..cut]);
            assert_eq!((payloads(&scan), scan.end, scan.damaged), (vec![&b"one"[..], b"two"], two_end, 0));
            assert_eq!(scan.torn, cut - two_end);
        }
        let one_end = file(&[b"one"]).len();
        for at in one_end..two_end {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            let scan = scan(&bytes);
            assert_eq!(payloads(&scan), [&b"one"[..], b"three"], "flipped at {at}");
            assert_eq!((scan.end, scan.damaged), (bytes.len(), two_end - one_end));
        }
    }

    #[test]
    fn a_changed_byte_is_noticed_wherever_it_is() {
        let bytes = file(&[b"one", b"two", b"three"]);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                let scan = scan(&bytes);
                assert!(scan.damaged + scan.torn > 0, "bit {bit} of byte {at}");
                assert!(scan.records.len() >= 2, "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn heads_are_told_apart() {
        for (head, is) in [
            (&b""[..], Head::Torn),
            (b"SWBHIST", Head::Torn),
            (b"SWBHIST1", Head::Ours),
            (b"SWBHIST2", Head::Version(b'2')),
            (b"SWBHISU1", Head::Damaged),
            (b"x", Head::Damaged),
        ] {
            assert_eq!(Head::of(head), is);
        }
    }
}
