//! For the fuzzer alone. What is read must be written as something that reads the same again.

use super::{block, journal, record};
use crate::point;

/// Seconds of a series.
pub fn rows(bytes: &[u8]) {
    let Some((series, rows)) = block::take_rows(bytes) else { return };
    assert!(rows.is_sorted_by(|a, b| a.second < b.second));
    let mut again = Vec::new();
    block::put_rows(series, &rows, &mut again);
    assert_eq!(block::take_rows(&again), Some((series, rows.clone())));
    for row in rows {
        assert!(point::CPU.value(row.cpu).is_finite() && point::MEM.value(row.mem).is_finite());
    }
}

/// Minutes of a series.
pub fn minutes(bytes: &[u8]) {
    let Some((series, minutes)) = block::take_minutes(bytes) else { return };
    let mut again = Vec::new();
    block::put_minutes(series, &minutes, &mut again);
    assert_eq!(block::take_minutes(&again), Some((series, minutes)));
}

/// A record of the journal.
pub fn points(bytes: &[u8]) {
    let Some(points) = journal::decode(bytes) else { return };
    assert_eq!(journal::decode(&journal::encode(&points)), Some(points));
}

/// A file: what is whole in it stays whole behind any other bytes.
pub fn file(bytes: &[u8]) {
    let mut file = record::MAGIC.to_vec();
    file.extend(bytes);
    let before = record::scan(&file).records.len();
    let begin = file.len();
    record::put(record::Kind::Rows, b"the last", &mut file);
    let scan = record::scan(&file);
    // A checksum that the fuzzer has made for a record that ends within the next one: no accident of a disk does.
    if scan.records.iter().any(|record| record.offset < begin && record.offset + record.length > begin) {
        return;
    }
    assert_eq!((scan.end, scan.records.last().map(|record| record.payload)), (file.len(), Some(&b"the last"[..])));
    assert!(scan.records.len() > before);
}
