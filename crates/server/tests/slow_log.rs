//! Lines of the log about a slow subscriber. A binary of its own: the log is one of a process.

mod common;

use common::log::Log;
use common::{Client, PATIENCE, Running};
use std::time::Duration;
use switchboard_broker::Limits;
use switchboard_server::Settings;
use tokio::time::timeout;

/// Publishes until the totals have more messages that slow subscribers missed, and returns how many.
async fn publish_until_missed(server: &Running, publisher: &mut Client, before: u64) -> u64 {
    let missed = async {
        loop {
            for _ in 0..16 {
                publisher.publish("/topic/bulk", &[0; 16 << 10]).await;
            }
            publisher.settle().await;
            let missed = missed(server).await;
            if missed > before {
                return missed;
            }
        }
    };
    timeout(PATIENCE, missed).await.expect("a full outbox")
}

async fn missed(server: &Running) -> u64 {
    let answer = server.http("GET /status HTTP/1.1\r\nHost: localhost").await;
    let body = answer.split_once("\r\n\r\n").expect("a body").1;
    let status: serde_json::Value = serde_json::from_str(body).expect("JSON");
    status["totals"]["dropped_slow"].as_u64().expect("a number")
}

#[tokio::test]
async fn a_slow_subscriber_is_logged_when_it_begins_and_when_it_keeps_up_or_is_gone_with_all_that_it_missed() {
    let log = Log::of_this_process();
    let short = Duration::from_millis(1);
    let limits = Limits { outbox: 64 << 10, slow_consumer: short, grace_period: short, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let mut publisher = server.client("/null").await;
    let mut subscriber = server.client("/topic/bulk").await;
    let who = format!("subscriber {} of /topic/bulk", subscriber.0.local_addr().expect("an address"));

    // It is judged anew every millisecond, and logged once.
    let mut count = 0;
    for _ in 0..5 {
        count = publish_until_missed(&server, &mut publisher, count).await;
    }
    let begins = format!("slow {who} may miss messages from now on: ");
    log.until("WARN", &begins).await;
    assert_eq!(log.count_at("WARN", &begins), 1);
    subscriber.until_echo().await;
    log.until("INFO", &format!("{who} keeps up again; it has missed {count} messages")).await;

    count = publish_until_missed(&server, &mut publisher, count).await;
    drop(subscriber);
    log.until("WARN", &format!("slow {who} is gone; it has missed {count} messages")).await;
    assert_eq!((log.count_at("WARN", &begins), log.count_at("WARN", "slow")), (2, 3));
}
