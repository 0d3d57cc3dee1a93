//! `GET /metrics`, in the text format of Prometheus.

use super::api::is_there;
use crate::Refusal;
use crate::collector::Source;
use crate::hub::Hub;
use crate::process::Stat;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

const MB: f64 = 1_048_576.0;

#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let open = if at == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{}\"", escaped(text));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.value(name, &[], value);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

pub(super) async fn exposition(State(hub): State<Arc<Hub>>) -> Response {
    let mut text = Text::default();
    watched(&hub, &mut text);
    own(&hub, &mut text);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.0).into_response()
}

/// The processes that report. Their number is bounded by the limit of series.
fn watched(hub: &Hub, text: &mut Text) {
    let collector = hub.collector();
    let series: Vec<_> = collector.series.iter().filter(is_there).collect();
    type Reading<'a> = &'a dyn Fn(&crate::series::Series) -> Option<f64>;
    let families: [(&str, &str, Reading<'_>); 4] = [
        ("cpu_percent", "CPU of a watched process, in percent of one core.", &|series| Some(series.usage?.0)),
        ("memory_bytes", "Resident memory of a watched process.", &|series| Some((series.usage?.1 * MB).round())),
        ("up", "1 while a watched process reports, else 0.", &|series| {
            Some(f64::from(u8::from(series.state == crate::series::State::Live)))
        }),
        ("leak_mb_per_hour", "Growth of a watched process's memory while a leak alarm is raised.", &|series| {
            Some(series.leak.alarm?.0)
        }),
    ];
    for (name, help, reading) in families {
        let name = format!("switchboard_watched_{name}");
        text.family(&name, "gauge", help);
        for series in &series {
            let Some(value) = reading(series) else { continue };
            let labels = &series.meta.labels;
            let id = series.meta.id.to_string();
            let [service, instance, host] =
                [&labels.service, &labels.instance, &labels.host].map(|text| text.as_deref().unwrap_or(""));
            let labels = [
                ("id", &*id),
                ("name", &series.meta.name),
                ("service", service),
                ("instance", instance),
                ("host", host),
            ];
            text.value(&name, &labels, value);
        }
    }
}

/// The collector itself.
fn own(hub: &Hub, text: &mut Text) {
    let (counts, series) = {
        let collector = hub.collector();
        (collector.counts.clone(), collector.series.len())
    };
    let history = hub.history.counts();
    text.family("switchboard_monitor_received_total", "counter", "Samples received, by source.");
    for ((_, source), count) in Source::ALL.iter().zip(counts.received) {
        text.value("switchboard_monitor_received_total", &[("source", source)], count);
    }
    text.family("switchboard_monitor_refused_total", "counter", "Samples refused, by reason.");
    for (reason, count) in Refusal::REASONS.iter().zip(counts.refused) {
        text.value("switchboard_monitor_refused_total", &[("reason", reason)], count);
    }
    let load = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    let counters = [
        ("accepted_total", "Samples accepted.", counts.accepted),
        ("dropped_total", "Samples dropped because the disk was too slow.", history.dropped),
        ("faulty_peers_total", "Peers that the collector's socket has disconnected.", load(&hub.faulty_peers)),
        ("events_missed_total", "Events that slow clients of the feed missed.", load(&hub.feed.missed)),
        ("alerts_delivered_total", "Alerts delivered to the topic or to a webhook.", load(&hub.delivered)),
        ("alerts_undelivered_total", "Alerts given up undelivered.", load(&hub.undelivered)),
        (
            "history_damaged_total",
            "Damaged parts found in the files of the history, and missing ones.",
            history.damaged,
        ),
        (
            "history_torn_bytes_total",
            "Bytes cut off the ends of the history's files: not written wholly.",
            history.torn,
        ),
        ("history_failed_writes_total", "Failed writes of the history.", history.failed),
    ];
    for (name, help, value) in counters {
        text.single(&format!("switchboard_monitor_{name}"), "counter", help, value);
    }
    let gauges = [
        ("series", "Known series.", series as u64),
        ("feed_clients", "Clients of the feed.", hub.feed.clients.load(Ordering::Relaxed) as u64),
        ("disk_bytes", "Bytes of the history on disk.", history.bytes),
    ];
    for (name, help, value) in gauges {
        text.single(&format!("switchboard_monitor_{name}"), "gauge", help, value);
    }
    let usage = hub.own();
    let help = "Resident memory of the collector's process.";
    text.single("process_resident_memory_bytes", "gauge", help, (usage.mem * MB).round());
    let used = Stat::of(std::process::id().cast_signed()).unwrap_or_default().own;
    let help = "CPU time of the collector's process.";
    text.single("process_cpu_seconds_total", "counter", help, used.as_secs_f64());
    let help = "Start of the collector's process, in seconds since 1970.";
    let started = crate::Millis::now().before(hub.started.elapsed());
    text.single("process_start_time_seconds", "gauge", help, started.0 as f64 / 1000.0);
}
