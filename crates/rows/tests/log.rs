//! The log of a service whose clients write as much as they like. A binary of its own: the log is one of a process.
#![cfg(not(loom))]

mod common;

use common::service::Service;
use common::{Scratch, server, until};
use std::io::Write;
use std::sync::{Arc, Mutex};

/// The log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Lines of a level that have these words.
    fn lines(&self, level: &str, words: &str) -> Vec<String> {
        let bytes = self.0.lock().expect("no panic");
        let text = String::from_utf8_lossy(&bytes);
        text.lines().filter(|line| line.contains(level) && line.contains(words)).map(str::to_owned).collect()
    }
}

/// The sum of the numbers before these words.
fn sum(lines: &[String], words: &str) -> usize {
    let number = |line: &String| line.split_once(words)?.0.rsplit(' ').next()?.parse::<usize>().ok();
    lines.iter().map(|line| number(line).unwrap_or_else(|| panic!("no number: {line}"))).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_line_and_a_flood_of_events_or_of_requests_is_counted() {
    let log = Log::default();
    let kept = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false);
    let subscriber = subscriber.with_writer(move || kept.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).expect("the first one");
    let scratch = server().scratch().await;
    let address = server().address("app", scratch.scratch.name());
    what_a_table_lacks_is_what_the_log_says(&log, &scratch, &address).await;
    let service = Service::start(&address, |_| {}).await.live().await;

    // One event is at info, as it came.
    assert_eq!(service.post("/patron", r#"[{"name":"Ann"}]"#).await.status, 201);
    until("its event", async || (log.lines(" INFO ", "Got DB event").len() == 1).then_some(())).await;
    assert_eq!(log.lines(" INFO ", "rows: post patron: 1 row").len(), 1);

    // A thousand in one request: events up to the quota, and a line that counts the others.
    let many: Vec<&str> = vec![r#"{"name":"Bob"}"#; 900];
    assert_eq!(service.post("/patron", &format!("[{}]", many.join(","))).await.status, 201);
    assert_eq!(log.lines(" INFO ", "rows: post patron: 900 rows").len(), 1);
    let events = || {
        let logged = log.lines(" INFO ", "Got DB event").len();
        (
            logged,
            log.lines("DEBUG ", "Got DB event").len(),
            sum(&log.lines(" INFO ", "more DB events"), " more DB events"),
        )
    };
    // A slow machine may spread them over several periods.
    until("every event is logged or counted", async || {
        let (logged, at_debug, counted) = events();
        (logged + at_debug == 901 && at_debug == counted && counted > 0).then_some(())
    })
    .await;
    assert!(events().0 < 901 / 2, "{:?}", events());

    // Many requests in a short time.
    for number in 0..200 {
        let path = format!("/patron?id=eq.{number}");
        let reply = service.ask("PATCH", &path, &[("Content-Type", "application/json")], r#"{"name":"Cy"}"#).await;
        assert_eq!(reply.status, 204);
    }
    let patches = (log.lines(" INFO ", "rows: patch patron").len(), log.lines("DEBUG ", "rows: patch patron").len());
    assert_eq!(patches.0 + patches.1, 200);
    assert!(log.lines(" INFO ", "rows: patch patron: 0 rows").len() == 1, "{patches:?}");
    service.end().await;
}

/// A part of the one test: the log is one of the process.
async fn what_a_table_lacks_is_what_the_log_says(log: &Log, scratch: &Scratch, address: &str) {
    let refused = ["bytea", "numeric", "timestamptz", "name", "oid", "\"char\"", "char(3)", "time", "mood", "whole"];
    let tables: String =
        (0..refused.len()).map(|at| format!("CREATE TABLE k{at} (id {} PRIMARY KEY);", refused[at])).collect();
    scratch
        .run("CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN whole AS int; CREATE TABLE bare (id int PRIMARY KEY)")
        .await;
    scratch.run(&tables).await;
    let names: Vec<String> = (0..refused.len()).map(|at| format!("k{at}")).collect();
    let specs = names.iter().map(String::as_str).chain(["bare"]).map(Into::into).collect();
    let service = Service::start(address, |settings| {
        settings.tables = specs;
        settings.options.install_triggers = false;
    })
    .await;
    until("the log says of each table what it lacks", async || {
        let (served, cached) = (log.lines(" WARN ", "; it is not served"), log.lines(" WARN ", "; it is not cached"));
        let is_said =
            |name: &String| served.iter().any(|line| line.contains(&format!("rows: table {name}: equal values")));
        let bare = cached.iter().any(|line| line.contains("rows: table bare: "));
        (served.len() == names.len() && cached.len() == 1 && bare && names.iter().all(is_said)).then_some(())
    })
    .await;
    for name in &names {
        for (method, path, body) in [("GET", "", ""), ("GET", "/1", ""), ("POST", "", "{}")] {
            let reply =
                service.ask(method, &format!("/{name}{path}"), &[("Content-Type", "application/json")], body).await;
            assert_eq!(reply.status, 503, "{method} {name}{path}: {}", reply.body);
        }
    }
    assert_eq!(service.get("/bare").await.status, 200);
    service.end().await;
}
