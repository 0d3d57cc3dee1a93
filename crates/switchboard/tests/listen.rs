//! `listen` and `send` on queues in which something waits already.

mod common;

use common::{Broker, Lines, Program};
use std::io::Write;
use std::process::Stdio;

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

#[test]
fn a_listener_that_leaves_a_queue_says_how_many_messages_it_took_with_it() {
    let broker = Broker::start(&[]);
    send_lines(&broker, "/queue/a", numbers(1000, 0).as_bytes());
    let first = broker.client(&["listen", "/queue/a", "--count", "10"]).output().expect("an end");
    assert!(first.status.success());
    assert_eq!(String::from_utf8_lossy(&first.stdout).lines().count(), 10);
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    let lost = said
        .lines()
        .find_map(|line| line.strip_suffix(" more messages had been sent to this listener; they are lost."));
    let lost: usize = lost.map_or(0, |lost| lost.parse().expect("a number"));
    // What it did not take is still there.
    let mut rest = broker.client(&["listen", "/queue/a"]);
    let rest = Program::start(rest.stderr(Stdio::null())).expect("a listener");
    send_lines(&broker, "/queue/a", b"last\n");
    let mut count = 0;
    while rest.line().expect("a line") != "last" {
        count += 1;
    }
    assert_eq!(10 + lost + count, 1000, "{said}");
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
