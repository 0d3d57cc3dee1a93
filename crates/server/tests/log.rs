//! Lines of the log about STOMP clients. A binary of its own: the log is one of a process.

mod common;

use common::Running;
use common::log::Log;
use common::stomp::StompClient;
use switchboard_broker::Limits;
use switchboard_server::Settings;
use switchboard_wire::stomp::Version;

const PERSISTENT: &str = "persistent messages are kept in memory like all others";
const LOGIN: &str = "login and passcode are accepted and not checked";

#[tokio::test]
async fn promises_that_are_not_kept_are_logged_once_a_connection_and_a_memory_for_few_messages_at_the_start() {
    let log = Log::of_this_process();
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

    // One log of a process, one test: memory of which connections take more than half says so at the start.
    for (connections, told) in [(100, 0), (101, 1), (150, 2)] {
        let limits = Limits { memory: 200 * Limits::CONNECTION, connections, message: 1000, ..Limits::default() };
        drop(Running::start_with(Settings { limits, ..Settings::default() }).await);
        assert_eq!(log.count_at("WARN", "(limits: memory, connections)"), told, "{connections}");
    }
    let says = "200KiB of memory = 800KiB are for messages: the rest is set aside for 150 connections";
    assert_eq!(log.count_at("WARN", says), 1);
}
