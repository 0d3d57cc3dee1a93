//! `listen` and `send` on queues in which something waits already.

mod common;

use common::{Broker, Lines, Program};
use std::io::Write;
use std::process::{Command, Stdio};

/// Sends each line of `text`, and returns when the broker has them.
fn send_lines(broker: &Broker, channel: &str, text: &[u8]) {
    let mut send = broker.client(&["send", channel, "--stdin"]);
    let mut send = send.stdin(Stdio::piped()).spawn().expect("a sender");
    send.stdin.take().expect("a pipe").write_all(text).expect("written");
    assert!(send.wait().expect("an end").success());
}

fn numbers(count: usize, padding: usize) -> String {
    (0..count).map(|number| format!("{number}{:padding$}\n", "")).collect()
}

#[test]
fn everything_that_waits_in_a_queue_is_printed() {
    for args in [&[][..], &["--set", "outbox=16MiB"]] {
        let broker = Broker::start(args);
        for (i, (count, padding)) in [(0, 0), (1, 0), (20_000, 0), (20_000, 1000)].into_iter().enumerate() {
            let channel = format!("/queue/{i}");
            let mut text = numbers(count, padding);
            send_lines(&broker, &channel, text.as_bytes());
            let mut listener = broker.client(&["listen", &channel]);
            let listener = Program::start(listener.stderr(Stdio::null())).expect("a listener");
            // For an empty queue, too, this shows that it listens.
            send_lines(&broker, &channel, b"last\n");
            text += "last\n";
            for expected in text.lines() {
                assert_eq!(listener.line().expect("a line"), expected);
            }
        }
    }
}

/// A listener without acks.
fn native(broker: &Broker, args: &[&str]) -> Command {
    common::switchboard(&[args, &["--server", &format!("switchboard://{}", broker.native[0])]].concat())
}

