//! A monitor on free ports, and what talks to it.

#![allow(dead_code, reason = "not every test uses everything")]

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use switchboard_monitor::{Millis, Monitor, Settings, Unwritten};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Bound of every wait; only a failing test reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) collect: Option<String>,
    pub(crate) token: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<Result<(), Unwritten>>>,
    directory: Option<TempDir>,
}

/// Free ports, and a history in this directory.
pub(crate) fn settings(directory: &Path) -> Settings {
    Settings {
        listen: vec!["127.0.0.1:0".into()],
        collect: Some("tcp://127.0.0.1:0".into()),
        ..Settings::new(directory.to_owned())
    }
}

impl Running {
    pub(crate) async fn start() -> Running {
        Running::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Running {
        let directory = tempfile::tempdir().expect("a directory");
        let mut settings = settings(directory.path());
        change(&mut settings);
        let mut running = Running::on(settings).await;
        running.directory = Some(directory);
        running
    }

    pub(crate) async fn on(settings: Settings) -> Running {
        let monitor = Monitor::bind(settings).await.expect("free ports");
        let (stop, stopped) = oneshot::channel();
        Running {
            address: monitor.http_addresses()[0],
            collect: monitor.collect_endpoint(),
            token: monitor.token().map(|token| token.as_str().to_owned()),
            task: Some(tokio::spawn(monitor.run(async { drop(stopped.await) }))),
            stop: Some(stop),
            directory: None,
        }
    }

    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        let task = self.task.take().expect("it runs");
        timeout(PATIENCE, task).await.expect("it stops in time").expect("no panic").expect("all is written");
    }

    /// The whole answer: HTTP/1.0 has no chunks.
    pub(crate) async fn raw(&self, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer in time").expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Status and body.
    pub(crate) async fn ask(&self, method: &str, target: &str, body: &str) -> (u16, String) {
        let token = self.token.as_ref().map_or_else(String::new, |token| format!("\r\nAuthorization: Bearer {token}"));
        let answer = self.raw(&format!("{method} {target} HTTP/1.0\r\nHost: localhost{token}"), body).await;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
    }

    pub(crate) async fn get(&self, target: &str) -> Value {
        let (status, body) = self.ask("GET", target, "").await;
        assert_eq!(status, 200, "{target}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    pub(crate) async fn post(&self, body: &str) -> (u16, Value) {
        let (status, body) = self.ask("POST", "/api/samples", body).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// Asks until it is so.
    pub(crate) async fn until(&self, target: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let value = self.get(target).await;
                if is_so(&value) {
                    return value;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{target} in time"))
    }

    pub(crate) async fn feed(&self, more: &str) -> Events {
        self.feed_of("", more).await
    }

    /// The feed by an address with this query.
    pub(crate) async fn feed_of(&self, query: &str, more: &str) -> Events {
        let stream = TcpStream::connect(self.address).await.expect("a connection");
        let mut events = Events(BufReader::new(stream));
        let request = format!("GET /feed{query} HTTP/1.0\r\nHost: localhost{more}\r\n\r\n");
        events.0.write_all(request.as_bytes()).await.expect("written");
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(events.line(&mut head).await, 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        for header in ["text/event-stream", "cache-control: no-cache, no-transform", "x-accel-buffering: no"] {
            assert!(head.to_lowercase().contains(header), "{head}");
        }
        events
    }
}

/// The feed, as a page receives it.
pub(crate) struct Events(pub(crate) BufReader<TcpStream>);

/// One event.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl Events {
    async fn line(&mut self, line: &mut String) -> usize {
        timeout(PATIENCE, self.0.read_line(line)).await.expect("a line in time").expect("a line")
    }

    /// The next event that has data; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Heard> {
        let mut heard = Heard { id: String::new(), kind: "message".into(), data: Value::Null };
        loop {
            let mut line = String::new();
            if self.line(&mut line).await == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => heard.id = id.to_owned(),
                Some(("event", kind)) => heard.kind = kind.to_owned(),
                Some(("data", data)) => heard.data = serde_json::from_str(data).expect("JSON"),
                None if line == "\n" && heard.data != Value::Null => return Some(heard),
                _ => {}
            }
        }
    }
}

/// A sample of so many seconds ago.
pub(crate) fn sample(ago: i64, fields: Value) -> String {
    let time = Millis(Millis::now().0 - ago * 1000);
    let mut sample = json!({ "color": "red", "timestamp": time.to_string(), "cpu": 1.5, "mem": 20.25 });
    sample.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    sample.to_string()
}
