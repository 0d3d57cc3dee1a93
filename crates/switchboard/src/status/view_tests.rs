//! Tests of the status view and its width.

use super::*;
use crate::status::Sort;
use serde_json::{Value, json};

fn report(channels: usize, connections: usize) -> Report {
    let channel = |i: usize| {
        json!({ "name": format!("/topic/prices/of/everything/that/is/sold/anywhere/{i}"), "kind": "topic",
                "depth": i, "subscribers": 1_000_000 + i, "published_per_s": 1234.5 * i as f64,
                "delivered_per_s": 12_345_678.0, "dropped": 18_446_744_073_709_551_615u64 })
    };
    let connection = |i: usize| {
        json!({ "id": 1_000_000 + i, "address": "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535",
                "subscriptions": ["/topic/prices/>", "/queue/jobs"], "outbox": 8 << 20, "dropped": 12_345_678,
                "waits_for": "its peer to read 8 MiB", "paused": null, "slow": true, "stalled": false })
    };
    let report = json!({
        "totals": { "channels": channels, "connections": connections, "paused": 12_345, "memory": 5e8,
                    "memory_budget": 536_870_912, "published": 1.8e19, "delivered": 1.8e19, "dropped_slow": 5 },
        "services": [{ "name": "broker", "running": true },
                     { "name": "monitor", "running": false, "reason": "127.0.0.1:8088 is taken\u{1b}[2J" }],
        "channels": (0..channels.min(100)).map(channel).collect::<Vec<Value>>(),
        "connections": (0..connections.min(100)).map(connection).collect::<Vec<Value>>(),
    });
    serde_json::from_value(report).expect("a report")
}

fn size(columns: usize, rows: usize) -> Option<Size> {
    Some(Size { columns, rows: Some(rows) })
}

#[test]
fn it_fits_a_terminal_whatever_there_is() {
    for (channels, connections) in [(0, 0), (1, 1), (2, 100), (100, 2), (100_000, 10_000)] {
        for (columns, rows) in [(80, 24), (100, 30), (200, 50)] {
            let text = render(&report(channels, connections), None, size(columns, rows));
            assert!(text.lines().count() < rows, "{columns}x{rows}:\n{text}");
            let longest = text.lines().map(table::width).max();
            assert!(longest <= Some(columns), "{columns}x{rows}:\n{text}");
            for part in ["NAME", "KIND", "DEPTH", "IN/s", "OUT/s", "SUBS", "DROPPED"] {
                assert!(text.contains(part), "{part}:\n{text}");
            }
            assert!(channels == 0 || text.contains("/topic/pri"), "{columns}x{rows}:\n{text}");
        }
    }
    let text = render(&report(100_000, 2), None, size(80, 24));
    assert!(text.contains(" more channels: --all\n") && text.contains("1000001"), "{text}");
}

#[test]
fn topics_without_subscribers_are_named_and_cut_for_a_terminal_only() {
    let mut report = report(1, 1);
    assert!(!render(&report, None, None).contains("had no subscriber"));
    let name = "/topic/".to_owned() + &"n".repeat(100);
    report.unheard =
        serde_json::from_value(json!([{ "name": name, "dropped": 7 }, { "name": "/b", "dropped": 1 }])).unwrap();
    assert!(render(&report, None, None).contains(&format!("had no subscriber: {name} (7), /b (1)\n")));
    let text = render(&report, None, size(80, 24));
    assert!(
        text.lines().any(|line| line.starts_with("had no subscriber: /topic/nnn") && line.chars().count() <= 80),
        "{text}"
    );
}

#[test]
fn connections_that_are_gone_are_counted_apart() {
    let mut report = report(1, 1);
    report.totals.paused = 0;
    assert!(!render(&report, None, None).contains("gone"));
    report.totals.gone = 2;
    let text = render(&report, None, None);
    assert!(text.lines().next().is_some_and(|line| line.ends_with(", gone 2")), "{text}");
}

