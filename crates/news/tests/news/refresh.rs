//! Callers that want the newest: each site is asked once for all of them.

use crate::common::{Reply, Site};
use crate::harness::{LIMIT, eventually};
use crate::service::Served;
use crate::{file, links, site};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use tempfile::TempDir;

const FLOOD: usize = 40;

/// Keeps a site from answering.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn set(&self, is_closed: bool) {
        *self.0.0.lock().expect("no panic") = is_closed;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let guard = self.0.0.lock().expect("no panic");
        let (guard, late) = self.0.1.wait_timeout_while(guard, LIMIT, |is_closed| *is_closed).expect("no panic");
        drop(guard);
        assert!(!late.timed_out(), "the gate stays closed");
    }
}

fn gated(gate: &Gate) -> Site {
    let gate = gate.clone();
    Site::start(move |path| {
        if path == "/robots.txt" {
            return Reply::status(404);
        }
        gate.pass();
        links(&["Headline"])
    })
}

fn pages(site: &Site) -> usize {
    site.paths().iter().filter(|path| *path == "/").count()
}

/// Sends a flood of refreshes while the site does not answer, then lets it.
async fn flood(news: &Arc<Served>, gate: &Gate, site: &Site, asked: usize) {
    let refreshes: Vec<_> = (0..FLOOD)
        .map(|_| {
            let news = news.clone();
            tokio::spawn(async move { news.titles("/news.json?refresh=1").await })
        })
        .collect();
    eventually("it is asked", asked, async || pages(site)).await;
    // All of them are there while it has not answered, as far as anybody outside can tell.
    for _ in 0..FLOOD {
        assert_eq!(news.get("/healthz").await.0, 200);
    }
    assert!(refreshes.iter().all(|refresh| !refresh.is_finished()), "a refresh did not wait");
    gate.set(false);
    for refresh in refreshes {
        assert_eq!(refresh.await.expect("no panic"), ["Headline"]);
    }
    // One that was left over would be asked for within this time, too: nothing else happens before the `ttl`.
    for _ in 0..FLOOD {
        assert_eq!(news.titles("/news.json?refresh=1").await, ["Headline"]);
    }
    assert_eq!(pages(site), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_joins_the_attempt_that_runs_and_a_flood_costs_a_site_one_request() {
    let gate = Gate::default();
    gate.set(true);
    let one = gated(&gate);
    let base = TempDir::new().expect("a directory");
    let path = file(&base, &site("One", one.url("/").as_str(), ""));
    let start = async || Arc::new(Served::news(base.path(), &path, &[&one], |_| {}).await);
    // The first attempt of all runs.
    let news = start().await;
    flood(&news, &gate, &one, 1).await;
    Arc::into_inner(news).expect("nobody else uses it").stop().await;
    // No attempt runs, and the last one is old.
    make_old(&base.path().join("data"));
    gate.set(true);
    let news = start().await;
    flood(&news, &gate, &one, 2).await;
    Arc::into_inner(news).expect("nobody else uses it").stop().await;
}

/// Sets the time of the last attempt back by a minute, which is within the `ttl`.
fn make_old(data: &Path) {
    let files = std::fs::read_dir(data).expect("a directory").flatten().map(|entry| entry.path());
    let records: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    let [record] = &records[..] else { panic!("{records:?}") };
    let mut value: Value = serde_json::from_slice(&std::fs::read(record).expect("a file")).expect("JSON");
    let tried: jiff::Timestamp = value["tried"].as_str().expect("a time").parse().expect("a time");
    value["tried"] = json!((tried - std::time::Duration::from_secs(60)).to_string());
    std::fs::write(record, value.to_string()).expect("written");
}
