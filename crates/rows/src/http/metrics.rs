//! `GET /metrics`, in the text format of Prometheus.

use super::state::{Backend, Shared};
use crate::{Source, Status};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of a histogram's buckets, in microseconds.
const BOUNDS: [u64; 14] =
    [25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 1_000_000, 10_000_000];

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Hit,
    Miss,
    Bypass,
    List,
    Write,
    /// It was refused, or the database did.
    Failed,
}

impl Operation {
    const ALL: [(Operation, &'static str); 6] = [
        (Operation::Hit, "hit"),
        (Operation::Miss, "miss"),
        (Operation::Bypass, "bypass"),
        (Operation::List, "list"),
        (Operation::Write, "write"),
        (Operation::Failed, "failed"),
    ];

    pub(super) fn of(source: Source) -> Operation {
        match source {
            Source::Hit => Operation::Hit,
            Source::Miss => Operation::Miss,
            Source::Bypass => Operation::Bypass,
        }
    }
}

/// Times of requests.
#[derive(Debug, Default)]
pub(super) struct HttpMetrics([Histogram; 6]);

#[derive(Debug, Default)]
struct Histogram {
    /// The last one has no bound.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl HttpMetrics {
    pub(super) fn record(&self, operation: Operation, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS.partition_point(|bound| *bound < micros);
        let histogram = &self.0[operation as usize];
        histogram.buckets[at].fetch_add(1, Relaxed);
        histogram.micros.fetch_add(micros, Relaxed);
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        let _ = writeln!(self.0, "{name} {value}");
    }
}

pub(super) async fn exposition(state: Shared) -> Response {
    let mut text = Text::default();
    times(&state.metrics, &mut text);
    let backend = state.backend.read().clone();
    match &backend {
        Backend::Up(rows) => {
            let status = rows.status();
            text.single(
                "rows_up",
                "gauge",
                "1 while rows are served from the cache, else 0.",
                u8::from(status.problem.is_none()),
            );
            counters(&rows.metrics(), &mut text);
            gauges(&status, &mut text);
        }
        Backend::Down(_) => text.single("rows_up", "gauge", "1 while rows are served from the cache, else 0.", 0),
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.0).into_response()
}

fn times(metrics: &HttpMetrics, text: &mut Text) {
    let name = "rows_request_seconds";
    text.family(name, "histogram", "Time from a request's complete arrival to its answer, by operation.");
    for (operation, label) in Operation::ALL {
        let histogram = &metrics.0[operation as usize];
        let mut sum = 0;
        for (at, bucket) in histogram.buckets.iter().enumerate() {
            sum += bucket.load(Relaxed);
            let bound = BOUNDS.get(at).map_or("+Inf".to_owned(), |micros| seconds(*micros));
            let _ = writeln!(text.0, "{name}_bucket{{operation=\"{label}\",le=\"{bound}\"}} {sum}");
        }
        let total = seconds(histogram.micros.load(Relaxed));
        let _ = writeln!(
            text.0,
            "{name}_sum{{operation=\"{label}\"}} {total}\n{name}_count{{operation=\"{label}\"}} {sum}"
        );
    }
}

fn seconds(micros: u64) -> String {
    (micros as f64 / 1e6).to_string()
}

fn counters(metrics: &crate::Metrics, text: &mut Text) {
    for (name, help, value) in [
        ("rows_hits_total", "Reads answered from the cache.", metrics.hits),
        ("rows_misses_total", "Reads that queried the database, and filled the cache.", metrics.misses),
        ("rows_bypasses_total", "Reads past the cache: it was not live, or the table is not cached.", metrics.bypasses),
        ("rows_events_total", "Changes of rows that the feed reported.", metrics.events),
        ("rows_flushes_total", "Flushes of a table from the cache.", metrics.flushes),
        ("rows_refreshed_total", "Rows read again after a change.", metrics.refreshed),
        ("rows_refreshes_dropped_total", "Rows not read again because too many waited.", metrics.refreshes_dropped),
        ("rows_markers_total", "Freshness markers that came back.", metrics.markers),
        ("rows_looks_total", "Freshness markers that looked at the catalogue.", metrics.looks),
        ("rows_markers_failed_total", "Freshness markers that could not be sent.", metrics.markers_failed),
        ("rows_connects_total", "Connections that the change feed has made.", metrics.connects),
        ("rows_sampled_total", "Cached rows compared with the database.", metrics.rows_sampled),
        (
            "rows_samples_failed_total",
            "Comparisons that the database did not answer, or refused.",
            metrics.samples_failed,
        ),
        ("rows_inconsistent_total", "Cached rows that were stale when compared.", metrics.rows_inconsistent),
        (
            "rows_listeners_ended_total",
            "Database sessions ended because they did not read their notifications.",
            metrics.listeners_ended,
        ),
    ] {
        text.single(name, "counter", help, value);
    }
    let longest = metrics.longest_inconsistent.as_secs_f64();
    text.single(
        "rows_longest_inconsistent_seconds",
        "gauge",
        "Longest time for which a stale row may have been served: since it was last seen to be right.",
        longest,
    );
    let usage = metrics.queue_usage;
    text.single(
        "rows_notification_queue_usage",
        "gauge",
        "Used part of PostgreSQL's notification queue, from 0 to 1.",
        usage,
    );
}

fn gauges(status: &Status, text: &mut Text) {
    text.single("rows_cached", "gauge", "Rows in the cache.", status.usage.rows);
    text.single("rows_cached_bytes", "gauge", "Bytes of keys and rows in the cache.", status.usage.bytes);
    text.single("rows_fills", "gauge", "Queries in progress that fill the cache.", status.usage.leases);
    if let Some(age) = status.age {
        text.single("rows_age_seconds", "gauge", "Upper bound of the age of cached rows.", age.as_secs_f64());
    }
    text.family("rows_table_cached", "gauge", "1 while a table is cached, else 0.");
    for table in &status.tables {
        let name = table.name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let cached = u8::from(table.problem.is_none());
        let _ = writeln!(text.0, "rows_table_cached{{table=\"{name}\"}} {cached}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_every_bucket_from_its_bound_on() {
        let metrics = HttpMetrics::default();
        for micros in [0, 25, 26, u64::MAX] {
            metrics.record(Operation::Write, Duration::from_micros(micros));
        }
        let mut text = Text::default();
        times(&metrics, &mut text);
        for (bound, count) in [("0.000025", 2), ("0.00005", 3), ("10", 3), ("+Inf", 4)] {
            let line = format!("rows_request_seconds_bucket{{operation=\"write\",le=\"{bound}\"}} {count}\n");
            assert!(text.0.contains(&line), "{line}{}", text.0);
        }
        assert!(text.0.contains("rows_request_seconds_count{operation=\"hit\"} 0\n"));
    }
}
