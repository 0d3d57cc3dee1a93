//! The API of programs and of the page, in JSON.

use super::answer::{Problem, bad};
use super::parts;
use crate::collector::Source;
use crate::history::{Columns, Range};
use crate::hub::Hub;
use crate::point::SeriesId;
use crate::series::{Series, State as SeriesState};
use crate::time::millis;
use crate::{Millis, Refusal};
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The range of a request that names none.
const PAST_HOUR: Duration = Duration::from_secs(3600);
/// Columns of one answer, over all series.
const COLUMNS: usize = 4_000_000;
/// Columns of one series.
const POINTS: u32 = 100_000;

/// A path of the API that is not there.
pub(super) async fn unknown(uri: Uri) -> Problem {
    Problem(StatusCode::NOT_FOUND, format!("there is no {}; /api/openapi.json says what there is", uri.path()))
}

/// `GET /api/openapi.json`.
pub(super) async fn description() -> Response {
    ([(CONTENT_TYPE, "application/json")], include_str!("openapi.json")).into_response()
}

/// `GET /api/processes`.
pub(super) async fn processes(State(hub): State<Arc<Hub>>) -> Json<Value> {
    let collector = hub.collector();
    let processes: Vec<Value> = collector.series.iter().map(process).collect();
    let silent_after = millis(hub.settings.rules.silent);
    Json(json!({ "now": Millis::now(), "silent_after": silent_after, "processes": processes }))
}

fn process(series: &Series) -> Value {
    let labels = &series.meta.labels;
    json!({
        "id": series.meta.id,
        "name": series.meta.name,
        "color": labels.color,
        "service": labels.service,
        "instance": labels.instance,
        "pid": labels.pid,
        "host": labels.host,
        "version": labels.version,
        "started": labels.started,
        "ncpu": labels.ncpu,
        "first": series.meta.first,
        "last": series.last,
        "cpu": series.usage.map(|(cpu, _)| cpu),
        "mem": series.usage.map(|(_, mem)| mem),
        "state": series.state,
        "ended": series.meta.ended,
        "clock_offset": series.skew.offset,
        "clock": series.skew.text(),
        "leak": series.leak.alarm.map(|(growth, since)| json!({
            "mb_per_hour": (growth * 10.0).round() / 10.0,
            "since": since,
        })),
    })
}

/// A query of the history.
pub(super) struct Asked {
    pub(super) from: Millis,
    pub(super) to: Millis,
    points: Option<u32>,
    ids: Vec<SeriesId>,
}

impl Asked {
    /// By hand, for `id` may come several times.
    pub(super) fn read(query: Option<&str>) -> Result<Asked, Problem> {
        let (mut from, mut to, mut points, mut ids) = (None, None, None, Vec::new());
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let wrong =
                |from: i64, to: i64| bad(format!("{key}={value}: it must be a whole number from {from} to {to}"));
            let time = || value.parse().map(Millis).map_err(|_| wrong(i64::MIN, i64::MAX));
            match key {
                "from" => from = Some(time()?),
                "to" => to = Some(time()?),
                "points" => points = Some(value.parse().map_err(|_| wrong(1, POINTS.into()))?),
                "id" => ids.push(value.parse().map_err(|_| wrong(0, SeriesId::MAX.into()))?),
                _ => {}
            }
        }
        let (from, to) = match (from, to) {
            (Some(from), Some(to)) => (from, to),
            // The range of a plain link.
            (None, None) => (Millis::now().before(PAST_HOUR), Millis::now()),
            _ => {
                return Err(bad(
                    "`from` and `to` are given together, in milliseconds since 1970, or none: the past hour",
                ));
            }
        };
        if to < from {
            return Err(bad(format!("from={} is after to={}", from.0, to.0)));
        }
        if let Some(points) = points.filter(|points| !(1..=POINTS).contains(points)) {
            return Err(bad(format!("points={points} is not allowed: from 1 to {POINTS}")));
        }
        Ok(Asked { from, to, points, ids })
    }

    /// Returns the named series, or all that may have something in that time; with their names.
    pub(super) fn series(&self, hub: &Hub) -> Vec<(SeriesId, String)> {
        let collector = hub.collector();
        let wanted = |series: &&Series| {
            if self.ids.is_empty() {
                series.meta.first <= self.to && series.last >= self.from
            } else {
                self.ids.contains(&series.meta.id)
            }
        };
        collector.series.iter().filter(wanted).map(|series| (series.meta.id, series.meta.name.clone())).collect()
    }
}

