//! `bench` as its users meet it: how it ends, and what it leaves behind.

mod common;

use common::{Broker, Lines, Machine, Network, Program, poll, switchboard};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use switchboard_client::native::LIMIT;

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
fn more_connections_than_files_are_refused_with_both_numbers_before_anything_is_sent() {
    let broker = Broker::start(&[]);
    // One subscriber, and 16 files that are no connections.
    for (publishers, is_taken) in [(46, true), (47, true), (48, false)] {
        let script =
            format!("ulimit -n 64; exec \"$0\" bench --publishers {publishers} --seconds 0.1 --json -s \"$1\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_switchboard"), &broker.native[0]]);
        let output = command.output().expect("an end");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(i32::from(!is_taken)), "{publishers}: {error}");
        let says = "49 connections take 65 open files, and this process may have 64 (ulimit -n)";
        assert_eq!(error.contains(says), !is_taken, "{error}");
    }
}

#[test]
fn a_bench_that_was_stopped_for_a_while_says_so() {
    let broker = Broker::start(&[]);
    let mut command = broker.client(&["bench", "--seconds", "1h", "--rate", "1000"]);
    let mut bench = Program::start(command.stderr(Stdio::piped())).expect("it starts");
    let notes = Lines::of(bench.child.stderr.take().expect("a pipe"));
    broker.status_until("something was delivered", |status| status["totals"]["delivered"].as_u64() > Some(0));
    ["-STOP", "-CONT", "-INT"].into_iter().for_each(|signal| bench.signal(signal));
    notes.find(&["The bench was stopped for a while, as by Ctrl-Z"]);
    assert_eq!(bench.end().code(), Some(130));
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

#[test]
fn a_bench_removes_what_an_earlier_one_that_was_killed_has_left() {
    // The default ports are free in a network of the test's own.
    let network = Network::new();
    let on = |args: &[&str]| network.on(Machine::Server, &switchboard(args));
    // No publisher is to wait for room: what it has sent is in the queue once it has gone.
    let mut broker = on(&["broker", "--memory", "2GiB", "--set", "queue=1GiB"]);
    let broker = Program::start(broker.stderr(Stdio::null())).expect("it starts");
    broker.until_contains("broker, page and API");
    let queues = || -> serde_json::Value {
        let output = on(&["queues", "--json"]).output().expect("an end");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let load = ["bench", "--queue", "--publishers", "8", "--size", "64", "--json"];
    for scheme in ["switchboard", "stomp"] {
        let server = format!("{scheme}://127.0.0.1");
        let mut killed = on(&[&load[..], &["--seconds", "1h", "--server", &server]].concat());
        let mut killed = Program::start(killed.stderr(Stdio::null())).expect("it starts");
        poll("messages wait", || queues()["queues"][0]["bytes"].as_u64().filter(|bytes| *bytes > 1 << 16));
        killed.signal("-KILL");
        killed.end();
        poll("it has gone", || {
            let output = on(&["status", "--json"]).output().expect("an end");
            let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            (status["totals"]["connections"] == 0).then_some(())
        });
        let next =
            on(&["bench", "--queue", "--seconds", "0.1", "--json", "--server", &server]).output().expect("an end");
        let said = String::from_utf8_lossy(&next.stderr).into_owned();
        assert!(next.status.success() && said.contains(" that an earlier bench had left."), "{said}");
        assert_eq!(queues()["queues"], serde_json::json!([]));
    }
}

#[test]
fn a_bench_over_stomp_tells_a_refusal_from_a_loss_and_from_another_protocol() {
    let broker = Broker::start(&[]);
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    let refusing = stranger.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for client in stranger.incoming() {
            let Ok(mut client) = client else { return };
            if client.read(&mut [0; 4096]).is_ok_and(|bytes| bytes > 0) {
                let _ = client.write_all(b"ERROR\nmessage:Bad CONNECT\n\nno such user\n\0");
            }
        }
    });
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    for (address, says) in [
        (&refusing, "the broker reports an error: Bad CONNECT: no such user"),
        (&broker.http, " speaks HTTP, not STOMP"),
        (&free, "nobody listens there, so start the broker"),
    ] {
        let command = ["bench", "--seconds", "0.1", "--json", "--server", &format!("stomp://{address}")];
        let output = { switchboard(&command) }.output().expect("an end");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(says) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn a_size_over_the_brokers_limit_ends_a_bench_at_once_with_the_size_and_the_limit() {
    let broker = Broker::start(&[]);
    for (size, is_taken) in [(LIMIT - 1, true), (LIMIT, true), (LIMIT + 1, false)] {
        let size = size.to_string();
        let output = broker.client(&["bench", "--size", &size, "--seconds", "1"]).output().expect("an end");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(if is_taken { 0 } else { 1 }), "{size}: {error}");
        let names = error.contains(&format!("a message of {size} bytes: its limit is {LIMIT} bytes"));
        assert_eq!((names, output.stdout.is_empty()), (!is_taken, !is_taken), "{size}: {error}");
    }
    let large = Broker::start(&["--set", "message=17MiB"]);
    let output = large.client(&["bench", "--size", "17MiB", "--seconds", "1"]).output().expect("an end");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let small = Broker::start(&["--set", "message=1KiB"]);
    let output = small.client(&["bench", "--size", "2KiB", "--seconds", "0.1"]).output().expect("an end");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && error.contains("of 2048 bytes: the broker's log says why"), "{error}");
}
