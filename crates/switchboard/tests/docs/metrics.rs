//! Metrics: what is exposed is documented, and the reverse.

use super::common::{BROKER_AND_MONITOR, Program, poll, switchboard};
use super::files::{documents, read};
use super::text::spans;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

const PAGE: &str = "docs/metrics.md";

/// The names of metrics and their types.
type Metrics = BTreeMap<String, String>;

/// Returns the metrics that the page documents under a heading.
fn documented(heading: &str) -> Metrics {
    let page = read(PAGE);
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).expect("a heading");
    let section = section.split("\n## ").next().expect("a section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (name, rest) = row.split_once("` | ").expect("a name");
        (name.to_owned(), rest.split(" | ").next().expect("a type").to_owned())
    })
    .collect()
}

/// Returns the metrics that a server exposes. Each has a sentence that explains it.
fn exposed(address: &str) -> Metrics {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let mut metrics = Metrics::new();
    for line in answer.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            assert!(
                help.ends_with('.') && help.starts_with(|char: char| char.is_uppercase() || char.is_ascii_digit()),
                "{line}"
            );
            metrics.insert(name.to_owned(), String::new());
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let known = metrics.insert(name.to_owned(), kind.to_owned());
            assert_eq!(known.as_deref(), Some(""), "{name} has no help");
        }
    }
    metrics
}

#[test]
fn every_metric_of_a_running_program_is_documented_and_the_reverse() {
    let directory = tempfile::tempdir().expect("a directory");
    let ready = directory.path().join("ready.json");
    let mut up = switchboard(&["up", "--log", "off", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    up.args(BROKER_AND_MONITOR).args(["--set", "monitor.listen=127.0.0.1:0", "--set", "monitor.collect="]);
    // The last one counts: rows listen, and have no database.
    up.args(["--set", "rows.listen=127.0.0.1:0", "--set", "rows.database=postgres://nobody@127.0.0.1:1/none"]);
    up.arg("--data").arg(directory.path().join("data")).arg("--ready-file").arg(&ready).stderr(Stdio::null());
    let mut up = Program::start(&mut up).expect("it starts");
    let ready: Value = poll("it is ready", || serde_json::from_str(&std::fs::read_to_string(&ready).ok()?).ok());
    let of = |key: &str| exposed(ready[key][0].as_str().unwrap_or_else(|| panic!("{key}: {ready}")));

    assert_eq!(of("http"), documented("Broker"));
    assert_eq!(of("monitor"), documented("Monitor"));
    // Metrics of the cache are missing without a database.
    let (rows, known) = (of("rows"), documented("Rows"));
    assert!(!rows.is_empty() && rows.iter().all(|(name, kind)| known.get(name) == Some(kind)), "{rows:?} {known:?}");
    up.signal("-TERM");
    assert!(up.end().success());
}

/// Rows expose most of theirs only with a database, so the source says which there are.
#[test]
fn every_metric_of_rows_is_documented_and_the_reverse() {
    let source = read("crates/rows/src/http/metrics.rs");
    let source = source.split("mod tests").next().expect("a part");
    let mut names: Vec<&str> = source.split('"').filter(|text| is_metric(text)).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, documented("Rows").keys().map(String::as_str).collect::<Vec<_>>());
}

/// Returns true for the name of a metric alone.
fn is_metric(text: &str) -> bool {
    let begins = ["switchboard_", "rows_"].iter().any(|begin| text.starts_with(begin));
    begins && text.chars().all(|char| char.is_ascii_lowercase() || char == '_')
}

#[test]
fn metrics_that_other_documents_name_are_documented() {
    let known: Vec<Metrics> = ["Broker", "Monitor", "Rows"].into_iter().map(documented).collect();
    let mut found = 0;
    for (file, text) in documents() {
        // Names of Rust look alike: `rows_inconsistent`, `switchboard_server`.
        let prometheus = ["_total", "_bytes", "_seconds", "_limit", "_up", "_connections"];
        for name in spans(&text).into_iter().filter(|name| is_metric(name)) {
            if prometheus.iter().any(|end| name.ends_with(end)) {
                assert!(known.iter().any(|known| known.contains_key(name)), "{file}: there is no metric {name}");
                found += 1;
            }
        }
    }
    assert!(found > 50, "{found}");
}