#[derive(Serialize)]
struct SeriesJson {
    id: SeriesId,
    cpu: Vec<Option<f64>>,
    mem: Vec<Option<f64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cpu_min: Vec<Option<f64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cpu_max: Vec<Option<f64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mem_min: Vec<Option<f64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mem_max: Vec<Option<f64>>,
}

/// `GET /api/history`.
pub(super) async fn history(State(hub): State<Arc<Hub>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let asked = Asked::read(query.as_deref())?;
    let series = asked.series(&hub);
    let range = Range::new(asked.from, asked.to, asked.points.unwrap_or(1000), hub.history.oldest_second());
    let columns = range.columns().saturating_mul(series.len());
    if columns > COLUMNS {
        let text = format!(
            "{} series of {} columns are over the limit of {COLUMNS} together: ask for fewer `points`, or some `id`s",
            series.len(),
            range.columns()
        );
        return Err(Problem(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    let head = format!(
        "{{\"from\":{},\"to\":{},\"step\":{},\"tier\":\"{}\",\"silent_after\":{},\"series\":[",
        Millis::of_second(range.from).0,
        Millis::of_second(range.to).0,
        i64::from(range.step) * 1000,
        range.tier.name(),
        millis(hub.settings.rules.silent),
    );
    let (mut head, mut series) = (Some(head), series.into_iter());
    // A series at a time: all of a thousand together would be as large as everything else in memory.
    let body = parts::read(hub, move |hub, text| {
        match head.take() {
            Some(head) => text.extend(head.into_bytes()),
            None if series.len() > 0 => text.push(b','),
            None => {}
        }
        if let Some((id, _)) = series.next() {
            // Writing to a vector does not fail.
            let _ = serde_json::to_writer(&mut *text, &SeriesJson::of(id, hub.history.columns(id, range)));
        }
        if series.len() == 0 {
            text.extend(b"]}");
        }
        series.len() > 0
    });
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

impl SeriesJson {
    fn of(id: SeriesId, (cpu, mem): Columns) -> SeriesJson {
        SeriesJson {
            id,
            cpu: cpu.mean,
            mem: mem.mean,
            cpu_min: cpu.min,
            cpu_max: cpu.max,
            mem_min: mem.min,
            mem_max: mem.max,
        }
    }
}

/// `GET /api/annotations`.
pub(super) async fn annotations(
    State(hub): State<Arc<Hub>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let asked = Asked::read(query.as_deref())?;
    Ok(Json(json!({ "annotations": hub.history.annotations_between(asked.from, asked.to) })))
}

/// `GET /api/self`.
pub(super) async fn own(State(hub): State<Arc<Hub>>) -> Json<Value> {
    let (counts, series) = {
        let collector = hub.collector();
        (collector.counts.clone(), collector.series.len())
    };
    let history = hub.history.counts();
    let own = hub.own();
    let (p50, p99) = counts.lags();
    let load = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    let by = |names: &[&str], counts: &[u64]| -> Value {
        names
            .iter()
            .zip(counts)
            .map(|(name, count)| ((*name).to_owned(), json!(count)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    Json(json!({
        "received": counts.received.iter().sum::<u64>(),
        "received_by_source": by(&Source::ALL.map(|(_, name)| name), &counts.received),
        "accepted": counts.accepted,
        "refused": by(&Refusal::REASONS, &counts.refused),
        "dropped": history.dropped,
        "clock_ahead": counts.ahead,
        "backwards": counts.backwards,
        "same_second": counts.same_second,
        "clock_jumps": counts.jumps,
        "lag_ms": { "p50": p50, "p99": p99 },
        "feed_clients": hub.feed.clients.load(Ordering::Relaxed),
        "events_missed": load(&hub.feed.missed),
        "series": series,
        "series_limit": hub.settings.rules.series,
        "alerts_delivered": load(&hub.delivered),
        "alerts_undelivered": load(&hub.undelivered),
        "disk_bytes": history.bytes,
        "disk_limit": hub.settings.history.disk,
        "history_damaged": history.damaged,
        "history_torn_bytes": history.torn,
        "history_set_aside": hub.history.set_aside(),
        "history_failed_writes": history.failed,
        "cpu": own.cpu,
        "mem": own.mem,
        "uptime": hub.started.elapsed().as_secs(),
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

/// Whether somebody may still want to see it.
pub(super) fn is_there(series: &&Series) -> bool {
    series.state != SeriesState::Gone
}
