//! `switchboard queues`, against the program itself.

mod common;

use common::{Broker, Client, switchboard};
use serde_json::Value;
use std::net::TcpListener;
use std::process::Stdio;

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let output = switchboard(args).stdin(Stdio::null()).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn publish(broker: &Broker, queue: &str, bodies: &[&[u8]]) {
    let mut publisher = Client::publisher(broker);
    bodies.iter().for_each(|body| publisher.publish(queue, body));
    publisher.settle();
}

fn cells(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn a_listing_says_what_waits_where() {
    let broker = Broker::start(&[]);
    assert_eq!(run(&["queues", "-s", &broker.http]).1, "There is no queue.\n");
    publish(&broker, "/queue/jobs", &[b"1", b"2"]);
    publish(&broker, "/topic/news", &[b"1"]);
    let (code, text, _) = run(&["queues", "-s", &broker.http]);
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        cells(lines[0]),
        ["NAME", "DEPTH", "FLIGHT", "CONS", "OLDEST", "IN/s", "OUT/s", "RETURN", "DEAD", "STATE"]
    );
    assert_eq!((lines.len(), &cells(lines[1])[..4]), (2, &["/queue/jobs", "2", "0", "0"][..]), "{text}");
    let (_, json, _) = run(&["queues", "--json", "-s", &broker.http]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["queues"][0]["name"], &json["queues"][0]["depth"]), (&"/queue/jobs".into(), &2.into()));
}

#[test]
fn every_queue_is_listed_page_by_page_in_the_order_that_is_asked_for() {
    let broker = Broker::start(&[]);
    let mut publisher = Client::publisher(&broker);
    let name = |i: usize| format!("/queue/{i:04}");
    for i in 0..1500 {
        publisher.publish(&name(i), b"x");
    }
    publisher.settle();
    let (_, text, _) = run(&["queues", "--sort", "name", "-s", &broker.http]);
    let names: Vec<&str> = text.lines().skip(1).map(|line| cells(line)[0]).collect();
    assert_eq!(names, (0..1500).map(name).collect::<Vec<_>>());
}

#[test]
fn messages_are_shown_moved_paused_and_purged_and_each_says_what_it_did() {
    let broker = Broker::start(&[]);
    publish(&broker, "/queue/a", &[b"first\x1b[2J", b"\xff", b"third"]);
    let at = ["-s", &broker.http];
    let queues = |args: &[&str]| run(&[&["queues"], args, &at[..]].concat());
    let (_, text, _) = queues(&["peek", "/queue/a", "-n", "2"]);
    assert!(text.contains("  > first\\u{1b}[2J\n") && text.contains("  > \\xff\n"), "{text}");
    assert!(text.ends_with("More wait behind these: -n shows more.\n"), "{text}");
    let moved = queues(&["move", "/queue/a", "/queue/b", "-n", "2", "--yes"]);
    assert_eq!((moved.0, &moved.1[..]), (Some(0), "Moved 2 messages of /queue/a to /queue/b.\n"));
    let (_, json, _) = queues(&["peek", "/queue/b", "--json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["messages"].as_array().map(Vec::len), Some(2));
    let paused = queues(&["pause", "/queue/b", "--yes"]);
    assert_eq!(paused.1, "Paused /queue/b: `switchboard queues resume` lets it go on.\n");
    assert!(queues(&[]).1.contains("paused"));
    assert_eq!(queues(&["resume", "/queue/b"]).1, "Resumed /queue/b.\n");
    broker.log.find(&["WARN", "paused queue /queue/b"]);
    broker.log.find(&["INFO", "resumed queue /queue/b"]);
    assert_eq!(queues(&["purge", "/queue/a", "--yes", "--json"]).1, "{\"purged\":1}\n");
    assert_eq!(queues(&["purge", "/queue/b", "-y"]).1, "Purged 2 messages of /queue/b.\n");
}

#[test]
fn a_move_that_a_full_queue_stops_says_how_many_were_moved_and_why_the_others_stay() {
    let broker = Broker::start(&["--set", "queue-messages=2"]);
    publish(&broker, "/queue/a", &[b"1", b"2"]);
    publish(&broker, "/queue/b", &[b"x"]);
    let order = ["queues", "move", "/queue/a", "/queue/b", "--yes", "-s", &broker.http];
    let (code, text, error) = run(&order);
    let says = "Moved 1 message of /queue/a to /queue/b. 1 message could not be moved: /queue/b: the queue is at its bound of \
                2 messages (limits: queue-messages, overflow)\n";
    assert_eq!((code, &text[..]), (Some(1), ""));
    assert!(error.ends_with(says) && error.lines().count() == 1, "{error}");
    let (code, text, _) = run(&[&order[..], &["--json"]].concat());
    let json: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &json["moved"], &json["stayed"]), (Some(1), &0.into(), &1.into()));
}

#[test]
fn without_a_terminal_to_ask_on_nothing_is_done_unless_told_so() {
    let broker = Broker::start(&[]);
    publish(&broker, "/queue/a", &[b"x"]);
    for args in [&["purge", "/queue/a"][..], &["move", "/queue/a", "/queue/b"], &["pause", "/queue/a"]] {
        let (code, _, error) = run(&[&["queues"], args, &["-s", &broker.http]].concat());
        assert!(code == Some(2) && error.contains("no terminal to ask on: --yes"), "{args:?}: {error}");
    }
    assert!(
        run(&["queues", "-s", &broker.http])
            .1
            .lines()
            .any(|line| line.starts_with("/queue/a ") && cells(line)[1] == "1")
    );
}

#[test]
fn an_error_names_the_remedy() {
    let broker = Broker::start(&[]);
    publish(&broker, "/queue/jobs", &[b"x"]);
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    for (args, says) in [
        (&["peek", "/queue/jbos"][..], "there is no queue /queue/jbos; the nearest is /queue/jobs"),
        (
            &["resume", "/queue/something/else"],
            "there is no queue /queue/something/else; `switchboard queues` lists them",
        ),
        (&["purge", "/topic/a", "--yes"], "is a topic"),
        (&["purge", "queue/jobs", "--yes"], "begin with a slash"),
        (&["move", "/queue/jobs", "--yes"], "where to? /queue/jobs holds no dead letters"),
        (&["move", "/queue/jobs", "/topic/a", "--yes"], "/topic/a: messages can be moved to a queue only"),
    ] {
        let (code, _, error) = run(&[&["queues"], args, &["-s", &broker.http]].concat());
        assert!(code == Some(1) && error.contains(says) && error.lines().count() == 1, "{args:?}: {error}");
    }
    let (code, _, error) = run(&["queues", "-s", &free]);
    assert!(code == Some(1) && error.contains("start the broker with `switchboard`"), "{error}");
    let native = format!("http://{}", broker.native[0]);
    for args in [&["queues", "-s", &native][..], &["queues", "peek", "/queue/a", "-s", &native]] {
        let (code, _, error) = run(args);
        assert!(
            code == Some(1) && error.contains("speaks Switchboard's native protocol and STOMP. HTTP is at"),
            "{error}"
        );
    }
    let (code, _, error) = run(&["purge", "/queue/jobs"]);
    assert!(code == Some(2) && error.contains("switchboard queues purge QUEUE"), "{error}");
}
