//! The memory of a cached row beyond its bytes. Alone in its program, since it measures the process.
#![cfg(not(loom))]

use bytes::Bytes;
use std::time::Duration;
use switchboard_rows::cache::{Cache, Limits, Lsn, TableId};

const ROWS: usize = 65_536;
const ROW: usize = 100;
const OVERHEAD: usize = 150;

/// Bytes of this process in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

#[test]
fn a_row_of_100_bytes_costs_at_most_150_more() {
    let cache = Cache::new(1, Limits { rows: ROWS, ..Limits::default() });
    cache.connected();
    cache.marker(Duration::ZERO, Lsn(1));
    let before = resident();
    for key in 0..ROWS {
        let lease = cache.lease(TableId(0), key.to_string().as_bytes()).expect("the key is free");
        let row = Bytes::from(vec![b'x'; ROW]);
        // Read by somebody else as well, as every filled row is: that makes it shared.
        assert!(lease.fill(Some(row.clone())));
        drop(row);
    }
    let usage = cache.usage();
    assert_eq!(usage.rows, ROWS);
    let overhead = (resident() - before).saturating_sub(usage.bytes) / ROWS;
    assert!(overhead > 0 && overhead <= OVERHEAD, "{overhead} bytes a row");
    println!("{overhead} bytes a row beyond its {ROW} bytes and its key");
}
