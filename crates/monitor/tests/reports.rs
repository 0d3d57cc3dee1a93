//! What is reported arrives, whoever was there first.

mod browser;

use browser::{Collector, PATIENCE};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use switchboard_monitor::report::{Error, Options};
use switchboard_monitor::{Millis, agent, own};
use tokio::net::TcpListener;
use tokio::time::timeout;

fn options(address: SocketAddr, instance: &str) -> Options {
    Options { collector: format!("http://{address}"), instance: Some(instance.into()), ..Options::default() }
}

/// Something that takes connections and ends them at once, until the first report has been tried.
struct Nobody(TcpListener);

impl Nobody {
    /// On an address of its own: no other test's connection can take the port meanwhile.
    async fn at(host: &str) -> Nobody {
        Nobody(TcpListener::bind((host, 0)).await.expect("a free port"))
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("it listens")
    }

    async fn is_asked(self) {
        timeout(PATIENCE, self.0.accept()).await.expect("a report is tried in time").expect("a connection");
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_process_reports_itself_and_says_goodbye() {
    let data = tempfile::tempdir().expect("a directory");
    let collector = Collector::start(data.path()).await;
    let options =
        Options { service: Some("orders".into()), version: Some("1.4.2".into()), ..options(collector.address, "own") };
    let reporting = own::report(&options).expect("it can be measured");
    let process = collector.until("own", |process| process["mem"].as_f64().is_some_and(|mem| mem > 1.0)).await;
    assert_eq!((&process["service"], &process["version"]), (&"orders".into(), &"1.4.2".into()));
    assert_eq!(process["pid"], std::process::id());
    let outcome = tokio::task::spawn_blocking(|| reporting.end(3)).await.expect("no panic");
    // The runtime of this test has one thread, and it is free meanwhile.
    assert_eq!(outcome.map(|outcome| outcome.lost), Some(0));
    collector.until("own", |process| process["state"] == "gone").await;
}

#[tokio::test]
async fn a_process_that_runs_already_is_watched_to_its_end() {
    let data = tempfile::tempdir().expect("a directory");
    let collector = Collector::start(data.path()).await;
    let script = "kept = bytearray(50 << 20)\nwhile True: pass";
    let python = Command::new("python3").args(["-c", script]).stdin(Stdio::null()).spawn();
    let python = Killed(python.expect("python3 is missing; install it: apt-get install python3"));
    let (pid, options) = (python.0.id(), options(collector.address, "busy"));
    let watching = tokio::task::spawn_blocking(move || agent::watch(pid, &options));
    let is_busy = |process: &serde_json::Value| {
        process["cpu"].as_f64().is_some_and(|cpu| cpu > 1.0) && process["mem"].as_f64().is_some_and(|mem| mem > 50.0)
    };
    let process = collector.until("busy", is_busy).await;
    assert_eq!((&process["service"], &process["pid"]), (&"python3".into(), &pid.into()));
    drop(python);
    let outcome = watching.await.expect("no panic").expect("it was there");
    assert_eq!(outcome.map(|outcome| outcome.lost), Some(0));
    collector.until("busy", |process| process["state"] == "gone").await;
}

#[tokio::test]
async fn what_was_measured_before_the_collector_came_arrives() {
    let data = tempfile::tempdir().expect("a directory");
    let nobody = Nobody::at("127.27.27.27").await;
    let address = nobody.address();
    let began = Millis::now();
    let reporting = own::report(&options(address, "early")).expect("it can be measured");
    nobody.is_asked().await;
    let started = Millis::now();
    let collector = Collector::start_with(&address.to_string(), data.path(), |_| {}).await;
    let process = collector.until("early", |process| process["last"].as_i64() > Some(started.0)).await;
    let path = format!("/api/history?from={}&to={}&points=100&id={}", began.0, started.0, process["id"]);
    let history = collector.get(&path).await;
    let kept = history["series"][0]["mem"].as_array().into_iter().flatten().filter(|value| !value.is_null()).count();
    assert!(kept >= 1, "{history}");
    drop(reporting);
}

#[tokio::test]
async fn the_backlog_is_bounded_and_says_what_it_lost() {
    let nobody = Nobody::at("127.28.28.28").await;
    let short = Options { backlog: 1, linger: Duration::ZERO, ..options(nobody.address(), "lost") };
    let reporting = own::report(&short).expect("it can be measured");
    nobody.is_asked().await;
    // The farewell takes the place of the one that waits.
    let outcome = tokio::task::spawn_blocking(|| reporting.end(0)).await.expect("no panic").expect("an outcome");
    assert_eq!(outcome.delivered, 0);
    assert!(outcome.lost >= 2, "{outcome:?}");
    assert!(outcome.problem.is_some(), "it says why");
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_runs() {
    for address in
        ["", "http://", "http://127.0.0.1", "http://127.0.0.1:x", "http://:80", "https://a:1", "127.0.0.1:5555"]
    {
        let options = Options { collector: address.into(), ..Options::default() };
        assert!(matches!(own::report(&options), Err(Error::Address { .. })), "{address}");
    }
    let none = Options { backlog: 0, ..Options::default() };
    assert!(matches!(own::report(&none), Err(Error::Backlog)));
}
