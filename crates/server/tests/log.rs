//! Lines of the log about STOMP clients. A binary of its own: the log is one of a process.

mod common;

use common::Running;
use common::stomp::StompClient;
use std::io::Write;
use std::sync::{Arc, Mutex};
use switchboard_wire::stomp::Version;

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
    /// Number of lines at the level info that have these words.
    fn count(&self, words: &str) -> usize {
        let bytes = self.0.lock().expect("no panic");
        let text = String::from_utf8_lossy(&bytes);
        text.lines().filter(|line| line.contains(" INFO ") && line.contains(words)).count()
    }
}

const PERSISTENT: &str = "persistent messages are kept in memory like all others";
const LOGIN: &str = "login and passcode are accepted and not checked";

#[tokio::test]
async fn promises_that_are_not_kept_are_logged_once_a_connection() {
    let log = Log::default();
    let kept = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_ansi(false);
    let subscriber = subscriber.with_writer(move || kept.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).expect("the first one");
    let server = Running::start().await;

    let mut plain = StompClient::connect(&server, Version::V1_2).await;
    plain.send("SEND\ndestination:/queue/a\npersistent:false\n\nx\0").await;
    plain.settle().await;
    assert_eq!((log.count(LOGIN), log.count(PERSISTENT)), (0, 0));

    for (connections, named) in (1..).zip(["login:me", "passcode:secret", "login:me\npasscode:secret"]) {
        let mut client = StompClient::silent(server.native).await;
        client.send(&format!("CONNECT\naccept-version:1.2\nhost:x\n{named}\n\n\0")).await;
        assert_eq!(client.receive().await.command, "CONNECTED");
        assert_eq!(log.count(LOGIN), connections, "{named}");
        for _ in 0..3 {
            client.send("SEND\ndestination:/queue/a\npersistent:true\n\nx\0").await;
            client.settle().await;
            assert_eq!(log.count(PERSISTENT), connections, "{named}");
        }
    }
    assert_eq!(log.count("secret"), 0);
}