#[test]
fn a_narrow_terminal_is_no_error() {
    for (columns, rows) in [(0, 0), (1, 1), (10, 3), (30, 10)] {
        render(&report(5, 5), Some(Sort::Depth), size(columns, rows));
    }
}

#[test]
fn nothing_is_cut_for_a_file() {
    let text = render(&report(100, 100), None, None);
    assert!(text.contains("/topic/prices/of/everything/that/is/sold/anywhere/99"), "{text}");
    assert!(text.contains("slow: 8 MiB wait until its peer reads"), "{text}");
}

#[test]
fn services_that_do_not_run_and_own_connections_are_marked() {
    let mut report = report(1, 2);
    report.connections[0].service = Some("monitor".to_owned());
    report.connections[0].subscriptions.clear();
    let text = render(&report, None, size(80, 24));
    assert!(text.contains("The monitor does not run: 127.0.0.1:8088 is taken\\u{1b}[2J"), "{text}");
    assert_eq!(text.matches("monitor (own)").count(), 1, "{text}");
    assert!(!text.contains("The broker does not run"), "{text}");
}

#[test]
fn a_service_that_runs_and_lacks_something_says_what_and_why() {
    let mut report = report(1, 1);
    let rows = json!({ "name": "rows", "running": true, "lacks": "database", "reason": "refused" });
    report.services = vec![serde_json::from_value(rows).expect("a service")];
    let text = render(&report, None, size(80, 24));
    assert_eq!(text.lines().nth(1), Some("The service rows runs without database: refused"), "{text}");
}

#[test]
fn an_address_that_a_service_cannot_listen_on_is_shown_with_the_reason() {
    let mut report = report(1, 1);
    let missing = json!([{ "address": "127.0.0.1:1", "protocol": "stomp", "reason": "taken" }]);
    let broker = json!({ "name": "broker", "running": true, "missing": missing });
    report.services = vec![serde_json::from_value(broker).expect("a service")];
    let text = render(&report, None, size(120, 24));
    let line = "The service broker does not listen on 127.0.0.1:1 (stomp), and tries again: taken";
    assert_eq!(text.lines().nth(1), Some(line), "{text}");
}

#[test]
fn the_totals_are_one_line_of_human_units() {
    let text = render(&report(0, 0), None, size(80, 24));
    let first = text.lines().next().expect("a line");
    assert_eq!(first, "buffered 477MiB of 512MiB, published 18E, delivered 18E, dropped 5, paused 12345");
}

#[test]
fn what_queues_destroy_is_in_the_totals() {
    let mut report = report(0, 0);
    (report.totals.dropped_overflow, report.totals.dropped_dead) = (20.0, 100.0);
    report.totals.dropped_ended = 200.0;
    let text = render(&report, None, size(80, 24));
    assert!(text.starts_with("buffered 477MiB of 512MiB, published 18E, delivered 18E, dropped 325, "), "{text}");
    assert_eq!(text.lines().nth(1), Some("The monitor does not run: 127.0.0.1:8088 is taken\\u{1b}[2J"));
    (report.totals.expired, report.totals.rejected) = (7.0, 8.0);
    let text = render(&report, None, size(80, 24));
    assert_eq!(text.lines().nth(1), Some("expired 7, rejected 8"));
}

