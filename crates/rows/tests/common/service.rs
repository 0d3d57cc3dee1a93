//! The service in this process, and a client of HTTP/1.1 that does nothing by itself.

use super::PATIENCE;
use serde_json::Value;
use std::net::SocketAddr;
use switchboard_rows::http::{RowsService, RowsSettings};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Service {
    /// A service of this database, on a free port.
    pub(crate) async fn start(database: &str, change: impl FnOnce(&mut RowsSettings)) -> Service {
        let mut settings = RowsSettings::new("/nonexistent");
        settings.listen = vec!["127.0.0.1:0".to_owned()];
        settings.database = Some(database.to_owned());
        change(&mut settings);
        let service = RowsService::bind(settings).await.expect("it starts");
        let address = service.http_addresses()[0];
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(service.run(async { drop(stopped.await) }));
        Service { address, stop: Some(stop), running }
    }

    /// Waits until rows are cached.
    pub(crate) async fn live(self) -> Service {
        super::until("the service is ready", async || {
            let ready = self.get("/readyz").await;
            (ready.status == 200).then_some(())
        })
        .await;
        self
    }

    pub(crate) async fn end(mut self) {
        self.stop.take();
        timeout(PATIENCE, &mut self.running).await.expect("it ends in time").expect("no panic");
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Reply {
        self.ask("POST", path, &[("Content-Type", "application/json")], body).await
    }

    /// Asks over a connection of its own.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        text += "\r\n";
        text += body;
        let mut stream = TcpStream::connect(self.address).await.expect("it accepts");
        stream.write_all(text.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an answer in time").expect("read");
        Reply::read(&String::from_utf8(answer).expect("UTF-8"))
    }

    /// Listens for changes.
    pub(crate) async fn events(&self, path: &str, last: Option<&str>) -> Events {
        let mut stream = TcpStream::connect(self.address).await.expect("it accepts");
        let last = last.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{last}\r\n");
        stream.write_all(text.as_bytes()).await.expect("written");
        let mut events = Events { lines: BufReader::new(stream) };
        let head = events.line().await;
        assert!(head.contains("200 OK"), "{head}");
        while !events.line().await.is_empty() {}
        events
    }
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    fn read(text: &str) -> Reply {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
        let pair =
            |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        Reply { status, headers: lines.filter_map(pair).collect(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The code of an error, which has all of its fields.
    pub(crate) fn code(&self) -> String {
        let error = self.json();
        for field in ["code", "details", "hint", "message"] {
            assert!(error.get(field).is_some(), "{error}");
        }
        error["code"].as_str().expect("a code").to_owned()
    }
}

pub(crate) struct Events {
    lines: BufReader<TcpStream>,
}

impl Events {
    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(PATIENCE, self.lines.read_line(&mut line)).await.expect("a line in time").expect("read");
        line.trim_end().to_owned()
    }

    /// Kind, number and data of the next event.
    pub(crate) async fn next(&mut self) -> (String, String, Value) {
        let (mut kind, mut id) = ("message".to_owned(), String::new());
        loop {
            let line = self.line().await;
            if let Some(text) = line.strip_prefix("event: ") {
                kind = text.to_owned();
            } else if let Some(text) = line.strip_prefix("id: ") {
                id = text.to_owned();
            } else if let Some(text) = line.strip_prefix("data: ") {
                return (kind, id, serde_json::from_str(text).expect("JSON"));
            }
        }
    }
}
