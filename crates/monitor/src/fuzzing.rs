//! For the fuzzer alone: what reads bytes of strangers. No part of the API.

use crate::collector::{Collector, Earlier, Source};
use crate::history::fuzzing;
use crate::{Millis, Rules};

pub use fuzzing::{file, minutes, points, rows};

/// Takes messages, a line each; what is published of them must be events, each with JSON.
///
/// # Panics
/// If it is not so.
pub fn messages(bytes: &[u8]) {
    let now = Millis(1_800_000_000_000);
    let mut collector = Collector::new(Rules { series: 5, ..Rules::default() }, now, Earlier::default());
    for (at, message) in (0..).zip(bytes.split(|byte| *byte == b'\n')) {
        let _ = collector.ingest(message, Source::Zmq, Millis(now.0 + at * 100));
        collector.tick(Millis(now.0 + at * 100));
    }
    let effects = collector.effects();
    let events = String::from_utf8(effects.events).expect("text");
    let events: Vec<&str> = events.split_terminator("\n\n").collect();
    assert_eq!(events.len() as u64, effects.count);
    for event in events {
        let data = event.lines().last().and_then(|line| line.strip_prefix("data: ")).expect("data");
        let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
        assert!(data["id"].as_u64().is_some_and(|id| (1..=effects.points.len() as u64).contains(&id)));
    }
}
