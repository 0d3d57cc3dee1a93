//! Log lines about alerts. A program of its own, whose log has nobody else's lines.

mod common;

use common::{PATIENCE, Running, sample};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use switchboard_monitor::{Rules, Secret};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// An address where nobody listens. It has a loopback address of its own: no other test can have taken the port.
async fn dead() -> SocketAddr {
    let listener = TcpListener::bind("127.31.31.31:0").await.expect("a free port");
    listener.local_addr().expect("an address")
}

/// The lines of the log, of all threads.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        struct Line(String);
        impl Visit for Line {
            fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{value:?} ");
            }
        }
        let mut line = Line(format!("{}: ", event.metadata().level()));
        event.record(&mut line);
        self.0.lock().expect("no panic").push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn what_waits_when_the_monitor_stops_is_logged_and_the_address_never_is() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).expect("the only test of this program");
    let dead = dead().await;
    let mut monitor = Running::with(|settings| {
        settings.webhook = vec![Secret::from(format!("http://{dead}/secret").as_str())];
        settings.rules = Rules { silent: Duration::from_millis(1), ..Rules::default() };
    })
    .await;
    monitor.post(&sample(0, json!({ "color": "red" }))).await;
    let lines =
        |part: &str| -> usize { log.0.lock().expect("no panic").iter().filter(|line| line.contains(part)).count() };
    let failed = async {
        while lines("the webhook failed") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, failed).await.unwrap_or_else(|_| panic!("{:#?}", log.0));
    monitor.stop().await;
    assert_eq!(lines("the webhook did not get 1 alert "), 1, "{:?}", log.0);
    assert_eq!(lines("red is silent"), 2, "{:?}", log.0);
    assert_eq!(lines("secret"), 0, "{:?}", log.0);
    // Whoever looks for faults sees the client's own lines, about its connections.
    let host =
        |line: &&String| !line.starts_with("DEBUG") && !line.starts_with("TRACE") && line.contains("127.31.31.31");
    assert_eq!(log.0.lock().expect("no panic").iter().find(host), None);
}
