//! Reports arrive, whichever side was there first.

mod browser;

use browser::{Collector, PATIENCE};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use switchboard_monitor::report::{Error, Options};
use switchboard_monitor::{Millis, Settings, Token, agent, own};
use switchboard_sockets::{Event, Options as SocketOptions, Security, Sub};
use tokio::net::TcpListener;
use tokio::time::timeout;

fn options(collector: &str, instance: &str) -> Options {
    Options { collector: collector.into(), instance: Some(instance.into()), ..Options::default() }
}

/// Something that takes connections and ends them at once.
struct Nobody(TcpListener);

impl Nobody {
    /// On an address of its own: no other test's connection can take the port meanwhile.
    async fn at(host: &str) -> Nobody {
        Nobody(TcpListener::bind((host, 0)).await.expect("a free port"))
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("it listens")
    }

    async fn until_asked(self, times: usize) {
        for _ in 0..times {
            timeout(PATIENCE, self.0.accept()).await.expect("it is tried in time").expect("a connection");
        }
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
    for (way, name) in [(format!("http://{}", collector.address), "http"), (collector.endpoint.clone(), "zmq")] {
        let options = Options { service: Some("orders".into()), version: Some("1.4.2".into()), ..options(&way, name) };
        let reporting = own::report(&options).expect("it can be measured");
        let process = collector.until(name, |process| process["mem"].as_f64().is_some_and(|mem| mem > 1.0)).await;
        assert_eq!((&process["service"], &process["version"]), (&"orders".into(), &"1.4.2".into()));
        assert_eq!(process["pid"], std::process::id());
        // It blocks, and the runtime of this test has one thread, which must be free meanwhile.
        let outcome = tokio::task::spawn_blocking(|| reporting.end(3)).await.expect("no panic");
        assert_eq!(outcome.map(|outcome| outcome.lost), Some(0));
        collector.until(name, |process| process["state"] == "gone").await;
    }
}

#[tokio::test]
async fn a_process_that_runs_already_is_watched_to_its_end() {
    let data = tempfile::tempdir().expect("a directory");
    let collector = Collector::start(data.path()).await;
    let script = "kept = bytearray(50 << 20)\nwhile True: pass";
    let python = Command::new("python3").args(["-c", script]).stdin(Stdio::null()).spawn();
    let python = Killed(python.expect("python3 is missing; install it: apt-get install python3"));
    let (pid, options) = (python.0.id(), options(&collector.endpoint, "busy"));
    let watching = tokio::task::spawn_blocking(move || agent::watch(pid, &options));
    let is_busy = |process: &serde_json::Value| {
        process["cpu"].as_f64().is_some_and(|cpu| cpu > 1.0) && process["mem"].as_f64().is_some_and(|mem| mem > 50.0)
    };
    let process = collector.until("busy", is_busy).await;
    assert_eq!(process["pid"], pid);
    drop(python);
    let outcome = watching.await.expect("no panic").expect("it was there");
    assert_eq!(outcome.map(|outcome| outcome.lost), Some(0));
    collector.until("busy", |process| process["state"] == "gone").await;
}

#[tokio::test]
async fn what_was_measured_before_the_collector_came_arrives() {
    // Over HTTP a report makes the connection. Over ZeroMQ that is tried from the start, with pauses that grow: by the eighth
    // time there are reports.
    for (scheme, host, times) in [("http", "127.27.27.27", 1), ("tcp", "127.27.27.28", 8)] {
        let data = tempfile::tempdir().expect("a directory");
        let nobody = Nobody::at(host).await;
        let (address, way) = (nobody.address().to_string(), format!("{scheme}://{}", nobody.address()));
        let began = Millis::now();
        let reporting = own::report(&options(&way, "early")).expect("it can be measured");
        nobody.until_asked(times).await;
        let came = Millis::now();
        let collector = match scheme {
            "http" => Collector::start_with(&address, data.path(), |_| {}).await,
            _ => Collector::start_with("127.0.0.1:0", data.path(), |settings| settings.collect = Some(way)).await,
        };
        let process = collector.until("early", |process| process["last"].as_i64() > Some(came.0)).await;
        let path = format!("/api/history?from={}&to={}&points=100&id={}", began.0, came.0, process["id"]);
        let history = collector.get(&path).await;
        let values = history["series"][0]["mem"].as_array().into_iter().flatten();
        assert!(values.filter(|value| !value.is_null()).count() >= 1, "{scheme}: {history}");
        drop(reporting);
    }
}

#[tokio::test]
async fn a_token_is_said_over_http_and_over_zmq() {
    let data = tempfile::tempdir().expect("a directory");
    const SECRET: &str = "secret-secret-secret";
    let secret = |settings: &mut Settings| settings.web.token = Some(Token::new(SECRET).expect("a token"));
    let collector = Collector::start_with("127.0.0.1:0", data.path(), secret).await;
    for (token, lost) in [(SECRET, 0), ("wrong", 1)] {
        let way = format!("http://{}", collector.address);
        let reporting = own::report(&Options { token: Some(token.into()), ..options(&way, token) }).expect("measured");
        let outcome = tokio::task::spawn_blocking(|| reporting.end(0)).await.expect("no panic").expect("an outcome");
        assert_eq!(outcome.lost, lost, "{token}: {outcome:?}");
        assert_eq!(outcome.problem.is_some_and(|problem| problem.contains("401")), lost > 0);
    }
    let security = Security::plain_server(|_, password| password == SECRET.as_bytes());
    let mut subscriber = Sub::with(SocketOptions { security, ..SocketOptions::default() }).expect("a socket");
    subscriber.subscribe("").expect("a prefix");
    let way = subscriber.bind("tcp://127.0.0.1:0").expect("a free port").to_string();
    let reporting = own::report(&Options { token: Some(SECRET.into()), ..options(&way, "plain") }).expect("measured");
    let message = timeout(PATIENCE, subscriber.recv()).await.expect("in time").expect("a message");
    assert!(String::from_utf8_lossy(message.data()).contains("\"plain\""), "{message:?}");
    drop(reporting);
    let reporting = own::report(&Options { token: Some("wrong".into()), ..options(&way, "plain") }).expect("measured");
    // The attempt has failed once the other side says so.
    let mut events = subscriber.events();
    let failed = async { while !matches!(events.next().await, Some(Event::HandshakeFailed { .. })) {} };
    timeout(PATIENCE, failed).await.expect("it is refused");
    let outcome = tokio::task::spawn_blocking(|| reporting.end(0)).await.expect("no panic").expect("an outcome");
    let problem = outcome.problem.expect("a problem");
    assert!(problem.contains("the token of SWITCHBOARD_TOKEN is not the collector's"), "{problem}");
}

#[tokio::test]
async fn the_backlog_is_bounded_and_says_what_it_lost() {
    let nobody = Nobody::at("127.28.28.28").await;
    let short =
        Options { backlog: 1, linger: Duration::ZERO, ..options(&format!("http://{}", nobody.address()), "lost") };
    let reporting = own::report(&short).expect("it can be measured");
    nobody.until_asked(1).await;
    // The farewell takes the place of the one that waits.
    let outcome = tokio::task::spawn_blocking(|| reporting.end(0)).await.expect("no panic").expect("an outcome");
    assert_eq!(outcome.delivered, 0);
    assert!(outcome.lost >= 2, "{outcome:?}");
    assert!(outcome.problem.is_some(), "it says why");
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_runs() {
    for address in ["", "http://", "http://127.0.0.1:x", "http://:80", "ftp://a:1", "127.0.0.1:5555"] {
        let options = Options { collector: address.into(), ..Options::default() };
        assert!(matches!(own::report(&options), Err(Error::Address { .. })), "{address}");
    }
    let none = Options { backlog: 0, ..Options::default() };
    assert!(matches!(own::report(&none), Err(Error::Backlog)));
}
