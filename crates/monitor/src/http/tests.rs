//! The answers of each surface, by a clock that a test sets.

use super::parts;
use super::{api, csv, metrics};
use crate::collector::Source;
use crate::feed::After;
use crate::hub::Hub;
use crate::{Millis, Settings};
use axum::extract::{RawQuery, State};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

fn hub(directory: &tempfile::TempDir) -> Arc<Hub> {
    Hub::open(Settings::new(directory.path().to_owned())).unwrap().0
}

/// A sample that comes at a time by the collector's clock.
fn arrive(hub: &Hub, now: Millis, measured: Millis, cpu: f64) {
    let sample = json!({ "color": "red", "timestamp": measured, "cpu": cpu, "mem": 20.0 }).to_string();
    hub.with(|collector, _, taken| taken.count(collector.ingest(sample.as_bytes(), Source::Http, now)));
}

async fn process(hub: &Arc<Hub>) -> Value {
    let mut processes = api::processes(State(hub.clone())).await.0;
    processes["processes"][0].take()
}

async fn metrics(hub: &Arc<Hub>) -> String {
    let body = metrics::exposition(State(hub.clone())).await.into_body().collect().await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

async fn rows(hub: &Arc<Hub>, query: &str) -> Vec<String> {
    let answer = csv::history(State(hub.clone()), RawQuery(Some(query.to_owned()))).await.unwrap();
    let text = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn each_second_of_a_range_is_once_in_the_csv_however_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let hub = hub(&directory);
    let now = Millis::now();
    let from = now.before(Duration::from_secs(u64::from(2 * csv::SPAN) + 100));
    // Around the ends of what is read at once.
    let offsets = [0, csv::SPAN - 1, csv::SPAN, csv::SPAN + 1, 2 * csv::SPAN - 1, 2 * csv::SPAN];
    let at = |offset: u32| Millis::of_second(from.second() + offset);
    for (cpu, offset) in offsets.iter().enumerate() {
        arrive(&hub, now, at(*offset), cpu as f64);
    }
    hub.history.close().expect("all is written");
    let wanted = |range: &[u32]| -> Vec<String> {
        let row = |(cpu, offset): (usize, &u32)| format!("{},1,\"red\",{cpu}.0,20.0", at(*offset));
        let rows = offsets.iter().enumerate().map(row);
        let rows = rows.zip(offsets).filter(|(_, offset)| range.contains(offset)).map(|(row, _)| row);
        std::iter::once("time,id,name,cpu,mem".to_owned()).chain(rows).collect()
    };
    let range = |from: u32, to: u32| format!("from={}&to={}", at(from).0, at(to).0);
    assert_eq!(rows(&hub, &range(0, 2 * csv::SPAN)).await, wanted(&offsets));
    // Both ends of a range belong to it.
    assert_eq!(rows(&hub, &range(csv::SPAN - 1, csv::SPAN)).await, wanted(&[csv::SPAN - 1, csv::SPAN]));
    assert_eq!(rows(&hub, &format!("{}&id=2", range(0, 2 * csv::SPAN))).await, wanted(&[]));
    // Nothing is kept of 1970, and nothing has happened at the end of time.
    assert_eq!(rows(&hub, &format!("from=0&to={}", i64::MAX)).await, wanted(&offsets));
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let directory = tempfile::tempdir().unwrap();
    let mut begun = false;
    let body = parts::read(hub(&directory), move |_, text| {
        assert!(!begun, "on purpose: the history cannot be read");
        begun = true;
        text.extend([b'x'; 100_000]);
        true
    });
    assert!(body.collect().await.is_err());
}

#[tokio::test]
async fn after_a_clock_was_set_back_no_surface_shows_what_was_before() {
    let directory = tempfile::tempdir().unwrap();
    let hub = hub(&directory);
    let now = Millis::now();
    let ahead = now.after(Duration::from_secs(3600));
    arrive(&hub, ahead, ahead, 90.0);
    assert_eq!(process(&hub).await["cpu"], 90.0);
    arrive(&hub, now, now, 5.0);
    // `switchboard top` shows what this says.
    let process = process(&hub).await;
    assert_eq!((&process["cpu"], &process["last"], &process["state"]), (&json!(5.0), &json!(now), &json!("live")));
    let metrics = metrics(&hub).await;
    let line = metrics.lines().find(|line| line.starts_with("switchboard_watched_cpu_percent{")).unwrap();
    assert!(line.ends_with("} 5"), "{line}");
    let After::Events(events, _) = hub.feed.after(0) else { panic!("no events") };
    let events = String::from_utf8(events.concat()).unwrap();
    assert!(events.trim_end().ends_with("\"cpu\":5.0,\"mem\":20.0}"), "{events}");
    hub.history.close().expect("all is written");
    let rows = hub.history.rows(1, now.before(Duration::from_secs(60)).second(), now.second());
    assert_eq!(rows, [(now.second(), 5.0, 20.0)]);
}

#[tokio::test]
async fn samples_older_than_the_first_are_in_the_history() {
    let directory = tempfile::tempdir().unwrap();
    let hub = hub(&directory);
    let now = Millis::now();
    arrive(&hub, now, now, 5.0);
    let old = now.before(Duration::from_secs(7200));
    arrive(&hub, now, old, 7.0);
    let query = format!("from={}&to={}", old.0 - 10_000, old.0 + 10_000);
    let asked = api::Asked::read(Some(&query)).unwrap();
    assert_eq!(asked.series(&hub), [(1, "red".to_owned())]);
    assert_eq!(process(&hub).await["first"], json!(old));
    hub.history.close().expect("all is written");
}

#[tokio::test]
async fn a_wrong_clock_and_what_was_set_aside_are_told() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["names.jsonl", "annotations.jsonl"] {
        std::fs::write(directory.path().join(name), "SWBHIST1\n").unwrap();
    }
    std::fs::write(directory.path().join("journal-00000001.swb"), b"SWBHISU1 and what else there was").unwrap();
    let hub = hub(&directory);
    let own = api::own(State(hub.clone())).await.0;
    assert_eq!(own["history_set_aside"], json!(["journal-00000001.swb.damaged"]));
    assert_eq!(own["history_damaged"], 1);
    assert!(metrics(&hub).await.contains("\nswitchboard_monitor_history_damaged_total 1\n"));
    let now = Millis::now();
    let behind = now.before(Duration::from_secs(5 * 3600)).to_string().replace("+00:00", "");
    let sample = json!({ "color": "red", "timestamp": behind, "cpu": 1, "mem": 2 }).to_string();
    hub.with(|collector, now, taken| taken.count(collector.ingest(sample.as_bytes(), Source::Http, now)));
    let process = process(&hub).await;
    assert_eq!((&process["clock_offset"], &process["clock"]), (&json!(-18_000_000), &json!("its clock is 5 h behind")));
    hub.history.close().expect("all is written");
}
