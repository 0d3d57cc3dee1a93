//! `bench` as its users meet it: how it ends, and what it leaves behind.

mod common;

use common::{Broker, Lines, Program};
use std::process::Stdio;

#[test]
fn a_bench_that_is_interrupted_says_what_it_has() {
    let broker = Broker::start(&[]);
    for queue in [&[][..], &["--queue"]] {
        let delivered = |status: &serde_json::Value| status["totals"]["delivered"].as_u64().expect("a number");
        let before = delivered(&broker.status());
        let mut command = broker.client(&[&["bench", "--seconds", "1h", "--rate", "1000"], queue].concat());
        let mut bench = Program::start(command.stderr(Stdio::piped())).expect("it starts");
        let notes = Lines::of(bench.child.stderr.take().expect("a pipe"));
        let first = bench.line().expect("a line");
        assert!(
            first.starts_with("1 publisher to 1 subscriber over one ") && first.contains(" for 3600s, "),
            "{first}"
        );
        broker.status_until("something was delivered", |status| delivered(status) > before + 50);
        bench.signal("-INT");
        bench.until_contains("delivered ");
        assert_eq!(bench.end().code(), Some(130));
        notes.find(&["Interrupted after "]);
    }
}

#[test]
fn a_bench_over_a_queue_leaves_no_message_behind_however_it_ends() {
    // A consumer that is slower than its publishers: the queue is full when the time is over.
    let broker = Broker::start(&["--set", "queue=64MiB"]);
    for (seconds, code) in [("1h", Some(130)), ("0.2", Some(0))] {
        let mut command =
            broker.client(&["bench", "--queue", "--publishers", "8", "--size", "64", "--json", "--seconds", seconds]);
        let mut bench = Program::start(command.stderr(Stdio::null())).expect("it starts");
        if code == Some(130) {
            broker.status_until("messages wait", |status| {
                status["totals"]["memory"].as_u64().is_some_and(|bytes| bytes > 1 << 20)
            });
            bench.signal("-INT");
        }
        let report = bench.line().expect("a line");
        let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
        assert!(report["delivered"].as_u64().is_some_and(|number| number > 0), "{report}");
        assert_eq!(bench.end().code(), code);
        broker.settles_at(0);
        let channels = broker.status()["channels"].clone();
        assert_eq!(channels, serde_json::json!([]), "a queue with messages is left");
    }
}
