//! How a file of the history is cut into records, so that a damaged one is noticed and passed over.
//!
//! `D7 53`, the kind, the length of the payload (32 bits, little endian), a CRC-32 of kind, length and
//! payload (little endian), the payload.

/// What a file begins with.
pub(super) const MAGIC: [u8; 8] = *b"SWBHIST1";

const MARK: [u8; 2] = [0xd7, 0x53];
const HEAD: usize = 11;
/// The longest payload, in bytes.
const LONGEST: usize = 16 << 20;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Points as they came, in the journal.
    Points = 1,
    /// Seconds of a series.
    Rows = 2,
    /// Minutes of a series.
    Minutes = 3,
    /// Where the records of a sealed file are.
    Index = 4,
}

impl Kind {
    fn of(byte: u8) -> Option<Kind> {
        [Kind::Points, Kind::Rows, Kind::Minutes, Kind::Index].into_iter().find(|kind| *kind as u8 == byte)
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

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Scan<'a> {
    pub(super) records: Vec<Record<'a>>,
    /// Where the last whole record ends: what is behind was not written wholly.
    pub(super) end: usize,
    /// What is damaged before that, in bytes.
    pub(super) damaged: usize,
}

/// Finds all whole records behind the magic. `None` if it is not a file of the history.
pub(super) fn scan(bytes: &[u8]) -> Option<Scan<'_>> {
    if !bytes.starts_with(&MAGIC) {
        return None;
    }
    let mut scan = Scan { end: MAGIC.len(), ..Scan::default() };
    let mut offset = scan.end;
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
    Some(scan)
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
            let scan = scan(&bytes[..cut]).unwrap();
            assert_eq!((payloads(&scan), scan.end, scan.damaged), (vec![&b"one"[..], b"two"], two_end, 0));
        }
        let one_end = file(&[b"one"]).len();
        for at in one_end..two_end {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            let scan = scan(&bytes).unwrap();
            assert_eq!(payloads(&scan), [&b"one"[..], b"three"], "flipped at {at}");
            assert_eq!((scan.end, scan.damaged), (bytes.len(), two_end - one_end));
        }
    }

    #[test]
    fn a_strangers_file_is_none_of_ours() {
        assert!(scan(b"").is_none());
        assert!(scan(b"SWBHIST").is_none());
        assert!(scan(b"SWBHIST2").is_none());
        assert_eq!(scan(b"SWBHIST1").unwrap().end, 8);
    }
}