#[test]
fn rows_are_sorted_as_asked_the_greatest_first_and_names_from_a_on() {
    let names = |sort| {
        let mut report = report(3, 0);
        for (channel, name) in report.channels.iter_mut().zip(["/b", "/c", "/a"]) {
            channel.name = name.to_owned();
        }
        report.channels[1].depth = 0.0;
        let text = render(&report, sort, None);
        let rows = text.lines().skip_while(|line| !line.starts_with("NAME")).skip(1).take(3);
        rows.map(|line| line.split_whitespace().next().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(None), ["/b", "/c", "/a"]);
    assert_eq!(names(Some(Sort::Name)), ["/a", "/b", "/c"]);
    assert_eq!(names(Some(Sort::Depth)), ["/a", "/b", "/c"]);
    assert_eq!(names(Some(Sort::In)), ["/a", "/c", "/b"]);
}

#[test]
fn the_name_of_those_that_only_send_is_no_channel_until_somebody_publishes_there() {
    let mut report = report(2, 1);
    report.channels[0].name = "/null".to_owned();
    report.connections[0].subscriptions = vec!["/null".to_owned()];
    let text = render(&report, None, None);
    assert!(!text.contains("/null") && !text.contains("more channel"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("-  ")), "{text}");
    report.channels[0].published = 1.0;
    assert!(render(&report, None, None).contains("/null"));
}

#[test]
fn a_state_is_a_short_word_and_the_reason_of_a_pause_stands_whole_below_the_row() {
    let mut report = report(1, 3);
    let reason = "queue /queue/q1 is at its bound of 100 bytes (limit: queue); it goes on once there is room";
    report.connections[0].paused = Some(reason.to_owned());
    (report.connections[1].slow, report.connections[1].outbox) = (false, 0.0);
    (report.connections[2].address, report.connections[2].subscriptions) = (None, Vec::new());
    for size in [None, size(80, 24), size(60, 24)] {
        let text = render(&report, None, size);
        let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("SUBSCRIBED")).collect();
        assert!(lines[0].ends_with("  STATE") && lines[1].ends_with("  paused"), "{text}");
        let below = lines[2..].iter().take_while(|line| line.starts_with("  "));
        let below: Vec<&str> = below.map(|line| line.trim()).collect();
        assert_eq!(below.join(" "), format!("paused: {reason}"), "{text}");
        assert!(lines[2 + below.len()].ends_with("  idle"), "{text}");
    }
}

#[test]
fn a_connection_has_the_word_for_what_it_does() {
    let word = |value: Value| state(&serde_json::from_value(value).expect("a connection")).0;
    assert_eq!(word(json!({ "waits_for": "messages" })), "waits");
    assert_eq!(word(json!({ "waits_for": "messages", "published": 1 })), "waits");
    assert_eq!(word(json!({ "waits_for": "idle", "published": 1 })), "publishes");
    assert_eq!(word(json!({ "waits_for": "idle", "published": 0 })), "idle");
    assert_eq!(word(json!({ "unacked": 1 })), "works");
    assert_eq!(word(json!({ "outbox": 1, "unacked": 1 })), "reads");
    assert_eq!(word(json!({ "outbox": 1, "slow": true })), "slow");
    assert_eq!(word(json!({ "outbox": 1, "slow": true, "stalled": true })), "stalled");
    assert_eq!(word(json!({ "paused": "a", "slow": true })), "paused");
    assert_eq!(word(json!({ "gone": true, "paused": "a" })), "gone");
}

#[test]
fn a_line_about_a_connection_says_its_word_once_and_sizes_with_their_unit() {
    let line = |value: Value| state(&serde_json::from_value(value).expect("a connection")).1;
    let gone = "gone: 150 of its messages wait for room: queue /queue/tiny is at its bound of 50 messages (limit: queue-messages)";
    assert_eq!(line(json!({ "gone": true, "waits_for": gone })).as_deref(), Some(gone));
    let slow = "slow: 8 MiB wait until its peer reads";
    assert_eq!(line(json!({ "slow": true, "outbox": 8_384_736 })).as_deref(), Some(slow));
    assert_eq!(line(json!({ "slow": true, "waits_for": "messages" })).as_deref(), Some("slow"));
    let stalled = "stalled: 1.5 KiB wait until its peer reads";
    assert_eq!(line(json!({ "stalled": true, "outbox": 1536 })).as_deref(), Some(stalled));
    assert_eq!(line(json!({ "waits_for": "messages" })), None);
}

#[test]
fn topics_that_had_no_subscriber_are_named_with_their_counts() {
    let mut report = report(0, 0);
    let topics = json!([{ "name": "/topic/news", "dropped": 150 }, { "name": "/topic/a", "dropped": 2 }]);
    report.unheard = serde_json::from_value(topics).expect("topics");
    let text = render(&report, None, None);
    assert!(text.contains("\nhad no subscriber: /topic/news (150), /topic/a (2)\n"), "{text}");
}