#[test]
fn a_counted_listener_leaves_the_others_untouched_and_in_order() {
    let broker = Broker::start(&[]);
    for (count, of) in [(1, 20), (10, 20), (20, 20), (300, 310), (301, 500), (1450, 1500)] {
        let queue = format!("/queue/{count}");
        let text = numbers(of, 0);
        send_lines(&broker, &queue, text.as_bytes());
        let first = broker.client(&["listen", &queue, "--count", &count.to_string()]).output().expect("an end");
        assert!(first.status.success(), "{first:?}");
        assert!(!String::from_utf8_lossy(&first.stderr).contains("lost"), "{first:?}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(String::from_utf8_lossy(&first.stdout).lines().collect::<Vec<_>>(), lines[..count]);
        if count == of {
            assert_eq!(left_in(&broker, &queue), 0);
            continue;
        }
        let rest = (of - count).to_string();
        let rest =
            broker.client(&["listen", &queue, "--headers", "--json", "--count", &rest]).output().expect("an end");
        let rest: Vec<serde_json::Value> =
            rest.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        assert_eq!(rest.iter().map(|line| line["data"].as_str().expect("text")).collect::<Vec<_>>(), lines[count..]);
        let is_seen = |line: &serde_json::Value| {
            line["headers"].as_array().expect("headers").contains(&serde_json::json!(["redelivered", "true"]))
        };
        // The last ack may have asked for one more, which went back.
        assert!(!rest[1..].iter().any(is_seen), "{count} of {of}");
    }
}

#[test]
fn a_killed_listener_takes_nothing_with_it_that_it_has_not_printed() {
    let broker = Broker::start(&[]);
    send_lines(&broker, "/queue/a", numbers(5000, 100).as_bytes());
    let mut listener = broker.client(&["listen", "/queue/a"]);
    let mut listener = Program::start(listener.stderr(Stdio::null())).expect("a listener");
    listener.line().expect("a line");
    listener.signal("-KILL");
    let mut printed = 1;
    while listener.line().is_some() {
        printed += 1;
    }
    listener.end();
    let left = left_in(&broker, "/queue/a");
    // Messages printed and not acked yet come again.
    assert!(printed + left >= 5000 && left <= 5000, "{printed} + {left}");
}

#[test]
fn headers_are_sent_and_shown() {
    let broker = Broker::start(&[]);
    let send = ["send", "/queue/a", "hello", "--header", "kind:greeting: warm", "--header", "empty:"];
    assert!(broker.client(&send).status().expect("an end").success());
    let at = format!("stomp://{}", broker.native[0]);
    let shown = common::switchboard(&["listen", "/queue/a", "--headers", "-n", "1", "--server", &at]);
    let shown = { shown }.output().expect("an end");
    let shown = text(&shown.stdout);
    assert!(shown.contains("\nkind: greeting: warm\nempty: \n") && shown.ends_with("\n\nhello\n"), "{shown}");
    let refused = native(&broker, &send).output().expect("an end");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("the native protocol has not got headers"), "{refused:?}");
    let wrong = broker.client(&["send", "/queue/a", "x", "--header", "no colon"]).output().expect("an end");
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_header_stays_on_its_line_whatever_is_in_it() {
    let broker = Broker::start(&[]);
    let send = ["send", "/queue/a", "hello", "--header", "kind:x\nforged: yes\x1b[2J"];
    assert!(broker.client(&send).status().expect("an end").success());
    let shown = broker.client(&["listen", "/queue/a", "--headers", "-n", "1"]).output().expect("an end");
    let shown = text(&shown.stdout);
    assert!(shown.contains("\nkind: x\\nforged: yes\\u{1b}[2J\n") && !shown.contains("\nforged"), "{shown}");
}

#[test]
fn headers_over_the_native_protocol_are_refused_with_a_sentence() {
    let broker = Broker::start(&[]);
    let refused = native(&broker, &["listen", "/queue/a", "--headers", "-n", "1"]).output().expect("an end");
    let said = text(&refused.stderr);
    assert_eq!((refused.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("--headers needs STOMP: "), "{said}");
}

#[test]
fn a_counted_listener_that_subscribes_twice_says_once_that_it_listens() {
    let broker = Broker::start(&[]);
    send_lines(&broker, "/queue/a", numbers(310, 0).as_bytes());
    let listened = broker.client(&["listen", "/queue/a", "--count", "301"]).output().expect("an end");
    let said = text(&listened.stderr);
    assert_eq!(said.matches("Listening on ").count(), 1, "{said}");
}

#[test]
fn a_listener_that_leaves_a_queue_without_acks_says_how_many_messages_it_took_with_it() {
    let broker = Broker::start(&[]);
    send_lines(&broker, "/queue/a", numbers(1000, 0).as_bytes());
    let first = native(&broker, &["listen", "/queue/a", "--count", "10"]).output().expect("an end");
    assert!(first.status.success());
    assert_eq!(String::from_utf8_lossy(&first.stdout).lines().count(), 10);
    let said = text(&first.stderr);
    // Messages that it left are still there.
    assert_eq!(10 + lost(&said) + left_in(&broker, "/queue/a"), 1000, "{said}");
}

#[test]
fn a_topics_listener_loses_nothing_and_says_nothing() {
    let broker = Broker::start(&[]);
    let mut listener = broker.client(&["listen", "/topic/a", "--count", "1"]);
    let mut listener = Program::start(listener.stderr(Stdio::piped())).expect("a listener");
    let notes = Lines::of(listener.child.stderr.take().expect("a pipe"));
    notes.find(&["Listening on "]);
    send_lines(&broker, "/topic/a", b"one\ntwo\nthree\n");
    assert!(listener.end().success());
    assert!(notes.next().is_none());
}

/// Runs a script in a shell: `AT` is the broker's address.
fn shell(broker: &Broker, script: &str) -> std::process::Output {
    let (host, port) = broker.native[0].rsplit_once(':').expect("a port");
    let program = env!("CARGO_BIN_EXE_switchboard");
    let script = script.replace("NATIVE", &format!("--server switchboard://{host}:{port}"));
    let script = script.replace("SB", program).replace("AT", &format!("--server {host}:{port}"));
    Command::new("bash").args(["-c", &script]).output().expect("bash")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn left_in(broker: &Broker, channel: &str) -> usize {
    let mut rest = broker.client(&["listen", channel]);
    let rest = Program::start(rest.stderr(Stdio::null())).expect("a listener");
    send_lines(broker, channel, b"last\n");
    let mut count = 0;
    while rest.line().expect("a line") != "last" {
        count += 1;
    }
    count
}

fn lost(said: &str) -> usize {
    let lost =
        said.lines().find_map(|line| line.strip_prefix("Lost: ")?.split_once(" more message").map(|(count, _)| count));
    lost.map_or(0, |lost| lost.parse().expect("a number"))
}

#[test]
fn a_reader_that_leaves_ends_the_listener_before_the_next_message() {
    let broker = Broker::start(&[]);
    send_lines(&broker, "/queue/a", b"first\n");
    // `head` has left long before the second message comes.
    let done = shell(&broker, "SB listen /queue/a AT | head -n 1");
    assert_eq!(text(&done.stdout), "first\n");
    send_lines(&broker, "/queue/a", b"second\n");
    assert_eq!(left_in(&broker, "/queue/a"), 1, "{}", text(&done.stderr));
}

#[test]
fn a_listener_whose_reader_leaves_loses_what_the_pipe_and_the_reader_took() {
    let broker = Broker::start(&[]);
    send_lines(&broker, "/queue/a", numbers(5000, 1000).as_bytes());
    let done = shell(&broker, "set -o pipefail; SB listen /queue/a AT | head -n 1");
    assert!(done.status.success(), "{done:?}");
    // A pipe holds 64 KiB, and `head` reads as much at most.
    let left = left_in(&broker, "/queue/a");
    assert!((4850..=5000).contains(&left), "{left}");
}

#[test]
fn a_listener_without_acks_whose_reader_leaves_says_what_is_lost_and_fails_not() {
    // More than pipe and inbox hold, and more at once than the pipe.
    let broker = Broker::start(&["--set", "first-window=1MiB"]);
    send_lines(&broker, "/queue/a", numbers(5000, 1000).as_bytes());
    let done = shell(&broker, "set -o pipefail; SB listen /queue/a NATIVE | head -n 1");
    assert!(done.status.success(), "{done:?}");
    assert_eq!(text(&done.stdout).trim_end(), "0");
    assert!(lost(&text(&done.stderr)) > 0, "{done:?}");
    assert!(left_in(&broker, "/queue/a") + lost(&text(&done.stderr)) < 5000);
}

#[test]
fn an_interrupted_listener_prints_what_was_sent_to_it_and_the_queue_keeps_the_rest() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let broker = Broker::start(&[]);
        send_lines(&broker, "/queue/a", numbers(20_000, 500).as_bytes());
        let mut listener = broker.client(&["listen", "/queue/a"]);
        let mut listener = Program::start(listener.stderr(Stdio::piped())).expect("a listener");
        let notes = Lines::of(listener.child.stderr.take().expect("a pipe"));
        listener.line().expect("a line");
        listener.signal(signal);
        let mut printed = 1;
        while listener.line().is_some() {
            printed += 1;
        }
        assert_eq!(listener.end().code(), Some(code));
        assert!(!notes.all().iter().any(|line| line.contains("lost")), "{:?}", notes.all());
        assert_eq!(printed + left_in(&broker, "/queue/a"), 20_000);
    }
}

#[test]
fn an_idle_listener_ends_with_a_signal_also_before_there_is_a_broker() {
    let broker = Broker::start(&[]);
    let mut listener = broker.client(&["listen", "/topic/a"]);
    let mut listener = Program::start(listener.stderr(Stdio::piped())).expect("a listener");
    let notes = Lines::of(listener.child.stderr.take().expect("a pipe"));
    notes.find(&["Listening on "]);
    listener.signal("-INT");
    assert_eq!(listener.end().code(), Some(130));
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    for command in [&["listen", "/topic/a"][..], &["send", "/topic/a", "x"]] {
        let mut waits = common::switchboard(&[command, &["--server", &free.to_string()]].concat());
        let mut waits = Program::start(waits.stderr(Stdio::piped())).expect("a client");
        let notes = Lines::of(waits.child.stderr.take().expect("a pipe"));
        notes.find(&["Nobody answers at ", "start the broker with `switchboard`; retrying"]);
        waits.signal("-TERM");
        assert_eq!(waits.end().code(), Some(143));
    }
}

#[test]
fn a_listener_whose_reader_takes_nothing_ends_with_one_signal_or_after_its_time() {
    for is_acked in [true, false] {
        ends_though_stuck(is_acked, &[], Some("-INT"), 130);
        ends_though_stuck(is_acked, &["--timeout", "500ms"], None, 27);
    }
}

fn ends_though_stuck(is_acked: bool, args: &[&str], signal: Option<&str>, code: i32) {
    let broker = Broker::start(&[]);
    send_lines(&broker, "/queue/a", numbers(5000, 1000).as_bytes());
    let listen = if is_acked { Broker::client } else { native };
    let mut child = listen(&broker, &[&["listen", "/queue/a"], args].concat());
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a listener");
    // Held, and never read.
    let _output = child.stdout.take();
    let mut listener = Program { child, lines: Lines::of(std::io::empty()) };
    // It takes what the pipe holds, and waits.
    broker.status_until("it listens", |status| status["channels"][0]["subscribers"] == 1);
    if let Some(signal) = signal {
        listener.signal(signal);
    }
    assert_eq!(listener.end().code(), Some(code));
    if is_acked {
        // Messages that it did not write go back: the pipe holds 64.
        broker.status_until("it has left", |status| status["channels"][0]["subscribers"] == 0);
        let left = left_in(&broker, "/queue/a");
        assert!(left >= 4800, "{left}");
    }
}

#[test]
fn every_line_is_sent_as_it_is() {
    let broker = Broker::start(&[]);
    let input: Vec<&[u8]> = vec![b"\n\n", b"\x00\xff\xfe\n", b"carriage return\r\n", b"  blanks  \n", b"last"];
    let long = [vec![b'x'; 16 << 20], b"\n".to_vec()].concat();
    let all = [&long[..], &input.concat()].concat();
    send_lines(&broker, "/queue/a", &all);
    let listened = broker.client(&["listen", "/queue/a", "--count", "7"]).output().expect("an end");
    assert!(listened.stdout == [&all[..], b"\n"].concat(), "{} bytes", listened.stdout.len());
}

#[test]
fn what_is_over_the_brokers_limits_fails_at_once_with_its_size() {
    let broker = Broker::start(&[]);
    let long = format!("/{}", "n".repeat(1024));
    for (args, parts) in [
        (&["send", "/queue/a", "--size", "17MiB", "--count", "1"][..], ["17825792 bytes", "16777216 bytes"]),
        (&["send", &long, "x"], ["1025 bytes", "1024 bytes"]),
        (&["listen", &long], ["1025 bytes", "1024"]),
    ] {
        let refused = broker.client(args).output().expect("an end");
        assert_eq!(refused.status.code(), Some(1));
        let error = text(&refused.stderr);
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    // One that is configured for it takes it.
    let broker = Broker::start(&["--set", "message=32MiB", "--set", "channel-name=2KiB"]);
    for args in [&["send", "/queue/a", "--size", "17MiB", "--count", "1"][..], &["send", &long, "x"]] {
        let sent = broker.client(args).output().expect("an end");
        assert!(sent.status.success(), "{sent:?}");
    }
}

#[test]
fn an_interrupted_sender_has_sent_what_it_says() {
    let broker = Broker::start(&[]);
    let mut sender = broker.client(&["send", "/queue/a", "--interval", "0.001"]);
    let mut sender = Program::start(sender.stderr(Stdio::piped())).expect("a sender");
    let notes = Lines::of(sender.child.stderr.take().expect("a pipe"));
    broker.status_until("some messages", |status| status["totals"]["published"].as_u64().is_some_and(|sent| sent > 0));
    sender.signal("-INT");
    assert_eq!(sender.end().code(), Some(130));
    let said = notes.find(&["Interrupted: ", " sent."]);
    let sent: usize = said.split(' ').nth(1).expect("a word").parse().expect("a number");
    assert_eq!(left_in(&broker, "/queue/a"), sent);
}

#[test]
fn a_refused_listener_says_why_once() {
    let limit = "/switchboard/echo".len().to_string();
    let broker = Broker::start(&["--set", &format!("channel-name={limit}")]);
    let mut listener = broker.client(&["listen", "/topic/longer-than-that"]);
    let mut listener = Program::start(listener.stderr(Stdio::piped())).expect("a listener");
    let notes = Lines::of(listener.child.stderr.take().expect("a pipe"));
    notes.find(&["the subscription was refused: the broker closed the connection", "retrying."]);
    for _ in 0..3 {
        while !broker.log.next().expect("a line").contains("over the limit") {}
    }
    listener.signal("-TERM");
    assert_eq!(listener.end().code(), Some(143));
    assert_eq!(notes.all().len(), 1, "{:?}", notes.all());
}
